/* SPDX-License-Identifier: Apache-2.0 */
/* The package's manifest: does every file have the digest it says? */
#include "stages/source/ova.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/vec.h"
#include "manifests/digest.h"

#define MANIFEST_LIMIT ((size_t)4 << 20)
#define PIECE ((size_t)1 << 20)

struct check {
	const struct package *package;
	struct findings *findings;
	const char *manifest;
	const struct inv_vm *vm;
	const struct source_reader *reader;
	VEC(struct package_file) listed; /* every file it has a digest of */
};

static int
digest_file(const struct check *c, const struct package_file *f,
	    const char *algorithm, char **ret, struct err *err)
{
	CLEANUP(mem_closep) int fd = package_file_open(c->package, f, err);
	CLEANUP(mem_freep) char *piece = mem_new(PIECE);
	struct digest *d;

	if (fd < 0)
		return -1;
	d = digest_new(algorithm);
	for (uint64_t done = 0; done < f->size;) {
		size_t n =
		    f->size - done < PIECE ? (size_t)(f->size - done) : PIECE;

		if (fs_pread(fd, piece, n, (off_t)(f->offset + done), err) <
		    0) {
			free(digest_end(d));
			return -1;
		}
		digest_add(d, piece, n);
		done += n;
		if (c->reader)
			c->reader->told(c->reader->arg, done, f->size);
	}
	*ret = digest_end(d);
	return 0;
}

/* In a package of several vms each compares its own disks, so that no file is
 * read once for each of them. */
static bool
is_in_collection(const struct check *c)
{
	size_t len = strlen(c->package->rel);

	return !strncmp(c->vm->id, c->package->rel, len) &&
	       c->vm->id[len] == '#';
}

static bool
is_disk_of(const struct inv_vm *vm, const struct package_file *f)
{
	for (size_t i = 0; i < vm->ndisks; i++) {
		const json_t *at = vm->disks[i].locator;
		const char *rel =
		    json_string_value(json_object_get(at, "file"));

		if (rel && !strcmp(rel, f->rel) &&
		    (uint64_t)json_integer_value(
			json_object_get(at, "offset")) == f->offset)
			return true;
	}
	return false;
}

static void
check_file(struct check *c, const char *algorithm, const char *name,
	   const char *want)
{
	CLEANUP(mem_freep) char *got = NULL;
	struct package_file f;
	struct err err;
	bool is_there = package_find(c->package, name, &f, &err) == 0;

	if (is_there)
		*vec_push(&c->listed) = f;
	if (is_in_collection(c) && strcmp(name, c->package->descriptor) != 0 &&
	    (!is_there || !is_disk_of(c->vm, &f)))
		return;
	if (!is_there || digest_file(c, &f, algorithm, &got, &err) < 0)
		findings_add(c->findings, FINDING_CRITICAL, "DigestNotChecked",
			     "'%s', listed in '%s': %s", name, c->manifest,
			     err.text);
	else if (strcasecmp(got, want) != 0)
		findings_add(c->findings, FINDING_CRITICAL, "DigestMismatch",
			     "'%s' has the %s digest %s, but %s by '%s'; "
			     "export or copy it again",
			     name, algorithm, got, want, c->manifest);
}

static char *
trimmed(char *s)
{
	size_t len;

	s += strspn(s, " \t\r");
	len = strlen(s);
	while (len && strchr(" \t\r", s[len - 1]))
		s[--len] = '\0';
	return s;
}

/* "SHA256(name)= hex"; white space anywhere, a name may have brackets. */
static int
parse_line(char *line, char **ret_algorithm, char **ret_name, char **ret_hex)
{
	char *open = strchr(line, '('), *equals = strrchr(line, '='), *close;

	if (!open || !equals || equals < open)
		return -1;
	*equals = '\0';
	*open = '\0';
	close = strrchr(open + 1, ')');
	if (!close || *trimmed(close + 1))
		return -1;
	*close = '\0';
	*ret_algorithm = trimmed(line);
	*ret_name = trimmed(open + 1);
	*ret_hex = trimmed(equals + 1);
	for (char *c = *ret_algorithm; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return 0;
}

static bool
is_known(const char *algorithm, const char *hex)
{
	size_t len = !strcmp(algorithm, "sha1")	    ? 40
		     : !strcmp(algorithm, "sha256") ? 64
		     : !strcmp(algorithm, "sha512") ? 128
						    : 0;

	return len && strlen(hex) == len &&
	       strspn(hex, "0123456789abcdefABCDEF") == len;
}

static void
check_line(struct check *c, char *line, unsigned number)
{
	char *algorithm, *name, *hex;

	if (!*trimmed(line))
		return;
	if (parse_line(line, &algorithm, &name, &hex) < 0 ||
	    !is_known(algorithm, hex))
		findings_add(c->findings, FINDING_CRITICAL, "DigestNotChecked",
			     "'%s', line %u: not a SHA-1, SHA-256 or SHA-512 "
			     "digest of a file",
			     c->manifest, number);
	else
		check_file(c, algorithm, name, hex);
}

static void
check_lines(struct check *c, char *text)
{
	unsigned number = 0;

	while (text) {
		char *line = strsep(&text, "\n");

		check_line(c, line, ++number);
	}
}

static bool
is_listed(const struct check *c, const char *rel, uint64_t offset)
{
	for (size_t i = 0; i < c->listed.n; i++)
		if (!strcmp(c->listed.v[i].rel, rel) &&
		    c->listed.v[i].offset == offset)
			return true;
	return false;
}

/* A manifest that leaves a disk out proves nothing about it. */
static void
check_disks_listed(const struct check *c, const struct inv_vm *vm)
{
	for (size_t i = 0; i < vm->ndisks; i++) {
		const struct inv_disk *disk = &vm->disks[i];
		const char *rel =
		    json_string_value(json_object_get(disk->locator, "file"));
		json_int_t offset = json_integer_value(
		    json_object_get(disk->locator, "offset"));

		if (disk->blank || !rel || is_listed(c, rel, (uint64_t)offset))
			continue;
		findings_add(c->findings, FINDING_WARN, "DigestNotChecked",
			     "%s '%s' is not listed in '%s': whether it is "
			     "whole cannot be proved",
			     disk->id, disk->name, c->manifest);
	}
}

void
ova_check_digests(const struct package *p, const struct inv_vm *vm,
		  const struct source_reader *reader, struct findings *findings)
{
	struct check c = {.package = p,
			  .reader = reader,
			  .findings = findings,
			  .vm = vm,
			  .manifest = package_beside(p, ".mf")};
	CLEANUP(buf_done) struct buf text = {0};
	struct package_file f;
	struct err err;

	if (!c.manifest) {
		findings_add(findings, FINDING_INFORMATION, "NoDigests",
			     "'%s' comes without a manifest (.mf): whether it "
			     "is whole cannot be proved",
			     p->rel);
		return;
	}
	if (package_find(p, c.manifest, &f, &err) < 0 ||
	    package_file_read(p, &f, MANIFEST_LIMIT, &text, &err) < 0)
		findings_add(findings, FINDING_CRITICAL, "DigestNotChecked",
			     "'%s': %s", c.manifest, err.text);
	else {
		if (text.data)
			check_lines(&c, text.data);
		check_disks_listed(&c, vm);
	}
	vec_done(&c.listed);
}

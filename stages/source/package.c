/* SPDX-License-Identifier: Apache-2.0 */
/* Files of an OVA, wherever they are. */
#include "stages/source/package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

bool
package_has_ending(const char *name, const char *ending)
{
	size_t len = strlen(name), n = strlen(ending);

	return len > n && !strcasecmp(name + len - n, ending);
}

/* Finder's companions ("._web.ovf") look like descriptors and are none. */
static bool
is_companion(const char *name)
{
	return !strncmp(fs_basename(name), "._", 2);
}

static int
find_descriptor(struct package *p, struct err *err)
{
	for (size_t i = 0; i < p->tar.members.n; i++) {
		const char *name = p->tar.members.v[i].name;

		if (!package_has_ending(name, ".ovf") || is_companion(name))
			continue;
		if (p->descriptor)
			return err_set(err, ERR_FAIL,
				       "it has several descriptors: '%s' and "
				       "'%s'",
				       p->descriptor, name);
		p->descriptor = name;
	}
	return p->descriptor
		   ? 0
		   : err_set(err, ERR_FAIL, "there is no .ovf in the archive");
}

static const struct {
	const char *bytes;
	size_t len;
	const char *program;
} packers[] = {
    {"\x1f\x8b", 2, "gunzip"},
    {"BZh", 3, "bunzip2"},
    {"\xfd"
     "7zXZ",
     5, "unxz"},
    {"\x28\xb5\x2f\xfd", 4, "unzstd"},
    {"PK\x03\x04", 4, "unzip"},
};

/* The archive would have to be unpacked to be read at all. */
static int
refuse_packed(const struct package *p, struct err *err)
{
	char head[8] = {0};
	ssize_t n = pread(p->fd, head, sizeof(head), 0);

	if (n < 0)
		return err_sys(err, "cannot read it");
	for (size_t i = 0; i < sizeof(packers) / sizeof(*packers); i++)
		if (!memcmp(head, packers[i].bytes, packers[i].len))
			return err_set(err, ERR_FAIL,
				       "the whole archive is compressed; "
				       "unpack it with '%s'",
				       packers[i].program);
	return 0;
}

static int
open_archive(struct package *p, struct err *err)
{
	if (refuse_packed(p, err) < 0)
		return -1;
	if (tar_read(p->fd, &p->tar, &p->damage) < 0)
		p->is_damaged = true;
	if (find_descriptor(p, err) == 0)
		return 0;
	if (p->is_damaged)
		*err = p->damage;
	return -1;
}

static int
open_below(const struct package *p, const char *rel, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(p->root, rel);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		err_sys(err, "cannot open '%s'", rel);
	return fd;
}

int
package_open(struct arena *arena, const char *root, const char *rel,
	     struct package *ret, struct err *err)
{
	struct package p = {.arena = arena, .root = root, .rel = rel};

	p.is_archive = package_has_ending(rel, ".ova");
	p.tar.arena = arena;
	p.fd = open_below(&p, rel, err);
	if (p.fd < 0)
		return -1;
	if (!p.is_archive)
		p.descriptor = fs_basename(rel);
	else if (open_archive(&p, err) < 0) {
		package_done(&p);
		return -1;
	}
	*ret = p;
	return 0;
}

void
package_done(struct package *p)
{
	mem_closep(&p->fd);
	tar_done(&p->tar);
}

/* Links inside a directory could lead to any file of ours. */
static int
check_inside(const char *dir, const char *path, const char *name,
	     struct err *err)
{
	CLEANUP(mem_freep) char *real_dir = realpath(dir, NULL);
	CLEANUP(mem_freep) char *real = realpath(path, NULL);
	size_t len = real_dir ? strlen(real_dir) : 0;

	if (real && real_dir && !strncmp(real, real_dir, len) &&
	    (real[len] == '/' || !strcmp(real_dir, "/")))
		return 0;
	return err_set(err, ERR_FAIL,
		       "'%s' leads outside the directory of the "
		       "descriptor",
		       name);
}

static int
find_in_directory(const struct package *p, const char *name,
		  struct package_file *ret, struct err *err)
{
	CLEANUP(mem_freep) char *from = fs_dirname(p->rel);
	CLEANUP(mem_freep) char *dir = fs_path(p->root, from);
	CLEANUP(mem_freep) char *path = fs_path(dir, name);
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT
			   ? err_set(err, ERR_FAIL, "'%s' is missing", name)
			   : err_sys(err, "cannot look at '%s'", name);
	if (check_inside(dir, path, name, err) < 0)
		return -1;
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAIL, "'%s' is not a file", name);
	ret->rel = strcmp(from, ".") == 0
		       ? ret->name
		       : arena_printf(p->arena, "%s/%s", from, name);
	ret->size = (uint64_t)st.st_size;
	return 0;
}

int
package_find(const struct package *p, const char *name,
	     struct package_file *ret, struct err *err)
{
	const struct tar_member *member;

	while (!strncmp(name, "./", 2))
		name += 2;
	if (!tar_is_safe(name))
		return err_set(err, ERR_FAIL,
			       "the name '%s' leads outside the package", name);
	*ret = (struct package_file){.name = arena_strdup(p->arena, name)};
	if (!p->is_archive)
		return find_in_directory(p, name, ret, err);
	member = tar_find(&p->tar, name);
	if (!member)
		return err_set(err, ERR_FAIL, "'%s' is missing", name);
	ret->rel = p->rel;
	ret->offset = member->offset;
	ret->size = member->size;
	return 0;
}

bool
package_has(const struct package *p, const char *name)
{
	struct package_file ignored;
	struct err err;

	return package_find(p, name, &ignored, &err) == 0;
}

static const char *
beside_in_directory(const struct package *p, const char *name)
{
	CLEANUP(mem_freep) char *from = fs_dirname(p->rel);
	CLEANUP(mem_freep) char *path = fs_path(p->root, from);
	DIR *dir = opendir(path);
	const char *found = NULL;
	struct dirent *entry;

	while (dir && !found && (entry = readdir(dir)))
		if (!strcasecmp(entry->d_name, name))
			found = arena_strdup(p->arena, entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

static const char *
beside_in_archive(const struct package *p, const char *name)
{
	for (size_t i = 0; i < p->tar.members.n; i++)
		if (!strcasecmp(p->tar.members.v[i].name, name))
			return p->tar.members.v[i].name;
	return NULL;
}

const char *
package_beside(const struct package *p, const char *ending)
{
	const char *name =
	    arena_printf(p->arena, "%.*s%s", (int)strlen(p->descriptor) - 4,
			 p->descriptor, ending);

	if (package_has(p, name))
		return name;
	return p->is_archive ? beside_in_archive(p, name)
			     : beside_in_directory(p, name);
}

int
package_file_open(const struct package *p, const struct package_file *f,
		  struct err *err)
{
	return open_below(p, f->rel, err);
}

int
package_file_read(const struct package *p, const struct package_file *f,
		  size_t limit, struct buf *ret, struct err *err)
{
	CLEANUP(mem_closep) int fd = -1;
	CLEANUP(mem_freep) char *data = NULL;

	if (f->size > limit)
		return err_set(err, ERR_FAIL,
			       "'%s' has %" PRIu64 " bytes, more than %zu",
			       f->name, f->size, limit);
	fd = package_file_open(p, f, err);
	if (fd < 0)
		return -1;
	data = mem_new((size_t)f->size + 1);
	if (fs_pread(fd, data, (size_t)f->size, (off_t)f->offset, err) < 0)
		return err_wrap(err, "reading '%s'", f->name);
	buf_add(ret, data, (size_t)f->size);
	return 0;
}

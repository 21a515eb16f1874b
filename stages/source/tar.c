/* SPDX-License-Identifier: Apache-2.0 */
/* From header to header of a tar archive. */
#include "stages/source/tar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"

#define BLOCK 512
#define NAME_LIMIT ((uint64_t)1 << 20) /* of a long name or pax header */
#define MEMBERS_LIMIT 10000

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12];
	char checksum[8], type, linkname[100], magic[6], version[2];
	char uname[32], gname[32], devmajor[8], devminor[8], prefix[155];
	char pad[12];
};

struct walk {
	int fd;
	uint64_t at, end; /* next header, size of the archive */
	struct tar *tar;
	/* what a pax or GNU header said of the member that follows */
	char *name;
	bool has_size, is_sparse;
	uint64_t size;
};

static void
walk_done(struct walk *w)
{
	mem_freep(&w->name);
}

bool
tar_is_safe(const char *name)
{
	if (!*name || *name == '/')
		return false;
	for (const char *part = name;; part++) {
		size_t len = strcspn(part, "/");

		if (len == 2 && !strncmp(part, "..", 2))
			return false;
		part += len;
		if (!*part)
			return true;
	}
}

/* Octal text, or a big-endian number behind a byte of 0x80. */
static int
parse_number(const char *field, size_t len, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i = 0;

	if ((unsigned char)field[0] == 0x80) {
		for (i = 1; i < len; i++) {
			if (n >> 55)
				return -1;
			n = n << 8 | (unsigned char)field[i];
		}
		*ret = n;
		return 0;
	}
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++) {
		if (n >> 60)
			return -1;
		n = n << 3 | (uint64_t)(field[i] - '0');
	}
	if (i < len && field[i] != '\0' && field[i] != ' ')
		return -1;
	*ret = n;
	return 0;
}

/* Some old writers added signed characters. */
static bool
checksum_fits(const struct header *h)
{
	const char *bytes = (const char *)h;
	uint64_t want, sum = 0;
	int64_t signed_sum = 0;

	if (parse_number(h->checksum, sizeof(h->checksum), &want) < 0)
		return false;
	for (size_t i = 0; i < BLOCK; i++) {
		bool blank = i >= offsetof(struct header, checksum) &&
			     i < offsetof(struct header, type);
		char c = blank ? ' ' : bytes[i];

		sum += (unsigned char)c;
		signed_sum += (signed char)c;
	}
	return want == sum || (int64_t)want == signed_sum;
}

static bool
is_zero(const struct header *h)
{
	const char *bytes = (const char *)h;

	return !bytes[0] && !memcmp(bytes, bytes + 1, BLOCK - 1);
}

/* The data of a header that describes the next one. */
static int
read_text(struct walk *w, uint64_t size, struct buf *ret, struct err *err)
{
	char block[BLOCK];
	uint64_t at = w->at;

	if (size > NAME_LIMIT)
		return err_set(err, ERR_FAIL,
			       "the extended header at byte %" PRIu64
			       " is too large",
			       at - BLOCK);
	for (uint64_t left = size; left > 0;) {
		size_t n = left < BLOCK ? (size_t)left : BLOCK;

		if (fs_pread(w->fd, block, n, (off_t)at, err) < 0)
			return -1;
		buf_add(ret, block, n);
		at += n;
		left -= n;
	}
	return 0;
}

static void
take_pax(struct walk *w, const char *key, size_t len, const char *value,
	 size_t nvalue)
{
	if (len > 11 && !strncmp(key, "GNU.sparse.", 11))
		w->is_sparse = true;
	if (len == 4 && !strncmp(key, "path", 4)) {
		mem_freep(&w->name);
		w->name = mem_strndup(value, nvalue);
	}
	if (len == 4 && !strncmp(key, "size", 4) && nvalue > 0 && nvalue < 20 &&
	    strspn(value, "0123456789") == nvalue) {
		w->size = strtoull(value, NULL, 10);
		w->has_size = true;
	}
}

/* Records of "LENGTH KEY=VALUE\n", the length counting itself. */
static int
parse_pax(struct walk *w, const struct buf *text, uint64_t at, struct err *err)
{
	size_t i = 0;

	while (i < text->len) {
		const char *record = text->data + i, *equals;
		size_t digits = strspn(record, "0123456789"), len = 0;

		for (size_t d = 0; d < digits && d < 8; d++)
			len = len * 10 + (size_t)(record[d] - '0');
		equals = len <= text->len - i && len > digits + 2
			     ? memchr(record, '=', len)
			     : NULL;
		if (!digits || digits > 7 || record[digits] != ' ' || !equals ||
		    record[len - 1] != '\n')
			return err_set(err, ERR_FAIL,
				       "the pax header at byte %" PRIu64
				       " is damaged",
				       at);
		record += digits + 1;
		take_pax(w, record, (size_t)(equals - record), equals + 1,
			 (size_t)(text->data + i + len - 1 - (equals + 1)));
		i += len;
	}
	return 0;
}

/* A header about the next: pax, or GNU's long name. */
static int
take_extension(struct walk *w, char type, uint64_t size, struct err *err)
{
	CLEANUP(buf_done) struct buf text = {0};

	if (type == 'g' || type == 'K')
		return 0;
	if (read_text(w, size, &text, err) < 0)
		return -1;
	if (type == 'x')
		return parse_pax(w, &text, w->at - BLOCK, err);
	mem_freep(&w->name);
	w->name = mem_strdup(text.len ? text.data : "");
	return 0;
}

static char *
name_of(struct walk *w, const struct header *h)
{
	char *name = steal(&w->name);
	size_t dots = 0;

	if (!name && !memcmp(h->magic, "ustar\0", 6) && h->prefix[0])
		name = mem_printf("%.*s/%.*s", (int)sizeof(h->prefix),
				  h->prefix, (int)sizeof(h->name), h->name);
	else if (!name)
		name = mem_strndup(h->name, sizeof(h->name));
	while (!strncmp(name + dots, "./", 2))
		dots += 2;
	memmove(name, name + dots, strlen(name + dots) + 1);
	return name;
}

static int
check_member(const struct walk *w, const char *name, char type, struct err *err)
{
	if (type == '1' || type == '2')
		return err_set(err, ERR_FAIL,
			       "member '%s' is a link, where only files belong",
			       name);
	if (type != '0' && type != '\0' && type != '7')
		return err_set(err, ERR_FAIL,
			       "member '%s' is of type '%c', which no OVA "
			       "contains",
			       name, type >= ' ' && type <= '~' ? type : '?');
	if (w->is_sparse)
		return err_set(
		    err, ERR_FAIL,
		    "member '%s' is sparse; pack the archive without "
		    "--sparse",
		    name);
	if (!tar_is_safe(name))
		return err_set(err, ERR_FAIL,
			       "member '%s' leads outside the archive", name);
	if (tar_find(w->tar, name))
		return err_set(err, ERR_FAIL,
			       "member '%s' is in the archive twice", name);
	if (w->tar->members.n >= MEMBERS_LIMIT)
		return err_set(err, ERR_FAIL, "more than %d members",
			       MEMBERS_LIMIT);
	return 0;
}

static int
check_length(const struct walk *w, const char *name, uint64_t size,
	     struct err *err)
{
	if (size <= w->end - w->at)
		return 0;
	return err_set(err, ERR_FAIL,
		       "truncated: it ends at byte %" PRIu64
		       ", in member '%s', which starts at byte %" PRIu64
		       " and has %" PRIu64 " bytes",
		       w->end, name, w->at, size);
}

static int
take_member(struct walk *w, const struct header *h, uint64_t *size,
	    struct err *err)
{
	CLEANUP(mem_freep) char *name = name_of(w, h);
	struct tar_member *member;

	if (w->has_size)
		*size = w->size;
	w->has_size = false;
	if (h->type == '5')
		return 0;
	if (check_member(w, name, h->type, err) < 0)
		return -1;
	member = vec_push(&w->tar->members);
	member->name = arena_strdup(w->tar->arena, name);
	member->offset = w->at;
	member->size = *size;
	return check_length(w, name, *size, err);
}

/* Moves on by one header and its data. */
static int
step(struct walk *w, struct err *err)
{
	struct header h;
	uint64_t size;

	if (w->end - w->at < BLOCK)
		return err_set(err, ERR_FAIL,
			       "truncated: it ends at byte %" PRIu64
			       ", within a header",
			       w->end);
	if (fs_pread(w->fd, &h, BLOCK, (off_t)w->at, err) < 0)
		return -1;
	if (is_zero(&h)) {
		w->tar->has_end = true;
		return 0;
	}
	if (!checksum_fits(&h) ||
	    parse_number(h.size, sizeof(h.size), &size) < 0)
		return err_set(err, ERR_FAIL,
			       "the header at byte %" PRIu64
			       " is damaged, or this is no tar archive",
			       w->at);
	w->at += BLOCK;
	if (h.type && strchr("xgLK", h.type)) {
		if (check_length(w, "extended header", size, err) < 0 ||
		    take_extension(w, h.type, size, err) < 0)
			return -1;
	} else if (take_member(w, &h, &size, err) < 0) {
		return -1;
	}
	/* a directory's size may be any number */
	if (h.type == '5')
		size = 0;
	/* the padding behind the last member may be missing */
	size += (BLOCK - size % BLOCK) % BLOCK;
	w->at = size < w->end - w->at ? w->at + size : w->end;
	return 0;
}

int
tar_read(int fd, struct tar *ret, struct err *err)
{
	CLEANUP(walk_done) struct walk w = {.fd = fd, .tar = ret};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot look at the archive");
	w.end = (uint64_t)st.st_size;
	while (!ret->has_end && w.at < w.end)
		if (step(&w, err) < 0)
			return -1;
	return 0;
}

void
tar_done(struct tar *t)
{
	vec_done(&t->members);
}

const struct tar_member *
tar_find(const struct tar *t, const char *name)
{
	for (size_t i = 0; i < t->members.n; i++)
		if (!strcmp(t->members.v[i].name, name))
			return &t->members.v[i];
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives: where members are, and which archives are refused. */
#include "stages/source/tar.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "t/tap.h"
#include "t/tarball.h"

struct read_back {
	struct tar tar;
	struct arena *arena;
	struct err err;
	int status;
};

static void
read_back(const struct buf *b, struct read_back *r)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);
	struct err err;

	memset(r, 0, sizeof(*r));
	r->arena = r->tar.arena = arena_new();
	if (fs_write_all(fd, b->data, b->len, &err) < 0)
		tap_diag("%s", err.text);
	r->status = tar_read(fd, &r->tar, &r->err);
	close(fd);
}

static void
read_back_done(struct read_back *r)
{
	tar_done(&r->tar);
	arena_free(r->arena);
}

static void
refused(struct buf *b, const char *part, size_t nleft, const char *name)
{
	struct read_back r;

	read_back(b, &r);
	ok(r.status < 0 && r.err.class == ERR_FAIL, "%s", name);
	like(r.err.text, part, "it says why");
	is_int(r.tar.members.n, (long long)nleft, "what came before stays");
	read_back_done(&r);
	buf_done(b);
}

static void
walks(void)
{
	struct buf b = {0};
	struct read_back r;
	char data[1000];

	memset(data, 'x', sizeof(data));
	tar_header(&b, "dir/", '5', 0);
	tar_add(&b, "./a.ovf", data, 10);
	tar_add_sized(&b, "b.vmdk", data, 1000, TAR_BASE_256);
	tar_add_sized(&b, "c.vmdk", data, 600, TAR_PAX);
	tar_pax(&b, "17 path=dir/long\n");
	tar_add(&b, "short", data, 512);
	tar_header(&b, "././@LongLink", 'L', 6);
	tar_data(&b, "gnu-d\0", 6);
	tar_add(&b, "short", data, 0);
	tar_end(&b);
	read_back(&b, &r);
	if (!is_int(r.status, 0, "a sound archive"))
		tap_diag("%s", r.err.text);
	ok(r.tar.has_end, "its end was seen");
	is_int(r.tar.members.n, 5, "files only");
	ok(tar_find(&r.tar, "a.ovf") &&
	       tar_find(&r.tar, "a.ovf")->offset == 1024,
	   "where the first is, without './'");
	is_int(tar_find(&r.tar, "b.vmdk")->size, 1000, "a size in base 256");
	is_int(tar_find(&r.tar, "c.vmdk")->size, 600, "a size from pax");
	ok(tar_find(&r.tar, "dir/long") != NULL, "a name from pax");
	ok(tar_find(&r.tar, "gnu-d") != NULL, "a long name of GNU");
	read_back_done(&r);
	buf_done(&b);
}

/* Bigger than any test can write: the sizes must still add up. */
static void
huge_sizes(void)
{
	struct buf b = {0};
	char h[TAR_BLOCK];

	tar_header(&b, "a", '0', 0);
	memcpy(h, b.data, sizeof(h));
	memset(h + 124, 0xff, 12);
	h[124] = (char)0x80;
	tar_seal(h);
	buf_reset(&b);
	buf_add(&b, h, sizeof(h));
	refused(&b, "damaged", 0, "a size of 88 bits");

	memset(h + 124, 0, 12);
	h[124] = (char)0x80;
	h[128] = 0x7f;
	memset(h + 129, 0xff, 7);
	tar_seal(h);
	buf_add(&b, h, sizeof(h));
	refused(&b, "truncated", 1, "a size of 63 bits");

	tar_pax(&b, "29 size=9999999999999999999\n");
	tar_add(&b, "a", "", 0);
	refused(&b, "damaged", 0, "a pax record with a wrong length");
	tar_pax(&b, "28 size=9999999999999999999\n");
	tar_add(&b, "a", "", 0);
	refused(&b, "truncated", 1, "the largest pax size");
}

static void
refuses(void)
{
	struct buf b = {0};

	tar_add(&b, "a.ovf", "x", 1);
	tar_header(&b, "b.vmdk", '0', 100000);
	tar_data(&b, "short", 5);
	refused(&b, "truncated: it ends at byte 2048, in member 'b.vmdk'", 2,
		"a member that is cut");

	tar_add(&b, "a", "x", 1);
	buf_add(&b, "half", 4);
	refused(&b, "within a header", 1, "a header that is cut");

	tar_add(&b, "a", "x", 1);
	b.data[0] = 'b';
	refused(&b, "header at byte 0", 0, "a wrong checksum");

	tar_add(&b, "../a", "x", 1);
	refused(&b, "leads outside", 0, "a way up");
	tar_add(&b, "a/../../b", "x", 1);
	refused(&b, "leads outside", 0, "a way up, later");
	tar_add(&b, "/etc/passwd", "x", 1);
	refused(&b, "leads outside", 0, "an absolute name");
	tar_pax(&b, "16 path=/etc/x\n");
	refused(&b, "damaged", 0, "a pax record that ends elsewhere");
	tar_pax(&b, "15 path=/etc/x\n");
	tar_add(&b, "a", "x", 1);
	refused(&b, "leads outside", 0, "an absolute name from pax");

	tar_add(&b, "a", "x", 1);
	tar_add(&b, "./a", "x", 1);
	refused(&b, "twice", 1, "the same name twice");
	tar_header(&b, "a", '2', 0);
	refused(&b, "is a link", 0, "a symbolic link");
	tar_header(&b, "a", '1', 0);
	refused(&b, "is a link", 0, "a hard link");
	tar_header(&b, "a", '3', 0);
	refused(&b, "of type '3'", 0, "a device");
	tar_header(&b, "a", 'S', 0);
	refused(&b, "of type 'S'", 0, "a sparse file");
	tar_add(&b, "", "x", 1);
	refused(&b, "leads outside", 0, "no name");
	tar_header(&b, "pax", 'x', 2 << 20);
	for (int i = 0; i < 4096 + 1; i++)
		tar_data(&b, "x", 1);
	refused(&b, "too large", 0, "an endless pax header");
}

static void
ends_early(void)
{
	struct buf b = {0};
	struct read_back r;

	tar_add(&b, "a", "x", 1);
	read_back(&b, &r);
	ok(r.status == 0 && !r.tar.has_end, "no end mark is no error");
	read_back_done(&r);
	b.len -= 511;
	read_back(&b, &r);
	ok(r.status == 0 && r.tar.members.n == 1, "nor is missing padding");
	read_back_done(&r);
	buf_done(&b);
}

static void
safe_names(void)
{
	ok(tar_is_safe("a") && tar_is_safe("a/..b/c..") && tar_is_safe("..."),
	   "names with dots");
	ok(!tar_is_safe("..") && !tar_is_safe("a/..") && !tar_is_safe("") &&
	       !tar_is_safe("/"),
	   "names that lead elsewhere");
}

int
main(void)
{
	walks();
	huge_sizes();
	refuses();
	ends_early();
	safe_names();
	return tap_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Whole copies between images, as the `copy` command makes them. */
#include "stages/copy/copy_image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"
#include "stages/copy/copy_file.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)
#define SIZE (4 * MIB)

static struct err err;
static struct copy_image_result result;

static char *
path_of(const char *name)
{
	return fs_path(tap_dir(), name);
}

static void
make_source(const char *path, char fill)
{
	CLEANUP(mem_freep) char *data = mem_new(SIZE);

	memset(data + MIB, fill, MIB + 1000);
	if (fs_write(path, data, SIZE, 0600, &err) < 0)
		abort();
}

static bool
same(const char *a, const char *b)
{
	CLEANUP(buf_done) struct buf ba = {0};
	CLEANUP(buf_done) struct buf bb = {0};

	return fs_read(a, SIZE, false, &ba, &err) == 0 &&
	       fs_read(b, SIZE, false, &bb, &err) == 0 && ba.len == bb.len &&
	       memcmp(ba.data, bb.data, ba.len) == 0;
}

static bool
copies(const struct copy_image_opts *opts)
{
	if (copy_image(opts, &result, &err) == 0)
		return true;
	tap_diag("%s: %s", err_class_name(err.class), err.text);
	return false;
}

static void
test_raw(void)
{
	CLEANUP(mem_freep) char *source = path_of("source");
	CLEANUP(mem_freep) char *target = path_of("target");
	CLEANUP(mem_freep) char *ledger = path_of("ledger");
	struct copy_image_opts opts = {.source = source,
				       .target = target,
				       .ledger = ledger,
				       .digest = LEDGER_SHA256};
	char root[65];

	make_source(source, 'a');
	ok(copies(&opts), "an image file to a new file");
	ok(same(source, target), "they are equal");
	is_int(strlen(result.root), 64, "there is a proof");
	memcpy(root, result.root, sizeof(root));
	ok(copies(&opts), "again");
	is_int(result.progress.read_bytes, 0, "which is nothing to do");
	is_str(result.root, root, "with the same proof");
	make_source(source, 'b');
	ok(copy_image(&opts, &result, &err) < 0 && err.class == ERR_FAIL,
	   "a source that was written to does not go with this ledger");
	like(err.text, "was written to, or is another one", "and that is said");
	unlink(ledger);
	ok(copies(&opts), "without it the whole is copied again");
	ok(same(source, target), "holes included");
}

static void
test_foreign_file(void)
{
	CLEANUP(mem_freep) char *source = path_of("source");
	CLEANUP(mem_freep) char *target = path_of("foreign");
	struct copy_image_opts opts = {.source = source, .target = target};

	if (fs_write(target, "dear", 4, 0600, &err) < 0)
		abort();
	ok(copy_image(&opts, &result, &err) < 0 && err.class == ERR_FAIL,
	   "somebody's file is not written to");
	like(err.text, "was not made for a copy", "and that is said");
}

/* One target never belongs to two ledgers: the file holds what was copied
 * last, and only that copy's ledger may say so. */
static void
test_two_ledgers(void)
{
	CLEANUP(mem_freep) char *a = path_of("a"), *b = path_of("b");
	CLEANUP(mem_freep) char *target = path_of("shared");
	CLEANUP(mem_freep) char *la = path_of("la"), *lb = path_of("lb");
	struct copy_image_opts opts = {.target = target,
				       .digest = LEDGER_SHA256};

	make_source(a, 'a');
	make_source(b, 'b');
	opts.source = a, opts.ledger = la;
	ok(copies(&opts), "a to a target");
	opts.source = b, opts.ledger = lb;
	ok(copies(&opts) && same(b, target), "b over it");
	opts.source = a, opts.ledger = la;
	ok(copy_image(&opts, &result, &err) < 0 && err.class == ERR_FAIL,
	   "the first ledger does not vouch for it any more");
	like(err.text, "belongs to another target", "and that is said");
	ok(same(b, target), "which nothing was written to");
	opts.source = b, opts.ledger = lb;
	ok(copies(&opts), "the second still does");
	is_int(result.progress.read_bytes, 0, "and has nothing to do");
	opts.source = a, opts.ledger = NULL;
	ok(copies(&opts) && same(a, target), "a over it, without a ledger");
	opts.source = b, opts.ledger = lb;
	ok(copy_image(&opts, &result, &err) < 0 && err.class == ERR_FAIL,
	   "then no ledger vouches for it");
}

static void
test_other_size(void)
{
	CLEANUP(mem_freep) char *source = path_of("source");
	CLEANUP(mem_freep) char *target = path_of("larger");
	struct copy_image_opts opts = {.source = source, .target = target};
	struct copy_file made;

	make_source(source, 'a');
	ok(copy_file_make(target, "raw", 2 * SIZE, &made, &err) == 0,
	   "a target of another size");
	copy_file_done(&made);
	ok(copy_image(&opts, &result, &err) < 0 && err.class == ERR_FAIL,
	   "is refused");
	like(err.text, "8388608 bytes", "it says what it found");
	like(err.text, "4194304", "and what it wanted");
}

/* A node without a driver behind it: whatever went wrong, nobody's disk could
 * be written to here. */
static void
test_block_device(void)
{
	CLEANUP(mem_freep) char *source = path_of("source");
	CLEANUP(mem_freep) char *device = path_of("device");
	struct copy_image_opts opts = {.source = source, .target = device};

	make_source(source, 'a');
	if (mknod(device, S_IFBLK | 0600, makedev(240, 255)) < 0) {
		ok(true, "block devices # SKIP mknod is not allowed here");
		return;
	}
	ok(copy_image(&opts, &result, &err) < 0 && err.class != ERR_BUG,
	   "a block device nobody is behind is no target");
	like(err.text, "cannot examine block device", "and that is said");
}

static void
test_long_names(void)
{
	CLEANUP(mem_freep) char *name = mem_printf("%0200d", 0);
	char one[LEDGER_ID_SIZE], two[LEDGER_ID_SIZE];

	ok(ledger_put_id(one, "short", &err) == 0, "an id for a ledger");
	is_str(one, "short", "a short one is kept as it is");
	ok(ledger_put_id(one, name, &err) == 0, "a long one");
	name[199] = '1';
	ok(ledger_put_id(two, name, &err) == 0 && strcmp(one, two) != 0,
	   "is another than one that differs at its end");
	like(two, "sha256:", "by their digests");
}

static void
test_backing_file(void)
{
	CLEANUP(mem_freep) char *source = path_of("source");
	CLEANUP(mem_freep) char *image = path_of("backed.qcow2");
	CLEANUP(mem_freep) char *target = path_of("from-backed");
	const char *argv[] = {"qemu-img", "create", "-q",  "-f",  "qcow2", "-b",
			      source,	  "-F",	    "raw", image, NULL};
	struct copy_image_opts opts = {
	    .source = image, .source_format = "qcow2", .target = target};

	make_source(source, 'a');
	if (process_run(argv, 60000, NULL, &err) < 0)
		tap_diag("%s", err.text);
	ok(copy_image(&opts, &result, &err) < 0 && err.class == ERR_FAIL,
	   "an image that stands on another file is refused");
	like(err.text, "backing file", "and that is said");
	ok(!fs_exists(target), "before anything is made");
	opts.source = source;
	ok(copy_image(&opts, &result, &err) < 0 && err.class == ERR_FAIL,
	   "so is one that is not what it is said to be");
	opts.source = image, opts.source_format = NULL;
	ok(copies(&opts), "as raw it is its own bytes and no more");
}

static void
test_qcow2(void)
{
	CLEANUP(mem_freep) char *source = path_of("source");
	CLEANUP(mem_freep) char *target = path_of("target.qcow2");
	CLEANUP(mem_freep) char *back = path_of("back");
	struct copy_image_opts to = {
	    .source = source, .target = target, .target_format = "qcow2"};
	struct copy_image_opts from = {
	    .source = target, .source_format = "qcow2", .target = back};

	ok(copies(&to), "to qcow2, without a ledger");
	is_str(result.root, "", "and without proof");
	ok(copies(&from), "and back");
	ok(same(source, back), "is the same");
}

static void
test_file(void)
{
	CLEANUP(mem_freep) char *path = path_of("made");
	CLEANUP(mem_freep) char *id = path_of("made.id");
	struct copy_file first, second;
	struct stat st;

	ok(copy_file_make(path, "raw", 12345, &first, &err) == 0 &&
	       first.is_new,
	   "a file is made");
	ok(stat(path, &st) == 0 && st.st_size == 12345, "with its size");
	ok(copy_file_make(path, "raw", 12345, &second, &err) < 0 &&
	       err.class == ERR_HELD,
	   "it is not another's meanwhile");
	copy_file_done(&first);
	ok(copy_file_make(path, "raw", 12345, &second, &err) == 0 &&
	       !second.is_new,
	   "and found again");
	is_str(second.id, first.id, "by its id");
	copy_file_done(&second);
	unlink(path);
	ok(copy_file_make(path, "raw", 12345, &second, &err) == 0 &&
	       second.is_new,
	   "once removed it is made anew");
	ok(strcmp(second.id, first.id) != 0, "and is another");
	copy_file_done(&second);
	ok(copy_file_remove(path, &err) == 0 && !fs_exists(path) &&
	       !fs_exists(id),
	   "it is removed with its id");
	ok(copy_file_remove(path, &err) == 0, "and again");
}

int
main(void)
{
	if (!process_in_path("qemu-nbd") || !process_in_path("qemu-img"))
		tap_skip_all("qemu-nbd and qemu-img are not both installed");
	test_file();
	test_raw();
	test_foreign_file();
	test_two_ledgers();
	test_other_size();
	test_block_device();
	test_long_names();
	test_backing_file();
	test_qcow2();
	return tap_done();
}

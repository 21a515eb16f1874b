/* SPDX-License-Identifier: Apache-2.0 */
/* One whole copy from here to there. */
#include "stages/copy/copy_image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/image.h"
#include "io/nbd.h"
#include "stages/copy/beside.h"
#include "stages/copy/copy_image_ends.h"
#include "stages/copy/extents.h"

bool
copy_image_is_uri(const char *name)
{
	return strncmp(name, "nbd://", 6) == 0 ||
	       strncmp(name, "nbd+unix://", 11) == 0 ||
	       strncmp(name, "nbd+vsock://", 12) == 0 ||
	       strncmp(name, "nbds://", 7) == 0 ||
	       strncmp(name, "nbds+unix://", 12) == 0;
}

static int
serve(const char *path, const char *format, bool writable,
      struct nbd_server *ret, struct err *err)
{
	struct nbd_serve_opts opts = {
	    .filename = path, .format = format, .writable = writable};

	return nbd_serve_image(&opts, ret, err);
}

/* A file that was written to since is another source: a ledger must not join
 * the halves of two. */
static int
identify_source(struct ends *ends, const char *path, struct err *err)
{
	struct copy_device device;
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(err, "cannot examine source '%s'", path);
	if (S_ISBLK(st.st_mode)) {
		if (copy_device_identify(path, &device, err) < 0)
			return -1;
		memcpy(ends->source_id, device.id, sizeof(device.id));
		ends->size = device.size;
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER,
			       "source '%s' is neither a file nor a block "
			       "device",
			       path);
	ends->size = (uint64_t)st.st_size;
	snprintf(ends->source_id, sizeof(ends->source_id),
		 "file %llx:%llu of %lld.%09ld",
		 (unsigned long long)fs_volume(path),
		 (unsigned long long)st.st_ino, (long long)st.st_mtim.tv_sec,
		 st.st_mtim.tv_nsec);
	return 0;
}

/* What would make qemu open other files is no source: their text would end up
 * in the target.  As raw, an image is its own bytes whatever they are. */
static int
check_source(const char *path, const char *format, struct err *err)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct image image;
	off_t size;

	if (strcmp(format, "raw") == 0)
		return 0;
	if (fd < 0 || (size = lseek(fd, 0, SEEK_END)) < 0)
		return err_sys(err, "cannot read source '%s'", path);
	if (image_probe(fd, 0, (uint64_t)size, &image, err) < 0)
		return err_wrap(err, "source '%s'", path);
	if (strcmp(image.format, format) != 0)
		return err_set(err, ERR_FAIL,
			       "source '%s' is not %s, but %s by its header",
			       path, format, image.format);
	return 0;
}

/* What is raw the engine reads itself. */
static int
open_source_file(struct ends *ends, const struct copy_image_opts *opts,
		 struct err *err)
{
	const char *format = opts->source_format ? opts->source_format : "raw";

	if (identify_source(ends, opts->source, err) < 0)
		return -1;
	if (strcmp(format, "raw") == 0) {
		ends->source_file = opts->source;
		return 0;
	}
	if (check_source(opts->source, format, err) < 0 ||
	    serve(opts->source, format, false, &ends->source_server, err) < 0)
		return -1;
	ends->source_uri = ends->source_server.uri;
	return nbd_size_within(ends->source_uri, opts->wait_ms, &ends->size,
			       err);
}

static int
open_source(struct ends *ends, const struct copy_image_opts *opts,
	    struct err *err)
{
	if (!copy_image_is_uri(opts->source))
		return open_source_file(ends, opts, err);
	ends->source_uri = opts->source;
	if (ledger_put_id(ends->source_id, opts->source, err) < 0)
		return -1;
	return nbd_size_within(opts->source, opts->wait_ms, &ends->size, err);
}

/* What is written to now is no longer what another ledger, or one that was
 * removed, knew; only the ledger that is bound to it goes on. */
static int
take_over(struct ends *ends, const struct copy_image_opts *opts,
	  struct err *err)
{
	if (ends->file.is_new || (opts->ledger && fs_exists(opts->ledger)))
		return 0;
	return copy_file_renew(opts->target, &ends->file, err);
}

/* qcow2 counts in sectors. */
static int
check_qcow2_size(const struct ends *ends, const struct copy_image_opts *opts,
		 struct err *err)
{
	uint64_t has;

	if (nbd_size_within(ends->target_server.uri, opts->wait_ms, &has, err) <
	    0)
		return -1;
	return copy_file_check_size(opts->target, has,
				    (ends->size + 511) / 512 * 512, err);
}

static int
check_other_than_source(const struct ends *ends,
			const struct copy_image_opts *opts, struct err *err)
{
	if (strcmp(ends->source_id, ends->device.id) != 0)
		return 0;
	return err_set(err, ERR_USER, "'%s' and '%s' are the same device",
		       opts->source, opts->target);
}

/* Once this copy has begun, its ledger knows the device again, and what is
 * recognised there is looked at more closely (copy_image_kept.c). */
static int
open_device(struct ends *ends, const struct copy_image_opts *opts,
	    struct err *err)
{
	struct copy_device *d = &ends->device;
	bool has_begun = opts->ledger && fs_exists(opts->ledger);

	if (opts->target_format && strcmp(opts->target_format, "raw") != 0)
		return err_set(err, ERR_USER,
			       "block device '%s' is written raw: for '%s' "
			       "serve it with qemu-nbd and name its URI",
			       opts->target, opts->target_format);
	if (copy_device_look(opts->target, d, err) < 0 ||
	    check_other_than_source(ends, opts, err) < 0)
		return -1;
	if (d->size < ends->size)
		return err_set(err, ERR_FAIL,
			       "block device '%s' has only %llu bytes, the "
			       "source has %llu",
			       opts->target, (unsigned long long)d->size,
			       (unsigned long long)ends->size);
	if (!has_begun &&
	    (copy_device_check_accepted(opts->target, d, opts->accept, err) <
		 0 ||
	     (d->holds && copy_device_wipe(opts->target, err) < 0)))
		return -1;
	memcpy(ends->file.id, d->id, sizeof(d->id));
	ends->target.file = opts->target;
	return 0;
}

/* Whose disks these are may have come to an end, its guest runs from them. */
static int
check_no_plans(const char *path, struct err *err)
{
	CLEANUP(mem_freep) char *real = realpath(path, NULL);
	CLEANUP(mem_freep) char *dir = real ? fs_dirname(real) : NULL;
	CLEANUP(mem_freep) char *mark = dir ? fs_path(dir, BESIDE_MARK) : NULL;
	CLEANUP(mem_freep)
	char *claim = dir ? fs_path(dir, BESIDE_CLAIM) : NULL;

	if (mark && fs_exists(mark))
		return err_set(err, ERR_FAIL,
			       "'%s' is the disk of a vm that was handed over "
			       "or rolled back ('%s'), and its guest may have "
			       "written to it: 'palletjack rollback', then "
			       "'palletjack gc --disks' are rid of it",
			       path, mark);
	if (claim && fs_exists(claim))
		return err_set(err, ERR_HELD,
			       "'%s' is the disk of a vm that a plan moves "
			       "('%s'): only its runs write to it",
			       path, claim);
	return 0;
}

/* A device whose name was mistyped is no file to make in memory. */
static int
check_no_device_name(const char *path, struct err *err)
{
	CLEANUP(mem_freep) char *dir = fs_dirname(path);
	CLEANUP(mem_freep) char *real = realpath(dir, NULL);

	if (fs_exists(path) || !real ||
	    (strcmp(real, "/dev") != 0 && strncmp(real, "/dev/", 5) != 0) ||
	    strncmp(real, "/dev/shm", 8) == 0)
		return 0;
	return err_set(err, ERR_FAIL,
		       "target '%s' is not there, and no file is made in %s: "
		       "name the block device, or another path",
		       path, real);
}

static int
check_not_source(const struct copy_image_opts *opts, struct err *err)
{
	struct stat from, to;

	if (stat(opts->source, &from) < 0 || stat(opts->target, &to) < 0 ||
	    from.st_dev != to.st_dev || from.st_ino != to.st_ino)
		return 0;
	return err_set(err, ERR_USER, "'%s' and '%s' are the same file",
		       opts->source, opts->target);
}

/* Before the target is opened: without its ledger it would count as begun anew,
 * and the right one would know it no more. */
static int
check_has_ledger(const struct copy_image_opts *opts, struct err *err)
{
	if (opts->pass == COPY_ALL || (opts->ledger && fs_exists(opts->ledger)))
		return 0;
	if (opts->ledger)
		return err_set(err, ERR_USER,
			       "ledger '%s' is not there: a copy is brought up "
			       "to date by the ledger that it was made with",
			       opts->ledger);
	return err_set(err, ERR_USER,
		       "only a copy that was made with a ledger can be brought "
		       "up to date: name that ledger");
}

/* What needs no look at the source. */
static int
check_target_name(const struct copy_image_opts *opts, struct err *err)
{
	const char *path = opts->target;
	bool is_device = !copy_image_is_uri(path) && copy_device_is(path);

	if (opts->accept && !is_device)
		return err_set(err, ERR_USER,
			       "--accept is for a target that is a block "
			       "device, and '%s' is none",
			       path);
	if (copy_image_is_uri(path) || is_device)
		return 0;
	if (check_no_device_name(path, err) < 0 ||
	    check_not_source(opts, err) < 0)
		return -1;
	return check_no_plans(path, err);
}

/* The target is made before its ledger, so it was there once. */
static int
check_not_gone(const struct copy_image_opts *opts, struct err *err)
{
	if (!opts->ledger || !fs_exists(opts->ledger) ||
	    fs_exists(opts->target))
		return 0;
	return err_set(err, ERR_FAIL,
		       "target '%s' is not there, but ledger '%s' is of a copy "
		       "that was begun: name that copy's target, or remove the "
		       "ledger to copy all of it again",
		       opts->target, opts->ledger);
}

/* What is not ours to make longer is to be long enough already, before the
 * ledger grows, too. */
static int
open_target_server(struct ends *ends, const struct copy_image_opts *opts,
		   struct err *err)
{
	uint64_t has = ends->size;

	if (ends->has_grown &&
	    nbd_size_within(opts->target, opts->wait_ms, &has, err) < 0)
		return -1;
	if (has < ends->size)
		return err_set(err, ERR_FAIL,
			       "the target has only %llu bytes, the source has "
			       "%llu since it grew: give the target more",
			       (unsigned long long)has,
			       (unsigned long long)ends->size);
	ends->target.uri = opts->target;
	return ledger_put_id(ends->file.id, opts->target, err);
}

static int
grow_target(const struct ends *ends, const char *path, const char *format,
	    struct err *err)
{
	if (!ends->has_grown)
		return 0;
	return copy_file_grow(path, format, &ends->was, ends->size, err);
}

static int
open_target(struct ends *ends, const struct copy_image_opts *opts,
	    struct err *err)
{
	const char *format = opts->target_format ? opts->target_format : "raw";

	if (copy_image_is_uri(opts->target))
		return open_target_server(ends, opts, err);
	if (copy_device_is(opts->target))
		return open_device(ends, opts, err);
	if (check_not_gone(opts, err) < 0 ||
	    grow_target(ends, opts->target, format, err) < 0 ||
	    copy_file_make(opts->target, format, ends->size, &ends->file, err) <
		0)
		return -1;
	if (strcmp(format, "raw") == 0) {
		ends->target.file = opts->target;
		return take_over(ends, opts, err);
	}
	if (serve(opts->target, format, true, &ends->target_server, err) < 0 ||
	    check_qcow2_size(ends, opts, err) < 0)
		return -1;
	ends->target.uri = ends->target_server.uri;
	return take_over(ends, opts, err);
}

static void
ledger_closep(struct ledger **l)
{
	ledger_close(*l);
}

/* One ledger is for one state of the source: what became of it is said in
 * words before the ledger says so in numbers. */
static int
check_same_source(struct ends *ends, const struct copy_image_opts *opts,
		  struct err *err)
{
	CLEANUP(ledger_closep) struct ledger *old = NULL;
	const struct ledger_identity *was = &ends->was;
	const char *what = NULL;
	struct err ignored;

	if (!opts->ledger || !fs_exists(opts->ledger) ||
	    ledger_open_readonly(opts->ledger, &old, &ignored) < 0)
		return 0;
	ends->was = *ledger_identity(old);
	if (opts->pass == COPY_ALL && ledger_newest(old) > 1)
		return err_set(err, ERR_FAIL,
			       "ledger '%s' is of a copy that was brought up "
			       "to date, or begun to be: go on with --changed "
			       "or --compare, or remove the ledger to copy all "
			       "of it again",
			       opts->ledger);
	ends->has_grown = was->size_bytes < ends->size;
	if (was->size_bytes > ends->size)
		what = "shrank";
	else if (opts->pass == COPY_ALL && ends->has_grown)
		what = "grew";
	else if (opts->pass == COPY_ALL &&
		 strcmp(was->disk, ends->source_id) != 0)
		what = "was written to, or is another one,";
	if (!what)
		return 0;
	return err_set(err, ERR_FAIL,
		       "source '%s' %s since ledger '%s' was begun (%llu bytes "
		       "then, %llu now): %sremove the ledger to copy all of it "
		       "again",
		       opts->source, what, opts->ledger,
		       (unsigned long long)was->size_bytes,
		       (unsigned long long)ends->size,
		       was->size_bytes <= ends->size
			   ? "copy what changed with --compare, or "
			   : "");
}

/* What the ledger is bound to is what it says: the source is to be another
 * state by now. */
static int
open_old_ledger(const struct ends *ends, const struct copy_image_opts *opts,
		struct ledger **ret, struct err *err)
{
	struct ledger *old = NULL;
	struct ledger_identity id;

	if (ledger_open_readonly(opts->ledger, &old, err) < 0)
		return -1;
	id = *ledger_identity(old);
	ledger_close(old);
	memcpy(id.target, ends->file.id, sizeof(id.target));
	if (ledger_open(opts->ledger, &id, ret, err) < 0)
		return -1;
	if (opts->pass == COPY_CHANGED && ledger_applied(*ret) == 0)
		return err_set(err, ERR_FAIL,
			       "the copy of ledger '%s' never ended, so that a "
			       "list of changes says too little: use "
			       "--compare",
			       opts->ledger);
	return ledger_grow(*ret, ends->size, err);
}

static int
open_ledger(const struct ends *ends, const struct copy_image_opts *opts,
	    struct ledger **ret, struct err *err)
{
	struct ledger_identity id = {
	    .size_bytes = ends->size,
	    .digest = opts->digest,
	    .target_is_blank = ends->file.is_new,
	};

	if (opts->pass != COPY_ALL)
		return open_old_ledger(ends, opts, ret, err);
	if (!opts->ledger)
		return 0;
	memcpy(id.disk, ends->source_id, sizeof(id.disk));
	memcpy(id.target, ends->file.id, sizeof(id.target));
	return ledger_open(opts->ledger, &id, ret, err);
}

/* Of a file its time says so; what else it is is for those who serve it. */
static int
check_source_still(const struct ends *ends, const struct copy_image_opts *opts,
		   struct err *err)
{
	struct ends now = {.file.lock = -1};

	if (copy_image_is_uri(opts->source) || copy_device_is(opts->source))
		return 0;
	if (identify_source(&now, opts->source, err) < 0)
		return -1;
	if (strcmp(now.source_id, ends->source_id) == 0)
		return 0;
	return err_set(err, ERR_FAIL,
		       "source '%s' was written to while it was copied: the "
		       "target is a mixture of before and after; when nobody "
		       "writes to it any more, %s",
		       opts->source,
		       opts->ledger ? "bring the target up to date with "
				      "--compare, or remove the ledger to copy "
				      "all of it again"
				    : "copy it again");
}

static int
run(struct ends *ends, const struct copy_image_opts *opts,
    struct copy_image_result *ret, struct err *err)
{
	CLEANUP(ledger_closep) struct ledger *ledger = NULL;
	CLEANUP(extents_done) struct extents changed = {0};
	struct copy_opts copy = {
	    .pass = opts->pass,
	    .generation = 1,
	    .checkpoint_bytes = opts->checkpoint_bytes,
	    .wait_ms = opts->wait_ms,
	    .throttle = opts->throttle,
	    .progress = opts->progress,
	    .arg = opts->arg,
	};

	if (check_has_ledger(opts, err) < 0 ||
	    check_target_name(opts, err) < 0 ||
	    open_source(ends, opts, err) < 0 ||
	    check_same_source(ends, opts, err) < 0 ||
	    open_target(ends, opts, err) < 0 ||
	    open_ledger(ends, opts, &ledger, err) < 0)
		return -1;
	if (ledger)
		ret->digest = ledger_identity(ledger)->digest;
	copy.source_uri = ends->source_uri;
	copy.source_file = ends->source_file;
	copy.target = ends->target;
	/* an older one, too, as far as its ledger vouches for it */
	copy.target.reads_as_zero = ledger || ends->file.is_new;
	copy.ledger = ledger;
	copy.size_bytes = ends->size;
	if (opts->pass != COPY_ALL)
		/* another state of the source */
		copy.generation = ledger_newest(ledger) + 1;
	if (opts->pass == COPY_CHANGED &&
	    extents_read(opts->changed, ends->size, &changed, err) < 0)
		return -1;
	copy.changed = &changed;
	ret->generation = copy.generation;
	if (copy_image_check_kept(ends, opts, &copy, ret, err) < 0)
		return -1;
	if (copy_run(&copy, &ret->progress, err) < 0 ||
	    check_source_still(ends, opts, err) < 0)
		return -1;
	if (!ledger)
		return 0;
	if (ret->digest != LEDGER_NO_DIGEST &&
	    ledger_root(ledger, ret->root, err) < 0)
		return -1;
	return ledger_set_applied(ledger, copy.generation, err);
}

int
copy_image(const struct copy_image_opts *opts, struct copy_image_result *ret,
	   struct err *err)
{
	struct ends ends = {.file.lock = -1};
	int rc;

	/* what is asked for, until a ledger says what it has */
	*ret = (struct copy_image_result){
	    .digest = opts->ledger ? opts->digest : LEDGER_NO_DIGEST};
	rc = run(&ends, opts, ret, err);
	ret->progress.total_bytes = ends.size; /* also when nothing was begun */
	nbd_server_stop(&ends.target_server);
	nbd_server_stop(&ends.source_server);
	copy_device_done(&ends.device);
	copy_file_done(&ends.file); /* when no server writes to it any more */
	return rc;
}

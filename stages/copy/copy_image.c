/* SPDX-License-Identifier: Apache-2.0 */
/* One whole copy from here to there. */
#include "stages/copy/copy_image.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/image.h"
#include "io/nbd.h"
#include "stages/copy/copy_file.h"

/* Both ends opened, each with the server it may need. */
struct ends {
	struct nbd_server source_server, target_server;
	const char *source_uri;
	struct copy_target target;
	struct copy_file file; /* of the target */
	uint64_t size;
	char source_id[LEDGER_ID_SIZE];
};

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
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(err, "cannot examine source '%s'", path);
	snprintf(ends->source_id, sizeof(ends->source_id),
		 "file %llx:%llu of %lld.%09ld", (unsigned long long)st.st_dev,
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

static int
open_source(struct ends *ends, const struct copy_image_opts *opts,
	    struct err *err)
{
	const char *format = opts->source_format ? opts->source_format : "raw";

	ends->source_uri = opts->source;
	if (ledger_put_id(ends->source_id, opts->source, err) < 0)
		return -1;
	if (!copy_image_is_uri(opts->source)) {
		if (identify_source(ends, opts->source, err) < 0 ||
		    check_source(opts->source, format, err) < 0 ||
		    serve(opts->source, format, false, &ends->source_server,
			  err) < 0)
			return -1;
		ends->source_uri = ends->source_server.uri;
	}
	return nbd_size(ends->source_uri, &ends->size, err);
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
check_qcow2_size(const struct ends *ends, const char *path, struct err *err)
{
	uint64_t has;

	if (nbd_size(ends->target_server.uri, &has, err) < 0)
		return -1;
	return copy_file_check_size(path, has, (ends->size + 511) / 512 * 512,
				    err);
}

static int
open_target(struct ends *ends, const struct copy_image_opts *opts,
	    struct err *err)
{
	const char *format = opts->target_format ? opts->target_format : "raw";

	if (copy_image_is_uri(opts->target)) {
		ends->target.uri = opts->target;
		return ledger_put_id(ends->file.id, opts->target, err);
	}
	if (copy_file_make(opts->target, format, ends->size, &ends->file, err) <
	    0)
		return -1;
	if (strcmp(format, "raw") == 0) {
		ends->target.file = opts->target;
		return take_over(ends, opts, err);
	}
	if (serve(opts->target, format, true, &ends->target_server, err) < 0 ||
	    check_qcow2_size(ends, opts->target, err) < 0)
		return -1;
	ends->target.uri = ends->target_server.uri;
	return take_over(ends, opts, err);
}

static void
ledger_closep(struct ledger **l)
{
	ledger_close(*l);
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

	if (!opts->ledger)
		return 0;
	memcpy(id.disk, ends->source_id, sizeof(id.disk));
	memcpy(id.target, ends->file.id, sizeof(id.target));
	return ledger_open(opts->ledger, &id, ret, err);
}

static int
run(struct ends *ends, const struct copy_image_opts *opts,
    struct copy_image_result *ret, struct err *err)
{
	CLEANUP(ledger_closep) struct ledger *ledger = NULL;
	struct copy_opts copy = {
	    .generation = 1, .progress = opts->progress, .arg = opts->arg};

	if (open_source(ends, opts, err) < 0 ||
	    open_target(ends, opts, err) < 0 ||
	    open_ledger(ends, opts, &ledger, err) < 0)
		return -1;
	copy.source_uri = ends->source_uri;
	copy.target = ends->target;
	/* an older one, too, as far as its ledger vouches for it */
	copy.target.reads_as_zero = ledger || ends->file.is_new;
	copy.ledger = ledger;
	if (copy_run(&copy, &ret->progress, err) < 0)
		return -1;
	if (!ledger)
		return 0;
	if (opts->digest != LEDGER_NO_DIGEST &&
	    ledger_root(ledger, ret->root, err) < 0)
		return -1;
	return ledger_set_applied(ledger, 1, err);
}

int
copy_image(const struct copy_image_opts *opts, struct copy_image_result *ret,
	   struct err *err)
{
	struct ends ends = {0};
	int rc;

	*ret = (struct copy_image_result){0};
	rc = run(&ends, opts, ret, err);
	nbd_server_stop(&ends.target_server);
	nbd_server_stop(&ends.source_server);
	return rc;
}

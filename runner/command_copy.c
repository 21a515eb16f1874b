/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack copy: the copy engine for scripts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"
#include "command.h"
#include "io/nbd.h"
#include "stages/copy/copy.h"

struct options {
	const char *ledger, *source_format, *proof;
	bool quiet;
	struct words ends;
};

/* One copy as it is set up. */
struct copying {
	struct nbd_server server; /* when the source is an image */
	const char *uri;	  /* of the source */
	const char *target;
	bool target_is_uri;
	struct ledger *ledger;
	struct ledger_identity identity;
};

static bool
is_uri(const char *end)
{
	return strncmp(end, "nbd://", 6) == 0 ||
	       strncmp(end, "nbd+unix://", 11) == 0 ||
	       strncmp(end, "nbds://", 7) == 0 ||
	       strncmp(end, "nbds+unix://", 12) == 0;
}

static int
open_source(const struct options *o, struct copying *c, struct err *err)
{
	struct nbd_serve_opts opts = {
	    .filename = o->ends.v[0],
	    .format = o->source_format ? o->source_format : "raw",
	};

	c->uri = o->ends.v[0];
	if (is_uri(c->uri))
		return 0;
	if (nbd_serve_image(&opts, &c->server, err) < 0)
		return err_wrap(err, "source '%s'", opts.filename);
	c->uri = c->server.uri;
	return 0;
}

/* A file is known by its inode and its birth: one put in its place is
 * another target. */
static int
identify_file(const char *path, struct ledger_identity *id, struct err *err)
{
	struct statx st;

	if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &st) < 0)
		return err_sys(err, "cannot examine '%s'", path);
	snprintf(
	    id->target, sizeof(id->target), "inode %llu born %lld.%09u",
	    (unsigned long long)st.stx_ino,
	    (long long)((st.stx_mask & STATX_BTIME) ? st.stx_btime.tv_sec : 0),
	    (st.stx_mask & STATX_BTIME) ? st.stx_btime.tv_nsec : 0);
	return 0;
}

static int
create_file(const char *path, uint64_t size, struct err *err)
{
	CLEANUP(mem_freep) char *dir = fs_dirname(path);
	CLEANUP(mem_closep)
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, "cannot create '%s'", path);
	if (ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0) {
		err_sys(err, "cannot size '%s'", path);
		unlink(path);
		return -1;
	}
	return fs_sync_dir(dir, err);
}

/* A new file, or one whose ledger is at hand; nothing else is written to. */
static int
open_file(const struct options *o, struct copying *c, struct err *err)
{
	struct stat st;

	if (stat(c->target, &st) < 0) {
		c->identity.target_is_blank = true;
		return create_file(c->target, c->identity.size_bytes, err);
	}
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USER,
			       "'%s' is no regular file; other targets are "
			       "reached by their NBD URI",
			       c->target);
	if (o->ledger && fs_exists(o->ledger))
		return 0;
	return err_set(err, ERR_USER,
		       "'%s' is there already, and no ledger says what it "
		       "holds; remove it, or name its ledger",
		       c->target);
}

static int
set_digest(const struct options *o, struct ledger_identity *id, struct err *err)
{
	const char *proof = o->proof ? o->proof : "sha256";

	if (strcmp(proof, "sha256") == 0)
		id->digest = LEDGER_SHA256;
	else if (strcmp(proof, "xxh3") == 0)
		id->digest = LEDGER_XXH3;
	else if (strcmp(proof, "none") == 0)
		id->digest = LEDGER_NO_DIGEST;
	else
		return err_set(err, ERR_USER,
			       "--proof is sha256, xxh3 or none, not '%s'",
			       proof);
	return 0;
}

static int
open_target(const struct options *o, struct copying *c, struct err *err)
{
	struct ledger_identity *id = &c->identity;

	c->target = o->ends.v[1];
	c->target_is_uri = is_uri(c->target);
	if (set_digest(o, id, err) < 0 ||
	    nbd_size(c->uri, &id->size_bytes, err) < 0)
		return -1;
	snprintf(id->target, sizeof(id->target), "%.127s", c->target);
	if (!c->target_is_uri &&
	    (open_file(o, c, err) < 0 || identify_file(c->target, id, err) < 0))
		return -1;
	if (!o->ledger)
		return 0;
	return ledger_open(o->ledger, id, &c->ledger, err);
}

static int
show_progress(void *arg, const struct copy_progress *p)
{
	const struct options *o = arg;
	char done[UNITS_TEXT_SIZE], total[UNITS_TEXT_SIZE];

	if (!o->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s of %s   ",
			units_format_bytes(p->done_bytes, done),
			units_format_bytes(p->total_bytes, total));
	return 0;
}

static void
print_result(const struct copying *c, const struct copy_progress *p)
{
	char root[65] = "";
	struct err ignored;
	json_t *result;

	if (c->ledger && ledger_root(c->ledger, root, &ignored) < 0)
		root[0] = '\0';
	result = json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}", "size",
			   (json_int_t)p->total_bytes, "read",
			   (json_int_t)p->read_bytes, "written",
			   (json_int_t)p->written_bytes, "zero",
			   (json_int_t)p->zero_bytes, "kept",
			   (json_int_t)p->skipped_bytes, "root", root);
	json_dumpf(result, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(result);
}

static int
move_bytes(const struct options *o, struct copying *c, struct err *err)
{
	struct copy_progress progress;
	struct copy_opts opts = {
	    .source_uri = c->uri,
	    .target = {.file = c->target_is_uri ? NULL : c->target,
		       .uri = c->target_is_uri ? c->target : NULL,
		       .reads_as_zero =
			   !c->target_is_uri &&
			   (c->ledger || c->identity.target_is_blank)},
	    .ledger = c->ledger,
	    .generation = 1,
	    .progress = show_progress,
	    .arg = (void *)o,
	};

	if (copy_run(&opts, &progress, err) < 0)
		return -1;
	if (c->ledger && ledger_set_applied(c->ledger, 1, err) < 0)
		return -1;
	print_result(c, &progress);
	return 0;
}

static int
copy(const struct options *o)
{
	struct copying c = {.server = {.process = {.pidfd = -1}}};
	struct err err;
	int rc = 0;

	if (open_source(o, &c, &err) < 0 || open_target(o, &c, &err) < 0 ||
	    move_bytes(o, &c, &err) < 0)
		rc = complain_err(&err);
	ledger_close(c.ledger);
	nbd_server_stop(&c.server);
	return rc;
}

static int
run(const struct globals *g, int argc, char **argv)
{
	struct options o = {0};
	const struct option_spec specs[] = {
	    {"--ledger", OPTION_TEXT, &o.ledger},
	    {"--source-format", OPTION_TEXT, &o.source_format},
	    {"--proof", OPTION_TEXT, &o.proof},
	    {"--quiet", OPTION_FLAG, &o.quiet},
	    {0},
	};
	int rc = options_parse(&command_copy, specs, argc, argv, &o.ends);

	(void)g;
	if (rc == 0 && o.ends.n != 2) {
		complain("copy: name one source and one target; see "
			 "'palletjack copy --help'");
		rc = -1;
	}
	rc = rc ? (rc < 0 ? 2 : 0) : copy(&o);
	words_done(&o.ends);
	return rc;
}

const struct command command_copy = {
    .name = "copy",
    .summary = "copy one disk: NBD or an image to a raw file or NBD",
    .usage = "[--ledger FILE] [--proof sha256|xxh3|none] "
	     "[--source-format F] SOURCE TARGET",
    .help = "  SOURCE             an NBD URI, or an image file\n"
	    "  TARGET             a raw file (made here), or an NBD URI\n"
	    "  --ledger FILE      what is durable, with its digests; with it a "
	    "copy that was cut\n"
	    "                     short goes on where it was. The source must "
	    "not change between\n"
	    "  --proof KIND       digest in the ledger (default sha256)\n"
	    "  --source-format F  raw (default), qcow2, vmdk, vhdx, vdi: of an "
	    "image; never guessed\n"
	    "  --quiet            no progress\n\n"
	    "Prints what was done as one JSON object.\n",
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack copy: the copy engine for scripts. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/units.h"
#include "command.h"
#include "stages/copy/copy_image.h"

struct options {
	const char *ledger, *source_format, *format, *proof;
	bool quiet;
	struct words ends;
};

static int
digest_of(const char *proof, enum ledger_digest *ret, struct err *err)
{
	if (!proof || strcmp(proof, "sha256") == 0)
		*ret = LEDGER_SHA256;
	else if (strcmp(proof, "xxh3") == 0)
		*ret = LEDGER_XXH3;
	else if (strcmp(proof, "none") == 0)
		*ret = LEDGER_NO_DIGEST;
	else
		return err_set(err, ERR_USER,
			       "copy: --proof is sha256, xxh3 or none, not "
			       "'%s'",
			       proof);
	return 0;
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
print_result(const struct copy_image_result *r)
{
	const struct copy_progress *p = &r->progress;
	json_t *result = json_pack(
	    "{s:I, s:I, s:I, s:I, s:I, s:s}", "size",
	    (json_int_t)p->total_bytes, "read", (json_int_t)p->read_bytes,
	    "written", (json_int_t)p->written_bytes, "zero",
	    (json_int_t)p->zero_bytes, "kept", (json_int_t)p->skipped_bytes,
	    "root", r->root);

	json_dumpf(result, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(result);
}

static int
copy(const struct options *o)
{
	struct copy_image_opts opts = {
	    .source = o->ends.v[0],
	    .source_format = o->source_format,
	    .target = o->ends.v[1],
	    .target_format = o->format,
	    .ledger = o->ledger,
	    .progress = show_progress,
	    .arg = (void *)o,
	};
	struct copy_image_result result;
	struct err err;

	if (digest_of(o->proof, &opts.digest, &err) < 0 ||
	    copy_image(&opts, &result, &err) < 0)
		return complain_err(&err);
	print_result(&result);
	return 0;
}

static int
run(const struct globals *g, int argc, char **argv)
{
	struct options o = {0};
	const struct option_spec specs[] = {
	    {"--ledger", OPTION_TEXT, &o.ledger},
	    {"--source-format", OPTION_TEXT, &o.source_format},
	    {"--format", OPTION_TEXT, &o.format},
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
    .summary = "copy one disk: NBD or an image, to an image or NBD",
    .usage = "[--ledger FILE] [--proof sha256|xxh3|none] "
	     "[--source-format F] [--format raw|qcow2] SOURCE TARGET",
    .help =
	"  SOURCE             an NBD URI, or an image file\n"
	"  TARGET             an image file (made here), or an NBD URI\n"
	"  --ledger FILE      what is durable, with its digests; with it a "
	"copy that was cut\n"
	"                     short goes on where it was\n"
	"  --proof KIND       digest in the ledger: sha256 (default), xxh3, "
	"none\n"
	"  --source-format F  raw (default), qcow2, vmdk, vhdx, vdi: of an "
	"image; never guessed\n"
	"  --format F         raw (default) or qcow2: of a TARGET that is a "
	"file\n"
	"  --quiet            no progress\n\n"
	"Prints what was done as one JSON object.\n",
    .run = run,
};

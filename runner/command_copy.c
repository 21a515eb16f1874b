/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack copy: the copy engine for scripts. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/units.h"
#include "base/utf8.h"
#include "command.h"
#include "io/image.h"
#include "meter.h"
#include "stages/copy/copy_image.h"

struct options {
	const char *ledger, *source_format, *format, *proof, *accept;
	const char *deadline, *checkpoint, *bandwidth, *output;
	const char *changed;
	bool compare, recheck;
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
check_format(const char *option, const char *format, const char *const *known,
	     struct err *err)
{
	CLEANUP(buf_done) struct buf all = {0};

	for (size_t i = 0; known[i]; i++) {
		if (!format || strcmp(format, known[i]) == 0)
			return 0;
		buf_printf(&all, "%s%s", i ? ", " : "", known[i]);
	}
	return err_set(err, ERR_USER, "copy: %s is one of %s, not '%s'", option,
		       all.data, format);
}

/* What can be told before anything is made. */
static int
check_formats(const struct options *o, struct err *err)
{
	static const char *const sources[] = {"raw",  "qcow2", "vmdk",
					      "vhdx", "vdi",   NULL};
	static const char *const targets[] = {"raw", "qcow2", NULL};

	if (check_format("--source-format", o->source_format, sources, err) < 0)
		return -1;
	return check_format("--format", o->format, targets, err);
}

#define LEAST_BANDWIDTH ((uint64_t)64 * 1024)
#define GRACE_S 8 /* for the last checkpoint, once asked to stop */

static volatile sig_atomic_t asked_to_stop;

/* What is written is in no danger: the ledger knows less, never more. */
static void
give_up(int sig)
{
	static const char said[] =
	    "\npalletjack: copy: the last checkpoint took too long: what came "
	    "after the one before it is copied again\n";

	(void)sig;
	(void)!write(STDERR_FILENO, said, sizeof(said) - 1);
	_exit(128 + asked_to_stop);
}

static void
note_stop(int sig)
{
	if (asked_to_stop)
		return;
	asked_to_stop = sig;
	alarm(GRACE_S);
}

static void
catch_signals(void)
{
	struct sigaction stop = {.sa_handler = note_stop};
	struct sigaction alarmed = {.sa_handler = give_up};

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGALRM, &alarmed, NULL);
}

static int
show_progress(void *arg, const struct copy_progress *p)
{
	const struct options *o = arg;
	static struct meter meter;
	CLEANUP(buf_done) struct buf line = {0};

	meter_tell(&meter, p->done_bytes, p->read_bytes, clock_mono_ms());
	if (o->quiet || !isatty(STDERR_FILENO))
		return asked_to_stop;
	meter_text(&meter, p->total_bytes, &line);
	fprintf(stderr, "\r\033[K%s", line.data);
	return asked_to_stop;
}

/* Why it is no whole copy. */
static void
add_error(json_t *result, const struct err *err)
{
	CLEANUP(mem_freep) char *text = redact_text(err->text);

	utf8_plain(text);
	json_object_set_new(result, "class",
			    json_string(err_class_name(err->class)));
	json_object_set_new(result, "error", json_string(text));
}

/* `err`: NULL, or what ended it; the counts hold then, too. */
static void
print_json(const struct copy_image_result *r, const struct err *err)
{
	const struct copy_progress *p = &r->progress;
	json_t *result = json_pack(
	    "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, "
	    "s:s}",
	    "size", (json_int_t)p->total_bytes, "read",
	    (json_int_t)p->read_bytes, "written", (json_int_t)p->written_bytes,
	    "zero", (json_int_t)p->zero_bytes, "zeroed",
	    (json_int_t)p->zeroed_bytes, "skipped",
	    (json_int_t)p->skipped_bytes, "redone", (json_int_t)p->redone_bytes,
	    "same", (json_int_t)p->same_bytes, "reread",
	    (json_int_t)p->reread_bytes, "mended", (json_int_t)p->mended_bytes,
	    "checked", (json_int_t)r->checked_bytes, "generation",
	    (json_int_t)r->generation, "proof", ledger_digest_name(r->digest),
	    "root", r->root);

	if (err)
		add_error(result, err);
	json_dumpf(result, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(result);
}

static void
print_text(const struct copy_image_result *r)
{
	const struct copy_progress *p = &r->progress;
	const struct {
		const char *name;
		uint64_t bytes;
	} lines[] = {
	    {"size", p->total_bytes},	   {"read", p->read_bytes},
	    {"written", p->written_bytes}, {"zero", p->zero_bytes},
	    {"zeroed", p->zeroed_bytes},   {"skipped", p->skipped_bytes},
	    {"redone", p->redone_bytes},   {"same", p->same_bytes},
	    {"reread", p->reread_bytes},   {"mended", p->mended_bytes},
	    {"checked", r->checked_bytes},
	};
	char text[UNITS_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		printf("%-8s %s\n", lines[i].name,
		       units_format_bytes(lines[i].bytes, text));
	printf("%-8s %s\n", "proof", ledger_digest_name(r->digest));
	if (*r->root)
		printf("%-8s %s\n", "root", r->root);
}

/* One copy alone keeps to it. */
static struct throttle_bucket bucket;
static struct throttle throttle;
static uint64_t rate;

static uint64_t
rate_at_any_time(const void *arg, int64_t wall_ms)
{
	(void)wall_ms;
	return *(const uint64_t *)arg;
}

static int
set_bandwidth(const char *text, struct copy_image_opts *ret, struct err *err)
{
	if (units_parse_quantity(text, &rate) < 0 || rate < LEAST_BANDWIDTH)
		return err_set(err, ERR_USER,
			       "copy: --bandwidth is a quantity like 20Mi or "
			       "100M, bytes a second and at least 64Ki, not "
			       "'%s'",
			       text);
	throttle_add(&throttle, &bucket, rate_at_any_time, &rate);
	ret->throttle = &throttle;
	return 0;
}

static int
fill_in(const struct options *o, struct copy_image_opts *ret, struct err *err)
{
	if (o->output && strcmp(o->output, "json") && strcmp(o->output, "text"))
		return err_set(err, ERR_USER,
			       "copy: -o is text or json, not '%s'", o->output);
	if (o->deadline &&
	    (clock_parse_duration(o->deadline, &ret->wait_ms) < 0 ||
	     ret->wait_ms <= 0))
		return err_set(err, ERR_USER,
			       "copy: --deadline is a time like 90s or 10m, "
			       "not '%s'",
			       o->deadline);
	if (o->changed && o->compare)
		return err_set(err, ERR_USER,
			       "copy: --compare finds out by itself what "
			       "changed, --changed says it: one of them");
	if (o->checkpoint &&
	    (units_parse_quantity(o->checkpoint, &ret->checkpoint_bytes) < 0 ||
	     ret->checkpoint_bytes < LEDGER_BLOCK_SIZE))
		return err_set(err, ERR_USER,
			       "copy: --checkpoint is a size like 64Mi, at "
			       "least 1Mi, not '%s'",
			       o->checkpoint);
	if (check_formats(o, err) < 0)
		return -1;
	if (o->bandwidth && set_bandwidth(o->bandwidth, ret, err) < 0)
		return -1;
	return digest_of(o->proof, &ret->digest, err);
}

/* Who says no format may well mean the disk in the image. */
static void
warn_of_format(const struct options *o)
{
	const char *source = o->ends.v[0];
	struct image image;
	struct err ignored;
	struct stat st;
	int fd;

	if (o->source_format || copy_image_is_uri(source))
		return;
	fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    image_probe(fd, 0, (uint64_t)st.st_size, &image, &ignored) == 0 &&
	    strcmp(image.format, "raw") != 0)
		complain("copy: source '%s' is %s by its header and is copied "
			 "as it lies there: --source-format %s copies the disk "
			 "that is in it, --source-format raw says that this is "
			 "meant",
			 source, image.format, image.format);
	mem_closep(&fd);
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
	    .accept = o->accept,
	    .pass = o->changed	 ? COPY_CHANGED
		    : o->compare ? COPY_COMPARE
				 : COPY_ALL,
	    .changed = o->changed,
	    .recheck = o->recheck,
	    .progress = show_progress,
	    .arg = (void *)o,
	};
	struct copy_image_result result;
	struct err err;
	int rc = fill_in(o, &opts, &err);
	bool json = rc == 0 && o->output && strcmp(o->output, "json") == 0;

	catch_signals();
	if (rc == 0)
		warn_of_format(o);
	if (rc == 0)
		rc = copy_image(&opts, &result, &err);
	alarm(0);
	if (!o->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "\n");
	if (rc < 0 && json)
		print_json(&result, &err);
	if (rc < 0) {
		rc = complain_err(&err);
		return asked_to_stop ? 128 + asked_to_stop : rc;
	}
	if (json)
		print_json(&result, NULL);
	else
		print_text(&result);
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
	    {"--accept", OPTION_TEXT, &o.accept},
	    {"--deadline", OPTION_TEXT, &o.deadline},
	    {"--checkpoint", OPTION_TEXT, &o.checkpoint},
	    {"--bandwidth", OPTION_TEXT, &o.bandwidth},
	    {"-o", OPTION_TEXT, &o.output},
	    {"--changed", OPTION_TEXT, &o.changed},
	    {"--compare", OPTION_FLAG, &o.compare},
	    {"--recheck", OPTION_FLAG, &o.recheck},
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
    .summary = "copy one disk: NBD, image or device, to any of them",
    .usage = "[--ledger FILE] [--proof sha256|xxh3|none] "
	     "[--source-format F] [--format raw|qcow2] [--accept DIGEST] "
	     "[--changed FILE | --compare] [--recheck] [--deadline DUR] "
	     "[--checkpoint SIZE] [--bandwidth RATE] [-o text|json] "
	     "SOURCE TARGET",
    .help =
	"  SOURCE             an NBD URI, an image file or a block device\n"
	"  TARGET             an image file (made here), a block device, or an "
	"NBD URI\n"
	"  --ledger FILE      what is durable, with its digests; with it a "
	"copy that was cut\n"
	"                     short goes on where it was\n"
	"  --proof KIND       digest in the ledger: sha256 (default), xxh3, "
	"none\n"
	"  --source-format F  raw (default), qcow2, vmdk, vhdx, vdi: of an "
	"image; never guessed\n"
	"  --format F         raw (default) or qcow2: of a TARGET that is a "
	"file\n"
	"  --accept DIGEST    overwrite what the block device TARGET holds: "
	"the refusal says\n"
	"                     what that is, and the DIGEST\n"
	"  --changed FILE     bring the copy that the ledger is of up to "
	"date: FILE lists what\n"
	"                     changed at the source since it last ended well\n"
	"  --compare          the same without a list: all of the source is "
	"read, and only what\n"
	"                     differs from the ledger is written; with both, a "
	"TARGET that is a\n"
	"                     file grows with its SOURCE; one that shrank is "
	"refused\n"
	"  --recheck          read back all that the ledger has of TARGET "
	"first, and copy again\n"
	"                     what is not there\n"
	"  --deadline DUR     wait so long for a server that gives no sign of "
	"life (30m), ten\n"
	"                     times as long for one that ends no request, and "
	"at most a\n"
	"                     minute of it for a SOURCE whose connection broke "
	"to be back\n"
	"  --checkpoint SIZE  make durable what was written at the latest "
	"every so much (1Gi);\n"
	"                     up to twice as much is done again after a "
	"crash\n"
	"  --bandwidth RATE   read at most so many bytes a second (20Mi, "
	"100M)\n"
	"  -o text|json       how what was done is printed\n"
	"  --quiet            no progress\n\n"
	"NBD URIs: nbd://HOST[:PORT]/EXPORT, nbd+unix:///EXPORT?socket=PATH, "
	"and with TLS\n"
	"nbds://...?tls-certificates=DIR or nbds://USER@...?tls-psk-file=FILE; "
	"keys are read\n"
	"from those files and shown nowhere.  One of the two has to be there: "
	"the key or\nDIR/ca-cert.pem vouches for the server.\n\n"
	"Before anything is passed over because the ledger has it, it is "
	"looked at: at\n"
	"TARGET, and at a SOURCE that is an NBD URI or a block device (unless "
	"it is\n"
	"brought up to date), the first block, the 64 copied last, and samples "
	"of the\n"
	"zero ones and of the others, at most 460 of each, of few of them all. "
	"Where\n"
	"one in a hundred was changed, that is found out with a probability of "
	"99 %,\n"
	"where one in a thousand, of 37 %; --recheck misses none at TARGET. "
	"With\n"
	"--proof none nothing can be looked at. An NBD server has to take "
	"several\n"
	"connections, one after the other.\n\n"
	"A TARGET that is a file or block device is one copy's at a time; of "
	"an NBD server it\n"
	"cannot be told: there it is for you to see to.\n\n"
	"The list of --changed: lines of an offset and a length in bytes, or a "
	"JSON array of\n"
	"objects with \"offset\" and \"length\"; also as nbdinfo "
	"--map=qemu:dirty-bitmap:NAME\n"
	"prints it, with --json or without. It must tell of all changes since "
	"the last copy\n"
	"that ended well: when in doubt, --compare.\n\n"
	"Prints the bytes of the disk (size), read, written, found zero, of "
	"them zeroed on the\n"
	"target, skipped as durable already, and redone because an earlier "
	"attempt had written\n"
	"them but not made them durable; of a copy brought up to date also "
	"what "
	"was the same\n"
	"when it was read, reread from the target to be patched, and mended "
	"because it was not\n"
	"there as the ledger has it; checked are the bytes read to "
	"see what is still\n"
	"there; proof is the kind of digest that the "
	"ledger has, or is to have, root the\n"
	"digest over all blocks.  After SIGTERM or SIGINT what was written is "
	"made durable,\n"
	"within eight seconds. With -o json the counts are printed of a copy "
	"that failed, too,\n"
	"with the class of its error (retry, fail, cancelled, ...) and the "
	"error; only what\n"
	"did not end within those eight seconds prints nothing.\n",
    .run = run,
};

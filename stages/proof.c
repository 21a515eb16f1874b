/* SPDX-License-Identifier: Apache-2.0 */
/* One disk compared with its ledger, and mended. */
#include "stages/stage.h"

#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/nbd.h"
#include "stages/bandwidth.h"
#include "stages/copy/copy.h"
#include "stages/fake.h"
#include "stages/inputs.h"
#include "stages/place.h"
#include "stages/replica.h"
#include "stages/source/source.h"

/* Blocks, in one go.  Each may cost a page of the ledger: 16 MiB. */
#define REPAIR_MOST 4096

struct proving {
	struct work *w;
	const struct proof_opts *opts;
	struct place place;
	const struct volume *volume;
	struct ledger *ledger;
	struct nbd_server server; /* of the end that is read */
	char *source_file;
	uint8_t *differs;     /* a bit a block */
	VEC(uint64_t) repair; /* those that are repaired in one go */
	struct verify_result result;
	uint64_t sample_size;
	bool agrees; /* what was compared, once that is mended */
	json_t *told;
};

static void
proof_done(struct proving *p)
{
	nbd_server_stop(&p->server);
	ledger_close(p->ledger);
	place_done(&p->place);
	free(p->source_file);
	free(p->differs);
	vec_done(&p->repair);
	json_decref(p->told);
}

static void
tell_text(struct proving *p, const char *key, const char *text)
{
	json_object_set_new(p->told, key, json_string(text));
}

static void
tell_number(struct proving *p, const char *key, uint64_t number)
{
	json_object_set_new(p->told, key, json_integer((json_int_t)number));
}

/* What there is to compare. */

static int
open_ledger(struct proving *p, struct err *err)
{
	CLEANUP(mem_freep) char *path = place_ledger(p->w->view, p->w->disk);
	struct ledger_identity id;
	int rc = ledger_open_readonly(path, &p->ledger, err);

	if (rc < 0 && err->sys == ENOENT)
		return err_set(err, ERR_NOT_READY,
			       "there is no ledger: the disk is not copied");
	if (rc < 0 && err->sys == EBADMSG)
		err->class = ERR_NOT_READY;
	if (rc < 0)
		return -1;
	if (!p->opts->repair || ledger_sealed(p->ledger))
		return 0;
	id = *ledger_identity(p->ledger);
	ledger_close(p->ledger);
	p->ledger = NULL;
	return ledger_open(path, &id, &p->ledger, err);
}

static int
check_complete(const struct proving *p, struct err *err)
{
	uint64_t has = ledger_count_durable(p->ledger);
	uint64_t all = ledger_nblocks(p->ledger);

	if (ledger_identity(p->ledger)->digest == LEDGER_NO_DIGEST)
		return err_set(err, ERR_NOT_READY,
			       "it was copied with proof: none; there is "
			       "nothing to compare it with");
	if (has == all)
		return 0;
	return err_set(err, ERR_NOT_READY,
		       "only %llu of %llu blocks are known to be copied: a "
		       "run copies the others",
		       (unsigned long long)has, (unsigned long long)all);
}

/* 1: it cannot be, and p->told says why. */
static int
not_comparable(struct proving *p, const char *why, const char *since)
{
	tell_text(p, "result", "not-comparable");
	tell_text(p, "why", why);
	if (since)
		tell_text(p, "since", since);
	return 1;
}

static int
check_target(struct proving *p, struct err *err)
{
	enum handover mark = HANDOVER_NONE;

	if (p->opts->changed) {
		CLEANUP(mem_freep)
		char *why =
		    mem_printf("%s may have changed it", p->opts->changed_by);

		return not_comparable(p, why, p->opts->changed);
	}
	if (ledger_sealed(p->ledger))
		return not_comparable(p,
				      "its ledger is sealed: a commit may "
				      "have changed it",
				      NULL);
	if (p->place.ops->marked(&p->place.vm, &mark, err) < 0)
		return -1;
	if (mark == HANDOVER_ROLLED_BACK)
		return not_comparable(p,
				      "it was rolled back, and its disk is no "
				      "replica any more",
				      NULL);
	if (mark != HANDOVER_NONE)
		return not_comparable(p,
				      "the hand-over mark stands: the "
				      "target may have run",
				      NULL);
	return 0;
}

/* The point in time that was copied is over once the source changed. */
static int
check_source(struct proving *p, struct err *err)
{
	const struct view *v = p->w->view;
	const struct source_ops *ops = source_find(v->plan->source->type);
	const char *was = json_string_value(
	    json_object_get(work_recorded(p->w, "generation"), "epoch"));
	CLEANUP(mem_freep) char *now = NULL;

	if (!ops->epoch || !was)
		return 0;
	if (ops->epoch(v->plan->source, v->vm, &now, err) < 0)
		return err_wrap(err, "looking whether the source changed");
	if (strcmp(inputs_epoch_at(v, now), was) == 0)
		return 0;
	return not_comparable(p, "the source changed since it was copied",
			      NULL);
}

/* The ends. */

static int
serve_volume(struct proving *p, bool writable, struct copy_target *ret,
	     struct err *err)
{
	return place_serve(p->w, p->volume, writable, &p->server, ret, err);
}

static int
serve_source(struct proving *p, struct nbd_server *server,
	     struct copy_target *ret, struct err *err)
{
	const struct view *v = p->w->view;
	const struct source_ops *ops = source_find(v->plan->source->type);
	struct nbd_serve_opts opts = {.on_start = work_helper_started,
				      .arg = p->w};

	free(p->source_file);
	p->source_file = NULL;
	if (ops->raw_disk)
		p->source_file = ops->raw_disk(v->plan->source, p->w->disk);
	*ret = (struct copy_target){.file = p->source_file};
	if (p->source_file)
		return 0;
	if (ops->open_disk(v->plan->source, v->vm, p->w->disk, &opts, server,
			   err) < 0)
		return err_wrap(err, "opening the source disk");
	*ret = (struct copy_target){.uri = server->uri};
	return 0;
}

/* Comparing. */

static void
note_difference(void *arg, uint64_t block)
{
	struct proving *p = arg;

	p->differs[block / 8] |= (uint8_t)(1 << block % 8);
}

/* The first one from `block` on that differs; behind the last when none does.
 */
static uint64_t
next_difference(const struct proving *p, uint64_t block)
{
	uint64_t n = ledger_nblocks(p->ledger);

	while (block < n && !(p->differs[block / 8] >> block % 8 & 1))
		block += block % 8 == 0 && !p->differs[block / 8] ? 8 : 1;
	return block < n ? block : n;
}

static int
show_progress(void *arg, const struct copy_progress *progress)
{
	struct proving *p = arg;

	work_progress(p->w, progress->done_bytes, progress->total_bytes);
	return work_stopping(p->w);
}

/* As steps of a run would. */
static struct verify_opts
what_to_compare(struct proving *p, struct throttle *throttle)
{
	struct verify_opts v = {
	    .is_source = p->opts->of_source,
	    .ledger = p->ledger,
	    .wait_ms = p->w->view->plan->policy->deadlines.wait_ms,
	    .generation = p->opts->since,
	    .throttle = p->opts->of_source
			    ? bandwidth_of_source(p->w, throttle)
			    : bandwidth_of_verify(p->w, throttle),
	    .differs = note_difference,
	    .progress = show_progress,
	    .arg = p,
	};

	if (p->opts->scope == PROOF_SINCE)
		v.which = VERIFY_SINCE_GENERATION;
	if (p->opts->scope == PROOF_SAMPLE) {
		v.which = VERIFY_SAMPLED;
		v.sample_size =
		    sample_size(&p->opts->sample, ledger_nblocks(p->ledger));
		v.sample_seed = p->opts->seed;
		p->sample_size = v.sample_size;
	}
	return v;
}

/* What the target was found not to hold stays on record, whatever becomes of
 * looking further, or of mending it. */
static int
note_doubt(struct proving *p, const struct err *why, struct err *err)
{
	bool differs = why->class == ERR_MISMATCH || p->result.nmismatched > 0;

	if (p->opts->of_source || !differs)
		return 0;
	return replica_doubt(p->w, p->w->disk, err);
}

/* A disk that is too short differs, too, and has no blocks to name. */
static int
compare(struct proving *p, struct err *err)
{
	struct throttle throttle;
	struct verify_opts v = what_to_compare(p, &throttle);
	struct err why = {0};
	int rc = p->opts->of_source
		     ? serve_source(p, &p->server, &v.target, err)
		     : serve_volume(p, false, &v.target, err);

	if (rc == 0 && copy_verify(&v, &p->result, &why) < 0) {
		rc = note_doubt(p, &why, err);
		if (rc == 0 && why.class != ERR_MISMATCH) {
			*err = why;
			rc = -1;
		}
	}
	nbd_server_stop(&p->server);
	if (rc < 0)
		return -1;
	p->agrees = why.class == ERR_NONE;
	if (why.class == ERR_MISMATCH && p->result.nmismatched == 0)
		tell_text(p, "why", why.text);
	tell_text(p, "result", why.class == ERR_MISMATCH ? "differs" : "same");
	return 0;
}

/* Mending. */

/* What a disk has in a block, as told. */
static json_t *
block_json(const struct proving *p, uint64_t block)
{
	uint64_t at = block * LEDGER_BLOCK_SIZE;
	uint64_t left = ledger_identity(p->ledger)->size_bytes - at;

	return json_pack(
	    "{s:I, s:I, s:I}", "block", (json_int_t)block, "offset",
	    (json_int_t)at, "length",
	    (json_int_t)(left < LEDGER_BLOCK_SIZE ? left : LEDGER_BLOCK_SIZE));
}

static int
check_repaired(struct proving *p, struct err *err)
{
	struct throttle throttle;
	struct verify_opts v = {
	    .ledger = p->ledger,
	    .wait_ms = p->w->view->plan->policy->deadlines.wait_ms,
	    .throttle = bandwidth_of_verify(p->w, &throttle),
	    .which = VERIFY_LISTED,
	    .blocks = p->repair.v,
	    .nblocks = p->repair.n,
	    .progress = show_progress,
	    .arg = p};
	struct verify_result result;
	int rc = serve_volume(p, false, &v.target, err);

	if (rc == 0)
		rc = copy_verify(&v, &result, err);
	nbd_server_stop(&p->server);
	return rc < 0 ? err_wrap(err, "after the repair") : 0;
}

static int
copy_again(struct proving *p, struct err *err)
{
	const struct run_policy *policy = p->w->view->plan->policy;
	struct nbd_server source_server = {0};
	struct copy_target source = {0};
	struct throttle throttle;
	struct copy_opts opts = {
	    .ledger = p->ledger,
	    .generation = ledger_applied(p->ledger),
	    .wait_ms = policy->deadlines.wait_ms,
	    .throttle = bandwidth_of_copy(p->w, &throttle),
	    .progress = show_progress,
	    .arg = p,
	};
	struct copy_progress done;
	int rc = serve_source(p, &source_server, &source, err);

	if (rc == 0)
		rc = serve_volume(p, true, &opts.target, err);
	opts.source_file = source.file;
	opts.source_uri = source.uri;
	opts.source_server = &source_server;
	if (rc == 0)
		rc = copy_repair(&opts, p->repair.v, p->repair.n, &done, err);
	nbd_server_stop(&p->server);
	nbd_server_stop(&source_server);
	return rc;
}

/* However many they are, in steps that take little memory, and none is left
 * over. */
static int
repair_all(struct proving *p, struct err *err)
{
	uint64_t n = ledger_nblocks(p->ledger);
	uint64_t block = next_difference(p, 0);

	while (block < n) {
		for (p->repair.n = 0; block < n && p->repair.n < REPAIR_MOST;
		     block = next_difference(p, block + 1))
			*vec_push(&p->repair) = block;
		if (copy_again(p, err) < 0 || check_repaired(p, err) < 0)
			return -1;
	}
	return 0;
}

/* Whoever writes looks at mark, claim and epoch first. */
static int
repair(struct proving *p, struct err *err)
{
	static const struct stage writer = {.name = "verify",
					    .scope = STAGE_DISK,
					    .writes_disks = true,
					    .watches_epoch = true};

	p->w->stage = &writer;
	if (stages_before(p->w, err) < 0 ||
	    work_record(p->w, PROOF_REPAIRING,
			json_integer((json_int_t)p->result.nmismatched),
			err) < 0)
		return err_wrap(err, "nothing was repaired");
	if (repair_all(p, err) < 0)
		return -1;
	tell_text(p, "result", "repaired");
	p->agrees = true;
	return 0;
}

/* All of it was read, and what differed read back once it was mended. */
static int
settle_doubt(struct proving *p, struct err *err)
{
	if (p->opts->of_source || !p->agrees ||
	    p->opts->scope != PROOF_ALL_BLOCKS ||
	    (p->result.nmismatched == 0 &&
	     !json_object_get(p->w->doubts, p->w->disk->id)))
		return 0;
	return replica_agrees(p->w, p->w->disk, err);
}

/* Telling. */

static void
tell_result(struct proving *p)
{
	json_t *differing = json_array();
	uint64_t n = ledger_nblocks(p->ledger);
	uint64_t block = next_difference(p, 0);

	tell_number(p, "checked", p->result.nchecked);
	tell_number(p, "mismatched", p->result.nmismatched);
	if (p->result.nunreadable > 0)
		tell_number(p, "unreadable", p->result.nunreadable);
	for (int i = 0; block < n && i < PROOF_TOLD; i++) {
		json_array_append_new(differing, block_json(p, block));
		block = next_difference(p, block + 1);
	}
	json_object_set_new(p->told, "differing", differing);
	if (p->opts->scope != PROOF_SAMPLE)
		return;
	json_object_set_new(
	    p->told, "sample",
	    json_pack(
		"{s:I, s:I, s:f}", "seed", (json_int_t)p->opts->seed, "size",
		(json_int_t)p->sample_size, "missOne",
		sample_miss(ledger_nblocks(p->ledger), p->sample_size, 1)));
}

static void
tell_ledger(struct proving *p)
{
	enum ledger_digest digest = ledger_identity(p->ledger)->digest;
	struct err ignored;
	char root[65];

	tell_number(p, "blocks", ledger_nblocks(p->ledger));
	tell_number(p, "generation", ledger_applied(p->ledger));
	tell_text(p, "proof", ledger_digest_name(digest));
	if (ledger_root(p->ledger, root, &ignored) == 0)
		tell_text(p, "root", root);
}

static int
prove(struct proving *p, struct err *err)
{
	int rc;

	if (open_ledger(p, err) < 0 || check_complete(p, err) < 0)
		return -1;
	tell_ledger(p);
	p->differs = mem_new(ledger_nblocks(p->ledger) / 8 + 1);
	if (p->opts->scope == PROOF_SINCE &&
	    p->opts->since > ledger_applied(p->ledger))
		return err_set(
		    err, ERR_NOT_READY,
		    "there is no generation %u to compare (--since): "
		    "the last one copied is %u",
		    p->opts->since, ledger_applied(p->ledger));
	rc = p->opts->of_source ? check_source(p, err) : check_target(p, err);
	if (rc != 0)
		return rc;
	if (compare(p, err) < 0)
		return -1;
	tell_result(p);
	if (p->opts->repair && p->result.nmismatched > 0 && repair(p, err) < 0)
		return -1;
	return settle_doubt(p, err);
}

int
proof_disk(struct work *w, const struct proof_opts *opts, json_t **ret,
	   struct err *err)
{
	struct proving p = {.w = w, .opts = opts};
	int rc;

	if (fake_is(w->view->plan->source->type))
		return err_set(err, ERR_NOT_READY,
			       "a fake endpoint has nothing to compare");
	if (place_open(w->view, &p.place, err) < 0)
		return -1;
	p.volume = &p.place.volumes[w->ndisk];
	p.told = json_pack("{s:s, s:s}", "disk", w->disk->id, "against",
			   opts->of_source ? "source" : "target");
	tell_text(&p, "where",
		  opts->of_source ? w->disk->name : p.volume->path);
	rc = prove(&p, err);
	if (rc >= 0)
		*ret = json_incref(p.told);
	proof_done(&p);
	return rc < 0 ? -1 : 0;
}

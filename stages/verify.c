/* SPDX-License-Identifier: Apache-2.0 */
/* verify: read the replica back and compare it with its ledger. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/sample.h"
#include "io/nbd.h"
#include "stages/bandwidth.h"
#include "stages/copy/copy.h"
#include "stages/inputs.h"
#include "stages/place.h"
#include "stages/replica.h"

static bool
verify_applies(const struct view *v)
{
	return v->plan->policy->verify != VERIFY_NONE &&
	       v->plan->policy->proof != PROOF_NONE;
}

static void
verify_inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	inputs_replica(v, disk, ret);
}

static int
show_progress(void *arg, const struct copy_progress *p)
{
	struct work *w = arg;

	replica_tell(w, p);
	return work_stopping(w);
}

/* Under this key: up to which generation of which ledger all was read back
 * without a difference. */
#define VERIFIED "verified"

static json_int_t
of_ledger(const json_t *past, const char *id)
{
	const char *of = json_string_value(json_object_get(past, "ledger"));

	return of && strcmp(of, id) == 0
		   ? json_integer_value(json_object_get(past, "generation"))
		   : 0;
}

/* Up to which generation all was read back: by this step, or by the one that
 * did it while the source still ran; 0: none. */
static json_int_t
read_back(const struct work *w, const struct ledger *ledger)
{
	CLEANUP(mem_freep)
	char *before =
	    mem_printf("%s/%s", stage_precopy_verify.name, w->disk->id);
	json_int_t own, its;
	char id[33];

	ledger_id(ledger, id);
	own = of_ledger(work_recorded(w, VERIFIED), id);
	its = of_ledger(json_object_get(work_fact(w, before), VERIFIED), id);
	return own > its ? own : its;
}

static int
choose_changed(const struct work *w, struct verify_opts *opts)
{
	json_int_t generation = read_back(w, opts->ledger);

	/* of the same generation it is asked for anew: then all is meant */
	if (!generation ||
	    generation >= (json_int_t)ledger_applied(opts->ledger))
		return 0;
	opts->which = VERIFY_SINCE_GENERATION;
	opts->generation = (uint32_t)generation + 1;
	return 0;
}

static int
choose_sample(const struct work *w, struct verify_opts *opts, struct err *err)
{
	struct sample_want want;

	if (sample_parse(w->view->plan->policy->verify_sample, &want, err) < 0)
		return -1;
	opts->which = VERIFY_SAMPLED;
	opts->sample_size = sample_size(&want, ledger_nblocks(opts->ledger));
	if (getrandom(&opts->sample_seed, sizeof(opts->sample_seed), 0) !=
	    sizeof(opts->sample_seed))
		return err_sys(err, "cannot draw a sample");
	return 0;
}

/* Which blocks the policy wants read back; of a disk in doubt, all. */
static int
choose(const struct work *w, struct verify_opts *opts, struct err *err)
{
	if (json_object_get(w->doubts, w->disk->id))
		return 0;
	switch (w->view->plan->policy->verify) {
	case VERIFY_CHANGED:
		return choose_changed(w, opts);
	case VERIFY_SAMPLE:
		return choose_sample(w, opts, err);
	case VERIFY_FULL:
		/* each block since it was written last */
		return w->view->round > 0 ? choose_changed(w, opts) : 0;
	case VERIFY_NONE:
		break;
	}
	return 0;
}

/* A sample does not say of any generation that all of it was read. */
static int
remember(struct work *w, const struct verify_opts *opts, json_t *facts,
	 struct err *err)
{
	json_t *verified;
	char id[33];

	if (opts->which == VERIFY_SAMPLED)
		return 0;
	ledger_id(opts->ledger, id);
	verified = json_pack("{s:s, s:I}", "ledger", id, "generation",
			     (json_int_t)ledger_applied(opts->ledger));
	json_object_set(facts, VERIFIED, verified);
	return work_record(w, VERIFIED, verified, err);
}

static int
compare(struct work *w, const struct ledger *ledger, const char *path,
	const struct copy_target *target, json_t **ret_facts, struct err *err)
{
	struct throttle throttle;
	struct verify_opts opts = {
	    .target = *target,
	    .ledger = ledger,
	    .wait_ms = w->view->plan->policy->deadlines.wait_ms,
	    .which = VERIFY_ALL_BLOCKS,
	    .throttle = bandwidth_of_verify(w, &throttle),
	    .progress = show_progress,
	    .arg = w,
	};
	int64_t begun_ms = clock_wall_ms();
	struct verify_result result;
	char root[65] = "";

	if (choose(w, &opts, err) < 0)
		return -1;
	if (copy_verify(&opts, &result, err) < 0) {
		replica_compared(w, w->disk, &result, err);
		return err_wrap(err, "'%s'", path);
	}
	if (opts.which == VERIFY_ALL_BLOCKS &&
	    json_object_get(w->doubts, w->disk->id) &&
	    replica_agrees(w, w->disk, err) < 0)
		return -1;
	if (ledger_root(ledger, root, err) < 0)
		return -1;
	*ret_facts = json_pack(
	    "{s:I, s:s, s:s, s:I, s:I, s:I}", "blocks",
	    (json_int_t)result.nchecked, "proof",
	    ledger_digest_name(ledger_identity(ledger)->digest), "root", root,
	    "generation", (json_int_t)ledger_applied(ledger), "begun",
	    (json_int_t)begun_ms, "ended", (json_int_t)clock_wall_ms());
	if (opts.which == VERIFY_SAMPLED)
		json_object_set_new(
		    *ret_facts, "missOne",
		    json_real(sample_miss(ledger_nblocks(ledger),
					  opts.sample_size, 1)));
	return remember(w, &opts, *ret_facts, err);
}

/* Through a connection of its own, and from the disk: what the copy's says
 * about its own writes proves nothing, nor does what the page cache has. */
static int
serve_and_compare(struct work *w, const struct ledger *ledger,
		  const struct volume *volume, json_t **ret_facts,
		  struct err *err)
{
	struct nbd_server server = {0};
	struct copy_target target;
	int rc = place_serve(w, volume, false, &server, &target, err);

	if (rc == 0)
		rc = compare(w, ledger, volume->path, &target, ret_facts, err);
	nbd_server_stop(&server);
	return rc;
}

/* What was copied is not all there any more: the copy is to be made again, as
 * far as its ledger does not hold. */
static int
void_copy(struct work *w, const char *why, struct err *err)
{
	const struct stage *copy = strcmp(w->stage->name, stage_verify.name)
				       ? &stage_precopy_copy
				       : &stage_copy;
	json_t *step = json_sprintf("%s/%s", copy->name, w->disk->id);

	if (work_record(w, WORK_VOID, step, err) < 0)
		return -1;
	return err_set(err, ERR_AGAIN,
		       "%s; the next run copies what is missing", why);
}

static int
open_ledger(struct work *w, struct ledger **ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = place_ledger(w->view, w->disk);

	if (ledger_open_readonly(path, ret, err) == 0)
		return 0;
	if (err->sys == ENOENT)
		return void_copy(w, "the disk's ledger is gone", err);
	if (err->sys == EBADMSG)
		return void_copy(w, "the disk's ledger is damaged", err);
	return -1;
}

/* A sealed ledger stays as it is: that disk may not be copied to again. */
static int
check_copy(struct work *w, const struct ledger *ledger,
	   const struct volume *volume, struct err *err)
{
	if (ledger_sealed(ledger))
		return 0;
	if (!fs_exists(volume->path))
		return void_copy(w, "the disk's volume is gone", err);
	if (ledger_identity(ledger)->digest == LEDGER_NO_DIGEST)
		return void_copy(w, "the disk was copied without a proof", err);
	if (ledger_count_durable(ledger) != ledger_nblocks(ledger))
		return void_copy(w,
				 "the disk's ledger does not know of all its "
				 "blocks",
				 err);
	return 0;
}

int
replica_verify(struct work *w, const struct volume *volume, json_t **ret_facts,
	       struct err *err)
{
	struct ledger *ledger;
	int rc;

	work_catch_stop(w);
	if (open_ledger(w, &ledger, err) < 0)
		return -1;
	rc = check_copy(w, ledger, volume, err);
	if (rc == 0)
		rc = serve_and_compare(w, ledger, volume, ret_facts, err);
	ledger_close(ledger);
	return rc;
}

static int
verify_run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};

	if (place_open(w->view, &p, err) < 0)
		return -1;
	return replica_verify(w, &p.volumes[w->ndisk], ret_facts, err);
}

/* No probe: it only reads, and nothing shows that it has read. */
const struct stage stage_verify = {
    .name = "verify",
    .minds_mark = true,
    .scope = STAGE_DISK,
    .pool = POOL_DISKS,
    .applies = verify_applies,
    .inputs = verify_inputs,
    .run = verify_run,
    .tells_progress = true,
};

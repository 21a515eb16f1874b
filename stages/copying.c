/* SPDX-License-Identifier: Apache-2.0 */
/* Setting up and carrying out the copy of one disk. */
#include "stages/copying.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/bandwidth.h"
#include "stages/copy/copy.h"
#include "stages/replica.h"
#include "stages/source/source.h"

void
copying_done(struct copying *c)
{
	nbd_server_stop(&c->source);
	nbd_server_stop(&c->target);
	ledger_close(c->ledger);
	place_done(&c->place);
	free(c->volume_id);
	free(c->source_file);
	extents_done(&c->changes.list);
	free(c->changes.why);
	free(c->why);
}

/* A disk that grew since it was copied. */
static int
grow_volume(struct work *w, struct copying *c, struct err *err)
{
	uint64_t was = replica_was_bytes(w);

	if (was == 0 || was >= w->disk->capacity_bytes ||
	    !c->place.ops->grow_volume)
		return 0;
	return c->place.ops->grow_volume(&c->place.vm, w->ndisk, was, err);
}

int
copying_make_volume(struct work *w, struct copying *c, struct err *err)
{
	c->volume = &c->place.volumes[w->ndisk];
	if (grow_volume(w, c, err) < 0)
		return err_wrap(err, "making the volume larger");
	if (c->place.ops->create_volume(&c->place.vm, w->ndisk, &c->volume_id,
					&c->fresh, err) < 0)
		return err_wrap(err, "making the volume");
	return 0;
}

static struct nbd_serve_opts
serving(struct work *w, const char *log)
{
	return (struct nbd_serve_opts){
	    .log = log, .on_start = work_helper_started, .arg = w};
}

static int
open_source(struct work *w, struct copying *c, struct err *err)
{
	const struct endpoint *ep = w->view->plan->source;
	const struct source_ops *ops = source_find(ep->type);
	CLEANUP(mem_freep) char *log = work_log_path(w, "nbd.log");
	struct nbd_serve_opts opts = serving(w, log);

	if (ops->raw_disk)
		c->source_file = ops->raw_disk(ep, w->disk);
	if (!c->source_file && ops->open_disk(ep, w->view->vm, w->disk, &opts,
					      &c->source, err) < 0)
		return err_wrap(err, "opening the source disk");
	return 0;
}

static int
open_target(struct work *w, struct copying *c, struct err *err)
{
	CLEANUP(mem_freep) char *log = work_log_path(w, "nbd.log");
	struct nbd_serve_opts opts = serving(w, log);

	if (strcmp(c->volume->format, "raw") == 0)
		return 0;
	opts.filename = c->volume->path;
	opts.format = c->volume->format;
	opts.writable = true;
	if (nbd_serve_image(&opts, &c->target, err) < 0)
		return err_wrap(err, "opening the target volume");
	return 0;
}

uint64_t
copying_changed(const struct copying *c)
{
	return extents_bytes(&c->changes.list);
}

/* Only what is known to be applied can be brought up to date. */
static enum copy_pass
choose_pass(const struct copying *c)
{
	uint32_t applied = ledger_applied(c->ledger);

	if (!c->warm || c->anew || applied == 0)
		return COPY_ALL;
	if (c->changes.known && c->since > 0 && applied >= c->since)
		return COPY_CHANGED;
	return ledger_identity(c->ledger)->digest == LEDGER_NO_DIGEST
		   ? COPY_ALL
		   : COPY_COMPARE;
}

/* What was copied before is looked at whole only for a reason. */
static char *
why_not_changed(const struct copying *c)
{
	uint32_t applied = ledger_applied(c->ledger);

	if (c->warm && c->anew)
		return mem_strdup("it was asked for anew");
	if (!c->warm || c->since == 0 || c->pass == COPY_CHANGED)
		return NULL;
	if (c->changes.known)
		return mem_printf("its ledger is of generation %u, and what "
				  "changed is known since generation %u only",
				  applied, c->since);
	return mem_strdup(c->changes.why
			      ? c->changes.why
			      : "the source does not say what changed");
}

static void
tell_pass(struct work *w, struct copying *c)
{
	c->why = why_not_changed(c);
	if (!c->why)
		return;
	work_log(w, LOG_LEVEL_INFO, "%s: all of the disk is %s", c->why,
		 c->pass == COPY_ALL ? "copied" : "read and compared");
	work_doing(w, "%s: all of the disk is %s", c->why,
		   c->pass == COPY_ALL ? "copied" : "read and compared");
}

static int
show_progress(void *arg, const struct copy_progress *p)
{
	struct work *w = arg;

	replica_tell(w, p);
	return work_stopping(w);
}

static int
move_bytes(struct work *w, struct copying *c, struct copy_progress *ret,
	   struct err *err)
{
	const struct run_policy *policy = w->view->plan->policy;
	struct throttle throttle;
	struct copy_opts opts = {
	    .source_uri = c->source.uri,
	    .source_file = c->source_file,
	    .source_server = &c->source,
	    .target = {.file = c->target.uri ? NULL : c->volume->path,
		       .uri = c->target.uri,
		       .reads_as_zero = true},
	    .ledger = c->ledger,
	    .generation = c->generation,
	    .pass = c->pass,
	    .changed = &c->changes.list,
	    .checkpoint_ms = policy->checkpoint.every_ms,
	    .checkpoint_bytes = policy->checkpoint.bytes,
	    .wait_ms = policy->deadlines.wait_ms,
	    .throttle = bandwidth_of_copy(w, &throttle),
	    .progress = show_progress,
	    .arg = w,
	};

	if (copy_run(&opts, ret, err) < 0)
		return c->source.from
			   ? err_wrap(err, "copying '%s' by ssh from '%s'",
				      w->disk->name, c->source.from)
			   : err_wrap(err, "copying '%s'", w->disk->name);
	return ledger_set_applied(c->ledger, c->generation, err);
}

int
copying_run(struct work *w, struct copying *c, json_t **ret_facts,
	    struct err *err)
{
	struct copy_progress progress;

	if (copying_make_volume(w, c, err) < 0 ||
	    replica_ledger(w, c->volume_id, c->fresh, &c->ledger, err) < 0 ||
	    (!c->source.uri && open_source(w, c, err) < 0) ||
	    open_target(w, c, err) < 0)
		return -1;
	/* until it is done, whatever is tried */
	c->anew = w->redone > 0 && !work_fact(w, w->step);
	c->pass = choose_pass(c);
	tell_pass(w, c);
	if (move_bytes(w, c, &progress, err) < 0)
		return -1;
	*ret_facts = replica_facts(w, c->volume, c->volume_id, c->ledger,
				   c->generation, &progress);
	return 0;
}

/* Blocks of a generation that is not applied yet are the pass under way. */
static void
count_blocks(const struct ledger *l, struct copied *ret)
{
	uint64_t n = ledger_nblocks(l), done = 0, block = LEDGER_BLOCK_SIZE;
	uint32_t applied = ledger_applied(l);

	for (uint64_t i = 0; i < n; i++) {
		struct ledger_entry e;

		ledger_get(l, i, &e);
		done += e.state == LEDGER_DURABLE && e.generation > applied;
	}
	ret->size = ledger_identity(l)->size_bytes;
	ret->pass = done * block < ret->size ? done * block : ret->size;
	ret->durable = ledger_count_durable(l) * block;
	ret->durable = ret->durable < ret->size ? ret->durable : ret->size;
	ret->any = applied > 0 || ret->durable > 0;
	ret->percent = n ? (unsigned)(done * 100 / n) : 0;
}

struct copied
stages_copied(const char *state_dir, const char *disk)
{
	CLEANUP(mem_freep) char *path = place_ledger_at(state_dir, disk);
	struct copied ret = {0};
	struct ledger *l = NULL;
	struct err ignored;

	if (!fs_exists(path) || ledger_open_readonly(path, &l, &ignored) < 0)
		return ret;
	count_blocks(l, &ret);
	ledger_close(l);
	return ret;
}

struct copied
copying_copied(const struct view *v, const struct inv_disk *disk)
{
	return stages_copied(v->state_dir, disk->id);
}

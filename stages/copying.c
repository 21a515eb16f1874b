/* SPDX-License-Identifier: Apache-2.0 */
/* Setting up and carrying out the copy of one disk. */
#include "stages/copying.h"

#include <stdlib.h>
#include <string.h>

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

static int
open_ends(struct work *w, struct copying *c, struct err *err)
{
	const struct source_ops *ops = source_find(w->view->plan->source->type);
	CLEANUP(mem_freep) char *log = work_log_path(w, "nbd.log");
	struct nbd_serve_opts opts = {
	    .log = log,
	    .on_start = work_helper_started,
	    .arg = w,
	};

	if (ops->raw_disk)
		c->source_file = ops->raw_disk(w->view->plan->source, w->disk);
	if (!c->source_file &&
	    ops->open_disk(w->view->plan->source, w->view->vm, w->disk, &opts,
			   &c->source, err) < 0)
		return err_wrap(err, "opening the source disk");
	if (strcmp(c->volume->format, "raw") == 0)
		return 0;
	opts.filename = c->volume->path;
	opts.format = c->volume->format;
	opts.writable = true;
	if (nbd_serve_image(&opts, &c->target, err) < 0)
		return err_wrap(err, "opening the target volume");
	return 0;
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
	    .target = {.file = c->target.uri ? NULL : c->volume->path,
		       .uri = c->target.uri,
		       .reads_as_zero = true},
	    .ledger = c->ledger,
	    .generation = c->generation,
	    .checkpoint_ms = policy->checkpoint.every_ms,
	    .checkpoint_bytes = policy->checkpoint.bytes,
	    .wait_ms = policy->deadlines.wait_ms,
	    .throttle = bandwidth_of_copy(w, &throttle),
	    .progress = show_progress,
	    .arg = w,
	};

	if (copy_run(&opts, ret, err) < 0)
		return err_wrap(err, "copying '%s'", w->disk->name);
	return ledger_set_applied(c->ledger, c->generation, err);
}

int
copying_run(struct work *w, struct copying *c, json_t **ret_facts,
	    struct err *err)
{
	struct copy_progress progress;

	if (copying_make_volume(w, c, err) < 0 ||
	    replica_ledger(w, c->volume_id, c->fresh, &c->ledger, err) < 0 ||
	    open_ends(w, c, err) < 0 || move_bytes(w, c, &progress, err) < 0)
		return -1;
	*ret_facts = replica_facts(w, c->volume, c->volume_id, c->ledger,
				   c->generation, &progress);
	return 0;
}

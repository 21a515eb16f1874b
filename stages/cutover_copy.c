/* SPDX-License-Identifier: Apache-2.0 */
/* cutover, disk by disk: with the source off, copy what is still missing. */
#include "base/fs.h"
#include "base/mem.h"
#include "stages/copying.h"
#include "stages/copy/copy.h"
#include "stages/inputs.h"
#include "stages/replica.h"

_Static_assert(COPY_GRACE_MS < STAGE_GRACE_MS && STAGE_GRACE_MS < 10000,
	       "a copy ends before its step is killed, that before its run");

static void
copy_inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	inputs_replica(v, disk, ret);
}

static int
copy_disk(struct work *w, struct copying *c, json_t **ret_facts,
	  struct err *err)
{
	if (replica_generation(w, &c->generation, err) < 0 ||
	    place_open(w->view, &c->place, err) < 0)
		return -1;
	return copying_run(w, c, ret_facts, err);
}

static int
copy_stage_run(struct work *w, json_t **ret_facts, struct err *err)
{
	struct copying c = {0};
	int rc;

	work_catch_stop(w);
	rc = copy_disk(w, &c, ret_facts, err);
	copying_done(&c);
	return rc;
}

/* All of the disk durable, by its ledger, at the generation that was begun:
 * then nothing is read again.  What is there in part, run() goes on with. */
static int
find_copy(struct work *w, struct copying *c, bool *ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = place_ledger(w->view, w->disk);

	if (!replica_begun(w, &c->generation))
		return 0;
	if (place_open(w->view, &c->place, err) < 0)
		return -1;
	if (!fs_exists(c->place.volumes[w->ndisk].path) ||
	    !replica_is_whole(w, path, c->generation, &c->ledger))
		return 0;
	/* it is there: this asks for its id */
	if (copying_make_volume(w, c, err) < 0)
		return -1;
	*ret = !c->fresh && replica_is_of(w, c->ledger, c->volume_id);
	return *ret ? fs_sync_file(path, err) : 0;
}

static int
copy_probe(struct work *w, bool *ret_done, json_t **ret_facts, struct err *err)
{
	struct copy_progress p = {.skipped_bytes = w->disk->capacity_bytes};
	struct copying c = {0};
	int rc = find_copy(w, &c, ret_done, err);

	if (rc == 0 && *ret_done)
		*ret_facts = replica_facts(w, c.volume, c.volume_id, c.ledger,
					   c.generation, &p);
	copying_done(&c);
	return rc;
}

/* Blocks of a generation that is not applied yet are the pass under way. */
static void
count_blocks(const struct ledger *l, struct copied *ret)
{
	uint64_t n = ledger_nblocks(l), done = 0;
	uint32_t applied = ledger_applied(l);

	for (uint64_t i = 0; i < n; i++) {
		struct ledger_entry e;

		ledger_get(l, i, &e);
		done += e.state == LEDGER_DURABLE && e.generation > applied;
	}
	ret->any = applied > 0 || ledger_count_durable(l) > 0;
	ret->percent = n ? (unsigned)(done * 100 / n) : 0;
}

static struct copied
copy_copied(const struct view *v, const struct inv_disk *disk)
{
	CLEANUP(mem_freep) char *path = place_ledger(v, disk);
	struct copied ret = {0};
	struct ledger *l = NULL;
	struct err ignored;

	if (!fs_exists(path) || ledger_open_readonly(path, &l, &ignored) < 0)
		return ret;
	count_blocks(l, &ret);
	ledger_close(l);
	return ret;
}

const struct stage stage_copy = {
    .name = "cutover",
    .scope = STAGE_DISK,
    .pool = POOL_DISKS,
    .writes_disks = true,
    .watches_epoch = true,
    .inputs = copy_inputs,
    .probe = copy_probe,
    .run = copy_stage_run,
    .tells_progress = true,
    .copied = copy_copied,
};

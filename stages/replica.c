/* SPDX-License-Identifier: Apache-2.0 */
/* One disk's replica as copying sees it. */
#include "stages/replica.h"

#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/inputs.h"
#include "stages/place.h"
#include "stages/precopy.h"

bool
replica_begun(const struct work *w, uint32_t *ret)
{
	CLEANUP(mem_freep) char *now = stages_epoch(w->view);
	const json_t *last = work_recorded(w, "generation");
	const char *epoch = json_string_value(json_object_get(last, "epoch"));

	*ret = (uint32_t)json_integer_value(json_object_get(last, "number"));
	return epoch && strcmp(epoch, now) == 0 &&
	       json_integer_value(json_object_get(last, "redone")) == w->redone;
}

int
replica_newest(const struct view *v, const struct inv_disk *disk, uint32_t *ret,
	       struct err *err)
{
	CLEANUP(mem_freep) char *path = place_ledger(v, disk);
	struct ledger *l = NULL;

	*ret = 0;
	if (!fs_exists(path))
		return 0;
	/* one that cannot be read is made anew */
	if (ledger_open_readonly(path, &l, err) < 0)
		return err->sys == EBADMSG ? 0 : -1;
	*ret = ledger_newest(l);
	ledger_close(l);
	return 0;
}

int
replica_generation(struct work *w, uint32_t *ret, struct err *err)
{
	CLEANUP(mem_freep) char *now = stages_epoch(w->view);

	uint32_t next = precopy_next_number(w), newest;

	if (replica_begun(w, ret))
		return 0;
	if (replica_newest(w->view, w->disk, &newest, err) < 0)
		return -1;
	if (++*ret < next)
		*ret = next;
	if (*ret <= newest)
		*ret = newest + 1;
	return work_record(
	    w, "generation",
	    json_pack("{s:I, s:s, s:i}", "number", (json_int_t)*ret, "epoch",
		      now, "redone", w->redone),
	    err);
}

static enum ledger_digest
digest_of(enum proof proof)
{
	switch (proof) {
	case PROOF_SHA256:
		return LEDGER_SHA256;
	case PROOF_XXH3:
		return LEDGER_XXH3;
	case PROOF_NONE:
		break;
	}
	return LEDGER_NO_DIGEST;
}

static int
check_not_shorter(const struct ledger_identity *was,
		  const struct ledger_identity *id, struct err *err)
{
	if (was->size_bytes <= id->size_bytes)
		return 0;
	return err_set(err, ERR_FAIL,
		       "the source's disk shrank: it has %llu bytes now, and "
		       "had %llu when it was copied; move the volume and its "
		       ".id file away to copy it anew",
		       (unsigned long long)id->size_bytes,
		       (unsigned long long)was->size_bytes);
}

/* One that stays keeps the digest it was begun with: a policy that changes
 * does not make copied data worth less.  It is of its own size, too, at first:
 * a disk that grew is still that disk. */
static int
heed_old_ledger(const char *path, struct ledger_identity *id, struct err *err)
{
	struct ledger *old = NULL;
	bool stale;
	int rc = 0;

	if (!fs_exists(path))
		return 0;
	if (ledger_open_readonly(path, &old, err) < 0)
		return err->sys == EBADMSG ? fs_remove(path, err) : -1;
	stale = strcmp(ledger_identity(old)->target, id->target) != 0 ||
		(ledger_identity(old)->digest == LEDGER_NO_DIGEST &&
		 id->digest != LEDGER_NO_DIGEST);
	if (!stale) {
		rc = check_not_shorter(ledger_identity(old), id, err);
		id->digest = ledger_identity(old)->digest;
		id->size_bytes = ledger_identity(old)->size_bytes;
	}
	ledger_close(old);
	return stale ? fs_remove(path, err) : rc;
}

bool
replica_is_whole(const struct work *w, const char *path, uint32_t generation,
		 struct ledger **ret)
{
	enum ledger_digest digest;
	struct err ignored;

	if (!fs_exists(path) || ledger_open_readonly(path, ret, &ignored) < 0)
		return false;
	digest = ledger_identity(*ret)->digest;
	return !ledger_sealed(*ret) && ledger_applied(*ret) == generation &&
	       ledger_count_durable(*ret) == ledger_nblocks(*ret) &&
	       (digest != LEDGER_NO_DIGEST ||
		w->view->plan->policy->proof == PROOF_NONE);
}

bool
replica_is_of(const struct work *w, const struct ledger *l,
	      const char *volume_id)
{
	const struct ledger_identity *is = ledger_identity(l);
	struct ledger_identity wanted = {0};
	struct err ignored;

	return ledger_put_id(wanted.vm, w->view->vm->id, &ignored) == 0 &&
	       ledger_put_id(wanted.disk, w->disk->id, &ignored) == 0 &&
	       ledger_put_id(wanted.target, volume_id, &ignored) == 0 &&
	       strcmp(is->vm, wanted.vm) == 0 &&
	       strcmp(is->disk, wanted.disk) == 0 &&
	       strcmp(is->target, wanted.target) == 0 &&
	       is->size_bytes == w->disk->capacity_bytes;
}

uint64_t
replica_was_bytes(const struct work *w)
{
	CLEANUP(mem_freep) char *path = place_ledger(w->view, w->disk);
	struct ledger *l = NULL;
	struct err ignored;
	uint64_t was;

	if (!fs_exists(path) || ledger_open_readonly(path, &l, &ignored) < 0)
		return 0;
	was = ledger_identity(l)->size_bytes;
	ledger_close(l);
	return was;
}

int
replica_ledger(struct work *w, const char *volume_id, bool fresh,
	       struct ledger **ret, struct err *err)
{
	CLEANUP(mem_freep)
	char *path = place_ledger(w->view, w->disk);
	struct ledger_identity id = {
	    .size_bytes = w->disk->capacity_bytes,
	    .digest = digest_of(w->view->plan->policy->proof),
	    .target_is_blank = fresh,
	};

	if (ledger_put_id(id.vm, w->view->vm->id, err) < 0 ||
	    ledger_put_id(id.disk, w->disk->id, err) < 0 ||
	    ledger_put_id(id.target, volume_id, err) < 0 ||
	    heed_old_ledger(path, &id, err) < 0 ||
	    ledger_open(path, &id, ret, err) < 0)
		return -1;
	if (ledger_grow(*ret, w->disk->capacity_bytes, err) < 0)
		return -1;
	if (ledger_damaged_pages(*ret))
		work_log(w, LOG_LEVEL_WARNING,
			 "%llu pages of the ledger were damaged; their blocks "
			 "are copied again",
			 (unsigned long long)ledger_damaged_pages(*ret));
	return 0;
}

/* By the ledger, or where that cannot be read by who copied. */
static json_int_t
newest_of(const struct work *w, const struct inv_disk *disk)
{
	static const char *const copies[] = {"precopy", "cutover"};
	struct err ignored;
	json_int_t newest;
	uint32_t known;

	if (replica_newest(w->view, disk, &known, &ignored) < 0)
		known = 0;
	newest = known;
	for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		CLEANUP(mem_freep)
		char *step = mem_printf("%s/%s", copies[i], disk->id);
		json_int_t its = json_integer_value(
		    json_object_get(work_fact(w, step), "generation"));

		newest = its > newest ? its : newest;
	}
	return newest;
}

int
replica_doubt(struct work *w, const struct inv_disk *disk, struct err *err)
{
	return work_record(w, WORK_DIFFERS,
			   json_pack("{s:s, s:I}", "disk", disk->id,
				     "generation", newest_of(w, disk)),
			   err);
}

void
replica_compared(struct work *w, const struct inv_disk *disk,
		 const struct verify_result *result, struct err *err)
{
	struct err lost;

	if ((err->class == ERR_MISMATCH || result->nmismatched > 0) &&
	    replica_doubt(w, disk, &lost) < 0)
		*err = lost;
	else
		copy_verify_soften(result, err);
}

int
replica_agrees(struct work *w, const struct inv_disk *disk, struct err *err)
{
	return work_record(w, WORK_AGREES, json_pack("{s:s}", "disk", disk->id),
			   err);
}

json_t *
replica_facts(const struct work *w, const struct volume *volume,
	      const char *volume_id, const struct ledger *ledger,
	      uint32_t generation, const struct copy_progress *p)
{
	char root[65] = "";
	struct err ignored;

	if (ledger_root(ledger, root, &ignored) < 0)
		root[0] = '\0';
	return json_pack(
	    "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "volume",
	    volume->path, "format", volume->format, "volumeId", volume_id,
	    "size", (json_int_t)w->disk->capacity_bytes, "generation",
	    (json_int_t)generation, "read", (json_int_t)p->read_bytes,
	    "written", (json_int_t)p->written_bytes, "zero",
	    (json_int_t)p->zero_bytes, "kept", (json_int_t)p->skipped_bytes,
	    "proof", ledger_digest_name(ledger_identity(ledger)->digest),
	    "root", root);
}

void
replica_tell(struct work *w, const struct copy_progress *p)
{
	struct moved moved = {
	    .done = p->done_bytes,
	    .total = p->total_bytes,
	    .read = p->read_bytes,
	    .written = p->written_bytes,
	    .zero = p->zero_bytes,
	    .skipped = p->skipped_bytes,
	    .held_ms = p->held_ms,
	};

	work_moved(w, &moved);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of the fake endpoint: stamped, copied, compared, converted. */
#include "stages/fake_disk.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/copy/copy_file.h"
#include "stages/copy/digest.h"
#include "stages/fake.h"
#include "stages/fake_faults.h"
#include "stages/fake_warm.h"
#include "stages/fake_world.h"
#include "stages/fake_writer.h"
#include "stages/inputs.h"
#include "stages/place.h"
#include "stages/precopy.h"
#include "stages/rehearsal.h"
#include "stages/replica.h"

#define SECTOR 512
#define OVERLAY_MAX ((size_t)1024 * 1024)

static bool
is_made_up(const struct view *v)
{
	const char *content =
	    endpoint_setting(v->plan->source, "content", "stamped");

	return strcmp(content, "none") == 0 || v->vm->ndisks == 0 ||
	       v->vm->disks[0].capacity_bytes == 0;
}

bool
fake_has_blocks(const struct work *w)
{
	return w->disk && w->stage->copied && !is_made_up(w->view);
}

static void
volume_of(const struct view *v, const struct inv_disk *disk, struct volume *ret)
{
	ret->path = fake_path(v, disk->id);
	ret->format = "raw";
}

/* Content. */

/* Says in words whose block it is; the rest of the sector is noise. */
static void
stamp(const struct view *v, const struct inv_disk *disk, const char *epoch,
      uint64_t block, uint32_t point, char ret[SECTOR])
{
	uint64_t noise = 14695981039346656037u;
	char written[64];
	int len = snprintf(ret, SECTOR / 2, "%s %s block %llu of %s%s\n",
			   v->vm->id, disk->id, (unsigned long long)block,
			   epoch, fake_written(v, disk, block, point, written));
	size_t used = len < SECTOR / 2 ? (size_t)len : SECTOR / 2;

	for (size_t i = 0; i < used; i++)
		noise = (noise ^ (uint8_t)ret[i]) * 1099511628211u;
	for (size_t i = used; i < SECTOR; i++) {
		noise = noise * 6364136223846793005u + 1442695040888963407u;
		ret[i] = (char)(noise >> 56);
	}
}

static size_t
block_len(const struct inv_disk *disk, uint64_t block)
{
	uint64_t left = disk->capacity_bytes - block * LEDGER_BLOCK_SIZE;

	return left < LEDGER_BLOCK_SIZE ? left : LEDGER_BLOCK_SIZE;
}

/* Copying. */

struct fake_copy {
	struct work *w;
	struct volume volume;
	struct copy_file file;
	int fd;
	char *epoch;
	uint32_t generation;
	struct ledger *ledger;
	struct digest digest;
	char *block; /* as the source has it */
	uint64_t next, nblocks, stop_at;
	uint32_t point; /* as it was then; FAKE_STOPPED */
	uint32_t since; /* blocks not written since then are as copied; 0 */
	struct copy_progress progress;
};

static void
fake_copy_done(struct fake_copy *c)
{
	ledger_close(c->ledger);
	digest_done(&c->digest);
	mem_closep(&c->fd);
	volume_done(&c->volume);
	free(c->epoch);
	free(c->block);
}

/* A disk of another size is another disk. */
static int
open_volume(struct fake_copy *c, struct err *err)
{
	uint64_t size = c->w->disk->capacity_bytes;
	struct stat st;

	volume_of(c->w->view, c->w->disk, &c->volume);
	if (fake_is_committed(c->w->view))
		return err_set(err, ERR_FAIL,
			       "'%s' is committed: it is no replica any more",
			       c->volume.path);
	if (stat(c->volume.path, &st) == 0 && (uint64_t)st.st_size != size &&
	    copy_file_remove(c->volume.path, err) < 0)
		return -1;
	if (copy_file_make(c->volume.path, "raw", size, &c->file, err) < 0)
		return -1;
	copy_file_done(&c->file); /* the run holds what it stands in */
	c->fd = open(c->volume.path, O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		return err_sys(err, "cannot open '%s'", c->volume.path);
	return 0;
}

/* While the source runs, at the point in time that was made; else, as it was
 * stopped. */
static int
choose_generation(struct fake_copy *c, struct err *err)
{
	struct precopy_point point;

	c->point = FAKE_STOPPED;
	if (strcmp(c->w->stage->name, "precopy") == 0) {
		if (fake_open_point(c->w, &point, err) < 0)
			return -1;
		c->point = c->generation = point.number;
		c->since = point.since_number;
		return 0;
	}
	if (c->w->view->round > 0 && precopy_applied(c->w, &point))
		c->since = point.number;
	return replica_generation(c->w, &c->generation, err);
}

static int
begin_copy(struct fake_copy *c, struct err *err)
{
	struct work *w = c->w;

	c->epoch = stages_epoch(w->view);
	c->block = mem_new(LEDGER_BLOCK_SIZE);
	if (choose_generation(c, err) < 0 || open_volume(c, err) < 0 ||
	    replica_ledger(w, c->file.id, c->file.is_new, &c->ledger, err) <
		0 ||
	    digest_init(&c->digest, ledger_identity(c->ledger)->digest, err) <
		0)
		return -1;
	c->nblocks = ledger_nblocks(c->ledger);
	if (ledger_applied(c->ledger) < c->since)
		c->since = 0;
	c->stop_at = fake_stops_halfway(w) ? c->nblocks / 2 : c->nblocks;
	c->progress.total_bytes = w->disk->capacity_bytes;
	return ledger_begin(c->ledger, c->generation, err);
}

static bool
is_settled(const struct fake_copy *c, uint64_t block)
{
	struct ledger_entry entry;

	ledger_get(c->ledger, block, &entry);
	if (entry.state != LEDGER_DURABLE)
		return false;
	return entry.generation == c->generation ||
	       (c->since > 0 && !fake_is_written(c->w->view, c->w->disk, block,
						 c->since, c->point));
}

/* Where something else may be, the whole block is written, not its stamp
 * alone. */
static int
write_block(struct fake_copy *c, uint64_t block, bool untouched,
	    struct err *err)
{
	size_t len = block_len(c->w->disk, block);
	size_t data = len < SECTOR ? len : SECTOR;

	stamp(c->w->view, c->w->disk, c->epoch, block, c->point, c->block);
	c->progress.read_bytes += len;
	c->progress.written_bytes += untouched ? data : len;
	return fs_pwrite(c->fd, c->block, untouched ? data : len,
			 (off_t)(block * LEDGER_BLOCK_SIZE), err);
}

static void
take_a_blocks_time(struct fake_copy *c)
{
	unsigned long ms = fake_delay_ms(c->w) / (c->nblocks ? c->nblocks : 1);

	c->progress.done_bytes += LEDGER_BLOCK_SIZE;
	if (c->progress.done_bytes > c->progress.total_bytes)
		c->progress.done_bytes = c->progress.total_bytes;
	work_progress(c->w, c->progress.done_bytes, c->progress.total_bytes);
	if (ms)
		poll(NULL, 0, (int)ms);
}

/* The ledger's two rules, for the blocks of one checkpoint: what is there is
 * called pending before it is overwritten, and durable after the flush. */

static int
mark_pending(struct fake_copy *c, uint64_t end, struct err *err)
{
	bool any = false;

	for (uint64_t b = c->next; b < end; b++)
		if (!is_settled(c, b) &&
		    !ledger_is_untouched(c->ledger, b, c->generation)) {
			ledger_pending(c->ledger, b, c->generation);
			any = true;
		}
	return any ? ledger_sync(c->ledger, err) : 0;
}

static int
write_blocks(struct fake_copy *c, uint64_t end, struct err *err)
{
	for (uint64_t b = c->next; b < end; b++) {
		bool untouched =
		    ledger_is_untouched(c->ledger, b, c->generation);

		if (is_settled(c, b))
			c->progress.skipped_bytes += block_len(c->w->disk, b);
		else if (write_block(c, b, untouched, err) < 0)
			return err_wrap(err, "'%s'", c->volume.path);
		take_a_blocks_time(c);
	}
	if (fsync(c->fd) < 0)
		return err_sys(err, "cannot sync '%s'", c->volume.path);
	return 0;
}

static int
mark_durable(struct fake_copy *c, uint64_t end, struct err *err)
{
	for (; c->next < end; c->next++) {
		uint8_t digest[LEDGER_DIGEST_SIZE];

		if (is_settled(c, c->next))
			continue;
		stamp(c->w->view, c->w->disk, c->epoch, c->next, c->point,
		      c->block);
		if (digest_block(&c->digest, c->block,
				 block_len(c->w->disk, c->next), digest,
				 err) < 0)
			return -1;
		ledger_durable(c->ledger, c->next, c->generation, digest);
	}
	return ledger_sync(c->ledger, err);
}

static int
copy_blocks(struct fake_copy *c, struct err *err)
{
	uint64_t bytes = c->w->view->plan->policy->checkpoint.bytes;
	uint64_t most =
	    bytes / LEDGER_BLOCK_SIZE ? bytes / LEDGER_BLOCK_SIZE : 1;

	while (c->next < c->stop_at) {
		uint64_t end =
		    c->stop_at - c->next < most ? c->stop_at : c->next + most;

		if (mark_pending(c, end, err) < 0 ||
		    write_blocks(c, end, err) < 0 ||
		    mark_durable(c, end, err) < 0)
			return -1;
		if (work_stopping(c->w))
			return err_set(err, ERR_CANCELLED,
				       "the copy was asked to stop");
	}
	if (c->stop_at < c->nblocks)
		return err_set(err, ERR_FAIL, "stops halfway, as asked");
	return ledger_set_applied(c->ledger, c->generation, err);
}

int
fake_copy(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(fake_copy_done) struct fake_copy c = {.w = w, .fd = -1};
	const struct fake_writer *fw = fake_writer_of(w->view);
	int64_t begun = clock_wall_ms();

	if (fake_is_idle(w) || (is_made_up(w->view) && !fw))
		return 0;
	if (fw) {
		fake_take_time(w);
		*ret_facts = fake_writer_copied(fw, w, begun);
		return 0;
	}
	work_catch_stop(w);
	if (begin_copy(&c, err) < 0 || copy_blocks(&c, err) < 0)
		return -1;
	*ret_facts = replica_facts(w, &c.volume, c.file.id, c.ledger,
				   c.generation, &c.progress);
	precopy_tell(*ret_facts,
		     &(struct precopy_told){
			 .pass = c.since ? COPY_CHANGED : COPY_ALL,
			 .changed = c.since ? c.progress.read_bytes : 0,
			 .begun_ms = begun});
	return 0;
}

int
fake_verify(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(volume_done) struct volume volume = {0};
	const struct fake_writer *fw = fake_writer_of(w->view);
	int64_t begun = clock_wall_ms();

	if (fake_is_idle(w) || (is_made_up(w->view) && !fw))
		return 0;
	if (fw) {
		fake_take_time(w);
		*ret_facts = fake_writer_read(w, begun);
		return 0;
	}
	volume_of(w->view, w->disk, &volume);
	return replica_verify(w, &volume, ret_facts, err);
}

/* Conversion and commit. */

/* What a conversion makes of a disk rests on all of its bytes. */
static int
convert_disk(const struct view *v, const struct inv_disk *disk,
	     struct buf *overlay, struct err *err)
{
	CLEANUP(mem_freep) char *path = place_ledger(v, disk);
	struct ledger *ledger;
	char root[65];
	int rc;

	if (ledger_open_readonly(path, &ledger, err) < 0)
		return -1;
	if (ledger_sealed(ledger))
		rc = err_set(err, ERR_FAIL,
			     "disk '%s' is committed already: nothing is "
			     "converted twice",
			     disk->id);
	else
		rc = ledger_root(ledger, root, err);
	ledger_close(ledger);
	if (rc == 0)
		buf_printf(overlay, "%s converted from %s\n", disk->id, root);
	return rc;
}

static int
convert_disks(const struct view *v, struct buf *ret, struct err *err)
{
	for (size_t i = 0; i < v->vm->ndisks; i++)
		if (convert_disk(v, &v->vm->disks[i], ret, err) < 0)
			return -1;
	return 0;
}

static int
convert_to(const struct view *v, const char *what, struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(v, what);
	CLEANUP(buf_done) struct buf overlay = {0};

	if (is_made_up(v))
		return 0;
	if (convert_disks(v, &overlay, err) < 0)
		return -1;
	return fs_write(path, overlay.data, overlay.len, 0600, err);
}

int
fake_convert(struct work *w, json_t **ret_facts, struct err *err)
{
	(void)ret_facts;
	return convert_to(w->view, "overlay", err);
}

static int
read_overlay(const struct view *v, struct buf *ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(v, "overlay");

	if (fs_read(path, OVERLAY_MAX, false, ret, err) < 0)
		return err_wrap(err, "reading what was converted");
	return 0;
}

int
fake_boot_test(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(buf_done) struct buf overlay = {0};

	(void)ret_facts;
	if (fake_boots_like(w, "unbootable"))
		return err_set(err, ERR_FAIL,
			       "boot test failed: unbootable, as asked");
	if (fake_boots_like(w, "silent") &&
	    w->view->plan->policy->boot_probe.inconclusive != INCONCLUSIVE_PASS)
		return err_set(err, ERR_FAIL,
			       "boot test inconclusive: silent, as asked");
	/* in raw copy mode it is the replica that is booted */
	if (is_made_up(w->view) || !w->view->shape->converted)
		return 0;
	return read_overlay(w->view, &overlay, err);
}

int
fake_rehearse(struct work *w, json_t **ret_facts, struct err *err)
{
	if (fake_is_idle(w))
		return 0;
	*ret_facts = json_pack("{s:s, s:i, s:I}", "result", "converted",
			       INPUTS_ROUND, (int)w->view->round, STAGES_TOOK,
			       (json_int_t)fake_delay_ms(w));
	return convert_to(w->view, "rehearsal", err);
}

/* Are the replicas as they were converted? */
static int
look_at_replicas(struct work *w, const char *path, const json_t *facts,
		 struct err *err)
{
	const struct view *v = w->view;
	CLEANUP(buf_done) struct buf then = {0}, now = {0};

	if (is_made_up(v) || !v->shape->converted)
		return 0;
	if (!fs_exists(path))
		return rehearsal_again(w, err);
	if (fs_read(path, OVERLAY_MAX, false, &then, err) < 0 ||
	    convert_disks(v, &now, err) < 0)
		return -1;
	if (then.len != now.len || memcmp(then.data, now.data, now.len) != 0)
		return err_set(err, ERR_BUG,
			       "a replica was written while it was rehearsed");
	return rehearsal_keep(w, facts, err) < 0 ? -1 : fs_remove(path, err);
}

bool
fake_is_rehearsed(const struct work *w, json_t **ret_facts)
{
	json_t *kept = rehearsal_kept(w);

	if (!kept)
		return false;
	*ret_facts = kept;
	return true;
}

int
fake_forget_rehearsal(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(w->view, "rehearsal");

	(void)ret_facts;
	return fs_exists(path) ? fs_remove(path, err) : 0;
}

int
fake_boot_rehearsal(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(w->view, "rehearsal");
	const char *result = "passed", *line = "it is up";

	if (fake_is_idle(w))
		return 0;
	if (fake_boots_like(w, "unbootable")) {
		result = "failed";
		line = "unbootable, as asked";
	} else if (fake_boots_like(w, "silent")) {
		result = "inconclusive";
		line = "silent, as asked";
	}
	*ret_facts = json_pack("{s:s, s:s, s:i, s:I}", "result", result, "line",
			       line, INPUTS_ROUND, (int)w->view->round,
			       STAGES_TOOK, (json_int_t)fake_delay_ms(w));
	return look_at_replicas(w, path, *ret_facts, err);
}

static int
commit_disk(const struct view *v, const struct inv_disk *disk,
	    const char *converted, size_t len, struct err *err)
{
	bool fits = disk->capacity_bytes >= (uint64_t)2 * SECTOR;
	CLEANUP(mem_freep) char *path = fake_path(v, disk->id);
	CLEANUP(mem_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
	char sector[SECTOR] = {0};

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	memcpy(sector, converted, len < SECTOR ? len : SECTOR);
	if (fits && fs_pwrite(fd, sector, SECTOR, SECTOR, err) < 0)
		return err_wrap(err, "'%s'", path);
	if (fsync(fd) < 0)
		return err_sys(err, "cannot sync '%s'", path);
	return 0;
}

/* All are sealed before the first is written. */
int
fake_commit(struct work *w, json_t **ret_facts, struct err *err)
{
	const struct view *v = w->view;
	CLEANUP(buf_done) struct buf overlay = {0};
	const char *line;

	(void)ret_facts;
	if (is_made_up(v))
		return 0;
	if (read_overlay(v, &overlay, err) < 0 ||
	    fake_change(v, "disks", "committed", err) < 0)
		return -1;
	for (size_t i = 0; i < v->vm->ndisks; i++)
		if (replica_seal(v, &v->vm->disks[i], err) < 0)
			return -1;
	line = overlay.data;
	for (size_t i = 0; i < v->vm->ndisks; i++) {
		size_t len = strcspn(line, "\n");

		if (commit_disk(v, &v->vm->disks[i], line, len, err) < 0)
			return -1;
		line += len + (line[len] == '\n');
	}
	return 0;
}

int
fake_cleanup(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(w->view, "overlay");

	if (fake_forget_rehearsal(w, ret_facts, err) < 0)
		return -1;
	return fs_exists(path) ? fs_remove(path, err) : 0;
}

int
fake_remove_disks(struct work *w, json_t **ret_facts, struct err *err)
{
	const struct view *v = w->view;

	for (size_t i = 0; i < v->vm->ndisks; i++) {
		CLEANUP(mem_freep)
		char *path = fake_path(v, v->vm->disks[i].id);
		CLEANUP(mem_freep)
		char *ledger = place_ledger(v, &v->vm->disks[i]);

		if (copy_file_remove(path, err) < 0 ||
		    fs_remove(ledger, err) < 0)
			return -1;
	}
	return fake_cleanup(w, ret_facts, err);
}

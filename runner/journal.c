/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to, replaying and cutting the journal. */
#include "journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "manifests/digest.h"

#define SUM_SIZE 32 /* hex digits */
#define SUM_KEY ",\"sum\":\""
#define SUM_TAIL (sizeof(SUM_KEY) - 1 + SUM_SIZE + 2) /* ,"sum":"..."} */
/* what can be torn when nothing was confirmed yet: one record */
#define FIRST_BATCH_MAX 4096
/* what a compacted journal begins with */
#define HEAD_RECORDS 2

struct journal {
	int fd;
	char *path;
	json_int_t seq; /* of the last record, also of those not yet synced */
	json_int_t batch;
	size_t confirmed;	   /* bytes known to be on disk */
	char sum[DIGEST_HEX_SIZE]; /* of the last record, cut to SUM_SIZE */
	struct buf pending;
	json_t *unconfirmed; /* the same records, for visit */
	journal_visit_fn *visit;
	void *arg;
	bool poisoned;
	struct events *tee;
	char *tee_vm;
	char *begun; /* what began it, for a stream that comes later */
};

/* A replay as it goes. */
struct replay {
	const char *path;
	const char *text;
	size_t len;
	size_t good; /* end of the last good record */
	size_t nrecords;
	json_int_t first, seq; /* of the first and of the last good record */
	bool compacted;
	char sum[DIGEST_HEX_SIZE];
	journal_visit_fn *visit;
	void *arg;
};

static void
sum_of(const char *previous, const char *line, size_t len,
       char ret[DIGEST_HEX_SIZE])
{
	digest_chain(previous, line, len, ret);
	ret[SUM_SIZE] = '\0';
}

/* The record of one line (without its newline), or NULL when the line is not
 * what was written after `previous`. */
static json_t *
decode_line(const char *line, size_t len, const char *previous,
	    char ret_sum[DIGEST_HEX_SIZE])
{
	const char *tail = line + len - SUM_TAIL;

	if (len <= SUM_TAIL || memcmp(tail, SUM_KEY, sizeof(SUM_KEY) - 1) != 0)
		return NULL;
	sum_of(previous, line, len - SUM_TAIL, ret_sum);
	if (memcmp(ret_sum, tail + sizeof(SUM_KEY) - 1, SUM_SIZE) != 0)
		return NULL;
	return json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
}

/* The chain vouches for the numbers: only the first is not known before. */
static void
note_record(struct replay *r, const json_t *record)
{
	if (r->nrecords++ == 0) {
		r->seq = json_integer_value(json_object_get(record, "seq")) - 1;
		r->first = r->seq + 1;
		r->compacted =
		    json_is_true(json_object_get(record, "compacted"));
	}
	r->seq++;
}

/* Replays records until the end or the first line that is not good. */
static int
replay_good(struct replay *r, struct err *err)
{
	for (;;) {
		const char *line = r->text + r->good;
		const char *end = memchr(line, '\n', r->len - r->good);
		char sum[DIGEST_HEX_SIZE];
		json_t *record;
		int rc;

		if (!end)
			return 0;
		record = decode_line(line, (size_t)(end - line), r->sum, sum);
		if (!record)
			return 0;
		note_record(r, record);
		rc = r->visit ? r->visit(r->arg, record, err) : 0;
		json_decref(record);
		if (rc < 0)
			return err_wrap(err, "journal '%s', byte %zu", r->path,
					r->good);
		memcpy(r->sum, sum, sizeof(sum));
		r->good = (size_t)(end + 1 - r->text);
	}
}

/* After the last good record: is anything there from a batch that was begun
 * after the bad line's, and so after the bad line had been confirmed? */
static bool
has_later_batch(const struct replay *r)
{
	const char *at = r->text + r->good, *end = r->text + r->len;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		json_t *record;
		json_int_t batch;

		if (!stop)
			return false;
		record = json_loadb(at, (size_t)(stop - at), 0, NULL);
		batch = json_integer_value(json_object_get(record, "batch"));
		json_decref(record);
		if (batch > r->seq + 1)
			return true;
		at = stop + 1;
	}
	return false;
}

/* What was written aside cannot be torn, only damaged. */
static bool
is_head_damaged(const struct replay *r)
{
	long long first;

	if (r->nrecords > 0)
		return r->compacted && r->nrecords < HEAD_RECORDS;
	return sscanf(r->text, "{\"seq\":%lld,", &first) == 1 && first != 1;
}

static int
replay(struct replay *r, struct err *err)
{
	if (replay_good(r, err) < 0)
		return -1;
	if (r->good == 0 && r->len > FIRST_BATCH_MAX)
		return err_set(err, ERR_FAIL,
			       "'%s' is no journal, or its very beginning is "
			       "damaged; nothing is done to this vm. Restore "
			       "the file from a backup, or set the whole "
			       "state directory aside to start this vm afresh",
			       r->path);
	if (is_head_damaged(r) || (r->good < r->len && has_later_batch(r)))
		return err_set(
		    err, ERR_FAIL,
		    "journal '%s' is damaged at byte %zu (record %lld), where "
		    "all was confirmed; nothing is done to this vm. "
		    "Restore the file from a backup, or set the whole state "
		    "directory aside to start this vm afresh",
		    r->path, r->good, (long long)r->seq + 1);
	return 0;
}

int
journal_read(const char *path, journal_visit_fn *visit, void *arg,
	     struct journal_report *ret, struct err *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct replay r = {.path = path, .visit = visit, .arg = arg};

	if (fs_read(path, JOURNAL_MAX, true, &text, err) < 0) {
		/* it is ours: no manifest is to blame */
		err->class = err->class == ERR_USER ? ERR_FAIL : err->class;
		return -1;
	}
	r.text = text.data ? text.data : "";
	r.len = text.len;
	if (replay(&r, err) < 0)
		return -1;
	if (ret) {
		ret->nrecords = r.nrecords;
		ret->ncompacted = r.compacted ? (size_t)r.first - 1 : 0;
		ret->bytes = r.good;
		ret->torn = r.len - r.good;
	}
	return 0;
}

static int
sync_name(const struct journal *j, struct err *err)
{
	CLEANUP(mem_freep) char *dir = fs_dirname(j->path);

	return fs_sync_dir(dir, err);
}

static int
open_file(struct journal *j, struct err *err)
{
	j->fd = open(j->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return j->fd < 0 ? err_sys(err, "cannot open journal '%s'", j->path)
			 : 0;
}

/* What is good may have been written and never synced, and so may the name of
 * a file to which nothing was appended yet. */
static int
settle_file(const struct journal *j, const struct replay *r, struct err *err)
{
	/* nobody was told about a torn tail: its step runs again */
	if ((r->good < r->len && ftruncate(j->fd, (off_t)r->good) < 0) ||
	    (r->len > 0 && fdatasync(j->fd) < 0))
		return err_sys(err, "cannot trim journal '%s'", j->path);
	if (r->nrecords <= (r->compacted ? HEAD_RECORDS : 0))
		return sync_name(j, err);
	return 0;
}

int
journal_open(const char *path, journal_visit_fn *visit, void *arg,
	     struct journal **ret, struct err *err)
{
	struct journal *j = mem_new(sizeof(*j));
	CLEANUP(buf_done) struct buf text = {0};
	struct replay r = {.path = path, .visit = visit, .arg = arg};

	j->fd = -1;
	j->path = mem_strdup(path);
	j->unconfirmed = json_array();
	j->visit = visit;
	j->arg = arg;
	if (open_file(j, err) < 0 ||
	    fs_read(path, JOURNAL_MAX, false, &text, err) < 0)
		goto fail;
	r.text = text.data;
	r.len = text.len;
	if (replay(&r, err) < 0 || settle_file(j, &r, err) < 0)
		goto fail;
	j->seq = r.seq;
	j->confirmed = r.good;
	memcpy(j->sum, r.sum, sizeof(r.sum));
	*ret = j;
	return 0;
fail:
	journal_close(j);
	return -1;
}

void
journal_close(struct journal *j)
{
	if (!j)
		return;
	mem_closep(&j->fd);
	buf_done(&j->pending);
	json_decref(j->unconfirmed);
	free(j->tee_vm);
	free(j->begun);
	free(j->path);
	free(j);
}

/* Adds one line to `out` and moves `sum` on; the record is a new reference. */
static json_t *
encode(struct buf *out, json_int_t seq, json_int_t batch, const char *type,
       json_t *fields, char sum[DIGEST_HEX_SIZE])
{
	char time[CLOCK_TEXT_SIZE];
	json_t *record = json_object();
	char *line;

	json_object_set_new(record, "seq", json_integer(seq));
	json_object_set_new(record, "batch", json_integer(batch));
	json_object_set_new(record, "time",
			    json_string(clock_format(clock_wall_ms(), time)));
	json_object_set_new(record, "type", json_string(type));
	json_object_update(record, fields);
	line = json_dumps(record, JSON_COMPACT);
	line[strlen(line) - 1] = '\0'; /* the closing brace comes last */
	sum_of(sum, line, strlen(line), sum);
	buf_printf(out, "%s" SUM_KEY "%s\"}\n", line, sum);
	free(line);
	json_decref(fields);
	return record;
}

void
journal_add(struct journal *j, const char *type, json_t *fields)
{
	if (j->pending.len == 0)
		j->batch = j->seq + 1;
	j->seq++;
	json_array_append_new(
	    j->unconfirmed,
	    encode(&j->pending, j->seq, j->batch, type, fields, j->sum));
}

static int
visit_confirmed(struct journal *j, struct err *err)
{
	size_t i;
	json_t *record;
	int rc = 0;

	json_array_foreach(j->unconfirmed, i, record)
	{
		if (rc == 0 && j->visit)
			rc = j->visit(j->arg, record, err);
	}
	json_array_clear(j->unconfirmed);
	return rc;
}

static void
tee_lines(struct journal *j, const char *line)
{
	const char *end;

	for (; (end = strchr(line, '\n')); line = end + 1)
		events_add(j->tee, j->tee_vm, line, (size_t)(end - line));
}

void
journal_tee(struct journal *j, struct events *to, const char *vm)
{
	j->tee = to;
	free(j->tee_vm);
	j->tee_vm = mem_strdup(vm);
	if (to && j->begun)
		tee_lines(j, j->begun);
	free(steal(&j->begun));
}

/* A file nobody can find again keeps nothing: somebody removed the state
 * directory, or put another in its place. */
static int
check_place(const struct journal *j, struct err *err)
{
	struct stat ours, there;

	if (fstat(j->fd, &ours) == 0 && stat(j->path, &there) == 0 &&
	    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		return 0;
	return err_set(err, ERR_FAIL,
		       "the journal '%s' was removed or replaced while a run "
		       "works with it",
		       j->path);
}

/* What could not be read again is better not written. */
static int
check_room(const struct journal *j, struct err *err)
{
	if (j->confirmed + j->pending.len <= JOURNAL_MAX)
		return 0;
	return err_set(err, ERR_RETRY,
		       "journal '%s' would be longer than %zu MiB, and it "
		       "could not be compacted; its log says why: make room "
		       "where it is and run again",
		       j->path, JOURNAL_MAX / 1024 / 1024);
}

int
journal_sync(struct journal *j, struct err *err)
{
	if (j->poisoned)
		return err_set(err, ERR_RETRY,
			       "journal '%s' could not be written earlier",
			       j->path);
	if (j->pending.len == 0)
		return 0;
	if (check_place(j, err) < 0 || check_room(j, err) < 0) {
		j->poisoned = true;
		return -1;
	}
	if (fs_write_all(j->fd, j->pending.data, j->pending.len, err) < 0 ||
	    (fdatasync(j->fd) < 0 && err_sys(err, "cannot sync") < 0)) {
		j->poisoned = true;
		/* after a failed sync the file may read back what the disk
		 * never got: the next run had better not see it */
		(void)!ftruncate(j->fd, (off_t)j->confirmed);
		return err_wrap(err, "journal '%s'", j->path);
	}
	if (j->tee)
		tee_lines(j, j->pending.data);
	else if (j->confirmed == 0)
		j->begun = mem_strdup(j->pending.data);
	j->confirmed += j->pending.len;
	buf_reset(&j->pending);
	return visit_confirmed(j, err);
}

size_t
journal_size(const struct journal *j)
{
	return j->confirmed;
}

/* Compaction. */

static void
encode_head(struct journal *j, json_t *open, json_t *state, struct buf *ret,
	    char ret_sum[DIGEST_HEX_SIZE])
{
	json_int_t seq = j->seq + 1;

	ret_sum[0] = '\0';
	json_object_set_new(open, "compacted", json_true());
	json_decref(encode(ret, seq, seq, "open", open, ret_sum));
	json_decref(encode(ret, seq + 1, seq + 1, "state",
			   json_pack("{s:o}", "state", state), ret_sum));
}

/* A whole file under another name; -1 for the descriptor when it is not. */
static int
write_aside(const char *aside, const struct buf *text, struct err *err)
{
	CLEANUP(mem_closep)
	int fd = open(aside, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
		      0600);
	int whole;

	if (fd < 0)
		return err_sys(err, "cannot create '%s'", aside);
	if (fs_write_all(fd, text->data, text->len, err) < 0)
		return err_wrap(err, "'%s'", aside);
	if (fsync(fd) < 0)
		return err_sys(err, "cannot sync '%s'", aside);
	whole = fd;
	fd = -1;
	return whole;
}

int
journal_compact(struct journal *j, json_t *open, json_t *state, struct err *err)
{
	CLEANUP(mem_freep) char *aside = mem_printf("%s.new", j->path);
	CLEANUP(buf_done) struct buf text = {0};
	char sum[DIGEST_HEX_SIZE];
	int fd;

	encode_head(j, open, state, &text, sum);
	if (j->poisoned || j->pending.len > 0)
		return err_set(err, ERR_BUG, "'%s' is not synced", j->path);
	if (check_place(j, err) < 0)
		return -1;
	fd = write_aside(aside, &text, err);
	if (fd < 0 || rename(aside, j->path) < 0) {
		if (fd >= 0)
			err_sys(err, "cannot rename '%s'", aside);
		mem_closep(&fd);
		unlink(aside);
		return -1;
	}
	close(j->fd);
	j->fd = fd;
	j->seq += HEAD_RECORDS;
	j->confirmed = text.len;
	memcpy(j->sum, sum, sizeof(sum));
	if (sync_name(j, err) < 0) {
		/* after a power cut either file may have the name */
		j->poisoned = true;
		return -1;
	}
	if (j->tee)
		tee_lines(j, text.data);
	return 0;
}

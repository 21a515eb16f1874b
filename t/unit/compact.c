/* SPDX-License-Identifier: Apache-2.0 */
/* A compacted journal amounts to what the long one did, whatever was in it,
 * and goes on as that would have. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "history.h"
#include "history_json.h"
#include "journal.h"
#include "t/tap.h"

static struct err err;
static uint64_t dice = 7;

static unsigned
roll(unsigned sides)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice % sides);
}

struct book {
	char *path;
	struct journal *journal;
	struct history *history;
};

static struct book
book_open(const char *name)
{
	struct book b = {.path = fs_path(tap_dir(), name),
			 .history = history_new()};

	if (journal_open(b.path, history_visit, b.history, &b.journal, &err) <
	    0)
		tap_diag("%s", err.text);
	return b;
}

static void
book_close(struct book *b)
{
	journal_close(b->journal);
	history_free(b->history);
	free(b->path);
}

static json_t *
open_fields(void)
{
	return json_pack("{s:i, s:s, s:s}", "version", JOURNAL_VERSION, "uuid",
			 "u-u-i-d", "plan", "t/p");
}

static void
book_compact(struct book *b)
{
	if (journal_compact(b->journal, open_fields(),
			    history_to_json(b->history), &err) < 0)
		tap_diag("%s", err.text);
}

/* Takes the reference; two records a batch at most. */
static void
write_down(struct book *b, const char *type, json_t *fields)
{
	journal_add(b->journal, type, fields);
	if (roll(3) && journal_sync(b->journal, &err) < 0)
		tap_diag("%s", err.text);
}

static const char *const steps[] = {
    "validate",	    "cutover", "cutover/disk-0", "verify/disk-0",
    "undo/cutover", "convert", "commit",	 "undo/commit",
    "gc/disks",	    "start",   "post-hook",	 "cleanup",
};

static const char *
any_step(void)
{
	return steps[roll(sizeof(steps) / sizeof(steps[0]))];
}

static json_t *
any_process(void)
{
	return json_pack("{s:i, s:i, s:i, s:s}", "pid", (int)roll(30000) + 2,
			 "start", (int)roll(100000), "session", (int)roll(3),
			 "boot", "b-o-o-t/1");
}

static json_t *
any_result(const char *step)
{
	static const char *const classes[] = {"retry", "fail", "mismatch",
					      "cancelled", "again"};

	if (roll(2))
		return json_pack("{s:s, s:b, s:{s:s, s:i, s:s}}", "step", step,
				 "alone", roll(2), "facts", "say", "d\u00f6ne",
				 "generation", (int)roll(9), "pass",
				 roll(2) ? "all" : "changed");
	return json_pack("{s:s, s:{s:s, s:s}, s:{s:i, s:b}}", "step", step,
			 "error", "class", classes[roll(5)], "text",
			 "went \"wrong\"", "retry", "wait", (int)roll(99),
			 "usedUp", roll(2));
}

/* Any record that a run might write, as fields; its type by *ret. */
static json_t *
any_record(const char **ret)
{
	const char *step = any_step();

	switch (roll(21)) {
	case 0:
		*ret = "run";
		return json_pack("{s:i}", "pid", 7);
	case 1:
		*ret = "stop";
		return roll(2) ? json_pack("{s:s, s:s}", "class", "fail",
					   "error", "why")
			       : json_pack("{s:b, s:b}", "finished", roll(2),
					   "rolledBack", roll(2));
	case 2:
		*ret = "bind";
		return json_pack("{s:s, s:s, s:s}", "sourceId", "id-1",
				 "targetName", "web", "inventory", "digest");
	case 3:
		*ret = "rollback";
		return json_pack("{s:b}", "discard", roll(2));
	case 4:
		*ret = roll(5) ? "gc" : "afresh";
		return json_object();
	case 5:
		*ret = "redo";
		return json_pack("{s:s}", "step", step);
	case 6:
		*ret = "request";
		return json_pack("{s:s, s:b, s:s}", "kind",
				 roll(2) ? "cancel" : "cutover", "revoke",
				 roll(3) == 0, "by", "me");
	case 7:
		*ret = "record";
		return json_pack("{s:s, s:s, s:s}", "step", step, "key", "void",
				 "value", any_step());
	case 8:
		*ret = "record";
		return json_pack("{s:s, s:s, s:o}", "step", step, "key",
				 "helper", "value", any_process());
	case 9:
		*ret = "record";
		return json_pack("{s:s, s:s, s:{s:i}}", "step", step, "key",
				 roll(2) ? "power" : "snapshot", "value", "n",
				 (int)roll(99));
	case 10:
		*ret = "renew";
		return json_pack("{s:b}", "aside", roll(2));
	case 11:
		*ret = "retries";
		return json_pack("{s:s}", "step", step);
	case 12:
		*ret = "record";
		return json_pack("{s:s, s:s, s:s}", "step", "cutover", "key",
				 "power", "value", roll(4) ? "on" : "off");
	case 14:
		*ret = "record";
		return json_pack("{s:s, s:s, s:{s:s, s:i}}", "step", step,
				 "key", roll(4) ? "differs" : "agrees", "value",
				 "disk", roll(2) ? "disk-0" : "disk-1",
				 "generation", (int)roll(9));
	case 13:
		*ret = "of a later program";
		return json_pack("{s:i}", "n", 1);
	default:
		break;
	}
	if (roll(2)) {
		*ret = "result";
		return any_result(step);
	}
	*ret = "intent";
	return json_pack("{s:s, s:i, s:s, s:{s:s}, s:o}", "step", step,
			 "attempt", 1, "fingerprint", "f-1", "inputs", "disk",
			 "d-1", "process", any_process());
}

/* Two journals that agreed until one was compacted: its numbers are higher by
 * `extra` behind that of record `from`. */
static json_t *
comparable(const struct history *h, json_int_t from, json_int_t extra)
{
	static const char *const seqs[] = {"begunSeq", "doneSeq", "voidSeq"};
	json_t *json = history_to_json(h), *one;
	const char *key;
	size_t i;

	json_array_foreach(json_object_get(json, "steps"), i, one)
	{
		for (int k = 0; k < 3; k++) {
			json_int_t seq =
			    json_integer_value(json_object_get(one, seqs[k]));

			if (seq > from)
				json_object_set_new(one, seqs[k],
						    json_integer(seq - extra));
		}
	}
	json_object_foreach(json_object_get(json, "requests"), key, one)
	{
		json_t *bare = json_copy(one);

		json_object_del(bare, "seq");
		json_object_del(bare, "batch");
		json_object_del(bare, "sum"); /* not while it is written */
		json_object_set_new(json_object_get(json, "requests"), key,
				    bare);
	}
	return json;
}

static bool
is_same(json_t *want, json_t *got)
{
	bool same = json_equal(want, got);
	static bool said;

	if (!same && !said) {
		char *a = json_dumps(want, JSON_SORT_KEYS);
		char *b = json_dumps(got, JSON_SORT_KEYS);

		tap_diag("want %s\n# got %s", a, b);
		said = true;
		free(a);
		free(b);
	}
	json_decref(want);
	json_decref(got);
	return same;
}

static bool
reads_as(const struct book *b, json_int_t from, json_int_t extra, json_t *want)
{
	struct history *h = history_new();
	bool same;

	if (journal_read(b->path, history_visit, h, NULL, &err) < 0)
		tap_diag("%s", err.text);
	same = is_same(want, comparable(h, from, extra)) &&
	       strcmp(h->plan, "t/p") == 0 && strcmp(h->uuid, "u-u-i-d") == 0;
	history_free(h);
	return same;
}

/* `n` records into both, at times that do not tell them apart. */
static void
write_same(struct book *a, struct book *b, int n)
{
	for (int i = 0; i < n; i++) {
		const char *type;
		json_t *fields = any_record(&type);
		CLEANUP(mem_freep)
		char *time = mem_printf("2026-11-20T00:00:%02d.000Z", i);

		json_object_set_new(fields, "time", json_string(time));
		write_down(a, type, json_deep_copy(fields));
		write_down(b, type, fields);
	}
	if (journal_sync(a->journal, &err) < 0 ||
	    journal_sync(b->journal, &err) < 0)
		tap_diag("%s", err.text);
}

static bool
holds(int length)
{
	struct book a = book_open("long"), b = book_open("short");
	json_int_t records = length + 1;
	bool good;

	write_down(&a, "open", open_fields());
	write_down(&b, "open", open_fields());
	write_same(&a, &b, length);
	book_compact(&b);
	good = reads_as(&b, records, 2, comparable(a.history, records, 0));
	write_same(&a, &b, (int)roll(20));
	good &= reads_as(&b, records, 2, comparable(a.history, records, 0)) &&
		is_same(comparable(a.history, records, 0),
			comparable(b.history, records, 2));
	unlink(a.path);
	unlink(b.path);
	book_close(&a);
	book_close(&b);
	return good;
}

static void
test_property(void)
{
	enum { TRIALS = 100 };
	int held = 0;

	for (int i = 0; i < TRIALS; i++)
		held += holds((int)roll(80));
	is_int(held, TRIALS, "any journal, compacted, amounts to the same");
}

/* The same, again and again, opened by another each time. */
static void
test_many_times(void)
{
	struct book a = book_open("long");
	json_int_t last = 0;
	json_t *want;
	bool rising = true, good = true;

	write_down(&a, "open", open_fields());
	for (int i = 0; i < 20; i++) {
		const struct step_history *s;

		write_down(&a, "intent",
			   json_pack("{s:s, s:s}", "step", "validate",
				     "fingerprint", "f"));
		if (journal_sync(a.journal, &err) < 0)
			tap_diag("%s", err.text);
		s = history_step(a.history, "validate");
		rising &= s->begun_seq > last;
		last = s->begun_seq;
		book_compact(&a);
		want = history_to_json(a.history);
		book_close(&a);
		a = book_open("long");
		good &= is_same(want, history_to_json(a.history));
	}
	ok(rising, "numbers go on");
	ok(good, "compacted 20 times it amounts to the same");
	is_int(history_step(a.history, "validate")->attempts, 20,
	       "and knows how often things were tried");
	unlink(a.path);
	book_close(&a);
}

/* Bytes of the records a journal of this text is read to have; -1: refused. */
static long long
read_text(const char *path, const char *text, size_t len)
{
	struct journal_report report;
	struct history *h = history_new();
	long long got = -1;

	if (fs_write(path, text, len, 0600, &err) < 0)
		tap_diag("%s", err.text);
	if (journal_read(path, history_visit, h, &report, &err) == 0)
		got = (long long)report.bytes;
	history_free(h);
	return got;
}

/* What was written aside is never a torn tail. */
static void
test_damage(void)
{
	struct book b = book_open("hurt");
	CLEANUP(buf_done) struct buf text = {0};
	size_t head, wrong = 0;

	write_down(&b, "open", open_fields());
	for (int i = 0; i < 3; i++)
		write_down(&b, "redo", json_pack("{s:s}", "step", "validate"));
	if (journal_sync(b.journal, &err) < 0)
		tap_diag("%s", err.text);
	book_compact(&b);
	head = journal_size(b.journal);
	write_down(&b, "redo", json_pack("{s:s}", "step", "cutover"));
	if (journal_sync(b.journal, &err) < 0 ||
	    fs_read(b.path, 1 << 20, false, &text, &err) < 0)
		tap_diag("%s", err.text);
	for (int tail = 0; tail < 2; tail++) {
		size_t len = tail ? text.len : head;

		for (size_t i = 0; i < head; i++) {
			text.data[i] ^= 0x01;
			wrong += read_text(b.path, text.data, len) >= 0;
			text.data[i] ^= 0x01;
		}
	}
	is_int((long long)wrong, 0, "a flipped bit in the head is refused");
	wrong = 0;
	/* of less than that not even the first number is left */
	for (size_t len = strlen("{\"seq\":5,"); len < text.len; len++)
		wrong += read_text(b.path, text.data, len) !=
			 (len < head ? -1 : (long long)head);
	is_int((long long)wrong, 0,
	       "and so is a head cut short; behind it is a torn tail");
	unlink(b.path);
	book_close(&b);
}

/* Whoever adds a field has to add it to history_json.c and here. */
static void
test_fields(void)
{
	is_int((long long)sizeof(struct history), 176,
	       "history_json.c knows all fields of a history");
	is_int((long long)sizeof(struct step_history), 200,
	       "and all of a step's");
}

static void
test_bad_state(void)
{
	static const char *const bad[] = {
	    "{}",
	    "[]",
	    "{\"steps\":[],\"writers\":[],\"requests\":[]}",
	    "{\"steps\":[{}],\"writers\":[],\"requests\":{}}",
	    "{\"steps\":[],\"writers\":[7],\"requests\":{}}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct history *h = history_new();
		json_t *json = json_loads(bad[i], 0, NULL);
		json_t *record =
		    json_pack("{s:s, s:o}", "type", "state", "state", json);

		is_int(history_visit(h, record, &err), -1, bad[i]);
		json_decref(record);
		history_free(h);
	}
	is_int(err.class, ERR_FAIL, "costs the vm, not the run");
}

static void
test_failure(void)
{
	struct book b = book_open("stuck");
	CLEANUP(mem_freep) char *aside = fs_path(tap_dir(), "stuck.new");
	size_t size;

	write_down(&b, "open", open_fields());
	write_down(&b, "redo", json_pack("{s:s}", "step", "validate"));
	if (journal_sync(b.journal, &err) < 0 || mkdir(aside, 0700) < 0)
		tap_diag("%s", err.text);
	size = journal_size(b.journal);
	is_int(journal_compact(b.journal, open_fields(),
			       history_to_json(b.history), &err),
	       -1, "one that cannot be written aside");
	like(err.text, "stuck.new", "says so");
	is_int((long long)journal_size(b.journal), (long long)size,
	       "stays as it was");
	write_down(&b, "redo", json_pack("{s:s}", "step", "validate"));
	is_int(journal_sync(b.journal, &err), 0, "and goes on");
	ok(reads_as(&b, 0, 0, comparable(b.history, 0, 0)), "in one chain");
	rmdir(aside);
	unlink(b.path);
	book_close(&b);
}

int
main(void)
{
	const char *seed = getenv("SEED");

	dice = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	dice += dice == 0;
	tap_diag("SEED=%llu", (unsigned long long)dice);
	test_fields();
	test_property();
	test_many_times();
	test_damage();
	test_bad_state();
	test_failure();
	return tap_done();
}

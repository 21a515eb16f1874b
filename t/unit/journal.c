/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: chained, confirmed in batches; torn tails are cut, damage is
 * refused. */
#include "journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "history.h"
#include "t/tap.h"

static char *path;

static int
count(void *arg, const json_t *record, struct err *err)
{
	(void)record;
	(void)err;
	++*(int *)arg;
	return 0;
}

/* Opens, counts what is there, adds `n` batches of two records. */
static int
write_some(int n)
{
	struct journal *j;
	struct err err;
	int seen = 0, before;

	if (journal_open(path, count, &seen, &j, &err) < 0) {
		tap_diag("%s", err.text);
		return -1;
	}
	before = seen;
	for (int i = 0; i < n; i++) {
		journal_add(j, "a", json_pack("{s:i}", "n", i));
		journal_add(j, "b", json_pack("{s:s}", "text", "\"sum\":\"x"));
		if (journal_sync(j, &err) < 0)
			tap_diag("%s", err.text);
	}
	journal_close(j);
	return before;
}

static void
load(struct buf *b)
{
	struct err err;

	buf_reset(b);
	if (fs_read(path, 1 << 20, false, b, &err) < 0)
		tap_diag("%s", err.text);
}

static void
store(const char *data, size_t len)
{
	struct err err;

	if (fs_write(path, data, len, 0600, &err) < 0)
		tap_diag("%s", err.text);
}

static void
test_every_cut(void)
{
	CLEANUP(buf_done) struct buf whole = {0};
	struct journal_report report;
	struct err err;
	size_t wrong = 0, lost = 0;

	load(&whole);
	for (size_t len = 0; len <= whole.len; len++) {
		int seen = 0, lines = 0;

		for (size_t i = 0; i < len; i++)
			lines += whole.data[i] == '\n';
		store(whole.data, len);
		if (journal_read(path, count, &seen, &report, &err) < 0)
			wrong++;
		lost += seen != lines || report.bytes + report.torn != len;
	}
	is_int((long long)wrong, 0, "a journal cut anywhere is readable");
	is_int((long long)lost, 0, "and has all records that are whole");
}

static void
test_every_flip(void)
{
	CLEANUP(buf_done) struct buf whole = {0};
	size_t last_batch = 0, silent = 0, refused = 0, cut = 0;
	struct err err;
	char *at;

	load(&whole);
	/* where the last batch of two records begins */
	at = memrchr(whole.data, '\n', whole.len - 1);
	at = memrchr(whole.data, '\n', (size_t)(at - whole.data));
	last_batch = (size_t)(at + 1 - whole.data);
	for (size_t i = 0; i < whole.len; i++) {
		int seen = 0;

		whole.data[i] ^= 0x01;
		store(whole.data, whole.len);
		if (journal_read(path, count, &seen, NULL, &err) < 0)
			refused += i < last_batch;
		else if (i >= last_batch)
			cut++;
		else
			silent++;
		whole.data[i] ^= 0x01;
	}
	is_int((long long)silent, 0,
	       "no flipped bit before the last batch "
	       "goes unnoticed");
	is_int((long long)refused, (long long)last_batch,
	       "each is refused, for confirmed records follow");
	is_int((long long)cut, (long long)(whole.len - last_batch),
	       "in the last batch it is a torn tail");
	store(whole.data, whole.len);
}

static void
test_messages(void)
{
	CLEANUP(buf_done) struct buf whole = {0};
	struct journal *j = NULL;
	struct err err;

	load(&whole);
	whole.data[10] ^= 0x01;
	store(whole.data, whole.len);
	ok(journal_open(path, NULL, NULL, &j, &err) < 0,
	   "damage in the middle is not opened for writing");
	like(err.text, "damaged at byte 0", "the offset is said");
	like(err.text, "Restore", "and what to do");
	is_int(err.class, ERR_FAIL, "it will not mend itself");
	whole.data[10] ^= 0x01;
	store(whole.data, whole.len);
}

static void
test_poison(void)
{
	struct journal *j;
	struct err err;

	if (journal_open("/dev/full", NULL, NULL, &j, &err) < 0) {
		ok(true, "a device is refused as journal");
		return;
	}
	journal_add(j, "a", json_object());
	ok(journal_sync(j, &err) < 0, "a write that fails is an error");
	journal_add(j, "b", json_object());
	ok(journal_sync(j, &err) < 0, "and every one after it");
	journal_close(j);
}

static void
test_newer(void)
{
	CLEANUP(mem_freep) char *newer = fs_path(tap_dir(), "newer");
	struct history *h = history_new();
	struct journal *j = NULL;
	struct err err;

	if (journal_open(newer, NULL, NULL, &j, &err) < 0)
		tap_diag("%s", err.text);
	journal_add(j, "open",
		    json_pack("{s:i, s:s, s:s}", "version", JOURNAL_VERSION + 1,
			      "uuid", "u", "plan", "t/p"));
	ok(journal_sync(j, &err) == 0, "a newer program's journal");
	journal_close(j);
	j = NULL;
	ok(journal_open(newer, history_visit, h, &j, &err) < 0,
	   "is not written to");
	like(err.text, "written by a newer palletjack", "and it is said why");
	is_int(err.class, ERR_FAIL, "that costs the vm, not the run");
	history_free(h);
}

int
main(void)
{
	CLEANUP(buf_done) struct buf text = {0};

	path = fs_path(tap_dir(), "journal");
	is_int(write_some(3), 0, "a new journal is empty");
	is_int(write_some(0), 6, "what was synced is there");
	is_int(write_some(2), 6, "and is added to");
	is_int(write_some(0), 10, "in one chain");
	test_every_cut();
	test_every_flip();
	test_messages();
	load(&text);
	store(text.data, text.len - 7);
	is_int(write_some(1), 9, "a torn tail is cut when it is opened");
	is_int(write_some(0), 11, "and written over");
	test_poison();
	test_newer();
	free(path);
	return tap_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Journals that are kept by the program itself, in place of files
 * (runner/journal.h): for tests of thousands of runs that read them again and
 * again.  There is one at a time. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "journal.h"
#include "t/inline.h"

static struct {
	char *path;
	json_t *records;
} kept;

struct journal {
	journal_visit_fn *visit;
	void *arg;
	size_t confirmed;
};

void
inline_journal_forget(void)
{
	free(steal(&kept.path));
	json_decref(kept.records);
	kept.records = NULL;
}

static int
replay(size_t from, journal_visit_fn *visit, void *arg, struct err *err)
{
	for (size_t i = from; i < json_array_size(kept.records); i++)
		if (visit(arg, json_array_get(kept.records, i), err) < 0)
			return -1;
	return 0;
}

int
journal_open(const char *path, journal_visit_fn *visit, void *arg,
	     struct journal **ret, struct err *err)
{
	struct journal *j = mem_new(sizeof(*j));

	if (!kept.path || strcmp(kept.path, path) != 0) {
		inline_journal_forget();
		kept.path = mem_strdup(path);
		kept.records = json_array();
	}
	*j = (struct journal){visit, arg, json_array_size(kept.records)};
	*ret = j;
	return replay(0, visit, arg, err);
}

void
journal_close(struct journal *j)
{
	free(j);
}

void
journal_add(struct journal *j, const char *type, json_t *fields)
{
	char time[CLOCK_TEXT_SIZE];
	json_int_t seq = (json_int_t)json_array_size(kept.records) + 1;
	json_t *record =
	    json_pack("{s:I, s:I, s:s, s:s}", "seq", seq, "batch",
		      (json_int_t)j->confirmed + 1, "time",
		      clock_format(clock_wall_ms(), time), "type", type);

	json_object_update(record, fields);
	json_decref(fields);
	json_array_append_new(kept.records, record);
}

int
journal_sync(struct journal *j, struct err *err)
{
	size_t from = j->confirmed;

	j->confirmed = json_array_size(kept.records);
	return replay(from, j->visit, j->arg, err);
}

size_t
journal_size(const struct journal *j)
{
	(void)j;
	return 0; /* never to be compacted */
}

int
journal_compact(struct journal *j, json_t *open, json_t *state, struct err *err)
{
	(void)j;
	json_decref(open);
	json_decref(state);
	return err_set(err, ERR_BUG, "nothing asks for it");
}

void
journal_tee(struct journal *j, struct events *to, const char *vm)
{
	(void)j;
	(void)to;
	(void)vm;
}

int
journal_read(const char *path, journal_visit_fn *visit, void *arg,
	     struct journal_report *ret, struct err *err)
{
	if (ret)
		*ret = (struct journal_report){0};
	if (!kept.path || strcmp(kept.path, path) != 0)
		return 0;
	return replay(0, visit, arg, err);
}

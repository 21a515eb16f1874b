/* SPDX-License-Identifier: Apache-2.0 */
/* The world of the fake endpoint: its log, what runs, and who has the vm. */
#include "stages/fake_world.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/fake.h"
#include "stages/fake_claim.h"
#include "stages/target/target.h"

#define FILE_MAX ((size_t)1024 * 1024)

/* Where the vm is at the source, or at the target. */
static char *
dir_at(const struct view *v, const char *side)
{
	const struct plan *plan = v->plan;

	if (strcmp(side, "source") == 0)
		return plan->source->path
			   ? mem_printf("%s/source/%s", plan->source->path,
					v->vm->id)
			   : mem_strdup(v->state_dir);
	return plan->target->path
		   ? mem_printf("%s/target/%s/%s", plan->target->path,
				plan->target_namespace, v->shape->name)
		   : mem_strdup(v->state_dir);
}

int
fake_world_make(const struct view *v, struct err *err)
{
	CLEANUP(mem_freep) char *source = dir_at(v, "source");
	CLEANUP(mem_freep) char *target = dir_at(v, "target");

	if (fs_mkdirs(source, 0700, err) < 0)
		return -1;
	return fs_mkdirs(target, 0700, err);
}

char *
fake_path(const struct view *v, const char *what)
{
	CLEANUP(mem_freep) char *dir = dir_at(v, "target");

	return mem_printf("%s/fake.%s", dir, what);
}

/* The source's own switch is at the source; what disks are is no switch. */
static char *
power_path(const struct view *v, const char *what)
{
	CLEANUP(mem_freep) char *dir = dir_at(v, what);

	return mem_printf("%s/fake.%s", dir,
			  strcmp(what, "disks") == 0 ? "content" : "power");
}

/* All lines of a file of the world; nothing where there is none. */
static void
read_lines(const char *path, struct buf *ret)
{
	struct err ignored;

	(void)fs_read(path, FILE_MAX, true, ret, &ignored);
}

/* What stands behind the word that the line begins with, or NULL. */
static const char *
behind(const char *line, const char *word)
{
	size_t len = strlen(word);

	return strncmp(line, word, len) == 0 && line[len] == ' '
		   ? line + len + 1
		   : NULL;
}

int
fake_log_add(const struct work *w, struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(w->view, "log");
	CLEANUP(mem_freep)
	char *line =
	    mem_printf("%s %d %s\n", w->step, w->attempt, w->view->state_uuid);
	CLEANUP(mem_closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (fs_write_all(fd, line, strlen(line), err) < 0)
		return err_wrap(err, "'%s'", path);
	if (fsync(fd) < 0)
		return err_sys(err, "cannot sync '%s'", path);
	return 0;
}

int
fake_log_last(const struct work *w)
{
	CLEANUP(mem_freep) char *path = fake_path(w->view, "log");
	CLEANUP(buf_done) struct buf text = {0};
	char *rest = NULL, *uuid;
	int last = 0;

	read_lines(path, &text);
	if (!text.data)
		return 0;
	for (char *line = strtok_r(text.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		const char *attempt = behind(line, w->step);
		long number = attempt ? strtol(attempt, &uuid, 10) : 0;

		/* another state has attempts of its own */
		if (attempt && *uuid == ' ' &&
		    strcmp(uuid + 1, w->view->state_uuid) == 0)
			last = (int)number;
	}
	return last;
}

/* Power and the hand-over mark. */

static bool
runs_at_first(const struct endpoint *ep)
{
	return strcmp(endpoint_setting(ep, "power", "off"), "on") == 0;
}

static const char *
state_at_first(const struct view *v, const char *what)
{
	if (strcmp(what, "mark") == 0 || strcmp(what, "point") == 0 ||
	    strcmp(what, "writer") == 0)
		return "none";
	if (strcmp(what, "disks") == 0)
		return "replicas";
	if (strcmp(what, "source") == 0 && runs_at_first(v->plan->source))
		return "on";
	return "off";
}

char *
fake_state(const struct view *v, const char *what)
{
	CLEANUP(mem_freep) char *path = power_path(v, what);
	CLEANUP(buf_done) struct buf text = {0};
	const char *now = state_at_first(v, what);
	char *rest = NULL;

	read_lines(path, &text);
	if (!text.data)
		return mem_strdup(now);
	for (char *line = strtok_r(text.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		const char *state = behind(line, what);

		if (state)
			now = state;
	}
	return mem_strdup(now);
}

bool
fake_is_now(const struct view *v, const char *what, const char *state)
{
	CLEANUP(mem_freep) char *now = fake_state(v, what);

	return strcmp(now, state) == 0;
}

/* Whole or not at all, as a switch is. */
static int
turn(const struct view *v, const char *what, const char *state, struct err *err)
{
	CLEANUP(mem_freep) char *path = power_path(v, what);
	CLEANUP(buf_done) struct buf text = {0};

	if (fake_is_now(v, what, state))
		return 0;
	read_lines(path, &text);
	buf_printf(&text, "%s %s\n", what, state);
	return fs_write(path, text.data, text.len, 0600, err);
}

int
fake_start_source(const struct view *v, struct err *err)
{
	return turn(v, "source", "on", err);
}

int
fake_start_target(const struct view *v, struct err *err)
{
	return turn(v, "target", "on", err);
}

int
fake_change(const struct view *v, const char *what, const char *state,
	    struct err *err)
{
	const char *other = strcmp(what, "source") == 0 ? "target" : "source";

	if (fake_is_now(v, what, state))
		return 0;
	if (strcmp(state, "on") == 0 && fake_is_now(v, other, "on"))
		return err_set(err, ERR_BUG, "the %s runs, the %s must not",
			       other, what);
	return turn(v, what, state, err);
}

/* A source that was given back ran, and nobody knows what it wrote. */
char *
fake_epoch(const struct view *v)
{
	CLEANUP(mem_freep) char *path = power_path(v, "source");
	CLEANUP(buf_done) struct buf text = {0};
	unsigned starts = 0;
	char *rest = NULL;

	read_lines(path, &text);
	if (text.data)
		for (char *line = strtok_r(text.data, "\n", &rest); line;
		     line = strtok_r(NULL, "\n", &rest))
			starts += strcmp(line, "source on") == 0;
	if (starts == 0)
		return mem_strdup(v->vm->epoch);
	return mem_printf("%s, started %u times", v->vm->epoch, starts);
}

bool
fake_is_unmarked(const struct view *v)
{
	return fake_is_now(v, "mark", "none");
}

bool
fake_is_committed(const struct view *v)
{
	return fake_is_unmarked(v) && fake_is_now(v, "disks", "committed");
}

/* Handed over, by another. */
static int
refuse_anothers(const struct view *v, enum err_class class, struct err *err)
{
	CLEANUP(mem_freep)
	char *who = fake_is_unmarked(v) ? NULL : fake_whose(v);
	CLEANUP(mem_freep) char *where = NULL;

	if (!who)
		return 0;
	where = dir_at(v, "target");
	return target_is_anothers(where, who,
				  fake_is_now(v, "mark", "rolled-back")
				      ? HANDOVER_ROLLED_BACK
				      : HANDOVER_STARTED,
				  class, err);
}

int
fake_look_at_mark(const struct view *v, struct err *err)
{
	if (fake_is_unmarked(v))
		return fake_look_at_claim(v, err);
	if (refuse_anothers(v, ERR_FAIL, err) < 0)
		return -1;
	return err_set(err, ERR_FAIL,
		       "the fake target has been handed over, it may have run: "
		       "nothing writes its disks; 'palletjack rollback' gives "
		       "the source back, after it 'palletjack gc --disks' "
		       "removes the disks");
}

int
fake_may_undo(const struct view *v, struct err *err)
{
	if (refuse_anothers(v, ERR_HELD, err) < 0 ||
	    fake_look_at_claim(v, err) < 0)
		return -1;
	if (v->may_discard || fake_is_now(v, "mark", "none") ||
	    fake_is_now(v, "mark", "rolled-back"))
		return 0;
	return err_set(err, ERR_FAIL,
		       "the target was handed over and may have run; "
		       "'palletjack rollback --discard-target-writes' says "
		       "that what it wrote may be lost");
}

int
fake_may_remove(const struct view *v, struct err *err)
{
	if (refuse_anothers(v, ERR_HELD, err) < 0 ||
	    fake_look_at_claim(v, err) < 0)
		return -1;
	if (fake_is_now(v, "mark", "none") ||
	    fake_is_now(v, "mark", "rolled-back"))
		return 0;
	return err_set(err, ERR_FAIL,
		       "the target was handed over and is the vm now: its "
		       "disks are removed only after 'palletjack rollback'");
}

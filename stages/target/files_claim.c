/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a vm's directories are, and whether its disks were handed over. */
#include "stages/target/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#define FILE_MAX ((size_t)65536)
#define CLAIM_VERSION 1

static const char *const handover_names[] = {
    [HANDOVER_LEFT_OFF] = "left-off",
    [HANDOVER_STARTED] = "started",
    [HANDOVER_ROLLED_BACK] = "rolled-back",
};

/* *ret stays NULL when there is no such file. */
static int
read_json(const char *dir, const char *name, json_t **ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, name);
	CLEANUP(buf_done) struct buf text = {0};
	json_error_t where;

	if (fs_read(path, FILE_MAX, true, &text, err) < 0)
		return -1;
	if (!text.data)
		return 0;
	*ret = json_loadb(text.data, text.len, 0, &where);
	if (!*ret)
		return err_set(err, ERR_FAIL,
			       "'%s' line %d is damaged (%s): it says to whom "
			       "these disks belong; mend or remove it by hand",
			       path, where.line, where.text);
	return 0;
}

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

static char *
plan_name(const struct target_vm *t)
{
	return mem_printf("%s/%s", t->plan->o.namespace, t->plan->o.name);
}

/* Two claims of one state differ in their time. */
static char *
claim_id(const json_t *claim)
{
	return mem_printf("%s %s", text_of(claim, "uuid"),
			  text_of(claim, "time"));
}

/* Who it is, for people. */
static char *
claim_words(const json_t *claim)
{
	return mem_printf("plan '%s', vm '%s', claimed by state %s (%s:%s) at "
			  "%s",
			  text_of(claim, "plan"), text_of(claim, "vm"),
			  text_of(claim, "uuid"), text_of(claim, "host"),
			  text_of(claim, "state"), text_of(claim, "time"));
}

static bool
is_takeable(const struct target_vm *t, const json_t *claim)
{
	CLEANUP(mem_freep) char *id = claim_id(claim);

	return t->takeover && strcmp(id, t->takeover) == 0;
}

int
target_is_anothers(const char *where, const char *who, enum handover state,
		   enum err_class class, struct err *err)
{
	if (state == HANDOVER_ROLLED_BACK)
		return err_set(
		    err, class,
		    "'%s' was handed over and rolled back, and it belongs to "
		    "%s: only 'palletjack gc --disks' with that state "
		    "directory (--state) removes its disks; where that is "
		    "lost, remove them by hand",
		    where, who);
	return err_set(
	    err, class,
	    "'%s' has been handed over, it may have run, and it belongs to "
	    "%s: only 'palletjack rollback' with that state directory "
	    "(--state) gives the source back, and 'gc --disks' then removes "
	    "the disks; where that is lost, nobody else knows how the source "
	    "was: see by yourself that the target is off before you start the "
	    "source, and remove the target by hand",
	    where, who);
}

/* A foreign claim that is not to be taken over. */
static int
refuse_claim(const struct target_vm *t, const char *dir, const json_t *claim,
	     struct err *err)
{
	CLEANUP(mem_freep) char *who = claim_words(claim);
	enum handover state = HANDOVER_NONE;

	if (files_marked(t, &state, err) < 0)
		return -1;
	if (state != HANDOVER_NONE)
		return target_is_anothers(dir, who, state, ERR_HELD, err);
	return err_set(err, ERR_HELD,
		       "'%s' belongs to %s: only a run with that state "
		       "directory may write it; 'palletjack plan' says how to "
		       "take it over",
		       dir, who);
}

int
files_claimed(const struct target_vm *t, const char *dir, struct err *err)
{
	json_t *claim = NULL;
	int rc;

	if (read_json(dir, FILES_CLAIM, &claim, err) < 0)
		return -1;
	if (!claim)
		return 0;
	rc = strcmp(text_of(claim, "uuid"), t->state_uuid) == 0 ? 1
	     : is_takeable(t, claim)				? FILES_TAKEABLE
								: -1;
	if (rc < 0)
		(void)refuse_claim(t, dir, claim, err);
	json_decref(claim);
	return rc;
}

int
files_claimant(const struct target_vm *t, json_t **ret, struct err *err)
{
	enum handover mark = HANDOVER_NONE;
	struct files_dirs d = {0};
	json_t *claim = NULL;
	int rc = 0;

	/* what is handed over is nobody's to take */
	if (files_check_names(t, err) < 0 || files_marked(t, &mark, err) < 0)
		return -1;
	if (mark != HANDOVER_NONE)
		return 0;
	files_dirs_of(t, &d);
	for (size_t i = 0; rc == 0 && !*ret && i < d.list.n; i++) {
		rc = read_json(d.list.v[i], FILES_CLAIM, &claim, err);
		if (rc == 0 && claim &&
		    strcmp(text_of(claim, "uuid"), t->state_uuid) != 0) {
			CLEANUP(mem_freep) char *id = claim_id(claim);
			CLEANUP(mem_freep) char *who = claim_words(claim);
			CLEANUP(mem_freep)
			char *holder = files_holder(d.list.v[i]);

			*ret = json_pack("{s:s, s:s, s:s, s:s*, s:O}", "id", id,
					 "who", who, "where", d.list.v[i],
					 "heldBy", holder, "claim", claim);
		}
		json_decref(claim);
		claim = NULL;
	}
	files_dirs_done(&d);
	return rc;
}

int
files_must_own(const struct target_vm *t, struct err *err)
{
	struct files_dirs d = {0};
	int rc = 0, claimed;

	files_dirs_of(t, &d);
	for (size_t i = 0; rc == 0 && i < d.list.n; i++) {
		claimed = files_claimed(t, d.list.v[i], err);
		if (claimed == 0)
			rc = err_set(err, ERR_HELD,
				     "'%s' bears no claim of this vm: its file "
				     "system is not mounted, or somebody "
				     "removed it, and it has to be back; where "
				     "it is lost for good, see that no target "
				     "runs, start the source by hand if it is "
				     "off, and remove the vm's state directory "
				     "to begin anew",
				     d.list.v[i]);
		else if (claimed != 1)
			rc = claimed < 0 ? -1
					 : err_set(err, ERR_HELD,
						   "'%s' is not taken over yet",
						   d.list.v[i]);
	}
	files_dirs_done(&d);
	return rc;
}

static int
read_mark(const char *dir, enum handover *ret, struct err *err)
{
	json_t *mark = NULL;
	const char *state;

	*ret = HANDOVER_NONE;
	if (read_json(dir, FILES_MARK, &mark, err) < 0)
		return -1;
	if (!mark)
		return 0;
	state = text_of(mark, "state");
	/* a mark of a later version: whatever it says, it is a mark */
	*ret = HANDOVER_STARTED;
	for (int i = HANDOVER_LEFT_OFF; i <= HANDOVER_ROLLED_BACK; i++)
		if (strcmp(state, handover_names[i]) == 0)
			*ret = (enum handover)i;
	json_decref(mark);
	return 0;
}

/* The severest of all directories: a power cut may have kept one mark only. */
int
files_marked(const struct target_vm *t, enum handover *ret, struct err *err)
{
	enum handover here, worst = HANDOVER_NONE;
	struct files_dirs d = {0};
	int rc = 0;

	files_dirs_of(t, &d);
	for (size_t i = 0; rc == 0 && i < d.list.n; i++) {
		rc = read_mark(d.list.v[i], &here, err);
		if (here > worst)
			worst = here;
	}
	files_dirs_done(&d);
	if (rc == 0)
		*ret = worst;
	return rc;
}

/* Who claims the vm's home, if that is another; caller frees. */
static char *
foreign_words(const struct target_vm *t, const char *home)
{
	json_t *claim = NULL;
	struct err ignored;
	char *who = NULL;

	if (read_json(home, FILES_CLAIM, &claim, &ignored) == 0 && claim &&
	    strcmp(text_of(claim, "uuid"), t->state_uuid) != 0)
		who = claim_words(claim);
	json_decref(claim);
	return who;
}

static int
refuse_marked(const struct target_vm *t, enum handover state, struct err *err)
{
	CLEANUP(mem_freep) char *home = files_home(t);
	CLEANUP(mem_freep) char *who = foreign_words(t, home);

	if (state != HANDOVER_NONE && who)
		return target_is_anothers(home, who, state, ERR_FAIL, err);

	switch (state) {
	case HANDOVER_NONE:
		return 0;
	case HANDOVER_ROLLED_BACK:
		return err_set(err, ERR_FAIL,
			       "'%s' was handed over and rolled back, its "
			       "disks are kept: nothing writes them while "
			       "'%s' is there; 'palletjack gc --disks' "
			       "removes them",
			       home, FILES_MARK);
	default:
		return err_set(
		    err, ERR_FAIL,
		    "'%s' has been handed over, the target may have run: "
		    "nothing writes its disks while '%s' is there; "
		    "'palletjack rollback' gives the source back, after it "
		    "'palletjack gc --disks' removes the disks",
		    home, FILES_MARK);
	}
}

int
files_guard(const struct target_vm *t, struct err *err)
{
	enum handover state = HANDOVER_NONE;
	struct files_dirs d = {0};
	int rc = 0;

	if (files_check_names(t, err) < 0 || files_marked(t, &state, err) < 0 ||
	    refuse_marked(t, state, err) < 0)
		return -1;
	files_dirs_of(t, &d);
	for (size_t i = 0; rc == 0 && i < d.list.n; i++)
		rc = files_claimed(t, d.list.v[i], err) < 0 ? -1 : 0;
	files_dirs_done(&d);
	return rc;
}

bool
files_is_occupied(const char *dir)
{
	struct dirent *entry;
	bool found = false;
	DIR *d = opendir(dir);

	while (d && !found && (entry = readdir(d)))
		found = strcmp(entry->d_name, ".") != 0 &&
			strcmp(entry->d_name, "..") != 0 &&
			strncmp(entry->d_name, FILES_CLAIM,
				strlen(FILES_CLAIM)) != 0;
	if (d)
		closedir(d);
	return found;
}

static char *
claim_text(const struct target_vm *t)
{
	CLEANUP(mem_freep) char *plan = plan_name(t);
	char now[CLOCK_TEXT_SIZE], host[128] = "?";
	json_t *claim;
	char *text;

	gethostname(host, sizeof(host) - 1);
	claim =
	    json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s*, s:s}", "version",
		      CLAIM_VERSION, "plan", plan, "vm", t->pvm->key, "source",
		      t->vm->id, "uuid", t->state_uuid, "host", host, "state",
		      t->state_dir, "time", clock_format(clock_wall_ms(), now));
	text = claim ? json_dumps(claim, JSON_INDENT(2)) : NULL;
	json_decref(claim);
	return text;
}

/* Written aside and linked into place, which only one of two can do: whoever
 * comes second reads who was first. */
static int
claim_dir(const struct target_vm *t, const char *dir, const char *text,
	  struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, FILES_CLAIM);
	CLEANUP(mem_freep)
	char *aside = mem_printf("%s.%s", path, t->state_uuid);
	int claimed, linked;

	if (fs_mkdirs(dir, 0755, err) < 0)
		return -1;
	claimed = files_claimed(t, dir, err);
	if (claimed == FILES_TAKEABLE)
		return files_take_over(t, dir, text, err);
	/* ours, and perhaps cut short before the other name went */
	if (claimed == 1 || claimed < 0)
		return claimed < 0 ? -1 : fs_remove(aside, err);
	if (claimed == 0 && files_is_occupied(dir))
		return err_set(err, ERR_FAIL,
			       "'%s' holds files that no run made: move them "
			       "away, or set targetName",
			       dir);
	if (fs_write(aside, text, strlen(text), 0644, err) < 0)
		return -1;
	linked = link(aside, path);
	if (linked < 0 && errno != EEXIST)
		err_sys(err, "cannot claim '%s'", dir);
	else
		linked = 0;
	unlink(aside);
	if (linked < 0 || fs_sync_dir(dir, err) < 0)
		return -1;
	return files_claimed(t, dir, err) == 1 ? 0 : -1;
}

int
files_claim(const struct target_vm *t, struct err *err)
{
	/* one text for all of them: they are one claim */
	CLEANUP(mem_freep) char *text = claim_text(t);
	struct files_dirs d = {0};
	int rc = files_guard(t, err);

	if (rc == 0 && !text)
		rc = err_set(err, ERR_BUG, "the names of vm '%s' are not UTF-8",
			     t->pvm->key);
	files_dirs_of(t, &d);
	for (size_t i = 0; rc == 0 && i < d.list.n; i++)
		rc = claim_dir(t, d.list.v[i], text, err);
	files_dirs_done(&d);
	return rc;
}

/* In all of them: whoever takes over reads the first that is not his.  Where it
 * is said already nothing is written. */
static int
note_power_in(const char *dir, const char *was, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, FILES_CLAIM);
	CLEANUP(mem_freep) char *text = NULL;
	json_t *claim = NULL;
	const char *said;

	if (read_json(dir, FILES_CLAIM, &claim, err) < 0)
		return -1;
	said = json_string_value(json_object_get(claim, TARGET_CLAIM_POWER));
	if (said ? was && strcmp(said, was) == 0 : !was) {
		json_decref(claim);
		return 0;
	}
	if (was)
		json_object_set_new(claim, TARGET_CLAIM_POWER,
				    json_string(was));
	else
		json_object_del(claim, TARGET_CLAIM_POWER);
	text = json_dumps(claim, JSON_INDENT(2));
	json_decref(claim);
	return fs_write(path, text, strlen(text), 0644, err);
}

int
files_note_power(const struct target_vm *t, const char *was, struct err *err)
{
	struct files_dirs d = {0};
	int rc = files_must_own(t, err);

	files_dirs_of(t, &d);
	for (size_t i = 0; rc == 0 && i < d.list.n; i++)
		rc = note_power_in(d.list.v[i], was, err);
	files_dirs_done(&d);
	return rc;
}

static int
write_mark(const struct target_vm *t, const char *dir, enum handover state,
	   struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, FILES_MARK);
	CLEANUP(mem_freep) char *plan = plan_name(t);
	CLEANUP(mem_freep) char *text = NULL;
	char now[CLOCK_TEXT_SIZE];
	json_t *mark = json_pack("{s:s, s:s, s:s, s:s, s:s}", "state",
				 handover_names[state], "plan", plan, "vm",
				 t->pvm->key, "uuid", t->state_uuid, "time",
				 clock_format(clock_wall_ms(), now));

	text = mark ? json_dumps(mark, JSON_INDENT(2)) : NULL;
	json_decref(mark);
	if (!text)
		return err_set(err, ERR_BUG,
			       "the names of vm '%s' are not "
			       "UTF-8",
			       t->pvm->key);
	return fs_write(path, text, strlen(text), 0644, err);
}

int
files_mark(const struct target_vm *t, enum handover state, struct err *err)
{
	enum handover now = HANDOVER_NONE;
	struct files_dirs d = {0};
	int rc = 0;

	if (files_must_own(t, err) < 0 || files_marked(t, &now, err) < 0)
		return -1;
	if (now == HANDOVER_ROLLED_BACK && state != now)
		return refuse_marked(t, now, err);
	if (now > state)
		state = now; /* it may have run: nothing takes that back */
	files_dirs_of(t, &d);
	/* the home last: it is the one the start script looks at */
	for (size_t i = d.list.n; rc == 0 && i > 0; i--)
		rc = write_mark(t, d.list.v[i - 1], state, err);
	files_dirs_done(&d);
	return rc;
}

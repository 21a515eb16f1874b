/* SPDX-License-Identifier: Apache-2.0 */
/* Folding a journal: one small function a record type. */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "history_json.h"
#include "history_start.h"
#include "stages/stage.h"

/* Before the name of a stage: the step that takes it back. */
#define UNDO "undo/"

struct history *
history_new(void)
{
	struct history *h = mem_new(sizeof(*h));

	h->requests = json_object();
	h->doubts = json_object();
	return h;
}

static void
step_history_free(struct step_history *s)
{
	json_decref(s->inputs);
	json_decref(s->facts);
	json_decref(s->recorded);
	free(s->id);
	free(s->begun);
	free(s->ended);
	free(s->error);
	free(s->used_up);
	free(s);
}

void
history_free(struct history *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->nsteps; i++)
		step_history_free(h->steps[i]);
	free(h->steps);
	free(h->writers);
	free(h->uuid);
	free(h->plan);
	free(h->source_id);
	free(h->target_name);
	free(h->inventory_digest);
	free(h->finished);
	free(h->rollback_begun);
	free(h->rolled_back);
	free(h->source_stopped);
	free(h->run_begun);
	free(h->run_ended);
	free(h->run_error);
	json_decref(h->requests);
	json_decref(h->doubts);
	free(h);
}

void
history_forget(struct history *h)
{
	for (size_t i = 0; i < h->nsteps; i++) {
		json_decref(h->steps[i]->inputs);
		json_decref(h->steps[i]->facts);
		h->steps[i]->inputs = h->steps[i]->facts = NULL;
	}
}

static const char *
text_of(const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return text ? text : "";
}

static bool
is_text(const json_t *value, const char *text)
{
	return json_is_string(value) &&
	       strcmp(json_string_value(value), text) == 0;
}

static void
keep(char **slot, const char *text)
{
	free(*slot);
	*slot = mem_strdup(text);
}

const struct step_history *
history_past(const struct history *h, const char *id)
{
	for (size_t i = 0; i < h->nsteps; i++)
		if (strcmp(h->steps[i]->id, id) == 0)
			return h->steps[i];
	return NULL;
}

const struct step_history *
history_step(const struct history *h, const char *id)
{
	const struct step_history *s = history_past(h, id);

	return s && s->state != HISTORY_NEVER ? s : NULL;
}

static struct step_history *
step_of(struct history *h, const json_t *record)
{
	const char *id = text_of(record, "step");
	struct step_history *s = (struct step_history *)history_past(h, id);

	if (s)
		return s;
	s = mem_new(sizeof(*s));
	s->id = mem_strdup(id);
	s->recorded = json_object();
	h->steps = mem_resize(h->steps, (h->nsteps + 1) * sizeof(*h->steps));
	h->steps[h->nsteps++] = s;
	return s;
}

static void
add_writer(struct history *h, const struct step_history *s,
	   const json_t *process)
{
	struct process_id id;

	if (process_id_from_json(process, &id) < 0)
		return;
	h->writers =
	    mem_resize(h->writers, (h->nwriters + 1) * sizeof(*h->writers));
	h->writers[h->nwriters++] = (struct writer){id, s->id};
}

/* The run has seen that all it began for this step are gone. */
static void
drop_writers(struct history *h, const struct step_history *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->nwriters; i++)
		if (h->writers[i].step != s->id)
			h->writers[kept++] = h->writers[i];
	h->nwriters = kept;
}

static int
fold_open(struct history *h, const json_t *r, struct err *err)
{
	h->version = (int)json_integer_value(json_object_get(r, "version"));
	if (h->version > JOURNAL_VERSION)
		return err_set(err, ERR_FAIL,
			       "was written by a newer palletjack (journal "
			       "version %d); use that one",
			       h->version);
	keep(&h->uuid, text_of(r, "uuid"));
	keep(&h->plan, text_of(r, "plan"));
	return 0;
}

static void
fold_bind(struct history *h, const json_t *r)
{
	keep(&h->source_id, text_of(r, "sourceId"));
	keep(&h->target_name, text_of(r, "targetName"));
	keep(&h->inventory_digest, text_of(r, "inventory"));
}

static void
fold_run(struct history *h, const json_t *r)
{
	keep(&h->run_begun, text_of(r, "time"));
	keep(&h->run_ended, NULL);
	keep(&h->run_error, NULL);
	keep(&h->finished, NULL);
	/* the writers of earlier runs were ended before this was written */
	h->nwriters = 0;
}

/* Compensations that gave the source back in earlier runs are to be made
 * again. */
static void
fold_rollback(struct history *h, const json_t *r)
{
	h->may_discard |= json_is_true(json_object_get(r, "discard"));
	h->nwriters = 0;
	keep(&h->run_begun, text_of(r, "time"));
	keep(&h->run_ended, NULL);
	if (h->rollback_begun)
		return;
	keep(&h->rollback_begun, text_of(r, "time"));
	for (size_t i = 0; i < h->nsteps; i++)
		if (strncmp(h->steps[i]->id, UNDO, strlen(UNDO)) == 0)
			h->steps[i]->state = HISTORY_NEVER;
}

static void
fold_gc(struct history *h, const json_t *r)
{
	h->nwriters = 0;
	keep(&h->run_begun, text_of(r, "time"));
	keep(&h->run_ended, NULL);
}

/* Nothing that was is true any more; whose state it is stays. */
static void
fold_afresh(struct history *h)
{
	struct history fresh = {.version = h->version};

	/* a cancel stays; a cutover was asked for what was there */
	fresh.requests = h->requests;
	json_object_del(fresh.requests, "cutover");
	fresh.doubts = h->doubts;
	json_object_clear(fresh.doubts);
	fresh.uuid = steal(&h->uuid);
	fresh.plan = steal(&h->plan);
	for (size_t i = 0; i < h->nsteps; i++)
		step_history_free(h->steps[i]);
	free(h->steps);
	free(h->writers);
	keep(&h->source_id, NULL);
	keep(&h->target_name, NULL);
	keep(&h->inventory_digest, NULL);
	keep(&h->finished, NULL);
	keep(&h->rollback_begun, NULL);
	keep(&h->rolled_back, NULL);
	keep(&h->source_stopped, NULL);
	keep(&h->run_begun, NULL);
	keep(&h->run_ended, NULL);
	keep(&h->run_error, NULL);
	*h = fresh;
}

static void
fold_stop(struct history *h, const json_t *r)
{
	keep(&h->run_ended, text_of(r, "time"));
	if (json_is_true(json_object_get(r, "rolledBack"))) {
		keep(&h->rolled_back, text_of(r, "time"));
		keep(&h->finished, NULL);
	}
	if (json_is_true(json_object_get(r, "finished")))
		keep(&h->finished, text_of(r, "time"));
	if (json_object_get(r, "error")) {
		keep(&h->run_error, text_of(r, "error"));
		h->run_class = err_class_parse(text_of(r, "class"));
	}
	/* writers stay: the next run looks whether they are gone */
}

/* The step that this one takes back, or NULL. */
static struct step_history *
undone_by(const struct history *h, const struct step_history *s)
{
	if (strncmp(s->id, UNDO, strlen(UNDO)) != 0)
		return NULL;
	return (struct step_history *)history_past(h, s->id + strlen(UNDO));
}

static void
fold_intent(struct history *h, const json_t *r)
{
	struct step_history *s = step_of(h, r), *undone = undone_by(h, s);

	history_start_begins(s,
			     json_is_true(json_object_get(r, "saysMarking")));

	if (undone)
		undone->state = HISTORY_OPEN;
	h->removal_begun |= strcmp(s->id, "gc/disks") == 0;

	s->state = HISTORY_OPEN;
	s->begun_seq = json_integer_value(json_object_get(r, "seq"));
	s->attempts++;
	snprintf(s->fingerprint, sizeof(s->fingerprint), "%s",
		 text_of(r, "fingerprint"));
	json_decref(s->inputs);
	s->inputs = json_incref(json_object_get(r, "inputs"));
	keep(&s->begun, text_of(r, "time"));
	keep(&s->ended, NULL);
	add_writer(h, s, json_object_get(r, "process"));
}

/* Another step found that this one's effect is gone, whether or not anybody
 * heard that there was one. */
static void
void_step(struct history *h, const char *id, const json_t *by)
{
	struct step_history *s = (struct step_history *)history_step(h, id);

	if (!s)
		return;
	s->void_seq = json_integer_value(json_object_get(by, "seq"));
	if (s->state != HISTORY_DONE)
		return;
	s->state = HISTORY_FAILED;
	s->error_class = ERR_AGAIN;
	free(s->error);
	s->error = mem_printf("%s found that it does not hold any more",
			      text_of(by, "step"));
}

/* It was done, and is found to hold after all. */
static void
restore_step(struct history *h, const char *id)
{
	struct step_history *s = (struct step_history *)history_step(h, id);

	if (!s || !step_history_is_void(s))
		return;
	s->state = HISTORY_DONE;
	s->void_seq = 0;
	keep(&s->error, NULL);
}

static void
begin_fresh_retries(struct step_history *s)
{
	s->tried = 0;
	s->paused_ms = 0;
	keep(&s->used_up, NULL);
}

static void
fold_redo(struct history *h, const json_t *r)
{
	struct step_history *s = step_of(h, r);

	history_start_is_wanted_anew(s);
	/* what was taken back is to be done again anyhow */
	if (s->state != HISTORY_UNDONE)
		s->state = HISTORY_AGAIN;
	s->redone++;
	keep(&s->ended, NULL);
	keep(&s->error, NULL);
	json_decref(s->facts);
	s->facts = NULL;
	begin_fresh_retries(s);
}

/* What a failure that may be retried took of its step's retries: a pause
 * before the next try, or the last of them.  One that was not the step's own
 * (a signal, a vm that is late) takes nothing and says nothing. */
static void
fold_retry(struct step_history *s, const json_t *retry, const char *time)
{
	if (!retry)
		return;
	s->tried++;
	s->paused_ms += json_integer_value(json_object_get(retry, "wait"));
	if (json_is_true(json_object_get(retry, "usedUp")))
		keep(&s->used_up, time);
}

/* Of a stage from the one on that sets the disks aside? */
static bool
is_renewed(const char *id)
{
	const struct stage *const *all;
	size_t n, len = strcspn(id, "/");
	bool behind = false;

	all = stages_all(&n);
	for (size_t i = 0; i < n; i++) {
		behind |= all[i] == &stage_set_aside;
		if (strncmp(all[i]->name, id, len) == 0 && !all[i]->name[len])
			return behind;
	}
	return false;
}

/* What was done to disks that are nobody's any more is no fact.  How often it
 * was tried is, and how the source was before it was first stopped. */
static void
fold_renew(struct history *h, const json_t *r)
{
	h->renewals++;
	h->aside = json_is_true(json_object_get(r, "aside")) ? h->renewals : 0;
	json_object_clear(h->doubts);
	for (size_t i = 0; i < h->nsteps; i++) {
		struct step_history *s = h->steps[i];

		if (!is_renewed(s->id))
			continue;
		history_start_is_wanted_anew(s);
		s->state = HISTORY_NEVER;
		s->begun_seq = s->done_seq = s->void_seq = 0;
		s->fingerprint[0] = '\0';
		json_decref(s->inputs);
		json_decref(s->facts);
		s->inputs = s->facts = NULL;
		keep(&s->ended, NULL);
		keep(&s->error, NULL);
		begin_fresh_retries(s);
	}
}

/* Whoever used it may have read what is wrong with it. */
static void
doubt_disk(struct history *h, const char *disk, const json_t *r)
{
	static const char *const users[] = {
	    "precopy-convert", "precopy-boot-test", "convert", "boot-test"};

	json_object_set_new(
	    h->doubts, disk,
	    json_pack("{s:s, s:s, s:I}", "by", text_of(r, "step"), "time",
		      text_of(r, "time"), "generation",
		      json_integer_value(json_object_get(
			  json_object_get(r, "value"), "generation"))));
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		void_step(h, users[i], r);
}

/* Every block of it is of a generation that was copied after it was doubted. */
static void
settle_doubt(struct history *h, const char *step, const json_t *facts)
{
	const char *disk = strchr(step, '/');
	const json_t *doubt =
	    disk ? json_object_get(h->doubts, disk + 1) : NULL;

	if (doubt &&
	    (strncmp(step, "precopy/", 8) == 0 ||
	     strncmp(step, "cutover/", 8) == 0) &&
	    is_text(json_object_get(facts, "pass"), "all") &&
	    json_integer_value(json_object_get(facts, "generation")) >
		json_integer_value(json_object_get(doubt, "generation")))
		json_object_del(h->doubts, disk + 1);
}

static void
fold_record(struct history *h, const json_t *r)
{
	struct step_history *s = step_of(h, r);
	const char *key = text_of(r, "key");
	json_t *value = json_object_get(r, "value");

	json_object_set(s->recorded, key, value);
	if (strcmp(s->id, "cutover") == 0 && strcmp(key, "power") == 0)
		keep(&h->source_stopped,
		     is_text(value, "on") ? text_of(r, "time") : NULL);
	if (strcmp(key, WORK_VOID) == 0 && json_is_string(value))
		void_step(h, json_string_value(value), r);
	if (strcmp(key, WORK_HOLDS) == 0 && json_is_string(value))
		restore_step(h, json_string_value(value));
	if (strcmp(key, WORK_DIFFERS) == 0)
		doubt_disk(h, text_of(value, "disk"), r);
	if (strcmp(key, WORK_AGREES) == 0)
		json_object_del(h->doubts, text_of(value, "disk"));
	/* whatever it is called: what names a process may write */
	add_writer(h, s, value);
}

static void
fold_result(struct history *h, const json_t *r)
{
	struct step_history *s = step_of(h, r), *undone = undone_by(h, s);
	const json_t *error = json_object_get(r, "error");

	if (json_is_true(json_object_get(r, "alone")))
		drop_writers(h, s);
	history_start_ends(s, error != NULL);
	/* a step whose process could not even be made has no intent */
	if (!s->begun)
		keep(&s->begun, text_of(r, "time"));
	keep(&s->ended, text_of(r, "time"));
	keep(&s->error, NULL);
	if (error) {
		s->state = HISTORY_FAILED;
		s->error_class = err_class_parse(text_of(error, "class"));
		keep(&s->error, text_of(error, "text"));
		fold_retry(s, json_object_get(r, "retry"), text_of(r, "time"));
		return;
	}
	s->state = HISTORY_DONE;
	begin_fresh_retries(s);
	s->done_seq = json_integer_value(json_object_get(r, "seq"));
	json_decref(s->facts);
	s->facts = json_incref(json_object_get(r, "facts"));
	settle_doubt(h, s->id, s->facts);
	if (!undone)
		return;
	undone->state = HISTORY_UNDONE;
	keep(&undone->ended, text_of(r, "time"));
	/* how the source was is asked anew */
	json_object_clear(undone->recorded);
	if (strcmp(undone->id, "cutover") == 0)
		keep(&h->source_stopped, NULL);
}

static void
fold_request(struct history *h, const json_t *r)
{
	const char *kind = text_of(r, "kind");

	if (json_object_get(r, "ignored"))
		return;
	if (json_is_true(json_object_get(r, "revoke")))
		json_object_del(h->requests, kind);
	else
		json_object_set(h->requests, kind, (json_t *)r);
}

int
history_visit(void *arg, const json_t *r, struct err *err)
{
	struct history *h = arg;
	const char *type = text_of(r, "type");

	if (strcmp(type, "open") == 0)
		return fold_open(h, r, err);
	if (strcmp(type, "state") == 0)
		return history_from_json(h, json_object_get(r, "state"), err);
	if (strcmp(type, "bind") == 0)
		fold_bind(h, r);
	else if (strcmp(type, "run") == 0)
		fold_run(h, r);
	else if (strcmp(type, "rollback") == 0)
		fold_rollback(h, r);
	else if (strcmp(type, "gc") == 0)
		fold_gc(h, r);
	else if (strcmp(type, "afresh") == 0)
		fold_afresh(h);
	else if (strcmp(type, "stop") == 0)
		fold_stop(h, r);
	else if (strcmp(type, "intent") == 0)
		fold_intent(h, r);
	else if (strcmp(type, "redo") == 0)
		fold_redo(h, r);
	else if (strcmp(type, "renew") == 0)
		fold_renew(h, r);
	else if (strcmp(type, "retries") == 0)
		begin_fresh_retries(step_of(h, r));
	else if (strcmp(type, "record") == 0)
		fold_record(h, r);
	else if (strcmp(type, "result") == 0)
		fold_result(h, r);
	else if (strcmp(type, "request") == 0)
		fold_request(h, r);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A history as JSON and back.  A field that is added to struct history or
 * struct step_history belongs here, too: what is forgotten here is forgotten
 * by every journal that is compacted (a unit test counts). */
#include "history_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NFIELDS(table) (sizeof(table) / sizeof((table)[0]))

struct text_field {
	const char *key;
	size_t offset; /* of a char * */
};

static const struct text_field of_history[] = {
    {"sourceId", offsetof(struct history, source_id)},
    {"targetName", offsetof(struct history, target_name)},
    {"inventory", offsetof(struct history, inventory_digest)},
    {"finished", offsetof(struct history, finished)},
    {"rollbackBegun", offsetof(struct history, rollback_begun)},
    {"rolledBack", offsetof(struct history, rolled_back)},
    {"runBegun", offsetof(struct history, run_begun)},
    {"runEnded", offsetof(struct history, run_ended)},
    {"runError", offsetof(struct history, run_error)},
    {"sourceStopped", offsetof(struct history, source_stopped)},
};

static const struct text_field of_step[] = {
    {"begun", offsetof(struct step_history, begun)},
    {"ended", offsetof(struct step_history, ended)},
    {"error", offsetof(struct step_history, error)},
    {"usedUp", offsetof(struct step_history, used_up)},
};

/* By the state's number; the names are in journals. */
static const char *const state_names[] = {"never",  "open",   "done",
					  "failed", "undone", "again"};

static char **
text_at(const void *base, const struct text_field *f)
{
	return (char **)((char *)base + f->offset);
}

static void
put_texts(json_t *to, const void *base, const struct text_field *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*text_at(base, &f[i]))
			json_object_set_new(to, f[i].key,
					    json_string(*text_at(base, &f[i])));
}

static void
get_texts(const json_t *from, void *base, const struct text_field *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char **slot = text_at(base, &f[i]);

		free(*slot);
		*slot = mem_strdup(
		    json_string_value(json_object_get(from, f[i].key)));
	}
}

static json_t *
step_to_json(const struct step_history *s)
{
	json_t *json = json_pack(
	    "{s:s, s:s, s:I, s:I, s:I, s:i, s:i, s:s, s:O, s:s, s:i, s:I}",
	    "id", s->id, "state", state_names[s->state], "begunSeq",
	    s->begun_seq, "doneSeq", s->done_seq, "voidSeq", s->void_seq,
	    "attempts", s->attempts, "redone", s->redone, "fingerprint",
	    s->fingerprint, "recorded", s->recorded, "class",
	    err_class_name(s->error_class), "tried", s->tried, "paused",
	    (json_int_t)s->paused_ms);

	put_texts(json, s, of_step, NFIELDS(of_step));
	if (s->inputs)
		json_object_set(json, "inputs", s->inputs);
	if (s->facts)
		json_object_set(json, "facts", s->facts);
	return json;
}

static json_t *
writer_to_json(const struct writer *w)
{
	return json_pack("{s:s, s:o}", "step", w->step, "process",
			 process_id_to_json(&w->id));
}

json_t *
history_to_json(const struct history *h)
{
	json_t *steps = json_array(), *writers = json_array();
	json_t *json = json_pack(
	    "{s:b, s:b, s:i, s:i, s:s, s:O, s:O, s:o, s:o}", "mayDiscard",
	    h->may_discard, "removalBegun", h->removal_begun, "renewals",
	    h->renewals, "aside", h->aside, "runClass",
	    err_class_name(h->run_class), "doubts", h->doubts, "requests",
	    h->requests, "writers", writers, "steps", steps);

	put_texts(json, h, of_history, NFIELDS(of_history));
	for (size_t i = 0; i < h->nwriters; i++)
		json_array_append_new(writers, writer_to_json(&h->writers[i]));
	for (size_t i = 0; i < h->nsteps; i++)
		json_array_append_new(steps, step_to_json(h->steps[i]));
	return json;
}

static int
state_parse(const char *name, enum history_state *ret)
{
	for (size_t i = 0; name && i < NFIELDS(state_names); i++)
		if (strcmp(name, state_names[i]) == 0) {
			*ret = (enum history_state)i;
			return 0;
		}
	return -1;
}

static enum err_class
class_of(const json_t *json, const char *key)
{
	const char *name = json_string_value(json_object_get(json, key));

	return err_class_parse(name ? name : "");
}

static int
step_from_json(struct step_history *s, const json_t *json)
{
	json_t *recorded = json_object_get(json, "recorded");
	const char *id, *state, *fingerprint;
	json_int_t paused = 0;

	if (json_unpack((json_t *)json,
			"{s:s, s:s, s:I, s:I, s?I, s:i, s:i, s:s, s?i, s?I}",
			"id", &id, "state", &state, "begunSeq", &s->begun_seq,
			"doneSeq", &s->done_seq, "voidSeq", &s->void_seq,
			"attempts", &s->attempts, "redone", &s->redone,
			"fingerprint", &fingerprint, "tried", &s->tried,
			"paused", &paused) < 0 ||
	    state_parse(state, &s->state) < 0 || !json_is_object(recorded))
		return -1;
	s->id = mem_strdup(id);
	s->paused_ms = paused;
	snprintf(s->fingerprint, sizeof(s->fingerprint), "%s", fingerprint);
	s->error_class = class_of(json, "class");
	s->recorded = json_deep_copy(recorded);
	s->inputs = json_incref(json_object_get(json, "inputs"));
	s->facts = json_incref(json_object_get(json, "facts"));
	get_texts(json, s, of_step, NFIELDS(of_step));
	/* an earlier build kept no more of a void than this */
	if (!json_object_get(json, "voidSeq") && step_history_is_void(s))
		s->void_seq = s->done_seq + 1;
	return 0;
}

static int
get_steps(struct history *h, const json_t *steps)
{
	size_t i;
	json_t *one;

	json_array_foreach(steps, i, one)
	{
		struct step_history *s = mem_new(sizeof(*s));

		h->steps =
		    mem_resize(h->steps, (h->nsteps + 1) * sizeof(*h->steps));
		h->steps[h->nsteps++] = s;
		if (step_from_json(s, one) < 0)
			return -1;
	}
	return 0;
}

static int
writer_from_json(const struct history *h, const json_t *json,
		 struct writer *ret)
{
	const char *step = json_string_value(json_object_get(json, "step"));
	const struct step_history *s = step ? history_past(h, step) : NULL;

	if (!s)
		return -1;
	ret->step = s->id;
	return process_id_from_json(json_object_get(json, "process"), &ret->id);
}

static int
get_writers(struct history *h, const json_t *writers)
{
	size_t n = json_array_size(writers);

	h->writers = mem_new((n + 1) * sizeof(*h->writers));
	for (h->nwriters = 0; h->nwriters < n; h->nwriters++)
		if (writer_from_json(h, json_array_get(writers, h->nwriters),
				     &h->writers[h->nwriters]) < 0)
			return -1;
	return 0;
}

int
history_from_json(struct history *h, const json_t *json, struct err *err)
{
	json_t *requests = json_object_get(json, "requests");
	json_t *steps = json_object_get(json, "steps");
	json_t *writers = json_object_get(json, "writers");

	if (!json_is_object(requests) || !json_is_array(steps) ||
	    !json_is_array(writers) || h->nsteps > 0 ||
	    get_steps(h, steps) < 0 || get_writers(h, writers) < 0)
		return err_set(err, ERR_FAIL,
			       "its record of a compacted state is not "
			       "complete; restore the file from a backup, or "
			       "set the whole state directory aside");
	get_texts(json, h, of_history, NFIELDS(of_history));
	h->may_discard = json_is_true(json_object_get(json, "mayDiscard"));
	h->removal_begun = json_is_true(json_object_get(json, "removalBegun"));
	/* compacted by a version that knew of no renewals, there were none */
	h->renewals =
	    (int)json_integer_value(json_object_get(json, "renewals"));
	h->aside = (int)json_integer_value(json_object_get(json, "aside"));
	h->run_class = class_of(json, "runClass");
	json_decref(h->requests);
	h->requests = json_deep_copy(requests);
	/* nor, by a version that knew of none, doubts */
	json_object_update(h->doubts, json_object_get(json, "doubts"));
	return 0;
}

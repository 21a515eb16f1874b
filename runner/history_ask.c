/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a history, once it is folded. */
#include "history.h"

bool
step_history_is_void(const struct step_history *s)
{
	return s->state == HISTORY_FAILED && s->done_seq > s->begun_seq;
}

bool
step_history_begins_anew(const struct step_history *s)
{
	return s->void_seq > s->done_seq;
}

bool
history_is_cut_over(const struct history *h)
{
	const struct step_history *cutover = history_step(h, "cutover");

	return cutover && cutover->state != HISTORY_NEVER &&
	       cutover->state != HISTORY_UNDONE;
}

json_t *
history_doubts(const struct history *h)
{
	return history_step(h, "commit") || history_may_be_marked(h)
		   ? NULL
		   : h->doubts;
}

const char *
history_doubted_by(const struct history *h, const char *disk)
{
	const json_t *doubt = json_object_get(history_doubts(h), disk);

	return json_string_value(json_object_get(doubt, "by"));
}

json_t *
history_request(const struct history *h, const char *kind)
{
	return json_object_get(h->requests, kind);
}

json_t *
history_facts(const struct history *h)
{
	json_t *facts = json_object();

	for (size_t i = 0; i < h->nsteps; i++)
		if (h->steps[i]->facts)
			json_object_set(facts, h->steps[i]->id,
					h->steps[i]->facts);
	return facts;
}

json_t *
history_place(const struct history *h)
{
	const struct step_history *s = history_step(h, "create-vm");
	const json_t *facts = s && s->state == HISTORY_DONE ? s->facts : NULL;
	json_t *uri = json_object_get(facts, "uri");
	json_t *home = json_object_get(facts, "home");
	json_t *domain = json_object_get(facts, "domain");

	if (json_is_string(uri) && json_is_string(domain))
		return json_pack("{s:O, s:O, s:O*}", "uri", uri, "domain",
				 domain, "pools",
				 json_object_get(facts, "pools"));
	return json_is_string(home) ? json_pack("{s:O}", "home", home) : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of many pieces, and of none. */
#include "ask.h"

#include <string.h>

#include "base/mem.h"
#include "t/tap.h"

#define PIECES 5000

struct heard {
	int pieces, wrong, refuse_at;
};

static int
tell(void *arg, struct answer *to, struct work_link *link, struct err *err)
{
	const struct heard *h = arg;

	(void)link;
	for (int i = 0; i < PIECES; i++)
		answer_add(to, json_pack("{s:i, s:s}", "n", i, "text",
					 "{\"a\": [\"\xc3\xa9\\\n"));
	return h->refuse_at < 0 ? err_set(err, ERR_NOT_READY, "not now") : 0;
}

static int
hear(void *arg, const json_t *piece, struct err *err)
{
	struct heard *h = arg;
	const char *text = json_string_value(json_object_get(piece, "text"));

	h->wrong +=
	    json_integer_value(json_object_get(piece, "n")) != h->pieces ||
	    !text || strcmp(text, "{\"a\": [\"\xc3\xa9\\\n") != 0;
	if (++h->pieces == h->refuse_at)
		return err_set(err, ERR_BUG, "enough");
	return 0;
}

static int
say_nothing(void *arg, struct answer *to, struct work_link *link,
	    struct err *err)
{
	(void)arg, (void)to, (void)link, (void)err;
	return 0;
}

int
main(void)
{
	struct heard h = {0};
	struct question q = {tell, hear, &h, "asking a child", 60000};
	struct err err;

	ok(ask(&q, &err) == 0, "an answer of many pieces");
	is_int(h.pieces, PIECES, "each of them arrives");
	is_int(h.wrong, 0, "whole, and in order");

	h = (struct heard){.refuse_at = 3};
	ok(ask(&q, &err) < 0 && err.class == ERR_BUG,
	   "what cannot be taken in is no answer");
	is_int(h.pieces, 3, "nothing is taken in after it");

	h = (struct heard){.refuse_at = -1};
	ok(ask(&q, &err) < 0 && err.class == ERR_NOT_READY,
	   "who fails after some pieces has not answered");
	like(err.text, "asking a child", "the error says what was asked");
	is_int(h.pieces, 0, "none of the pieces is taken in");

	h = (struct heard){0};
	q.ask = say_nothing;
	ok(ask(&q, &err) == 0, "an answer of no piece");
	is_int(h.pieces, 0, "nothing is taken in");
	q.take = NULL;
	ok(ask(&q, &err) == 0, "nobody has to listen");
	return tap_done();
}

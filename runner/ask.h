/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to endpoints: asked by a child, because the parent never talks to
 * one; the answer may be larger than a step's result. */
#ifndef RUNNER_ASK_H
#define RUNNER_ASK_H

#include <jansson.h>

#include "base/err.h"

struct work_link;

/* Where the child's answer goes. */
struct answer;

/* Adds a piece, of which an answer has as many as there is to tell: none is in
 * memory for longer than it takes to write or read it.  Takes the reference. */
void answer_add(struct answer *to, json_t *piece);

struct question {
	/* Runs in the child: 0, or -1 with err.  Progress told by the link
	 * begins the deadline anew. */
	int (*ask)(void *arg, struct answer *to, struct work_link *link,
		   struct err *err);
	/* Takes in piece after piece, once the child has answered; or NULL. */
	int (*take)(void *arg, const json_t *piece, struct err *err);
	void *arg;
	const char *what; /* in the error: "asking the source" */
	int64_t deadline_ms;
};

/* ERR_RETRY when there is no answer in time. */
int ask(const struct question *q, struct err *err);

#endif

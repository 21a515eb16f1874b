/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to endpoints: asked by a child, because the parent never talks to
 * one; the answer may be larger than a step's result. */
#ifndef RUNNER_ASK_H
#define RUNNER_ASK_H

#include <jansson.h>

#include "base/err.h"

struct work_link;

/* Runs in the child: 0 with the answer, or -1 with err.  Progress told by the
 * link begins the deadline anew. */
typedef int ask_fn(void *arg, struct work_link *link, json_t **ret_answer,
		   struct err *err);

/* ERR_RETRY when there is no answer in time; `what` says in the error what was
 * being asked: "asking the source". */
int ask(ask_fn *fn, void *arg, const char *what, int64_t deadline_ms,
	json_t **ret_answer, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A history as one record: what a compacted journal begins with. */
#ifndef RUNNER_HISTORY_JSON_H
#define RUNNER_HISTORY_JSON_H

#include <jansson.h>

#include "history.h"

/* Everything but what the record `open` says; new reference. */
json_t *history_to_json(const struct history *h);

/* Fills in a history that knows only its `open`; what is not of that form is
 * ERR_FAIL. */
int history_from_json(struct history *h, const json_t *json, struct err *err);

#endif

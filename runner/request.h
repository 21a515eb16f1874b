/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: what people ask of the run that works on a vm, or of the next one.
 *
 *   <state directory of the vm>/requests/<kind>.json
 *
 * Left by commands without the vm's lock, one of a kind, the last one counts.
 * A run looks for them when it takes the vm and every half second from then
 * on; it writes a `request` record to the journal, and removes the file when
 * that record is durable.  From the record on the request is in force until
 * another takes it back. */
#ifndef RUNNER_REQUEST_H
#define RUNNER_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "state.h"

enum request_kind { REQUEST_CANCEL, REQUEST_CUTOVER, NREQUESTS };

/* "cancel", "cutover" */
const char *request_kind_name(enum request_kind kind);

/* An object {kind, who, made, expires?, at?, revoke?}, as the file and the
 * journal have it; times are wall, 0: none.  New reference. */
json_t *request_new(enum request_kind kind, int64_t expires_ms, int64_t at_ms);
json_t *request_new_revoke(enum request_kind kind);

/* "root@host, 2026-11-20 12:31"; caller frees. */
char *request_by(const json_t *request);
bool request_is_revoke(const json_t *request);
bool request_is_expired(const json_t *request);
/* When the cutover may begin; 0: at once. */
int64_t request_at(const json_t *request);

/* Leaves it for the run, in place of an earlier one of its kind. */
int request_put(const char *vm_dir, const json_t *request, struct err *err);
/* *ret is NULL when there is none. */
int request_get(const char *vm_dir, enum request_kind kind, json_t **ret,
		struct err *err);
/* Has the directory of requests changed since the last call with this `seen`
 * (at first 0)?  True, too, while it may be changing. */
bool request_news(const char *vm_dir, int64_t *seen);

/* What came of a request that was taken in; `ignored` is why, or NULL when it
 * is in force. */
typedef void request_told_fn(void *arg, const json_t *request,
			     const char *ignored);
/* "cancel (root@host, 2026-11-20 12:31)", "...: ignored: it has expired";
 * caller frees. */
char *request_text(const json_t *request, const char *ignored);

/* Journals every request that waits for the vm, whose lock the caller holds,
 * and removes it.  The state's history knows them when this returns 0.  `told`
 * may be NULL. */
int requests_take_in(struct vm_state *state, request_told_fn *told, void *arg,
		     struct err *err);

#endif

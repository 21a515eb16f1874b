/* SPDX-License-Identifier: Apache-2.0 */
/* Operators' scripts: one fresh Lua state a call, nothing of the system in
 * reach, a deadline, and a memory limit. */
#ifndef LUA_HOST_H
#define LUA_HOST_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "manifests/model.h"

typedef void lua_log_fn(void *arg, enum log_level level, const char *text);

struct lua_hook_call {
	const struct script *script;
	const char *step;    /* "pre-hook", "post-hook" */
	const char *key;     /* stable: the same when the step is repeated */
	const json_t *plan;  /* becomes the global table `plan` */
	const json_t *vm;    /* ... `vm`, the inventory record */
	const json_t *notes; /* ... `notes`, what earlier hooks left; or NULL */
	int64_t deadline_ms; /* from now; 0: none */
	lua_log_fn *log;
	void *arg;
};

/* Runs the script.  0: it ended; *ret_notes (new reference, an object) is
 * what it leaves for later steps.  -1: ERR_FAIL with the script's reason or
 * its error with chunk and line, ERR_RETRY when it ran out of time. */
int lua_hook(const struct lua_hook_call *call, json_t **ret_notes,
	     struct err *err);

/* Compiles only: syntax errors with chunk and line, for validation. */
int lua_check(const struct script *script, struct err *err);

#endif

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

/* What a script may do besides that looks at a vm which boots.  None of them
 * lasts longer than it is told; -1 ends the script, and why is the owner's to
 * know. */
struct lua_probe {
	/* Text that came from the console since it was asked last, waited for
	 * so long; borrowed until the next call. */
	int (*read)(void *arg, int64_t wait_ms, const char **ret,
		    size_t *ret_len);
	/* Types on the console. */
	int (*send)(void *arg, const char *text, size_t len);
	/* Asks the guest's agent.  *ret: its answer (new reference); NULL when
	 * there is none, and err says why. */
	int (*agent)(void *arg, const char *command, const json_t *arguments,
		     int64_t wait_ms, json_t **ret, struct err *err);
	void *arg;
};

struct lua_hook_call {
	const struct script *script;
	const struct lua_probe *probe; /* of lua_ask */
	const char *step;    /* "pre-hook", "post-hook", "boot-test" */
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

/* Asks the script of a boot test about the vm that call->probe leads to.  Yes:
 * it ended well, *ret_notes as above; else err has its reason.  That it broke,
 * or took too long, says nothing. */
enum lua_said { LUA_SAID_YES, LUA_SAID_NO, LUA_SAID_NOTHING };
enum lua_said lua_ask(const struct lua_hook_call *call, json_t **ret_notes,
		      struct err *err);

/* Compiles only: syntax errors with chunk and line, for validation. */
int lua_check(const struct script *script, struct err *err);

#endif

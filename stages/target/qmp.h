/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's monitor: one question at a time. */
#ifndef TARGET_QMP_H
#define TARGET_QMP_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Connects to the monitor `name` in the directory `dir` (however long its
 * path), executes one command and gives back its "return" (a new reference;
 * ret may be NULL).  A monitor that is not there or does not answer by the
 * deadline is ERR_RETRY. */
int qmp_execute(const char *dir, const char *name, const char *command,
		int64_t mono_deadline_ms, json_t **ret, struct err *err);
/* The same of a command with arguments, an object. */
int qmp_execute_with(const char *dir, const char *name, const char *command,
		     json_t *arguments, int64_t mono_deadline_ms, json_t **ret,
		     struct err *err);

/* Who answers there; 0: nobody, or nobody of this PID namespace. */
pid_t qmp_peer(const char *dir, const char *name);

#endif

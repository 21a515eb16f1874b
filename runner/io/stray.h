/* SPDX-License-Identifier: Apache-2.0 */
/* What a child leaves behind when it ends: processes in sessions of their own,
 * twice forked, that no group names.  They become ours, and are ended. */
#ifndef IO_STRAY_H
#define IO_STRAY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "io/process.h"

/* From now on what loses its parent below this process becomes its child. */
void stray_adopt(void);

/* Ends and reaps every child of this process but those that `keep` says true
 * of, and what becomes its child by that; ERR_RETRY when one will not go. */
typedef bool stray_keep_fn(void *arg, pid_t pid);
int stray_end(stray_keep_fn *keep, void *arg, int deadline_ms, struct err *err);

/* Is it this process, or of the session that it leads? */
bool stray_is_of(pid_t pid, const struct process_id *leader);

/* Does the process have this very file open with a lock on it?  What inherited
 * our lock has; what only reads the file has not. */
bool stray_holds(pid_t pid, int lock);
/* Sends SIGKILL to all who do, but this process. */
void stray_kill_holders(int lock);

#endif

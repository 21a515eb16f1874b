/* SPDX-License-Identifier: Apache-2.0 */
/* Target type `local`: a directory, and QEMU started by a script in it.  What
 * is not told here, files.h does.
 *
 *   PATH/VM/                      the vm's home
 *     start                       starts it with plain QEMU
 *     running.lock                held by whoever runs it
 *     starting.lock               held by the run that starts it
 *     qemu.pid  qemu.json  qemu.log  qmp.sock
 *     console.pipe  console.log  console.log.1   the newest of its console
 *   PATH/CLASS/VM/                disks of that storage class
 */
#ifndef TARGET_LOCAL_H
#define TARGET_LOCAL_H

#include "io/process.h"
#include "stages/target/files.h"

#define LOCAL_LOCK "running.lock"
#define LOCAL_STARTING "starting.lock"
#define LOCAL_QMP "qmp.sock"
#define LOCAL_PROCESS "qemu.json"
#define LOCAL_PIDFILE "qemu.pid"
#define LOCAL_START "start"
#define LOCAL_CONSOLE "console.log"
#define LOCAL_CONSOLE_OLD "console.log.1"
#define LOCAL_PIPE "console.pipe"
#define LOCAL_LOG "qemu.log"

/* local_check.c */
int local_check(const struct target_vm *t, struct findings *findings,
		struct err *err);

/* local_vm.c */
int local_create_vm(const struct target_vm *t, json_t **ret_facts,
		    struct err *err);
int local_is_defined(const struct target_vm *t, bool *ret, json_t **ret_facts,
		     struct err *err);

/* local_start.c */
int local_start(const struct target_vm *t, json_t **ret_facts, struct err *err);

/* local_power.c */
/* -1: there is no record of who runs it that one could trust. */
int local_recorded_process(const struct target_vm *t, struct process_id *ret);
int local_power_state(const struct target_vm *t, enum power_state *ret,
		      struct err *err);
int local_may_stop(const struct target_vm *t, struct err *err);
int local_stop(const struct target_vm *t, int64_t grace_ms, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Target type `local`: a directory, and QEMU started by a script in it.
 *
 *   PATH/VM/                      the vm's home
 *     palletjack.json             the claim: whose this is, and
 *                                 how the source was before its stop
 *     palletjack.json.lock        held by the run that works on it
 *     handover.json               the hand-over mark, once handed over
 *     disk-0.raw  disk-0.raw.id   a volume, and what identifies its contents;
 *                                 its second line: a commit was begun
 *     overlays/                   scratch of conversion and boot test
 *     disk-0.aside-1.raw          what was committed before it was copied anew,
 *     overlays.aside-1/  ...      and what belonged to it
 *     domain.xml  nvram.fd        the definition, UEFI's variables
 *     start                       starts it with plain QEMU
 *     running.lock                held by whoever runs it
 *     starting.lock               held by the run that starts it
 *     qemu.pid  qemu.json  qemu.log  qmp.sock
 *     console.pipe  console.log  console.log.1   the newest of its console
 *   PATH/CLASS/VM/                disks of that storage class, with a claim
 *                                 and a mark of their own beside them
 */
#ifndef TARGET_LOCAL_H
#define TARGET_LOCAL_H

#include "base/vec.h"
#include "io/process.h"
#include "stages/target/target.h"

#define LOCAL_CLAIM "palletjack.json"
#define LOCAL_HELD LOCAL_CLAIM ".lock"
#define LOCAL_MARK "handover.json"
#define LOCAL_LOCK "running.lock"
#define LOCAL_STARTING "starting.lock"
#define LOCAL_QMP "qmp.sock"
#define LOCAL_PROCESS "qemu.json"
#define LOCAL_PIDFILE "qemu.pid"
#define LOCAL_START "start"
#define LOCAL_DOMAIN "domain.xml"
#define LOCAL_NVRAM "nvram.fd"
#define LOCAL_CONSOLE "console.log"
#define LOCAL_CONSOLE_OLD "console.log.1"
#define LOCAL_PIPE "console.pipe"
#define LOCAL_LOG "qemu.log"

/* Every directory that holds something of the vm, the home first. */
struct local_dirs {
	VEC(char *) list;
};
void local_dirs_of(const struct target_vm *t, struct local_dirs *ret);
void local_dirs_done(struct local_dirs *d);

char *local_home(const struct target_vm *t); /* caller frees */
char *local_path(const struct target_vm *t, const char *name); /* in it */
char *local_disk_dir(const struct target_vm *t, size_t n);

/* Names that become paths: nothing that leaves the directory. */
int local_check_names(const struct target_vm *t, struct err *err);

/* local_claim.c */
int local_guard(const struct target_vm *t, struct err *err);
int local_claim(const struct target_vm *t, struct err *err);
int local_note_power(const struct target_vm *t, const char *was,
		     struct err *err);
#define LOCAL_TAKEABLE 2
/* ERR_HELD unless `dir` bears our claim (1), none (0), or the one that may be
 * taken over (LOCAL_TAKEABLE). */
int local_claimed(const struct target_vm *t, const char *dir, struct err *err);
/* The first foreign claim, as struct target_ops says. */
int local_claimant(const struct target_vm *t, json_t **ret, struct err *err);
/* ERR_HELD unless all directories bear our claim. */
int local_must_own(const struct target_vm *t, struct err *err);
/* Has a directory anything but what a cut-short claim leaves? */
bool local_is_occupied(const char *dir);
int local_mark(const struct target_vm *t, enum handover state, struct err *err);
int local_marked(const struct target_vm *t, enum handover *ret,
		 struct err *err);

/* local_lock.c */
int local_hold(const struct target_vm *t, int held, int *ret_fd,
	       struct err *err);
/* Who works on the vm whose home that is, caller frees; NULL: nobody. */
char *local_holder(const char *dir);
/* Makes a takeable directory ours; `text` is our claim. */
int local_take_over(const struct target_vm *t, const char *dir,
		    const char *text, struct err *err);

/* local_volume.c */
char *local_volume_id(const struct target_vm *t, size_t n); /* a path */
void local_volume(const struct target_vm *t, size_t n, struct volume *ret);
int local_create_volume(const struct target_vm *t, size_t n, char **ret_id,
			bool *ret_fresh, struct err *err);
int local_grow_volume(const struct target_vm *t, size_t n, uint64_t was,
		      struct err *err);
int local_volume_is(const struct target_vm *t, size_t n, char **ret_id,
		    bool *ret_sealed, struct err *err);
int local_seal(const struct target_vm *t, struct err *err);

/* local_check.c */
int local_check(const struct target_vm *t, struct findings *findings,
		struct err *err);

/* local_vm.c */
int local_create_vm(const struct target_vm *t, json_t **ret_facts,
		    struct err *err);
int local_is_defined(const struct target_vm *t, bool *ret, json_t **ret_facts,
		     struct err *err);

/* local_aside.c */
char *local_aside(const struct target_vm *t, size_t n);
/* It is to be, and is not yet. */
bool local_is_to_set_aside(const struct target_vm *t, size_t n);
int local_set_aside(const struct target_vm *t, struct err *err);
/* What was ever set aside in this directory, which bears our claim. */
int local_remove_aside(const char *dir, struct err *err);

/* local_remove.c */
int local_owned(const struct target_vm *t, bool *ret, struct err *err);
int local_must_be_off(const struct target_vm *t, struct err *err);
int local_undefine(const struct target_vm *t, struct err *err);
int local_remove(const struct target_vm *t, struct err *err);

/* local_start.c */
int local_start(const struct target_vm *t, json_t **ret_facts, struct err *err);

/* local_power.c */
/* -1: there is no record of who runs it that one could trust. */
int local_recorded_process(const struct target_vm *t, struct process_id *ret);
int local_power_state(const struct target_vm *t, enum power_state *ret,
		      struct err *err);
int local_stop(const struct target_vm *t, int64_t grace_ms, struct err *err);

#endif

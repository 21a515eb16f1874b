/* SPDX-License-Identifier: Apache-2.0 */
/* What a vm's state directory remembers and takes in, before work;
 * batch.c's own. */
#ifndef RUNNER_BATCH_STATE_H
#define RUNNER_BATCH_STATE_H

#include "batch.h"

/* ERR_FAIL: the directory was copied from another plan's, and proves nothing
 * here. */
int batch_check_owner(const struct batch *b, const struct vm_state *s,
		      struct err *err);
/* What the run goes by: the source as it is now, and what --redo asked for. */
int batch_keep_record(struct batch_vm *v, struct err *err);

/* ERR_CANCELLED when it is; v->due in any case.  `vm_dir` NULL: requests that
 * wait do not count, they are taken in first. */
int batch_check_cancelled(const struct batch *b, struct batch_vm *v,
			  const char *vm_dir, struct err *err);
/* The same by the requests that were read then, once more is known of the vm.
 */
int batch_check_due(const struct batch *b, struct batch_vm *v, struct err *err);
/* A vm that stays as cancelled as it was needs no lock. */
int batch_check_still_cancelled(const struct batch *b, struct batch_vm *v,
				struct err *err);
/* Locks its state, in place of the one for looking; for a run, requests are
 * taken in and obeyed.  What is given back or cleaned up asks for none. */
int batch_take_state(struct batch *b, struct batch_vm *v, const char *dir,
		     struct err *err);

/* All is done and only the last word was never written: a run was killed
 * between its last result and its end. */
int batch_say_finished(struct batch_vm *v, struct err *err);

#endif

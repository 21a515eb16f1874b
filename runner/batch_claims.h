/* SPDX-License-Identifier: Apache-2.0 */
/* Vms whose place at the target another state claims. */
#ifndef RUNNER_BATCH_CLAIMS_H
#define RUNNER_BATCH_CLAIMS_H

#include <stdbool.h>

#include "batch.h"

/* Asks the target: `claim` of the vms that are to be moved. */
void batch_find_claims(struct batch *b, const struct batch_opts *opts);
/* Is it another's, and nobody accepted that it is taken over? */
bool batch_claim_bars(const struct batch_vm *v);
/* Keeps the vm back (ERR_HELD) and says how to go on. */
void batch_refuse_claim(struct batch_vm *v);
/* Somebody accepted it: to be scheduled anew after this. */
void batch_accept_claim(struct batch_vm *v);

#endif

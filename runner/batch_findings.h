/* SPDX-License-Identifier: Apache-2.0 */
/* Findings that keep vms back. */
#ifndef RUNNER_BATCH_FINDINGS_H
#define RUNNER_BATCH_FINDINGS_H

#include "batch.h"
#include "manifests/strmap.h"

/* What keeps vms back: the first finding by vm, "" for all of them. */
void batch_find_blocking(const struct batch *b, const struct batch_opts *opts,
			 struct strmap *ret);
/* -1: the vm is kept back by one of them, which is the error. */
int batch_check_findings(const struct strmap *blocking,
			 const struct batch_vm *v, struct err *err);
/* For who only looks: the verdicts after batch_check, which a run comes to step
 * by step.  The batch's digest stays: a run's has not been checked yet. */
void batch_heed_findings(struct batch *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The questions a batch has for its endpoints. */
#ifndef RUNNER_BATCH_ASK_H
#define RUNNER_BATCH_ASK_H

#include <stdbool.h>

#include "batch.h"

/* Still to be moved, and the source to be asked about it. */
bool batch_is_to_move(const struct batch_vm *v);
/* Its start is done: what is left to be done goes by its record, and the
 * source has no say any more. */
bool batch_is_handed_over(const struct batch_vm *v);
bool batch_has_questions(const struct batch *b);
/* Asks the source: b->inventory. */
int batch_survey(struct batch *b, struct err *err);

#endif

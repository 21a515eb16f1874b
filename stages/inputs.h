/* SPDX-License-Identifier: Apache-2.0 */
/* What a step's fingerprint is made of, by the names people look for. */
#ifndef STAGES_INPUTS_H
#define STAGES_INPUTS_H

#include "stages/stage.h"

/* Grows when what a stage leaves behind changes its form, so that work of an
 * older palletjack is done again instead of misread. */
#define INPUTS_FORMAT 1

/* The disks and volumes alone, and which generation it is done for. */
void inputs_generation(const struct view *v, const struct inv_disk *disk,
		       json_t *ret);
/* Of stages_replica what matters to `disk` (NULL: to all disks): identity,
 * size, target volume, data format, source epoch, and nothing else.  Every
 * stage from cutover on includes it. */
void inputs_replica(const struct view *v, const struct inv_disk *disk,
		    json_t *ret);
/* The same for the disks after conversion (raw copy mode: as they are). */
void inputs_converted(const struct view *v, json_t *ret);
/* What a boot test asks the guest. */
void inputs_probe(const struct view *v, json_t *ret);
/* The target vm's shape but for its disks' contents. */
void inputs_shape(const struct view *v, json_t *ret);
/* What stages_epoch is of a source whose epoch is `now`; borrowed. */
const char *inputs_epoch_at(const struct view *v, const char *now);
void inputs_set(json_t *ret, const char *name, const char *value);

#endif

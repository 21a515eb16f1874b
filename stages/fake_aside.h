/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake endpoint sets aside. */
#ifndef STAGES_FAKE_ASIDE_H
#define STAGES_FAKE_ASIDE_H

#include "stages/stage.h"

int fake_set_aside(struct work *w, json_t **ret_facts, struct err *err);
/* All that was ever set aside. */
int fake_remove_aside(const struct view *v, struct err *err);

#endif

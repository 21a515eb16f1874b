/* SPDX-License-Identifier: Apache-2.0 */
/* What stages share among themselves; runner/ does not see it. */
#ifndef STAGES_INSIDE_H
#define STAGES_INSIDE_H

#include "manifests/finding.h"
#include "stages/stage.h"
#include "stages/target/target.h"

/* What the target's functions want to know about this vm. */
struct target_vm stages_target(const struct view *v);

/* Findings of the convert stage, asked before anything is touched: tools,
 * Windows drivers, KVM or TCG and what that costs. */
void convert_check(const struct view *v, struct findings *findings);

/* "<state_dir>/ledger/<disk id>.ledger"; caller frees. */
char *stages_ledger_path(const struct view *v, const char *disk_id);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The disks of the fake endpoint: content made up from the seed, really
 * written, and read back.
 *
 * Each block of 1 MiB holds a stamp in its first sector and zeroes behind it;
 * the stamp is a function of the source's epoch (the seed, and how often the
 * source was started since), vm, disk and block, and of nothing else: two runs
 * of one manifest end with the same bytes, whatever happened to them.  The
 * ledger is the real one.  Committing writes the second sector.  Disks of no
 * bytes, and all with settings.content "none", are made up altogether. */
#ifndef STAGES_FAKE_DISK_H
#define STAGES_FAKE_DISK_H

#include "stages/stage.h"

/* The steps' run(); a step about disks that are made up does nothing. */
int fake_copy(struct work *w, json_t **ret_facts, struct err *err);
int fake_verify(struct work *w, json_t **ret_facts, struct err *err);
int fake_convert(struct work *w, json_t **ret_facts, struct err *err);
int fake_rehearse(struct work *w, json_t **ret_facts, struct err *err);
int fake_boot_rehearsal(struct work *w, json_t **ret_facts, struct err *err);
bool fake_is_rehearsed(const struct work *w, json_t **ret_facts);
int fake_forget_rehearsal(struct work *w, json_t **ret_facts, struct err *err);
int fake_boot_test(struct work *w, json_t **ret_facts, struct err *err);
int fake_commit(struct work *w, json_t **ret_facts, struct err *err);
int fake_cleanup(struct work *w, json_t **ret_facts, struct err *err);
int fake_remove_disks(struct work *w, json_t **ret_facts, struct err *err);

/* Is the step one that fake_copy spreads its time over? */
bool fake_has_blocks(const struct work *w);

#endif

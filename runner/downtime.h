/* SPDX-License-Identifier: Apache-2.0 */
/* How long a vm was down, what was predicted of it, and what its journal knows
 * that a prediction is made from. */
#ifndef RUNNER_DOWNTIME_H
#define RUNNER_DOWNTIME_H

#include "history.h"
#include "manifests/inventory.h"
#include "predict.h"

/* The key that "cutover" records before the source is stopped: {lowMs,
 * likelyMs, highMs, why}. */
#define DOWNTIME_PREDICTED "predicted"

struct downtime_told {
	bool is_predicted;
	int64_t low_ms, high_ms;
	const char *why; /* borrowed; or NULL */
	int64_t took_ms; /* from the source's stop to the target's start; -1:
			    not known */
};

void downtime_told(const struct history *h, struct downtime_told *ret);
/* "down for 41 s (38 s to 55 s were predicted)", when both are known; or NULL.
 * Caller frees. */
char *downtime_text(const struct history *h);

/* The generations on record, and what each cost; how many. */
size_t downtime_generations(const struct history *h,
			    struct generation_seen ret[PREDICT_GENERATIONS]);
/* How long conversions of this vm took: for good, or to see. */
void downtime_conversions(const struct history *h, struct predict_part *part);
/* Likewise boot tests. */
void downtime_boots(const struct history *h, struct predict_part *part);
/* The last copy of all of the vm's disks, made with its source off, and the
 * reading back of it; false: there was none, or it was only the rest of
 * one. */
bool downtime_cold_copy(const struct history *h, const struct inv_vm *vm,
			struct predict_part *copy, struct predict_part *verify);
/* The number of the last generation that was read back whole, on all disks. */
uint32_t downtime_read_back(const struct history *h, const struct inv_vm *vm);

#endif

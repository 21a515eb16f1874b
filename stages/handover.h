/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the target, and never beside its source: the source is looked at,
 * the mark is stored at the target, the target is started, the source is looked
 * at before its guest runs, and again when it does; if the source runs, the
 * target does not. */
#ifndef STAGES_HANDOVER_H
#define STAGES_HANDOVER_H

#include "stages/stage.h"
#include "stages/target/target.h"

/* Both ends, as whoever hands over reaches them. */
struct handover_ends {
	const char *source; /* its name, for people */
	/* NULL: it cannot run. */
	int (*source_power)(void *arg, enum power_state *ret, struct err *err);
	/* Is it as the cutover left it?  It may have run meanwhile. */
	int (*source_same)(void *arg, struct err *err);
	int (*mark)(void *arg, enum handover state, struct err *err);
	/* Fine when it runs; returns once it does so well. */
	int (*start)(void *arg, json_t **ret_facts, struct err *err);
	int (*stop)(void *arg, struct err *err); /* at once */
	bool may_run; /* the target, by now: an earlier attempt started it */
	void *arg;
};

/* For target_vm.may_run: the source is off; as it is asked for each look. */
int handover_may_run(const struct handover_ends *ends, struct err *err);
/* The target is stopped, and *err says so; always -1. */
int handover_stop_again(const struct handover_ends *ends, struct err *err);

/* Notes of this attempt, which failed, that it came to no mark at the target,
 * and neither did any before it; where that cannot be noted the target counts
 * as one that may have been started. */
void handover_note_unmarked(struct work *w, bool source_runs);
/* Comes before anything is marked there, or started that is: a step that ends
 * without it has not started the target. */
int handover_note_marking(struct work *w, struct err *err);

int handover_start(const struct handover_ends *ends, json_t **ret_facts,
		   struct err *err);
/* The target was found running, started by an attempt that was killed: what is
 * left of that. */
int handover_go_on(const struct handover_ends *ends, json_t **ret_facts,
		   struct err *err);
/* It stays off, and may be started by its operator from then on. */
int handover_leave_off(const struct handover_ends *ends, struct err *err);

#endif

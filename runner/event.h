/* SPDX-License-Identifier: Apache-2.0 */
/* What happens during a run, for those who watch.  Execution emits, printers
 * listen; nothing is decided here. */
#ifndef RUNNER_EVENT_H
#define RUNNER_EVENT_H

#include <stdint.h>

#include "meter.h"

enum event_type {
	EVENT_STEP_BEGUN,
	EVENT_STEP_DOING,    /* text: what, in a few words */
	EVENT_STEP_PROGRESS, /* done of total bytes */
	EVENT_STEP_DONE,
	EVENT_STEP_FAILED, /* text: why */
	EVENT_STEP_AGAIN,  /* text: why; wait_ms until then */
	EVENT_VM_SKIPPED,  /* text: finished before, archived, held */
	EVENT_VM_REQUEST,  /* text: what was asked, and what came of it */
	EVENT_VM_WAITING,  /* text: for what */
	EVENT_VM_DONE,
	EVENT_VM_ROLLED_BACK,
	EVENT_VM_CLEANED,
	EVENT_VM_FAILED, /* text: why */
};

struct event {
	enum event_type type;
	const char *vm;
	const char *step; /* NULL for a vm's events */
	const char *text;
	uint64_t done, total;
	const struct meter *meter; /* of progress in bytes, or NULL */
	int64_t elapsed_ms, wait_ms;
};

struct printer {
	void (*print)(struct printer *p, const struct event *e);
};

/* Lines for people on stderr; a line that is redrawn when it is a terminal
 * and `colour` allows.  Caller frees with status_terminal_free. */
struct printer *status_terminal_new(int fd, int colour);
void status_terminal_free(struct printer *p);

#endif

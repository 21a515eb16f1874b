/* SPDX-License-Identifier: Apache-2.0 */
/* The QEMU guest agent of a vm that boots, over the socket that QEMU has for
 * its port: JSON lines, of which the first may be anybody's. */
#ifndef STAGES_BOOT_AGENT_H
#define STAGES_BOOT_AGENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct agent {
	int fd; /* 0: not connected */
	struct buf in;
	int asked;	      /* the number of the last sync that was sent */
	int64_t ask_again_ms; /* monotonic */
	bool synced;
};
void agent_done(struct agent *a);

/* Does it answer?  Asks when it is time to and looks; never waits. */
bool agent_is_there(struct agent *a, const char *dir, const char *socket);

/* Sends a command to one that is there; `arguments` may be NULL. */
int agent_send(struct agent *a, const char *command, const json_t *arguments,
	       struct err *err);
/* Its answer, as far as it has come: 1 with *ret (new reference; what is under
 * "return"), 0 not yet, -1: it refuses, or is gone.  Never waits. */
int agent_take(struct agent *a, json_t **ret, struct err *err);

#endif

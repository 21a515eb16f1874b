/* SPDX-License-Identifier: Apache-2.0 */
/* The child's end of the socket to its parent: datagrams of JSON.  Notes may
 * be lost and never block; records wait until the parent has them on disk. */
#ifndef RUNNER_LINK_H
#define RUNNER_LINK_H

#include <jansson.h>
#include <signal.h>

#include "base/err.h"

#define LINK_MESSAGE_MAX ((size_t)1024 * 1024)

struct work_link {
	int socket;
};

void link_enlarge(int socket);
/* Waits for the parent's word to go; -1 when it went away instead. */
int link_wait(struct work_link *l);
void link_note(struct work_link *l, json_t *message); /* takes message */
int link_record(struct work_link *l, json_t *message, struct err *err);
void link_send_error(struct work_link *l, const struct err *e);
void link_send_result(struct work_link *l, json_t *facts);

#endif

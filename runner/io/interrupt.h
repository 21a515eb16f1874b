/* SPDX-License-Identifier: Apache-2.0 */
/* Being asked to stop: SIGTERM, SIGINT, and SIGHUP of a terminal that went
 * away.  At any moment, and also for process 1 of a container, for which the
 * system's defaults do nothing. */
#ifndef IO_INTERRUPT_H
#define IO_INTERRUPT_H

#include "base/err.h"

/* From now on each of them ends the program at once with 128 and its number:
 * what is on disk is what the next run goes by.  Those that whoever started us
 * ignores (nohup, a shell's background job) stay ignored. */
void interrupt_begin(void);

/* While children live, they wait to be read instead: a descriptor for poll;
 * -1 with err.  Not within itself. */
int interrupt_hold(struct err *err);
int interrupt_read(int fd); /* the signal that came, or 0 */
/* As before; one that came and was not read ends the program now. */
void interrupt_release(int *fd);
/* After what had to be ended is ended. */
_Noreturn void interrupt_end(int sig);

#endif

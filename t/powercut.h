/* SPDX-License-Identifier: Apache-2.0 */
/* A power cut for files: a process is killed in the middle of its writing, and
 * of what it wrote only that stays for certain which was synced.
 *
 * A program linked with powercut.c has its pwrite, fallocate, fsync, fdatasync
 * and libnbd's aio_pwrite, aio_zero and aio_flush recorded, where they concern
 * a watched file.  The parent watches, forks, the child arms; when the child
 * is gone, the parent lets powercut_strike rebuild the files: a write whose
 * return came before the call of a sync that succeeded is there; of any other
 * write each sector is there or not, as the dice fall. */
#ifndef T_POWERCUT_H
#define T_POWERCUT_H

#include <stdbool.h>
#include <stdint.h>

/* What the files hold now is durable; at most two files.  What goes over NBD
 * is taken to reach the first one. */
void powercut_watch(const char *const *paths, int npaths);

/* In the child: record from now on, and die of SIGKILL at that event, counted
 * from 1 (the beginning and the end of a recorded call are one each); 0:
 * never. */
void powercut_arm(uint64_t die_at);
/* Syncs of this file say that they succeeded and do nothing; -1: none lies. */
void powercut_lie(int file);

/* Rebuilds the watched files and forgets the record. */
void powercut_strike(uint64_t seed);
uint64_t powercut_events(void); /* that were recorded since the watch */

/* The dice, for the tests, too: splitmix64. */
uint64_t powercut_random(uint64_t *state);

#endif

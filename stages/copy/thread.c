/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the data plane. */
#include "stages/copy/thread.h"

#include <signal.h>

int
thread_start(pthread_t *ret, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(ret, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

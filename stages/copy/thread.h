/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the data plane. */
#ifndef COPY_THREAD_H
#define COPY_THREAD_H

#include <pthread.h>

/* As pthread_create, but it takes no signals: they are left to the thread that
 * knows what to do about them. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *arg);

#endif

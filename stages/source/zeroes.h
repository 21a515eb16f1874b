/* SPDX-License-Identifier: Apache-2.0 */
/* A disk without content, for disks that are blank at the source. */
#ifndef SOURCE_ZEROES_H
#define SOURCE_ZEROES_H

#include <stdint.h>

#include "io/nbd.h"

/* Serves `bytes` that read as zero and are known to. */
int zeroes_serve(uint64_t bytes, const struct nbd_serve_opts *opts,
		 struct nbd_server *ret, struct err *err);

#endif

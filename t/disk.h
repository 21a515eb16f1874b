/* SPDX-License-Identifier: Apache-2.0 */
/* Small disks for tests, and servers for them. */
#ifndef T_DISK_H
#define T_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "io/nbd.h"

/* `map` is the disk, a MiB a letter: '.' a hole, '0' written zeroes, any other
 * data that depends on letter and place.  `size` may cut the last one. */
void disk_make(const char *path, const char *map, uint64_t size);
void disk_make_blank(const char *path, uint64_t size);

/* Are the first `size` bytes of both equal? */
bool disk_same(const char *a, const char *b, uint64_t size);

/* nbdkit with the raw image at `path`; or any server, see nbd_serve.  One
 * that does not start ends the test. */
struct nbd_server disk_serve(const char *path);
struct nbd_server disk_serve_by(const char *const *argv);

#endif

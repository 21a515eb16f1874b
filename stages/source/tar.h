/* SPDX-License-Identifier: Apache-2.0 */
/* Where the members of a tar archive are, without unpacking it: ustar, pax and
 * GNU's long names and base-256 sizes. */
#ifndef SOURCE_TAR_H
#define SOURCE_TAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/vec.h"

struct tar_member {
	const char *name;      /* relative, no "..", no "./" in front */
	uint64_t offset, size; /* of its data in the archive */
};

struct tar {
	struct arena *arena;		/* owns the names; borrowed */
	VEC(struct tar_member) members; /* files only */
	bool has_end; /* the two blocks of zeroes were there */
};

/* Walks all headers.  A damaged, truncated or hostile archive (names that
 * lead outside, links, the same name twice) is an ERR_FAIL that says where;
 * *ret then holds the members before that, and the truncated one. */
int tar_read(int fd, struct tar *ret, struct err *err);
void tar_done(struct tar *t);

const struct tar_member *tar_find(const struct tar *t, const char *name);

/* A relative path that stays where it is: no "..", not absolute. */
bool tar_is_safe(const char *name);

#endif

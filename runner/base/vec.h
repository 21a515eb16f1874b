/* SPDX-License-Identifier: Apache-2.0 */
/* Typed growing arrays: `VEC(struct step) steps;`, {0} is empty. */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stdlib.h>

#include "base/mem.h"

#define VEC(type)              \
	struct {               \
		type *v;       \
		size_t n, cap; \
	}

/* Adds one zeroed element and gives its address, valid until the next push:
 * whoever keeps addresses keeps a VEC of pointers. */
#define vec_push(vec)                                                          \
	__extension__({                                                        \
		if ((vec)->n == (vec)->cap) {                                  \
			(vec)->cap = (vec)->cap ? (vec)->cap * 2 : 8;          \
			(vec)->v = mem_resize((vec)->v,                        \
					      (vec)->cap * sizeof(*(vec)->v)); \
		}                                                              \
		memset(&(vec)->v[(vec)->n], 0, sizeof(*(vec)->v));             \
		&(vec)->v[(vec)->n++];                                         \
	})

#define vec_done(vec)                      \
	do {                               \
		free((vec)->v);            \
		(vec)->v = NULL;           \
		(vec)->n = (vec)->cap = 0; \
	} while (0)

#include <string.h>

#endif

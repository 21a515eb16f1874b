/* SPDX-License-Identifier: Apache-2.0 */
/* Text to pointer, in constant time: what keeps reading linear in the size of
 * the manifest.  Keys are borrowed and must outlive the map. */
#ifndef MANIFESTS_STRMAP_H
#define MANIFESTS_STRMAP_H

#include <stddef.h>

struct strmap {
	struct strmap_slot {
		const char *key;
		void *value;
	} * slots;
	size_t n, cap;
};

/* {0} is an empty map. */
void *strmap_get(const struct strmap *m, const char *key); /* or NULL */
/* What is already there stays and is given back; NULL: it was new. */
void *strmap_add(struct strmap *m, const char *key, void *value);
/* Replaces what is there. */
void strmap_set(struct strmap *m, const char *key, void *value);
void strmap_done(struct strmap *m);

#endif

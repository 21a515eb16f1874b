/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, of bytes and of JSON values in one canonical form. */
#ifndef MANIFESTS_DIGEST_H
#define MANIFESTS_DIGEST_H

#include <jansson.h>
#include <stddef.h>

#define DIGEST_HEX_SIZE 65

void digest_bytes(const void *data, size_t len, char ret[DIGEST_HEX_SIZE]);
/* Keys sorted, no white space: equal values have equal digests. */
void digest_json(const json_t *value, char ret[DIGEST_HEX_SIZE]);
/* Two pieces, as if joined. */
void digest_chain(const char *first, const void *data, size_t len,
		  char ret[DIGEST_HEX_SIZE]);

/* For streams. */
struct digest;
struct digest *digest_new(const char *algorithm); /* "sha1" "sha256" "sha512",
                                                     else NULL */
void digest_add(struct digest *d, const void *data, size_t len);
/* Lower-case hex, caller frees; d is freed too. */
char *digest_end(struct digest *d);

#endif

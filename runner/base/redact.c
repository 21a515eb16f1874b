/* SPDX-License-Identifier: Apache-2.0 */
/* Blotting out secrets. */
#include "base/redact.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"

static VEC(char *) secrets;

void
redact_add(const char *secret)
{
	if (secret && strlen(secret) >= 4)
		*vec_push(&secrets) = mem_strdup(secret);
}

static size_t
secret_at(const char *text)
{
	size_t longest = 0;

	for (size_t i = 0; i < secrets.n; i++) {
		size_t len = strlen(secrets.v[i]);

		if (len > longest && strncmp(text, secrets.v[i], len) == 0)
			longest = len;
	}
	return longest;
}

char *
redact_text(const char *text)
{
	struct buf out = {0};
	size_t len;

	while (*text) {
		len = secret_at(text);
		if (len)
			buf_adds(&out, "***");
		else
			buf_add(&out, text, 1);
		text += len ? len : 1;
	}
	return buf_steal(&out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Digests by OpenSSL. */
#include "manifests/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "manifests/canonical.h"

static const char hex_digits[] = "0123456789abcdef";

struct digest {
	EVP_MD_CTX *ctx;
};

/* OpenSSL fails here only when memory runs out, which never comes back. */
static void
must(int ok)
{
	if (!ok)
		abort();
}

/* OpenSSL looks long for an algorithm, so each is looked for once. */
static const EVP_MD *
algorithm_find(const char *name)
{
	static const char *const known[] = {"sha1", "sha256", "sha512"};
	static EVP_MD *found[sizeof(known) / sizeof(*known)];

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(name, known[i]) != 0)
			continue;
		if (!found[i])
			found[i] = EVP_MD_fetch(NULL, name, NULL);
		must(found[i] != NULL);
		return found[i];
	}
	return NULL;
}

struct digest *
digest_new(const char *algorithm)
{
	const EVP_MD *md = algorithm_find(algorithm);
	struct digest *d;

	if (!md)
		return NULL;
	d = mem_new(sizeof(*d));
	d->ctx = EVP_MD_CTX_new();
	must(d->ctx && EVP_DigestInit_ex(d->ctx, md, NULL));
	return d;
}

void
digest_add(struct digest *d, const void *data, size_t len)
{
	must(EVP_DigestUpdate(d->ctx, data, len));
}

char *
digest_end(struct digest *d)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len;
	char *hex;

	must(EVP_DigestFinal_ex(d->ctx, raw, &len));
	EVP_MD_CTX_free(d->ctx);
	free(d);
	hex = mem_new(2 * (size_t)len + 1);
	for (unsigned i = 0; i < len; i++) {
		hex[2 * i] = hex_digits[raw[i] >> 4];
		hex[2 * i + 1] = hex_digits[raw[i] & 15];
	}
	return hex;
}

void
digest_chain(const char *first, const void *data, size_t len,
	     char ret[DIGEST_HEX_SIZE])
{
	struct digest *d = digest_new("sha256");
	CLEANUP(mem_freep) char *hex = NULL;

	digest_add(d, first, strlen(first));
	digest_add(d, data, len);
	hex = digest_end(d);
	memcpy(ret, hex, DIGEST_HEX_SIZE);
}

void
digest_bytes(const void *data, size_t len, char ret[DIGEST_HEX_SIZE])
{
	digest_chain("", data, len, ret);
}

void
digest_json(const json_t *value, char ret[DIGEST_HEX_SIZE])
{
	CLEANUP(buf_done) struct buf text = {0};

	canonical_add(&text, value);
	digest_bytes(text.data, text.len, ret);
}

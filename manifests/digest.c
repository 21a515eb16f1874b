/* SPDX-License-Identifier: Apache-2.0 */
/* Digests by OpenSSL, and the canonical form of JSON that is digested. */
#include "manifests/digest.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"

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

struct digest *
digest_new(const char *algorithm)
{
	static const char *const known[] = {"sha1", "sha256", "sha512"};
	const EVP_MD *md = NULL;
	struct digest *d;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(algorithm, known[i]))
			md = EVP_get_digestbyname(algorithm);
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
	CLEANUP(mem_freep)
	char *text =
	    json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);

	must(text != NULL);
	digest_bytes(text, strlen(text), ret);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Digests by OpenSSL, and the canonical form of JSON that is digested. */
#include "manifests/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The canonical form is what jansson writes with JSON_SORT_KEYS and
 * JSON_COMPACT, made without its copies and its looking for cycles: every step
 * of every vm has a fingerprint. */
struct canonical {
	struct digest *digest;
	size_t len;
	char bytes[4096];
};

static void
add_piece(struct canonical *c, const char *text, size_t len)
{
	if (len > sizeof(c->bytes) - c->len) {
		digest_add(c->digest, c->bytes, c->len);
		c->len = 0;
	}
	if (len > sizeof(c->bytes))
		digest_add(c->digest, text, len);
	else {
		memcpy(c->bytes + c->len, text, len);
		c->len += len;
	}
}

static void
add_escape(struct canonical *c, unsigned char byte)
{
	static const char plain[] = "\"\\\b\f\n\r\t",
			  short_form[] = "\"\\bfnrt";
	const char *known = byte ? strchr(plain, byte) : NULL;
	char text[8];
	int len;

	if (known)
		len = snprintf(text, sizeof(text), "\\%c",
			       short_form[known - plain]);
	else
		len = snprintf(text, sizeof(text), "\\u%04X", byte);
	add_piece(c, text, (size_t)len);
}

static void
add_string(struct canonical *c, const char *text, size_t len)
{
	size_t from = 0;

	add_piece(c, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte >= ' ' && byte != '"' && byte != '\\')
			continue;
		add_piece(c, text + from, i - from);
		add_escape(c, byte);
		from = i + 1;
	}
	add_piece(c, text + from, len - from);
	add_piece(c, "\"", 1);
}

struct member {
	const char *key;
	json_t *value;
};

static int
compare_members(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->key,
		      ((const struct member *)b)->key);
}

static void add_value(struct canonical *c, const json_t *value);

static void
add_object(struct canonical *c, const json_t *object)
{
	CLEANUP(mem_freep)
	struct member *members =
	    mem_new(json_object_size(object) * sizeof(*members));
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)object, key, value) members[n++] =
	    (struct member){key, value};
	qsort(members, n, sizeof(*members), compare_members);
	add_piece(c, "{", 1);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			add_piece(c, ",", 1);
		add_string(c, members[i].key, strlen(members[i].key));
		add_piece(c, ":", 1);
		add_value(c, members[i].value);
	}
	add_piece(c, "}", 1);
}

static void
add_array(struct canonical *c, const json_t *array)
{
	add_piece(c, "[", 1);
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i > 0)
			add_piece(c, ",", 1);
		add_value(c, json_array_get(array, i));
	}
	add_piece(c, "]", 1);
}

static void
add_integer(struct canonical *c, json_int_t n)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, n);

	add_piece(c, text, (size_t)len);
}

static void
add_real(struct canonical *c, const json_t *value)
{
	CLEANUP(mem_freep) char *text = json_dumps(value, JSON_ENCODE_ANY);

	must(text != NULL);
	add_piece(c, text, strlen(text));
}

static void
add_value(struct canonical *c, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		add_object(c, value);
		return;
	case JSON_ARRAY:
		add_array(c, value);
		return;
	case JSON_STRING:
		add_string(c, json_string_value(value),
			   json_string_length(value));
		return;
	case JSON_INTEGER:
		add_integer(c, json_integer_value(value));
		return;
	case JSON_REAL:
		add_real(c, value);
		return;
	case JSON_TRUE:
		add_piece(c, "true", 4);
		return;
	case JSON_FALSE:
		add_piece(c, "false", 5);
		return;
	case JSON_NULL:
		add_piece(c, "null", 4);
		return;
	}
}

void
digest_json(const json_t *value, char ret[DIGEST_HEX_SIZE])
{
	struct canonical c;
	CLEANUP(mem_freep) char *hex = NULL;

	c.digest = digest_new("sha256");
	c.len = 0;
	add_value(&c, value);
	digest_add(c.digest, c.bytes, c.len);
	hex = digest_end(c.digest);
	memcpy(ret, hex, DIGEST_HEX_SIZE);
}

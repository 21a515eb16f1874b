/* SPDX-License-Identifier: Apache-2.0 */
/* Digests against published values, and the canonical form of JSON. */
#include "manifests/digest.h"

#include <string.h>

#include "base/mem.h"
#include "t/tap.h"

static const char abc_sha256[] = "ba7816bf8f01cfea414140de5dae2223"
				 "b00361a396177a9cb410ff61f20015ad";

static void
test_bytes(void)
{
	char hex[DIGEST_HEX_SIZE];

	digest_bytes("abc", 3, hex);
	is_str(hex, abc_sha256, "sha256 of abc");
	digest_chain("a", "bc", 2, hex);
	is_str(hex, abc_sha256, "two pieces are as one");
	digest_bytes("", 0, hex);
	is_str(hex,
	       "e3b0c44298fc1c149afbf4c8996fb924"
	       "27ae41e4649b934ca495991b7852b855",
	       "sha256 of nothing");
}

static void
test_json(void)
{
	json_t *one = json_loads("{\"a\": 1, \"b\": [true, null]}", 0, NULL);
	json_t *two = json_loads("{\"b\":[true,null],\"a\":1}", 0, NULL);
	char first[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];

	digest_json(one, first);
	digest_json(two, second);
	is_str(first, second, "the order of keys does not matter");
	json_object_set_new(two, "a", json_real(1.5));
	digest_json(two, second);
	ok(strcmp(first, second) != 0, "values do");
	json_decref(one);
	json_decref(two);
}

/* The canonical form is jansson's: fingerprints outlive versions of either. */
static void
same_as_jansson(const char *text)
{
	json_t *value =
	    json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	CLEANUP(mem_freep)
	char *dumped =
	    json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
	char ours[DIGEST_HEX_SIZE], theirs[DIGEST_HEX_SIZE];

	digest_json(value, ours);
	digest_bytes(dumped, strlen(dumped), theirs);
	is_str(ours, theirs, dumped);
	json_decref(value);
}

static void
test_canonical(void)
{
	char text[10000];

	same_as_jansson("{}");
	same_as_jansson("[]");
	same_as_jansson("[[], {}, null, true, false]");
	same_as_jansson("[0, -1, 9223372036854775807, -9223372036854775808]");
	same_as_jansson("[1.5, -0.0, 1e300, 0.1]");
	same_as_jansson("{\"b\": 1, \"a\": {\"z\": [], \"\": 2}, \"aa\": 3, "
			"\"B\": 4, \"\\u00e9\": 5}");
	same_as_jansson("\"\\\" \\\\ \\/ \\b\\f\\n\\r\\t\"");
	same_as_jansson("\"\\u0000\\u0001\\u001f\\u007f\"");
	same_as_jansson("\"\\u00e9\\u20ac\\ud83d\\ude00\"");
	memset(text, 'x', sizeof(text));
	text[0] = text[sizeof(text) - 2] = '"';
	text[sizeof(text) - 1] = '\0';
	same_as_jansson(text);
}

static void
test_stream(void)
{
	struct digest *d = digest_new("sha1");
	CLEANUP(mem_freep) char *hex = NULL;

	digest_add(d, "ab", 2);
	digest_add(d, "c", 1);
	hex = digest_end(d);
	is_str(hex, "a9993e364706816aba3e25717850c26c9cd0d89d", "sha1 of abc");
	ok(!digest_new("md5"), "no other algorithm");
}

int
main(void)
{
	test_bytes();
	test_json();
	test_canonical();
	test_stream();
	return tap_done();
}

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
	test_stream();
	return tap_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Names, base64, distances between words, and the map from text. */
#include "manifests/text.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manifests/strmap.h"
#include "t/tap.h"

static void
test_names(void)
{
	char long_name[300];

	ok(text_is_label("web-01"), "a label");
	ok(!text_is_label("web.example"), "a dot is for subdomains");
	ok(text_is_subdomain("web.example"), "a subdomain");
	ok(!text_is_label(""), "not empty");
	ok(!text_is_label("-a") && !text_is_label("a-"), "no dash at the ends");
	ok(!text_is_subdomain("a..b") && !text_is_subdomain("a.-b") &&
	       !text_is_subdomain("a-.b") && !text_is_subdomain(".a"),
	   "nor at the ends of a part");
	ok(!text_is_label("Web") && !text_is_label("a_b") &&
	       !text_is_label("\xc3\xa4"),
	   "nothing but lower case, digits and dashes");
	memset(long_name, 'a', sizeof(long_name));
	long_name[63] = '\0';
	ok(text_is_label(long_name), "63 characters");
	long_name[63] = 'a';
	long_name[64] = '\0';
	ok(!text_is_label(long_name), "64 are too many");
	long_name[64] = 'a';
	long_name[253] = '\0';
	ok(text_is_subdomain(long_name), "253 characters");
	long_name[253] = 'a';
	long_name[254] = '\0';
	ok(!text_is_subdomain(long_name), "254 are too many");
}

static void
test_ssh_places(void)
{
	static const char *const good[] = {"h",
					   "u@h",
					   "nobody@127.0.0.1:1",
					   "ssh://h",
					   "ssh://h/",
					   "ssh://u@h.example:22?keyfile=/k",
					   "qemu+ssh://a%40b@h/system",
					   "ssh://[fe80::1%25eth0]",
					   "ssh://u@[::1]:2222/?no_verify=1"};
	static const char *const bad[] = {
	    "",		  "ssh://",	   "ssh://-oProxyCommand=x",
	    "ssh://h;ls", "h ls",	   "ssh://-l@h",
	    "ssh://@h",	  "ssh://h:x",	   "ssh://h:",
	    "tls://h",	  "://h",	   "h:22:22",
	    "[]",	  "ssh://[::1]:x", "ssh:///h",
	    "$(ls)@h"};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		ok(text_is_ssh_place(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(!text_is_ssh_place(bad[i]), "not '%s'", bad[i]);
}

static void
test_distance(void)
{
	size_t distance;

	is_int((long long)text_distance("targetName", "targetName", 3), 0,
	       "the same");
	is_int((long long)text_distance("targetNme", "targetName", 3), 1,
	       "one left out");
	is_int((long long)text_distance("wram", "warm", 3), 1, "a swap");
	is_int((long long)text_distance("VMS", "vms", 3), 0, "case");
	is_int((long long)text_distance("abc", "xyz", 2), 3, "beyond");
	ok(text_is_near("polcy", "policy", &distance), "near");
	ok(!text_is_near("x", "vms", &distance), "not near");
	ok(!text_is_near("description", "provider", &distance), "nor these");
}

static const struct {
	const char *text, *want; /* NULL: it is not base64 */
} base64[] = {
    {"", ""},	       {"YQ==", "a"},	   {"YWI=", "ab"}, {"YWJj", "abc"},
    {"YW\nJj", "abc"}, {"YQ=", NULL},	   {"YQ", NULL},   {"Y===", NULL},
    {"====", NULL},    {"YQ==YQ==", NULL}, {"Y-Q=", NULL}, {"\xff", NULL},
};

static void
test_base64(void)
{
	for (size_t i = 0; i < sizeof(base64) / sizeof(*base64); i++) {
		CLEANUP(buf_done) struct buf value = {0};
		int failed = text_base64(base64[i].text, &value);

		is_int(failed, base64[i].want ? 0 : -1, "base64 or not");
		if (!failed)
			is_str(value.data ? value.data : "", base64[i].want,
			       "its value");
	}
}

static void
test_map(void)
{
	CLEANUP(strmap_done) struct strmap map = {0};
	char keys[500][8];
	int values[500], wrong = 0;

	ok(!strmap_get(&map, "a"), "an empty map");
	for (int i = 0; i < 500; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		wrong += strmap_add(&map, keys[i], &values[i]) != NULL;
	}
	for (int i = 0; i < 500; i++)
		wrong += strmap_get(&map, keys[i]) != &values[i];
	is_int(wrong, 0, "500 keys");
	ok(strmap_add(&map, "k7", &values[8]) == &values[7],
	   "what is there stays");
	strmap_set(&map, "k7", &values[8]);
	ok(strmap_get(&map, "k7") == &values[8], "unless it is set");
	is_int((long long)map.n, 500, "and is there once");
}

int
main(void)
{
	test_names();
	test_ssh_places();
	test_distance();
	test_base64();
	test_map();
	return tap_done();
}

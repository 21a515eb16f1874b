/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors: what matches, and what is none. */
#include "selector.h"

#include "t/tap.h"

/* 1, 0, or -1 when it is no selector. */
static int
asked(const char *selector)
{
	json_t *labels = json_pack("{s:s, s:s, s:s}", "tier", "web", "wave",
				   "2", "example.org/owner", "ops");
	struct err err;
	bool matches;
	int rc = selector_matches(selector, labels, &matches, &err);

	json_decref(labels);
	return rc < 0 ? -1 : matches;
}

int
main(void)
{
	static const struct {
		const char *selector;
		int want;
	} rows[] = {
	    {"tier=web", 1},
	    {"tier==web", 1},
	    {" tier = web , wave=2 ", 1},
	    {"tier=db", 0},
	    {"tier=web,wave=1", 0},
	    {"tier!=db", 1},
	    {"tier!=web", 0},
	    {"nothing!=web", 1},
	    {"nothing=", 0},
	    {"tier", 1},
	    {"nothing", 0},
	    {"!nothing", 1},
	    {"!tier", 0},
	    {"example.org/owner=ops", 1},
	    {"wave in (1,2)", 1},
	    {"wave in ( 1, 3 )", 0},
	    {"wave notin (1,3),tier", 1},
	    {"wave notin(1,2)", 0},
	    {"nothing notin (a)", 1},
	    {"nothing in (a)", 0},
	    {"", -1},
	    {",", -1},
	    {"tier=web,", -1},
	    {"=web", -1},
	    {"!=web", -1},
	    {"tier=a=b", -1},
	    {"tier>1", -1},
	    {"wave in 1,2", -1},
	    {"wave in (1,2", -1},
	    {"wave of (1,2)", -1},
	    {"in (1)", -1},
	    {"(1)", -1},
	    {"!", -1},
	    {"a b", -1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_int(asked(rows[i].selector), rows[i].want, rows[i].selector);
	return tap_done();
}

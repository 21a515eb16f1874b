/* SPDX-License-Identifier: Apache-2.0 */
/* The list of findings: what blocks whom, text and JSON forms. */
#include "manifests/finding.h"

#include "base/mem.h"
#include "t/tap.h"

static void
fill(struct findings *f)
{
	struct finding *one;

	one = findings_add(f, FINDING_CRITICAL, "VMNotFound", "no vm '%s'",
			   "web");
	one->object = "Plan demo/web";
	one->vm = "web";
	one->field = "spec.vms[0]";
	one->pos = (struct pos){"plans/web.yaml", 14, 7};
	findings_add(f, FINDING_WARN, "UnknownField", "a typing error");
	one = findings_add(f, FINDING_ERROR, "NotHonoured", "not there yet");
	one->pos.file = "a.yaml";
}

static void
test_blocking(const struct findings *f)
{
	is_int((long long)findings_blocking(f, NULL), 1, "about the plan");
	is_int((long long)findings_blocking(f, "web"), 2, "about vm web");
	is_int((long long)findings_blocking(f, "db"), 1, "about vm db");
	ok(!finding_blocks(&f->v[1]), "a warning does not block");
}

static void
test_text(const struct findings *f)
{
	CLEANUP(buf_done) struct buf text = {0};

	finding_text(&f->v[0], &text);
	is_str(text.data,
	       "plans/web.yaml:14:7: Plan demo/web: vm web: no vm 'web'",
	       "all of the place");
	buf_reset(&text);
	finding_text(&f->v[2], &text);
	is_str(text.data, "a.yaml: not there yet", "only the file is known");
}

static void
test_json(const struct findings *f)
{
	CLEANUP(arena_freep) struct arena *arena = arena_new();
	CLEANUP(findings_done) struct findings copy = {.arena = arena};
	json_t *one = findings_to_json(f), *two;

	findings_add_json(&copy, one);
	two = findings_to_json(&copy);
	ok(json_equal(one, two), "JSON there and back");
	is_int((long long)json_array_size(two), 3, "three findings");
	ok(!json_object_get(json_array_get(two, 1), "line"),
	   "no line where there is none");
	json_decref(one);
	json_decref(two);
}

static void
test_foreign(void)
{
	CLEANUP(arena_freep) struct arena *arena = arena_new();
	CLEANUP(findings_done) struct findings f = {.arena = arena};
	json_t *foreign = json_loads("[{\"category\": \"Fatal\","
				     " \"type\": \"X\", \"message\": \"m\"}]",
				     0, NULL);

	findings_add_json(&f, foreign);
	is_int((long long)findings_blocking(&f, NULL), 1,
	       "a category we do not know blocks");
	json_decref(foreign);
	foreign = json_pack("[s, {s:s, s:s}]", "not a finding", "category",
			    "Warn", "type", "Y");
	findings_add_json(&f, foreign);
	is_int((long long)findings_blocking(&f, NULL), 3,
	       "and so does what is no whole finding");
	json_decref(foreign);
}

static void
test_odd_bytes(void)
{
	CLEANUP(arena_freep) struct arena *arena = arena_new();
	CLEANUP(findings_done) struct findings f = {.arena = arena};
	json_t *array;

	findings_add(&f, FINDING_CRITICAL, "OVANotReadable", "no '%s'",
		     "gr\xfcn.vmdk")
	    ->vm = "gr\xfcn";
	array = findings_to_json(&f);
	is_str(json_string_value(
		   json_object_get(json_array_get(array, 0), "message")),
	       "no 'gr?n.vmdk'", "a message that is not UTF-8 stays");
	is_str(
	    json_string_value(json_object_get(json_array_get(array, 0), "vm")),
	    "gr?n", "and so does a name");
	json_decref(array);
}

int
main(void)
{
	CLEANUP(arena_freep) struct arena *arena = arena_new();
	CLEANUP(findings_done) struct findings f = {.arena = arena};

	fill(&f);
	test_blocking(&f);
	test_text(&f);
	test_json(&f);
	test_foreign();
	test_odd_bytes();
	return tap_done();
}

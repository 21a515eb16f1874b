/* SPDX-License-Identifier: Apache-2.0 */
/* YAML into nodes: what scalars mean, what merge keys do, and a museum of bad
 * text with the message each piece gets. */
#include "manifests/node.h"

#include <string.h>

#include "base/mem.h"
#include "t/tap.h"

struct tree {
	struct arena *arena;
	struct findings findings;
	struct documents docs;
	struct err err;
	int failed;
};

static void
tree_done(struct tree *t)
{
	documents_done(&t->docs);
	findings_done(&t->findings);
	arena_free(t->arena);
}

static void
parse_bytes(struct tree *t, const char *text, size_t len)
{
	*t = (struct tree){.arena = arena_new()};
	t->findings.arena = t->arena;
	t->failed = node_parse(t->arena, "f.yaml", text, len, &t->findings,
			       &t->docs, &t->err);
}

static void
parse(struct tree *t, const char *text)
{
	parse_bytes(t, text, strlen(text));
}

/* Test names are lines of printable text. */
static const char *
shown(const char *text)
{
	static char line[200];
	size_t n = strlen(text);

	for (size_t i = 0; i <= n && i < sizeof(line); i++)
		line[i] = text[i] && (text[i] < ' ' || text[i] == '#')
			      ? '.'
			      : text[i];
	return line;
}

/* --- what is read -------------------------------------------------------- */

static void
test_json(const char *text, const char *want)
{
	CLEANUP(tree_done) struct tree t;
	CLEANUP(mem_freep) char *got = NULL;
	json_t *json;

	parse(&t, text);
	if (!ok(!t.failed && t.docs.list.n == 1, "it is read: %s",
		shown(text))) {
		tap_diag("%s", t.failed ? t.err.text : "no document");
		return;
	}
	json = node_to_json(t.docs.list.v[0]);
	got = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(json);
	is_str(got, want, shown(text));
	is_int((long long)t.findings.n, 0, "without findings");
}

static void
test_scalars(void)
{
	test_json("[true, True, FALSE, yes, No, on, OFF, y, N]",
		  "[true,true,false,true,false,true,false,true,false]");
	test_json("['true', \"yes\", 'no', '1', \"~\", !!str 12, ! 7]",
		  "[\"true\",\"yes\",\"no\",\"1\",\"~\",\"12\",\"7\"]");
	test_json("[~, null, NULL, ]", "[null,null,null]");
	test_json("[0, -7, +7, 1_000, 0x1F, 0755, 0o17, 0b101]",
		  "[0,-7,7,1000,31,493,15,5]");
	test_json("[1.5, .5, 1e3, -2.5e-1, 1., 08]",
		  "[1.5,0.5,1000,-0.25,1,8]");
	test_json("[1.2.3, 10Gi, 2026-11-20, 12:30, '-', 1-2, 0x, .inf, 5s]",
		  "[\"1.2.3\",\"10Gi\",\"2026-11-20\",\"12:30\",\"-\","
		  "\"1-2\",\"0x\",\".inf\",\"5s\"]");
	test_json("9223372036854775807", "9223372036854775807");
	test_json("a: |\n  x\n  y\nb: >\n  x\n  y\n",
		  "{\"a\":\"x\\ny\\n\",\"b\":\"x y\\n\"}");
	test_json("{\"a\": [1, {\"b\": null}], \"c\": \"\\u00e4\"}",
		  "{\"a\":[1,{\"b\":null}],\"c\":\"\xc3\xa4\"}");
	test_json("{1: a, yes: b, ~: c}", "{\"1\":\"a\",\"yes\":\"b\","
					  "\"~\":\"c\"}");
	test_json("\xef\xbb\xbf"
		  "a: 1",
		  "{\"a\":1}");
}

static void
test_anchors(void)
{
	test_json("a: &x {k: 1}\nb: *x\n", "{\"a\":{\"k\":1},\"b\":{\"k\":1}}");
	test_json("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3, m: 4}\n",
		  "{\"a\":{\"k\":1,\"l\":2},\"b\":{\"l\":3,\"m\":4,\"k\":1}}");
	test_json("a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc: {<<: [*x, *y]}\n",
		  "{\"a\":{\"k\":1},\"b\":{\"k\":2,\"l\":2},"
		  "\"c\":{\"k\":1,\"l\":2}}");
	test_json("a: &x {k: 1}\nb: &y {<<: *x, l: 2}\nc: {m: 3, <<: *y}\n",
		  "{\"a\":{\"k\":1},\"b\":{\"l\":2,\"k\":1},"
		  "\"c\":{\"m\":3,\"l\":2,\"k\":1}}");
	test_json("- &x 1\n- &x 2\n- *x\n", "[1,2,2]");
}

static void
test_documents(void)
{
	CLEANUP(tree_done) struct tree t;

	parse(&t, "---\na: 1\n---\n# nothing\n---\n- b\n...\n---\nc\n");
	is_int((long long)t.docs.list.n, 3, "empty documents are left out");
	is_int(t.docs.list.v[1]->pos.line, 6, "the line of the second");
	is_int(t.docs.list.v[2]->pos.line, 9, "the line of the third");
}

static void
test_large_map(void)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP(tree_done) struct tree t;
	const struct node *map;

	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "key%d: %d\n", i, i);
	parse(&t, text.data);
	map = t.docs.list.v[0];
	is_int(node_get(map, "key777")->integer, 777, "a key of many");
	ok(!node_get(map, "key1000"), "a key that is not there");
	is_int(node_get(map, "key777")->pos.line, 778, "its line");
	is_int(node_get(map, "key777")->pos.column, 9, "its column");
}

/* --- what is refused ------------------------------------------------------ */

static const struct {
	const char *text, *message;
} museum[] = {
    {"a: [1, 2", "f.yaml:2:1: did not find expected ',' or ']' while "
		 "parsing a flow sequence (which began at line 1, column 4)"},
    {"a: 1\n b: 2\n", "f.yaml:2:3: mapping values are not allowed in this "
		      "context"},
    {"a:\n\tb: 1\n", "f.yaml:2:1: found character that cannot start any "
		     "token"},
    {"a: 'x", "f.yaml:1:6: found unexpected end of stream"},
    {"a: *x\n", "f.yaml:1:4: an alias that names no anchor of this "
		"document; quote values that begin with * or !"},
    {"- &x 1\n---\n- *x\n", "f.yaml:3:3: an alias that names no anchor"},
    {"&x [1, *x]\n", "f.yaml:1:8: an alias that stands inside of what it "
		     "names"},
    {"{[a]: 1}\n", "f.yaml:1:2: a key must be a word, not a list"},
    {"? {a: 1}\n: 2\n", "f.yaml:1:3: a key must be a word, not a map"},
    {"a: \"x\\0y\"\n", "f.yaml:1:4: a string with a NUL byte"},
    {"a: b\001c\n", "f.yaml:1:5: a control character (0x01)"},
    {"a: 1\nb: \xff\n", "f.yaml:2:4: the byte 0xff is not UTF-8"},
    {"a: \xc0\xaf\n", "f.yaml:1:4: the byte 0xc0 is not UTF-8"},
    {"a: \xed\xa0\x80\n", "f.yaml:1:4: the byte 0xed is not UTF-8"},
    {"\xc3\xa4: \xc3", "f.yaml:1:4: the byte 0xc3 is not UTF-8"},
    {"a: \xc2\x80\n", "f.yaml: byte 3: control characters are not allowed"},
    {"%YAML 9.9\n---\na: 1\n", "f.yaml:1:1: found incompatible YAML "
			       "document"},
    {"!foo!bar x\n", "f.yaml:1:1: found undefined tag handle"},
};

static void
test_museum(void)
{
	for (size_t i = 0; i < sizeof(museum) / sizeof(*museum); i++) {
		CLEANUP(tree_done) struct tree t;

		parse(&t, museum[i].text);
		is_int(t.failed, -1, "refused");
		is_int(t.err.class, ERR_USER, "and the user can mend it");
		like(t.err.text, museum[i].message, shown(museum[i].text));
	}
}

static void
test_nul(void)
{
	CLEANUP(tree_done) struct tree t;

	parse_bytes(&t, "a: 1\nb: \0\n", 10);
	like(t.err.text, "f.yaml:2:4: a control character (0x00)",
	     "a NUL byte");
}

static const struct {
	const char *text, *message;
	unsigned line, column;
} faults[] = {
    {"a: 1\nb: 2\na: 3\n", "the key 'a' is there already, at line 1, column 1",
     3, 1},
    {"x: {a: 1, a: 2}\n", "the key 'a' is there already, at line 1, column 5",
     1, 11},
    {"a: !secret x\n", "a tag that does not fit here", 1, 4},
    {"a: !!int x\n", "does not fit here", 1, 4},
    {"a: !!binary aGk=\n", "does not fit here", 1, 4},
    {"a: !!set {x}\n", "does not fit here", 1, 4},
    {"<<: 1\n", "'<<' takes a map or a list of maps, not a number", 1, 5},
    {"<<: [{a: 1}, 2]\n", "'<<' takes a map or a list of maps", 1, 14},
};

static void
test_faults(void)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		CLEANUP(tree_done) struct tree t;

		parse(&t, faults[i].text);
		is_int(t.failed, 0, shown(faults[i].text));
		if (!is_int((long long)t.findings.n, 1, "one finding"))
			continue;
		like(t.findings.v[0].message, faults[i].message, "says it");
		is_int(t.findings.v[0].pos.line, faults[i].line, "its line");
		is_int(t.findings.v[0].pos.column, faults[i].column,
		       "its column");
		ok(finding_blocks(&t.findings.v[0]), "it blocks");
	}
}

/* --- limits --------------------------------------------------------------- */

static void
test_depth(void)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP(tree_done) struct tree t = {0}, deep = {0};

	for (int i = 0; i < NODE_MAX_DEPTH; i++)
		buf_adds(&text, "[");
	for (int i = 0; i < NODE_MAX_DEPTH; i++)
		buf_adds(&text, "]");
	parse(&t, text.data);
	is_int(t.failed, 0, "64 levels are read");
	buf_reset(&text);
	for (int i = 0; i < 100000; i++)
		buf_adds(&text, "[");
	parse(&deep, text.data);
	like(deep.err.text, "f.yaml:1:65: nested deeper than 64 levels",
	     "one more is not");
}

static void
test_bombs(void)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP(tree_done) struct tree t = {0}, merged = {0};

	buf_adds(&text, "a0: &a0 lol\n");
	for (int i = 1; i < 12; i++) {
		buf_printf(&text, "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			buf_printf(&text, "%s*a%d", j ? "," : "", i - 1);
		buf_adds(&text, "]\n");
	}
	parse(&t, text.data);
	like(t.err.text, "aliases stand for more than 1048576 nodes",
	     "a billion laughs");
	buf_reset(&text);
	buf_adds(&text, "a: &a {");
	for (int i = 0; i < 2000; i++)
		buf_printf(&text, "k%d: 1,", i);
	buf_adds(&text, "}\nb:\n");
	for (int i = 0; i < 2000; i++)
		buf_adds(&text, "- {<<: *a}\n");
	parse(&merged, text.data);
	like(merged.err.text, "aliases stand for more than 1048576 nodes",
	     "the same by merge keys");
}

static void
test_sizes(void)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP(tree_done) struct tree t = {0}, docs = {0};
	size_t n = NODE_MAX_BYTES + 1;
	char *spaces = mem_new(n + 1);

	memset(spaces, ' ', n);
	parse_bytes(&t, spaces, n);
	free(spaces);
	is_str(t.err.text, "f.yaml: larger than 64 MiB; split it", "size");
	for (int i = 0; i < NODE_MAX_DOCUMENTS + 1; i++)
		buf_adds(&text, "--- a\n");
	parse(&docs, text.data);
	like(docs.err.text, "more than 100000 documents in one file",
	     "documents");
}

static void
test_nodes(void)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP(tree_done) struct tree t = {0};

	buf_adds(&text, "[");
	for (unsigned i = 0; i < NODE_MAX_NODES; i++)
		buf_adds(&text, "1,");
	parse(&t, text.data);
	like(t.err.text, "more than 8388608 nodes in one file", "nodes");
}

int
main(void)
{
	test_scalars();
	test_anchors();
	test_documents();
	test_large_map();
	test_museum();
	test_nul();
	test_faults();
	test_depth();
	test_bombs();
	test_sizes();
	test_nodes();
	return tap_done();
}

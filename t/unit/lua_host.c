/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts that behave, and the museum of those that do not. */
#include "lua/host.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "t/tap.h"

#define SHORT_MS 300   /* for what must run out of time */
#define LONG_MS 120000 /* for what must not, however busy the machine */

static struct buf logged;

static void
log_to_buf(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	buf_printf(&logged, "%s: %s\n", log_level_name(level), text);
}

static int
call_with(const struct lua_hook_call *values, const char *lua, json_t **ret,
	  struct err *err)
{
	struct script script = {
	    .o = {.kind = "Script", .namespace = "demo", .name = "good"},
	    .lua = lua,
	    .chunk = "good.lua",
	};
	struct lua_hook_call call = *values;

	call.script = &script;
	call.step = "pre-hook";
	call.key = "demo/plan/vm/pre-hook";
	call.deadline_ms = LONG_MS;
	call.log = log_to_buf;
	buf_reset(&logged);
	err_set(err, ERR_NONE, "no error");
	return lua_hook(&call, ret, err);
}

static int
call_lua(const char *lua, json_t **ret, struct err *err)
{
	return call_with(&(struct lua_hook_call){0}, lua, ret, err);
}

/* The script ends well and leaves these notes, as compact sorted JSON. */
static void
leaves(const char *lua, const char *want, const char *name)
{
	CLEANUP(mem_freep) char *got = NULL;
	json_t *notes = NULL;
	struct err err;

	if (!ok(call_lua(lua, &notes, &err) == 0, "%s: it ends well", name)) {
		tap_diag("%s", err.text);
		return;
	}
	got = json_dumps(notes, JSON_COMPACT | JSON_SORT_KEYS);
	is_str(got, want, name);
	json_decref(notes);
}

static void
fails(const char *lua, const char *want, const char *name)
{
	json_t *notes = NULL;
	struct err err;

	is_int(call_lua(lua, &notes, &err), -1, name);
	is_str(err_class_name(err.class), "fail", "... for good");
	is_str(err.text, want, "... and says why");
	ok(!notes, "... leaving the notes alone");
}

static void
test_notes(void)
{
	leaves("", "{}", "an empty script");
	leaves("note('a', 1) note('b', 1.5) note('c', 'x') note('d', false)",
	       "{\"a\":1,\"b\":1.5,\"c\":\"x\",\"d\":false}", "plain values");
	leaves("note('l', {1, {}, {a = 'b'}})", "{\"l\":[1,{},{\"a\":\"b\"}]}",
	       "tables");
	leaves("note('a', 1) pcall(note, 'a', ('x'):rep(65535)) "
	       "pcall(note, 'b', ('x'):rep(65535))",
	       "{\"a\":1}", "a note that is too large leaves what was there");
	leaves("note('a', 1) note('a', 2)", "{\"a\":2}", "the later note");
	leaves("note('n', math.mininteger)", "{\"n\":-9223372036854775808}",
	       "integers stay integers");
	leaves("note('s', step) note('k', key)",
	       "{\"k\":\"demo/plan/vm/pre-hook\",\"s\":\"pre-hook\"}",
	       "the step and its key");
	leaves("function double(n) return 2 * n end count = 21\n"
	       "note('n', double(count))",
	       "{\"n\":42}", "functions and globals of its own");
	leaves("note('ok', (pcall(error, 'x')))", "{\"ok\":false}",
	       "errors it catches itself");
	leaves("local t = {} note('a', {t, t})", "{\"a\":[{},{}]}",
	       "a table used twice is not inside itself");
}

static void
test_data(void)
{
	json_t *vm =
	    json_pack("{s:s, s:I, s:n, s:[{s:i}, {s:i}], s:f, s:b}", "name",
		      "web", "memory", (json_int_t)1 << 40, "gone", "disks",
		      "size", 1, "size", 2, "load", 0.5, "efi", 1);
	json_t *plan = json_pack("{s:s}", "name", "quickstart");
	json_t *before = json_pack("{s:s}", "ticket", "CHG-7");
	struct lua_hook_call call = {.vm = vm, .plan = plan, .notes = before};
	json_t *notes = NULL;
	struct err err;
	int result;

	result = call_with(&call,
			   "assert(vm.name == 'web' and vm.load == 0.5)\n"
			   "assert(math.type(vm.memory) == 'integer')\n"
			   "assert(vm.memory == 1 << 40 and vm.efi == true)\n"
			   "assert(vm.gone == nil)\n"
			   "assert(#vm.disks == 2 and vm.disks[2].size == 2)\n"
			   "assert(plan.name == 'quickstart')\n"
			   "assert(notes.ticket == 'CHG-7')\n",
			   &notes, &err);
	is_int(result, 0, "a script sees what it is given");
	if (result < 0)
		tap_diag("%s", err.text);
	json_decref(notes);
	json_decref(vm);
	json_decref(plan);
	json_decref(before);
}

static void
test_data_too_deep(void)
{
	json_t *vm = json_object();
	struct lua_hook_call call = {.vm = vm};
	json_t *notes = NULL;
	struct err err;

	for (int i = 0; i < 100; i++)
		vm = json_pack("{s:o}", "inner", vm);
	call.vm = vm;
	is_int(call_with(&call, "", &notes, &err), -1, "data without a bottom");
	is_str(err.text, "hook 'demo/good': nested deeper than 32 levels",
	       "... is refused");
	json_decref(vm);
}

static void
logs(const char *lua, const char *want, const char *name)
{
	json_t *notes = NULL;
	struct err err;

	if (!ok(call_lua(lua, &notes, &err) == 0, "%s: it ends well", name))
		tap_diag("%s", err.text);
	is_str(logged.data ? logged.data : "", want, name);
	json_decref(notes);
}

static void
test_log(void)
{
	logs("log('hello')", "info: hello\n", "log");
	logs("log('careful', 'warning')", "warning: careful\n", "a level");
	logs("log('one\\ntwo\\n\\nthree\\n')",
	     "info: one\ninfo: two\ninfo: \ninfo: three\n",
	     "each line by itself");
	logs("log('a\\27[2Jb')", "info: a [2Jb\n", "no control characters");
	logs("print('a', 1, nil, true)", "info: a 1 nil true\n", "print");
	fails("log('x', 'loud')",
	      "hook 'demo/good': good.lua:1: bad argument #2 to 'log' (the "
	      "levels are 'error', 'warning', 'info' and 'debug')",
	      "a level nobody knows");
}

static void
test_log_flood(void)
{
	json_t *notes = NULL;
	struct err err;

	is_int(call_lua("for i = 1, 1000 do log(string.rep('x', 9999)) end",
			&notes, &err),
	       0, "a flood of log lines ends well");
	ok(logged.len < 2 * 1048576, "... and short");
	like(logged.data, "warning: the script logs too much",
	     "... and says so");
	json_decref(notes);
}

static void
test_prelude(void)
{
	logs("for k, v in sorted({b = 1, a = 2, [3] = 4}) do print(k, v) end",
	     "info: 3 4\ninfo: a 2\ninfo: b 1\n", "sorted");
	logs("print(describe({1, 'x', {a = true}, b = {}}))",
	     "info: {1, \"x\", {a = true}, b = {}}\n", "describe");
	logs("local t = {} t.me = t print(describe(t))", "info: {me = {...}}\n",
	     "describe a table inside itself");
	leaves("note('n', need(5, 'no five'))", "{\"n\":5}", "need");
	fails("need(vm.owner, 'nobody owns it') note('n', 1)",
	      "hook 'demo/good' refused: nobody owns it", "need what is not");
}

static void
test_failures(void)
{
	fails("note('n', 1) fail('not on a Friday')",
	      "hook 'demo/good' refused: not on a Friday", "fail");
	fails("\n\nerror('broken')", "hook 'demo/good': good.lua:3: broken",
	      "error");
	like(logged.data,
	     "stack traceback:", "... and the log says how it came to that");
	fails("error(setmetatable({}, {__tostring = function()"
	      " return 'told' end}))",
	      "hook 'demo/good': told", "an error that has a text");
	fails("note()",
	      "hook 'demo/good': good.lua:1: bad argument #1 to 'note' "
	      "(string expected, got no value)",
	      "a wrong argument");
}

static void
test_check(void)
{
	struct script script = {
	    .o = {.kind = "Script", .namespace = "demo", .name = "s"},
	    .lua = "while true do end",
	    .chunk = "manifest.yaml/s",
	};
	struct err err;

	is_int(lua_check(&script, &err), 0, "a check does not run the script");
	script.lua = "\nlocal x = = 1\n";
	is_int(lua_check(&script, &err), -1, "a syntax error");
	is_str(err_class_name(err.class), "user", "... is the author's");
	is_str(err.text,
	       "script 'demo/s': manifest.yaml/s:2: unexpected symbol near '='",
	       "... and has a place");
	script.lua = "\033Lua";
	is_int(lua_check(&script, &err), -1, "bytecode is no script");
}

/* The scripts we ship: luac is not everywhere, and what counts is whether
 * palletjack would take them. */
static void
test_shipped(const char *pattern)
{
	struct script script = {.o = {.namespace = "shipped", .name = "it"}};
	glob_t found;
	struct err err;

	if (!ok(glob(pattern, 0, NULL, &found) == 0, "there is %s", pattern))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		CLEANUP(buf_done) struct buf text = {0};

		script.chunk = found.gl_pathv[i];
		if (!ok(fs_read(script.chunk, 65536, false, &text, &err) == 0 &&
			    (script.lua = text.data) &&
			    lua_check(&script, &err) == 0,
			"%s parses", script.chunk))
			tap_diag("%s", err.text);
	}
	globfree(&found);
}

/* The exhibit's own word for what must come of it: "-- wants: CLASS: TEXT". */
static void
test_exhibit(const char *path)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct script script = {.o = {.namespace = "demo", .name = "evil"}};
	struct lua_hook_call call = {.script = &script, .log = log_to_buf};
	char class[20] = "", want[200] = "";
	json_t *notes = NULL;
	const char *line;
	struct err err;

	if (fs_read(path, 65536, false, &text, &err) < 0) {
		ok(false, "%s", err.text);
		return;
	}
	line = strstr(text.data, "-- wants: ");
	if (!line ||
	    sscanf(line, "-- wants: %19[^:]: %199[^\n]", class, want) != 2) {
		ok(false, "%s says what it wants", path);
		return;
	}
	script.lua = text.data;
	script.chunk = fs_basename(path);
	call.step = call.key = "pre-hook";
	call.deadline_ms = strcmp(class, "retry") == 0 ? SHORT_MS : LONG_MS;
	buf_reset(&logged);
	is_int(lua_hook(&call, &notes, &err), -1, path);
	is_str(err_class_name(err.class), class, "... the class");
	like(err.text, want, "... the text");
}

static void
test_museum(void)
{
	glob_t found;

	if (!ok(glob("t/evil/*.lua", 0, NULL, &found) == 0,
		"the museum is open (run from the top of the tree)"))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		test_exhibit(found.gl_pathv[i]);
	globfree(&found);
}

int
main(void)
{
	test_notes();
	test_data();
	test_data_too_deep();
	test_log();
	test_log_flood();
	test_prelude();
	test_failures();
	test_check();
	test_shipped("lua/*.lua");
	test_shipped("examples/*/*.lua");
	test_museum();
	buf_done(&logged);
	return tap_done();
}

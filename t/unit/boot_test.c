/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the boot test's verdicts, with a QEMU that only plays a console. */
#include <unistd.h>

#include "base/clock.h"
#include "t/vm.h"

/* Finds the console's file among its arguments; say puts a line there. */
#define FAKE                                                        \
	"for a; do case $a in file,id=console,*) c=${a##*path=};; " \
	"socket,id=console,*) c=${a##*logfile=};; "                 \
	"esac; done\nprintf '%s\\n' \"$@\" >\"$T/argv\"\n"          \
	"say() { printf '%b' \"$*\" >>\"$c\"; }\n"

static int
boot(const char *script)
{
	int rc;

	install("qemu-system-x86_64", script);
	work.attempt++;
	rc = run_stage(&stage_boot_test);
	if (rc < 0)
		tap_diag("%s", err.text);
	return rc;
}

static const char *
result(const char *key)
{
	const char *text = json_string_value(
	    json_object_get(work_fact(&work, "boot-test"), key));

	return text ? text : "";
}

static bool
nothing_left(void)
{
	CLEANUP(mem_freep) char *scratch = place.ops->scratch(&place.vm);
	CLEANUP(mem_freep) char *ours = NULL;

	ours = mem_printf("%s/bt.%d", scratch, work.attempt);
	return !fs_exists(ours);
}

static void
test_pass(void)
{
	is_int(boot(FAKE "say 'GRUB\\r\\n\\0000'; sleep 1; say 'GUEST-'; "
			 "say 'UP root=/dev/vda1\\n'; sleep 60"),
	       0, "the line came");
	is_str(result("result"), "passed", "passed");
	is_str(result("line"), "GUEST-UP root=/dev/vda1", "by this line");
	ok(nothing_left(), "no overlays are left");
	is_int(boot(FAKE "say 'boot\\nGUEST-UP, login: '; sleep 60"), 0,
	       "a prompt that never ends is a line, too");
}

static void
test_fail(void)
{
	is_int(boot(FAKE "say '[    1.0] Kernel panic - not syncing: VFS: "
			 "Unable to mount root fs\\n'; sleep 60"),
	       -1, "a panic");
	is_int((int)err.class, ERR_FAIL, "is a failure");
	like(err.text, "boot test failed: [    1.0] Kernel panic", "told");
	ok(nothing_left(), "no overlays are left");
	is_int(boot(FAKE "say 'Gave up waiting for root file system'; "
			 "sleep 60"),
	       -1, "a root that is not found");
	is_int(boot(FAKE "say 'boot\\nPower down\\n'"), -1,
	       "one that switches itself off");
	like(err.text, "Power down", "with its last line");
	is_int(boot("echo 'no such machine' >&2; exit 1"), -1,
	       "a QEMU that does not run");
	is_int((int)err.class, ERR_RETRY, "is not the guest's failure");
	like(err.text, "no such machine", "and says why");
}

static void
test_inconclusive(void)
{
	policy.deadlines.boot_test_ms = 1200;
	is_int(boot(FAKE "say 'still booting\\n'; sleep 60"), -1,
	       "nothing in time");
	like(err.text, "inconclusive", "is no pass");
	like(err.text, "still booting", "and shows the last line");
	policy.boot_probe.inconclusive = INCONCLUSIVE_PASS;
	is_int(boot(FAKE "sleep 60"), 0, "unless the policy says so");
	is_str(result("result"), "inconclusive", "and then it is told");
	policy.boot_probe.inconclusive = INCONCLUSIVE_HOLD;
	policy.deadlines.boot_test_ms = 60000;
	is_int(boot(FAKE "yes 'the same again and again' >\"$c\""), -1,
	       "a guest that never stops talking");
	like(err.text, "more than 32 MiB without 'GUEST-UP'",
	     "does not fill the disk");
	policy.boot_probe.inconclusive = INCONCLUSIVE_PASS;
	policy.boot_probe.serial = NULL;
	is_int(boot("exit 1"), 0, "nothing to wait for: not even booted");
	policy.boot_probe.inconclusive = INCONCLUSIVE_HOLD;
	is_int(boot("exit 1"), -1, "and held otherwise");
	policy.boot_probe.serial = "GUEST-UP";
	policy.deadlines.boot_test_ms = 20000;
}

/* The agent is a real one, of this machine. */
#define AGENT "qemu-ga -m unix-listen -p agent.sock -f pid -t . >ga.log 2>&1\n"

static void
test_agent(void)
{
	if (!process_in_path("qemu-ga")) {
		tap_diag("qemu-ga is not installed");
		return;
	}
	policy.boot_probe.agent = true;
	policy.boot_probe.serial = NULL;
	is_int(boot(FAKE "sleep 1; " AGENT), 0, "an agent answers");
	is_str(result("line"), "the guest's agent answers", "and passes");
	policy.boot_probe.serial = "GUEST-UP";
	is_int(boot(FAKE "say 'GUEST-UP\\n'; " AGENT), 0, "line and agent");
	is_str(result("line"), "GUEST-UP", "the line is told");
	policy.deadlines.boot_test_ms = 1500;
	is_int(boot(FAKE AGENT), -1, "the agent alone");
	like(err.text, "'GUEST-UP' did not come", "is not all that is asked");
	is_int(boot(FAKE "say 'GUEST-UP\\n'; sleep 60"), -1, "the line alone");
	like(err.text, "an answer of the guest's agent did not come",
	     "neither");
	policy.deadlines.boot_test_ms = 20000;
	policy.boot_probe.agent = false;
}

static struct script script = {.o = {.namespace = "t", .name = "look"},
			       .chunk = "look.lua"};

static int
run_script(const char *lua, const char *qemu)
{
	script.lua = lua;
	return boot(qemu);
}

static void
test_script(void)
{
	policy.boot_probe.serial = NULL;
	policy.boot_probe.script = &script;
	is_int(run_script("local name = expect('login: (%w+)\\n')\n"
			  "note('who', name)",
			  FAKE "say 'boot\\nlogin: ro'; sleep 1; "
			       "say 'ot\\n'; sleep 60"),
	       0, "a script that finds what it expects");
	is_str(result("line"), "script 't/look' ended well", "is the verdict");
	is_str(json_string_value(json_object_get(
		   json_object_get(work_fact(&work, "boot-test"), "notes"),
		   "who")),
	       "root", "its notes are kept");
	is_int(run_script("need(expect('login', 0.5), 'no login')",
			  FAKE "say 'boot\\n'; sleep 60"),
	       -1, "one that does not");
	like(err.text, "boot test failed: script 't/look' says: no login",
	     "says why");
	is_int(run_script("inconclusive('who knows')", FAKE "sleep 60"), -1,
	       "one that cannot tell");
	like(err.text, "inconclusive: script 't/look' cannot tell: who knows",
	     "is no verdict");
	is_int(run_script("nothing()", FAKE "sleep 60"), -1, "a broken one");
	like(err.text, "inconclusive: script 't/look': look.lua:1: unknown",
	     "says nothing of the guest");
	is_int(run_script("pcall(expect, 'login') note('a', 1)",
			  FAKE "say 'Kernel panic - not syncing\\n'; "
			       "sleep 60"),
	       -1, "a panic ends it, whatever it catches");
	like(err.text, "boot test failed: Kernel panic", "as the verdict");
	is_int(run_script("expect('login')", FAKE "say 'bye\\n'"), -1,
	       "so does a guest that is switched off");
	like(err.text, "switched itself off; its last line: bye", "likewise");
	policy.deadlines.boot_test_ms = 1500;
	is_int(run_script("while true do end", FAKE "sleep 60"), -1,
	       "one that never ends");
	like(err.text, "inconclusive: script 't/look' ran past its deadline",
	     "is ended");
	is_int(run_script("expect('login')", FAKE "sleep 60"), -1,
	       "one that waits too long");
	like(err.text, "the end of the script did not come in time", "too");
	policy.deadlines.boot_test_ms = 20000;
	if (process_in_path("qemu-ga"))
		is_int(
		    run_script("need(agent('guest-info').version)\n"
			       "local nothing, why = agent('guest-nix')\n"
			       "need(not nothing and why:find('guest%-nix'), "
			       "why)\n"
			       "need(agent('guest-sync', {id = 7}) == 7)",
			       FAKE AGENT),
		    0, "an agent is asked");
	is_int(run_script("local nothing, why = agent('guest-ping', nil, 0.5)\n"
			  "need(why:find('does not answer'), why)",
			  FAKE "sleep 60"),
	       0, "one that is not there");
	policy.boot_probe.script = NULL;
	policy.boot_probe.serial = "GUEST-UP";
}

/* The replica is read, not written, and no card leads anywhere. */
static void
test_isolation(void)
{
	CLEANUP(mem_freep) char *path = fs_path(tap_dir(), "argv");
	CLEANUP(buf_done) struct buf argv = {0};

	is_int(boot(FAKE "say 'GUEST-UP\\n'; sleep 60"), 0, "boot");
	(void)fs_read(path, 65536, false, &argv, &err);
	like(argv.data, "/bt.", "it runs on overlays of its own");
	ok(!strstr(argv.data, "disk-0.raw"), "not on the disk");
	like(argv.data, "hubport,id=net0", "its network leads nowhere");
}

/* Would a rehearsal with these facts keep the source from being stopped? */
static bool
forbids(const char *result, const char *line)
{
	struct run_policy every = {.boot_test = BOOT_TEST_EVERY};
	struct plan warm = {.policy = &every};
	struct view v = {.plan = &warm, .round = 3};
	json_t *facts = json_pack("{s:s, s:s*, s:i}", "result", result, "line",
				  line, INPUTS_ROUND, 3);
	const char *word, *why;
	bool ret = stages_rehearsal_forbids(&v, facts, &word, &why);

	ok(word && why, "%s: there is something to say", result);
	json_decref(facts);
	return ret;
}

static void
test_forbids(void)
{
	ok(!forbids("passed", "GUEST-UP"), "a boot that passed allows it");
	ok(!forbids("passed", NULL), "also without its line");
	ok(forbids("failed", "panic"), "one that failed forbids it");
	ok(forbids("failed", NULL), "also without a reason");
	ok(forbids("inconclusive", NULL), "and one that nobody knows of");
}

int
main(void)
{
	struct shape_nic nic = {
	    .type = NETWORK_POD, .mac = "52:54:00:00:00:01", .model = "virtio"};

	if (!process_in_path("qemu-img"))
		tap_skip_all("qemu-img is not installed");
	setenv("PALLETJACK_ACCEL", "tcg", 1);
	setenv("T", tap_dir(), 1);
	prepend_path();
	policy.boot_test = BOOT_TEST_ONCE;
	policy.boot_probe.serial = "GUEST-UP";
	shape.converted = false;
	shape.nics = &nic;
	shape.nnics = 1;
	fresh_vm();
	test_pass();
	test_fail();
	test_inconclusive();
	test_agent();
	test_script();
	test_isolation();
	test_forbids();
	forget_vm();
	return tap_done();
}

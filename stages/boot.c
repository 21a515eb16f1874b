/* SPDX-License-Identifier: Apache-2.0 */
/* One boot: QEMU on overlays, the console watched, the verdict. */
#include "stages/boot.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/overlay.h"
#include "stages/place.h"
#include "stages/target/qemu.h"
#include "stages/target/qmp.h"

#define POLL_MS 200
#define CONSOLE_MAX ((size_t)32 * 1024 * 1024)
#define NVRAM_MAX ((size_t)16 * 1024 * 1024)
#define SCREEN_WAIT_MS 10000
#define QMP_SOCKET "qmp.sock"

/* What guests and their loaders say when there is no hope left. */
static const char hopeless[] =
    "Kernel panic - not syncing|Gave up waiting for root|"
    "Unable to mount root fs|Entering emergency mode|"
    "You are in emergency mode|dracut-initqueue.*timeout|grub rescue>|"
    "Entering rescue mode|No bootable device|"
    "Boot failed: not a bootable disk|BdsDxe: No bootable option|"
    "BOOTMGR is missing|^\\(initramfs\\)";

static const char *const result_names[] = {
    [BOOT_PASSED] = "passed",
    [BOOT_FAILED] = "failed",
    [BOOT_INCONCLUSIVE] = "inconclusive"};

const char *
boot_result_name(enum boot_result result)
{
	return result_names[result];
}

enum boot_result
boot_result_of(const char *name)
{
	for (int i = BOOT_PASSED; name && i < BOOT_INCONCLUSIVE; i++)
		if (strcmp(name, result_names[i]) == 0)
			return (enum boot_result)i;
	return BOOT_INCONCLUSIVE;
}

void
boot_verdict_done(struct boot_verdict *v)
{
	free(v->why);
	free(v->console);
	free(v->screen);
	json_decref(v->notes);
	*v = (struct boot_verdict){0};
}

json_t *
boot_verdict_facts(const struct boot_verdict *v)
{
	return json_pack("{s:s, s:s, s:s*, s:s*, s:O*, s:I}", "result",
			 boot_result_name(v->result), "line", v->why, "console",
			 v->console, "screen", v->screen, "notes", v->notes,
			 STAGES_TOOK, (json_int_t)v->took_ms);
}

/* Watching. */

static void
boot_done(struct boot *b)
{
	if (b->has_good)
		regfree(&b->good);
	if (b->has_bad)
		regfree(&b->bad);
	buf_done(&b->text);
	agent_done(&b->agent);
	free(b->line);
}

static int
compile(struct boot *b, const char *pattern, struct err *err)
{
	char why[200];
	int rc;

	b->has_bad = regcomp(&b->bad, hopeless, REG_EXTENDED | REG_NOSUB) == 0;
	if (!b->has_bad)
		return err_set(err, ERR_BUG, "our own pattern is not one");
	if (!pattern)
		return 0;
	rc = regcomp(&b->good, pattern, REG_EXTENDED | REG_NOSUB);
	if (rc == 0) {
		b->has_good = true;
		return 0;
	}
	regerror(rc, &b->good, why, sizeof(why));
	return err_set(err, ERR_USER, "bootProbe.serial '%s': %s", pattern,
		       why);
}

static void
read_console(struct boot *b)
{
	CLEANUP(mem_closep) int fd = open(b->console, O_RDONLY | O_CLOEXEC);
	char piece[16384];
	ssize_t got;

	while (fd >= 0 && b->text.len < CONSOLE_MAX &&
	       (got = pread(fd, piece, sizeof(piece), b->at)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			if (piece[i] && piece[i] != '\r')
				buf_add(&b->text, &piece[i], 1);
		b->at += got;
	}
}

/* The good pattern is asked first, it is the operator's. */
static void
judge(struct boot *b, const char *line)
{
	if (b->has_good && !b->said &&
	    regexec(&b->good, line, 0, NULL, 0) == 0) {
		b->said = true;
	} else if (regexec(&b->bad, line, 0, NULL, 0) == 0)
		b->state = BOOT_IS_DOWN;
	else
		return;
	free(b->line);
	b->line = mem_strdup(line);
}

/* The last line is judged before it is whole, too: prompts never end. */
static void
judge_lines(struct boot *b)
{
	while (b->state == BOOTING && b->looked < b->text.len) {
		const char *from = b->text.data + b->looked;
		const char *end = memchr(from, '\n', b->text.len - b->looked);
		size_t len =
		    end ? (size_t)(end - from) : b->text.len - b->looked;
		CLEANUP(mem_freep) char *line = mem_strndup(from, len);

		judge(b, line);
		if (!end)
			break;
		b->looked += len + 1;
	}
}

enum boot_state
boot_look(struct boot *b, int64_t wait_ms)
{
	struct pollfd pfd = {.fd = b->qemu->pidfd, .events = POLLIN};
	bool ended =
	    poll(&pfd, 1, wait_ms < POLL_MS ? (int)wait_ms : POLL_MS) > 0;

	read_console(b);
	judge_lines(b);
	if (b->state != BOOTING)
		return b->state;
	if (b->text.len >= CONSOLE_MAX)
		b->state = BOOT_TOO_LOUD;
	else if (ended)
		b->state = BOOT_ENDED;
	else if (clock_mono_ms() >= b->until)
		b->state = BOOT_TIMED_OUT;
	return b->state;
}

/* Until it answers to line and agent, as far as it is asked. */
static void
watch(struct boot *b)
{
	const struct run_policy *policy = b->work->view->plan->policy;

	while (boot_look(b, POLL_MS) == BOOTING) {
		if (policy->boot_probe.agent)
			b->answered = agent_is_there(&b->agent, b->dir,
						     BOOT_AGENT_SOCKET);
		if ((b->said || !b->has_good) && b->answered)
			return;
	}
}

/* The machine. */

/* UEFI's variables are the test's own, too. */
static int
copy_nvram(const struct shape *shape, const char *path, struct err *err)
{
	struct qemu_firmware fw = qemu_firmware_of(shape);
	CLEANUP(buf_done) struct buf vars = {0};

	if (!fw.vars)
		return 0;
	if (fs_read(fw.vars, NVRAM_MAX, false, &vars, err) < 0)
		return -1;
	return fs_write(path, vars.data, vars.len, 0600, err);
}

/* Sockets by names alone, in its own directory: their paths may be longer than
 * an address holds. */
static int
start_qemu(struct work *w, const struct overlays *o, const char *console,
	   const char *log, struct process *ret, struct err *err)
{
	const struct run_policy *policy = w->view->plan->policy;
	CLEANUP(mem_freep) char *nvram = fs_path(o->dir, "nvram.fd");
	CLEANUP(mem_closep)
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CLEANUP(qemu_argv_freep) char **argv = NULL;
	struct process_opts opts = PROCESS_OPTS_INIT;
	struct accel_info accel;
	struct qemu_machine m = {.shape = w->view->shape,
				 .volumes = o->v,
				 .nvram = nvram,
				 .serial = console,
				 .qmp = QMP_SOCKET,
				 .isolated = true};

	if (policy->boot_probe.agent || policy->boot_probe.script)
		m.agent = BOOT_AGENT_SOCKET;
	if (policy->boot_probe.script)
		m.console = BOOT_CONSOLE_SOCKET;
	if (fd < 0)
		return err_sys(err, "cannot write log '%s'", log);
	if (copy_nvram(m.shape, nvram, err) < 0)
		return -1;
	accel_probe(&accel);
	m.accel = accel.accel;
	argv = qemu_argv(&m);
	opts.argv = (const char *const *)argv;
	opts.dir = o->dir;
	opts.out = opts.err = fd;
	opts.on_start = work_helper_started;
	opts.arg = w;
	return process_start(&opts, ret, err);
}

static bool
take_screen(const struct boot *b, const char *path, const char *format)
{
	json_t *arguments =
	    json_pack("{s:s, s:s}", "filename", path, "format", format);
	struct err ignored;
	int rc =
	    qmp_execute_with(b->dir, QMP_SOCKET, "screendump", arguments,
			     clock_mono_ms() + SCREEN_WAIT_MS, NULL, &ignored);

	json_decref(arguments);
	return rc == 0;
}

/* What it shows in the end, where QEMU still lives and can tell: of a guest
 * that says nothing on its console it is all there is. */
static char *
keep_screen(const struct boot *b)
{
	static const char *const formats[] = {"png", "ppm"};

	for (size_t i = 0; b->state != BOOT_ENDED && i < 2; i++) {
		CLEANUP(mem_freep)
		char *name = mem_printf("%s.%d.%s", b->work->stage->name,
					b->work->attempt, formats[i]);
		CLEANUP(mem_freep) char *path = work_log_path(b->work, name);

		if (take_screen(b, path, formats[i]))
			return steal(&path);
	}
	return NULL;
}

/* The verdict. */

static char *
last_line(const struct boot *b)
{
	const char *text = b->text.data ? b->text.data : "";
	size_t len = b->text.len, from;

	while (len && strchr(" \n", text[len - 1]))
		len--;
	for (from = len; from > 0 && text[from - 1] != '\n'; from--)
		;
	return len ? mem_strndup(text + from, len - from)
		   : mem_strdup("(nothing)");
}

/* What did not come. */
static char *
missing(const struct boot *b)
{
	if (b->has_good && !b->said)
		return mem_printf(
		    "'%s'", b->work->view->plan->policy->boot_probe.serial);
	return mem_strdup(b->answered ? "the end of the script"
				      : "an answer of the guest's agent");
}

/* A QEMU that could not begin is not the guest's failure. */
static int
conclude_ended(const struct boot *b, const char *log, struct boot_verdict *ret,
	       struct err *err)
{
	CLEANUP(mem_freep) char *last = last_line(b);
	CLEANUP(buf_done) struct buf said = {0};
	struct err ignored;

	(void)fs_read(log, 65536, true, &said, &ignored);
	while (said.len && said.data[said.len - 1] == '\n')
		said.data[--said.len] = '\0';
	if (said.len && !b->text.len)
		return err_set(err, ERR_RETRY,
			       "QEMU cannot boot the vm: %.300s", said.data);
	ret->result = BOOT_FAILED;
	ret->why = mem_printf(
	    "the guest switched itself off; its last line: %s", last);
	return 0;
}

static int
conclude(const struct boot *b, const char *log, struct boot_verdict *ret,
	 struct err *err)
{
	CLEANUP(mem_freep) char *last = last_line(b), *what = missing(b);

	switch (b->state) {
	case BOOTING:
		ret->result = BOOT_PASSED;
		ret->why =
		    mem_strdup(b->said ? b->line : "the guest's agent answers");
		return 0;
	case BOOT_IS_DOWN:
		ret->result = BOOT_FAILED;
		ret->why = mem_strdup(b->line);
		return 0;
	case BOOT_ENDED:
		return conclude_ended(b, log, ret, err);
	case BOOT_TOO_LOUD:
		ret->why = mem_printf("the guest said more than %zu MiB "
				      "without %s; its last line: %s",
				      CONSOLE_MAX >> 20, what, last);
		break;
	case BOOT_TIMED_OUT:
		ret->why = mem_printf("%s did not come in time; the console's "
				      "last line: %s",
				      what, last);
		break;
	}
	ret->result = BOOT_INCONCLUSIVE;
	return 0;
}

/* A script has its own say, once the guest answers to the rest; what is wrong
 * with the boot goes before it. */
static int
watch_and_conclude(struct boot *b, const char *log, struct boot_verdict *ret,
		   struct err *err)
{
	const struct script *script =
	    b->work->view->plan->policy->boot_probe.script;

	watch(b);
	if (b->state == BOOTING && script)
		boot_script(b, script, ret);
	ret->screen = keep_screen(b);
	return ret->why ? 0 : conclude(b, log, ret, err);
}

static int
boot(struct work *w, const struct overlays *o, struct boot_verdict *ret,
     struct err *err)
{
	const struct run_policy *policy = w->view->plan->policy;
	CLEANUP(mem_freep)
	char *name =
	    mem_printf("%s.%d.console.log", w->stage->name, w->attempt);
	CLEANUP(mem_freep) char *log = fs_path(o->dir, "qemu.log");
	struct process qemu = {.pidfd = -1};
	struct boot b = {.work = w, .dir = o->dir, .qemu = &qemu};
	int64_t begun_ms = clock_mono_ms();
	int rc = compile(&b, policy->boot_probe.serial, err);

	ret->console = work_log_path(w, name);
	b.console = ret->console;
	b.answered = !policy->boot_probe.agent;
	b.until = place_deadline(w, policy->deadlines.boot_test_ms);
	if (rc == 0)
		rc = start_qemu(w, o, b.console, log, &qemu, err);
	if (rc == 0) {
		work_doing(w, "waiting for the guest to come up");
		rc = watch_and_conclude(&b, log, ret, err);
		process_end(&qemu, 0);
		ret->took_ms = clock_mono_ms() - begun_ms;
		work_log(w, LOG_LEVEL_INFO,
			 "the guest's console is in '%s'%s%s", ret->console,
			 ret->screen ? ", its screen in " : "",
			 ret->screen ? ret->screen : "");
	}
	boot_done(&b);
	return rc;
}

static bool
asks_nothing(const struct run_policy *policy)
{
	return !policy->boot_probe.serial && !policy->boot_probe.agent &&
	       !policy->boot_probe.script;
}

int
boot_try(struct work *w, const struct volume *bases, const char *kind,
	 struct boot_verdict *ret, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(overlays_done) struct overlays o = {0};
	CLEANUP(mem_freep) char *scratch = NULL;
	struct err ignored;
	int rc;

	if (asks_nothing(w->view->plan->policy)) {
		ret->result = BOOT_INCONCLUSIVE;
		ret->why = mem_strdup("no bootProbe says what to wait for");
		return 0;
	}
	if (place_open(w->view, &p, err) < 0)
		return -1;
	scratch = p.ops->scratch(&p.vm);
	if (overlays_sweep(scratch, kind, err) < 0 ||
	    overlays_create(scratch, kind, w->attempt, p.vm.shape, bases, &o,
			    err) < 0)
		return -1;
	rc = boot(w, &o, ret, err);
	(void)overlays_sweep(scratch, kind, &ignored);
	return rc;
}

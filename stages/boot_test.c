/* SPDX-License-Identifier: Apache-2.0 */
/* boot-test: does what we made boot?  On overlays of the overlays, with
 * network cards that lead nowhere, watching the console: pass, fail, or
 * inconclusive, which is never taken for a pass unless the policy says so. */
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/inputs.h"
#include "stages/overlay.h"
#include "stages/place.h"
#include "stages/target/qemu.h"

#define POLL_MS 200
#define CONSOLE_MAX ((size_t)32 * 1024 * 1024)
#define NVRAM_MAX ((size_t)16 * 1024 * 1024)

/* What guests and their loaders say when there is no hope left. */
static const char hopeless[] =
    "Kernel panic - not syncing|Gave up waiting for root|"
    "Unable to mount root fs|Entering emergency mode|"
    "You are in emergency mode|dracut-initqueue.*timeout|grub rescue>|"
    "Entering rescue mode|No bootable device|"
    "Boot failed: not a bootable disk|BdsDxe: No bootable option|"
    "BOOTMGR is missing|^\\(initramfs\\)";

enum outcome { PENDING, PASSED, FAILED, ENDED, TIMED_OUT, TOO_MUCH };

struct probe {
	regex_t good, bad;
	bool has_good, has_bad;
	struct buf console; /* what the guest said, without NUL and CR */
	size_t looked;	    /* before it all whole lines were looked at */
	off_t at;
	char *line; /* the line that decided, owned */
};

static bool
applies(const struct view *v)
{
	return v->plan->policy->boot_test != BOOT_TEST_OFF;
}

static void
inputs(const struct view *v, const struct inv_disk *disk, json_t *ret)
{
	const struct run_policy *p = v->plan->policy;

	(void)disk;
	inputs_converted(v, ret);
	json_object_set_new(ret, "bootProbe.serial",
			    p->boot_probe.serial
				? json_string(p->boot_probe.serial)
				: json_null());
	json_object_set_new(
	    ret, "bootProbe.inconclusive",
	    json_string(p->boot_probe.inconclusive == INCONCLUSIVE_PASS
			    ? "pass"
			    : "hold"));
}

static int64_t
deadline_ms(const struct run_policy *policy)
{
	return policy->deadlines.boot_test_ms;
}

static void
probe_done(struct probe *p)
{
	if (p->has_good)
		regfree(&p->good);
	if (p->has_bad)
		regfree(&p->bad);
	buf_done(&p->console);
	free(p->line);
}

static int
compile(struct probe *p, const char *pattern, struct err *err)
{
	char why[200];
	int rc;

	p->has_bad = regcomp(&p->bad, hopeless, REG_EXTENDED | REG_NOSUB) == 0;
	if (!p->has_bad)
		return err_set(err, ERR_BUG, "our own pattern is not one");
	rc = regcomp(&p->good, pattern, REG_EXTENDED | REG_NOSUB);
	if (rc == 0) {
		p->has_good = true;
		return 0;
	}
	regerror(rc, &p->good, why, sizeof(why));
	return err_set(err, ERR_USER, "bootProbe.serial '%s': %s", pattern,
		       why);
}

static void
read_console(struct probe *p, const char *path)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[16384];
	ssize_t got;

	while (fd >= 0 && p->console.len < CONSOLE_MAX &&
	       (got = pread(fd, piece, sizeof(piece), p->at)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			if (piece[i] && piece[i] != '\r')
				buf_add(&p->console, &piece[i], 1);
		p->at += got;
	}
}

/* A line's verdict; the good pattern is asked first, it is the operator's. */
static enum outcome
judge(struct probe *p, const char *line)
{
	enum outcome outcome = PENDING;

	if (regexec(&p->good, line, 0, NULL, 0) == 0)
		outcome = PASSED;
	else if (regexec(&p->bad, line, 0, NULL, 0) == 0)
		outcome = FAILED;
	if (outcome != PENDING)
		p->line = mem_strdup(line);
	return outcome;
}

/* The last line is judged before it is whole, too: prompts never end. */
static enum outcome
look(struct probe *p)
{
	enum outcome outcome = PENDING;

	while (outcome == PENDING && p->looked < p->console.len) {
		const char *from = p->console.data + p->looked;
		const char *end =
		    memchr(from, '\n', p->console.len - p->looked);
		size_t len =
		    end ? (size_t)(end - from) : p->console.len - p->looked;
		CLEANUP(mem_freep) char *line = mem_strndup(from, len);

		outcome = judge(p, line);
		if (!end)
			break;
		p->looked += len + 1;
	}
	return outcome;
}

static enum outcome
watch(struct probe *p, const struct process *qemu, const char *console,
      int64_t until)
{
	struct pollfd pfd = {.fd = qemu->pidfd, .events = POLLIN};

	for (;;) {
		bool ended = poll(&pfd, 1, POLL_MS) > 0;
		enum outcome outcome;

		read_console(p, console);
		outcome = look(p);
		if (outcome != PENDING)
			return outcome;
		if (p->console.len >= CONSOLE_MAX)
			return TOO_MUCH;
		if (ended)
			return ENDED;
		if (clock_mono_ms() >= until)
			return TIMED_OUT;
	}
}

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

static int
start_qemu(struct work *w, const struct overlays *o, const char *console,
	   const char *log, struct process *ret, struct err *err)
{
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
				 .isolated = true};

	if (fd < 0)
		return err_sys(err, "cannot write log '%s'", log);
	if (copy_nvram(m.shape, nvram, err) < 0)
		return -1;
	accel_probe(&accel);
	m.accel = accel.accel;
	argv = qemu_argv(&m);
	opts.argv = (const char *const *)argv;
	opts.out = opts.err = fd;
	opts.on_start = work_helper_started;
	opts.arg = w;
	return process_start(&opts, ret, err);
}

static json_t *
facts_of(const char *result, const char *line)
{
	return json_pack("{s:s, s:s}", "result", result, "line", line);
}

static int
inconclusive(const struct work *w, const char *why, json_t **ret_facts,
	     struct err *err)
{
	if (w->view->plan->policy->boot_probe.inconclusive ==
	    INCONCLUSIVE_PASS) {
		*ret_facts = facts_of("inconclusive", why);
		return 0;
	}
	return err_set(err, ERR_FAIL,
		       "boot test inconclusive: %s; mend bootProbe.serial or "
		       "deadlines.bootTest and run again, or set "
		       "bootProbe.inconclusive: pass to go on without proof",
		       why);
}

static char *
last_line(const struct probe *p)
{
	const char *text = p->console.data ? p->console.data : "";
	size_t len = p->console.len, from;

	while (len && strchr(" \n", text[len - 1]))
		len--;
	for (from = len; from > 0 && text[from - 1] != '\n'; from--)
		;
	return len ? mem_strndup(text + from, len - from)
		   : mem_strdup("(nothing)");
}

static int
conclude(const struct work *w, const struct probe *p, enum outcome outcome,
	 const char *log, json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *last = last_line(p);
	CLEANUP(mem_freep) char *why = NULL;
	CLEANUP(buf_done) struct buf said = {0};
	struct err ignored;

	switch (outcome) {
	case PASSED:
		*ret_facts = facts_of("passed", p->line);
		return 0;
	case FAILED:
		return err_set(err, ERR_FAIL, "boot test failed: %s", p->line);
	case ENDED:
		(void)fs_read(log, 65536, true, &said, &ignored);
		while (said.len && said.data[said.len - 1] == '\n')
			said.data[--said.len] = '\0';
		if (said.len && !p->console.len)
			return err_set(err, ERR_RETRY,
				       "QEMU cannot boot the vm: %.300s",
				       said.data);
		return err_set(err, ERR_FAIL,
			       "boot test failed: the guest switched itself "
			       "off; its last line: %s",
			       last);
	case TOO_MUCH:
		why =
		    mem_printf("the guest said more than %zu MiB without "
			       "'%s'; its last line: %s",
			       CONSOLE_MAX >> 20,
			       w->view->plan->policy->boot_probe.serial, last);
		return inconclusive(w, why, ret_facts, err);
	default:
		why =
		    mem_printf("'%s' did not come in time; the console's "
			       "last line: %s",
			       w->view->plan->policy->boot_probe.serial, last);
		return inconclusive(w, why, ret_facts, err);
	}
}

static int
boot(struct work *w, const struct overlays *o, json_t **ret_facts,
     struct err *err)
{
	const struct run_policy *policy = w->view->plan->policy;
	CLEANUP(mem_freep)
	char *name = mem_printf("boot-test.%d.console.log", w->attempt);
	CLEANUP(mem_freep) char *console = work_log_path(w, name);
	CLEANUP(mem_freep) char *log = fs_path(o->dir, "qemu.log");
	CLEANUP(probe_done) struct probe p = {0};
	struct process qemu = {.pidfd = -1};
	enum outcome outcome;

	if (compile(&p, policy->boot_probe.serial, err) < 0 ||
	    start_qemu(w, o, console, log, &qemu, err) < 0)
		return -1;
	work_doing(w, "waiting for '%s' on the console",
		   policy->boot_probe.serial);
	outcome = watch(&p, &qemu, console,
			place_deadline(w, policy->deadlines.boot_test_ms));
	process_end(&qemu, 0);
	work_log(w, LOG_LEVEL_INFO, "the guest's console is in '%s'", console);
	return conclude(w, &p, outcome, log, ret_facts, err);
}

/* What to boot: the converted overlays, or the replica itself in raw copy
 * mode. */
static int
bases_of(struct work *w, const struct place *p, struct overlays *ret,
	 struct err *err)
{
	const json_t *facts = work_fact(w, "convert");

	if (w->view->shape->converted)
		return overlays_from_json(json_object_get(facts, "overlays"),
					  p->vm.shape, ret, err);
	ret->v = mem_new((p->vm.shape->ndisks + 1) * sizeof(*ret->v));
	for (; ret->n < p->vm.shape->ndisks; ret->n++)
		p->ops->volume(&p->vm, ret->n, &ret->v[ret->n]);
	return 0;
}

static int
run(struct work *w, json_t **ret_facts, struct err *err)
{
	CLEANUP(place_done) struct place p = {0};
	CLEANUP(overlays_done) struct overlays bases = {0}, o = {0};
	CLEANUP(mem_freep) char *scratch = NULL;
	struct err ignored;
	int rc;

	if (!w->view->plan->policy->boot_probe.serial)
		return inconclusive(w,
				    "no bootProbe.serial says what to wait "
				    "for",
				    ret_facts, err);
	if (place_open(w->view, &p, err) < 0 || p.ops->guard(&p.vm, err) < 0 ||
	    bases_of(w, &p, &bases, err) < 0)
		return -1;
	scratch = p.ops->scratch(&p.vm);
	if (overlays_sweep(scratch, "bt.", err) < 0 ||
	    overlays_create(scratch, "bt.", w->attempt, p.vm.shape, bases.v, &o,
			    err) < 0)
		return -1;
	rc = boot(w, &o, ret_facts, err);
	(void)overlays_sweep(scratch, "bt.", &ignored);
	return rc;
}

/* No probe: what it boots is thrown away, so that a second time is a first. */
const struct stage stage_boot_test = {
    .name = "boot-test",
    .minds_mark = true,
    .scope = STAGE_VM,
    .pool = POOL_CONVERSIONS,
    .writes_disks = false,
    .watches_epoch = true,
    .applies = applies,
    .inputs = inputs,
    .run = run,
    .deadline_ms = deadline_ms,
};

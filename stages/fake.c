/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint type `fake` for every stage.
 *
 * Settings of the source: vms, disksPerVM, diskSize, seed, stepMillis (how long
 * a step takes), power ("on": its vms run until they are stopped), faults.  A
 * fault is "step:kind" or "vm:step:kind", several
 * separated by spaces; step is a step's id ("verify/disk-0", "undo/start") or a
 * stage's name;
 * kinds:
 *   fail    the step fails for good       retry   it fails and may be retried
 *   once    it fails the first time only  crash   its process dies of a signal
 *   hang    it never ends                 orphan  it leaves a helper behind
 *   half    a copy stops halfway, the first time, and keeps its half
 *   stop    its process is stopped (SIGSTOP)
 *   mute    it hangs up on its run and never ends
 *   garbage it says what is no message    flood   and megabytes of that
 * Every step that runs to its end adds a line to fake.log in the vm's state
 * directory: step, attempt, and what a hook's idempotency key begins with.
 * fake.power there has a line for each change
 * of "source", "target" and "mark", in their order; the last one of each is how
 * it is now. */
#include "stages/fake.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"

#define VMS_MAX 1000000
#define DISKS_MAX 256
#define SLICE_MS 20
#define POWER_MAX ((size_t)1024 * 1024)

bool
fake_is(const char *endpoint_type)
{
	return strcmp(endpoint_type, "fake") == 0;
}

static bool
runs_at_first(const struct endpoint *ep)
{
	return strcmp(endpoint_setting(ep, "power", "off"), "on") == 0;
}

static int
number_setting(const struct endpoint *ep, const char *key, const char *fallback,
	       unsigned long max, unsigned long *ret, struct err *err)
{
	const char *text = endpoint_setting(ep, key, fallback);
	char *end;

	*ret = strtoul(text, &end, 10);
	if (end != text && !*end && *ret <= max)
		return 0;
	return err_set(err, ERR_USER,
		       "Endpoint %s/%s: spec.settings.%s: '%s' is not a "
		       "number from 0 to %lu",
		       ep->o.namespace, ep->o.name, key, text, max);
}

static void
add_disks(struct inventory *inv, struct inv_vm *vm, unsigned long ndisks,
	  uint64_t capacity)
{
	for (unsigned long d = 0; d < ndisks; d++) {
		struct inv_disk *disk = inventory_add_disk(inv, vm);

		disk->id = arena_printf(inv->arena, "disk-%lu", d);
		disk->name = disk->id;
		disk->capacity_bytes = capacity;
		disk->format = "raw";
		disk->bus = "scsi";
		disk->unit = (int)d;
		disk->storage_id = disk->storage_name = "fake";
	}
}

static void
add_vm(struct inventory *inv, unsigned long number, unsigned long ndisks,
       uint64_t capacity, const char *seed, enum power_state power)
{
	struct inv_vm *vm = inventory_add_vm(inv);
	struct inv_nic *nic = inventory_add_nic(inv, vm);

	vm->name = arena_printf(inv->arena, "vm-%05lu", number);
	vm->id = vm->name;
	vm->sockets = vm->cores = vm->threads = 1;
	vm->memory_bytes = 1024UL * 1024 * 1024;
	vm->os_family = "linux";
	vm->power = power;
	vm->epoch = arena_printf(inv->arena, "seed %s", seed);
	nic->name = "nic-0";
	nic->network_id = nic->network_name = "fake";
	add_disks(inv, vm, ndisks, capacity);
}

int
fake_inventory(const struct endpoint *ep, struct inventory *ret,
	       struct err *err)
{
	const char *size = endpoint_setting(ep, "diskSize", "1Mi");
	const char *seed = endpoint_setting(ep, "seed", "0");
	enum power_state power =
	    runs_at_first(ep) ? POWER_STATE_ON : POWER_STATE_OFF;
	unsigned long nvms, ndisks;
	uint64_t capacity;

	if (number_setting(ep, "vms", "1", VMS_MAX, &nvms, err) < 0 ||
	    number_setting(ep, "disksPerVM", "1", DISKS_MAX, &ndisks, err) < 0)
		return -1;
	if (units_parse_quantity(size, &capacity) < 0)
		return err_set(err, ERR_USER,
			       "Endpoint %s/%s: spec.settings.diskSize: '%s' "
			       "is not a quantity",
			       ep->o.namespace, ep->o.name, size);
	inventory_add_network(ret, "fake", "fake");
	inventory_add_storage(ret, "fake", "fake");
	for (unsigned long i = 1; i <= nvms; i++)
		add_vm(ret, i, ndisks, capacity, seed, power);
	return 0;
}

static bool
is_meant(const struct work *w, const char *vm, const char *step)
{
	if (vm && strcmp(vm, w->view->pvm->key) != 0)
		return false;
	return strcmp(step, w->step) == 0 || strcmp(step, w->stage->name) == 0;
}

/* The kind of fault asked for this step, or ""; kept in `text`. */
static const char *
fault_of(const struct work *w, char *text, size_t size)
{
	const char *faults =
	    endpoint_setting(w->view->plan->source, "faults", "");
	char *rest = NULL;

	snprintf(text, size, "%s", faults);
	for (char *one = strtok_r(text, " ", &rest); one;
	     one = strtok_r(NULL, " ", &rest)) {
		char *kind = strrchr(one, ':'), *step = one, *vm = NULL;

		if (!kind)
			continue;
		*kind++ = '\0';
		if (strchr(one, ':')) {
			vm = one;
			step = strchr(one, ':');
			*step++ = '\0';
		}
		if (is_meant(w, vm, step))
			return kind;
	}
	return "";
}

/* What virt-v2v does when it is killed: its server lives on, in its group. */
static int
leave_orphan(struct work *w, struct err *err)
{
	const char *argv[] = {"sh", "-c", "sleep 600 & sleep 600", NULL};
	struct process_opts opts = PROCESS_OPTS_INIT;
	struct process p;

	opts.argv = argv;
	opts.on_start = work_helper_started;
	opts.arg = w;
	if (process_start(&opts, &p, err) < 0)
		return -1;
	for (;;)
		pause();
}

/* In place of a ledger: how much of a disk is there. */

static char *
percent_path(const struct view *v, const struct inv_disk *disk)
{
	return mem_printf("%s/fake.%s", v->state_dir, disk->id);
}

static int
keep_percent(const struct work *w, unsigned percent, struct err *err)
{
	CLEANUP(mem_freep) char *path = NULL;
	char text[16];

	if (!w->stage->copied)
		return 0;
	path = percent_path(w->view, w->disk);
	snprintf(text, sizeof(text), "%u\n", percent);
	return fs_write(path, text, strlen(text), 0600, err);
}

static struct copied
fake_copied(const struct view *v, const struct inv_disk *disk)
{
	CLEANUP(mem_freep) char *path = percent_path(v, disk);
	CLEANUP(buf_done) struct buf text = {0};
	struct err ignored;
	unsigned percent;

	if (!fs_exists(path) || fs_read(path, 16, false, &text, &ignored) < 0)
		return (struct copied){0};
	percent = (unsigned)strtoul(text.data, NULL, 10);
	return (struct copied){.any = percent > 0, .percent = percent};
}

/* The descriptor that leads to the run; -1 when there is none. */
static int
find_socket(void)
{
	for (int fd = 3; fd < 1024; fd++) {
		socklen_t len = sizeof(int);
		int type;

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
		    type == SOCK_SEQPACKET)
			return fd;
	}
	return -1;
}

static void
talk_nonsense(size_t total)
{
	static char piece[65536];
	int fd = find_socket();

	memset(piece, '{', sizeof(piece));
	for (size_t put = 0; put < total; put += sizeof(piece))
		if (send(fd, piece, sizeof(piece), MSG_NOSIGNAL) < 0)
			return;
}

static void
misbehave(const char *fault)
{
	if (strcmp(fault, "mute") == 0)
		close(find_socket());
	if (strcmp(fault, "stop") == 0)
		raise(SIGSTOP);
	if (strcmp(fault, "garbage") == 0)
		talk_nonsense(1);
	if (strcmp(fault, "flood") == 0)
		talk_nonsense((size_t)64 * 1024 * 1024);
	if (strcmp(fault, "hang") == 0 || strcmp(fault, "mute") == 0 ||
	    strcmp(fault, "garbage") == 0 || strcmp(fault, "flood") == 0)
		for (;;)
			pause();
}

static int
suffer(struct work *w, struct err *err)
{
	char text[1024];
	const char *fault = fault_of(w, text, sizeof(text));

	if (strcmp(fault, "fail") == 0)
		return err_set(err, ERR_FAIL, "fails as asked");
	if (strcmp(fault, "retry") == 0 ||
	    (strcmp(fault, "once") == 0 && w->attempt == 1))
		return err_set(err, ERR_RETRY, "fails for now, as asked");
	if (strcmp(fault, "half") == 0 && w->attempt == 1) {
		if (keep_percent(w, 50, err) < 0)
			return -1;
		return err_set(err, ERR_FAIL, "stops halfway, as asked");
	}
	if (strcmp(fault, "crash") == 0)
		raise(SIGSEGV);
	misbehave(fault);
	if (strcmp(fault, "orphan") == 0 && w->attempt == 1)
		return leave_orphan(w, err);
	return 0;
}

static void
take_time(struct work *w)
{
	const char *text =
	    endpoint_setting(w->view->plan->source, "stepMillis", "0");
	unsigned long total = strtoul(text, NULL, 10);

	for (unsigned long spent = 0; spent < total; spent += SLICE_MS) {
		work_progress(w, spent, total);
		poll(NULL, 0, SLICE_MS);
	}
}

static int
add_line(const struct view *v, const char *name, const char *line,
	 struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(v->state_dir, name);
	CLEANUP(mem_closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (fs_write_all(fd, line, strlen(line), err) < 0)
		return err_wrap(err, "'%s'", path);
	if (fsync(fd) < 0)
		return err_sys(err, "cannot sync '%s'", path);
	return 0;
}

static int
add_to_log(const struct work *w, struct err *err)
{
	CLEANUP(mem_freep)
	char *line = mem_printf("%s %d\n", w->step, w->attempt);

	return add_line(w->view, "fake.log", line, err);
}

/* Power and the hand-over mark. */

/* How "source", "target" or "mark" is now; caller frees. */
static char *
state_of(const struct view *v, const char *what)
{
	CLEANUP(mem_freep) char *path = fs_path(v->state_dir, "fake.power");
	CLEANUP(buf_done) struct buf text = {0};
	size_t len = strlen(what);
	char *rest = NULL, *now;
	struct err ignored;

	now = mem_strdup(
	    strcmp(what, "source") == 0 && runs_at_first(v->plan->source) ? "on"
	    : strcmp(what, "mark") == 0 ? "none"
					: "off");
	if (fs_read(path, POWER_MAX, true, &text, &ignored) < 0 || !text.data)
		return now;
	for (char *line = strtok_r(text.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		if (strncmp(line, what, len) == 0 && line[len] == ' ') {
			free(now);
			now = mem_strdup(line + len + 1);
		}
	return now;
}

static bool
is_now(const struct view *v, const char *what, const char *state)
{
	CLEANUP(mem_freep) char *now = state_of(v, what);

	return strcmp(now, state) == 0;
}

/* Source and target never run at once: whoever asks for that is wrong. */
static int
change(const struct view *v, const char *what, const char *state,
       struct err *err)
{
	CLEANUP(mem_freep) char *line = mem_printf("%s %s\n", what, state);
	const char *other = strcmp(what, "source") == 0 ? "target" : "source";

	if (is_now(v, what, state))
		return 0;
	if (strcmp(state, "on") == 0 && is_now(v, other, "on"))
		return err_set(err, ERR_BUG, "the %s runs, the %s must not",
			       other, what);
	return add_line(v, "fake.power", line, err);
}

static bool
was_on(const json_t *power)
{
	const char *text = json_string_value(power);

	return text && strcmp(text, "on") == 0;
}

static int
fake_cutover(struct work *w, json_t *facts, struct err *err)
{
	if (!work_recorded(w, "power")) {
		CLEANUP(mem_freep) char *now = state_of(w->view, "source");

		if (work_record(w, "power", json_string(now), err) < 0)
			return -1;
	}
	json_object_set(facts, "power", (json_t *)work_recorded(w, "power"));
	return change(w->view, "source", "off", err);
}

static int
fake_start(const struct work *w, struct err *err)
{
	const struct view *v = w->view;
	bool on = v->pvm->target_power == POWER_ON ||
		  (v->pvm->target_power == POWER_AUTO &&
		   was_on(json_object_get(work_fact(w, "cutover"), "power")));

	if (change(v, "mark", on ? "started" : "left-off", err) < 0)
		return -1;
	return on ? change(v, "target", "on", err) : 0;
}

int
fake_may_undo(const struct view *v, struct err *err)
{
	if (v->may_discard || is_now(v, "mark", "none") ||
	    is_now(v, "mark", "rolled-back"))
		return 0;
	return err_set(err, ERR_FAIL,
		       "the target was handed over and may have run; "
		       "'palletjack rollback --discard-target-writes' says "
		       "that what it wrote may be lost");
}

int
fake_may_remove(const struct view *v, struct err *err)
{
	if (is_now(v, "mark", "none") || is_now(v, "mark", "rolled-back"))
		return 0;
	return err_set(err, ERR_FAIL,
		       "the target was handed over and is the vm now: its "
		       "disks are removed only after 'palletjack rollback'");
}

static int
fake_undo_start(const struct work *w, struct err *err)
{
	if (fake_may_undo(w->view, err) < 0 ||
	    change(w->view, "mark", "rolled-back", err) < 0)
		return -1;
	return change(w->view, "target", "off", err);
}

static int
change_power(struct work *w, json_t *facts, struct err *err)
{
	if (strcmp(w->step, "cutover") == 0)
		return fake_cutover(w, facts, err);
	if (strcmp(w->step, "start") == 0)
		return fake_start(w, err);
	if (strcmp(w->step, "undo/start") == 0)
		return fake_undo_start(w, err);
	if (strcmp(w->step, "undo/cutover") == 0 &&
	    was_on(work_recorded(w, "power")))
		return change(w->view, "source", "on", err);
	if (strcmp(w->step, "gc/disks") == 0)
		return change(w->view, "mark", "none", err);
	return 0;
}

static int
fake_run(struct work *w, json_t **ret_facts, struct err *err)
{
	json_t *facts;

	if (suffer(w, err) < 0)
		return -1;
	take_time(w);
	facts = json_pack("{s:i}", "attempt", w->attempt);
	if (change_power(w, facts, err) < 0 || add_to_log(w, err) < 0 ||
	    keep_percent(w, 100, err) < 0) {
		json_decref(facts);
		return -1;
	}
	*ret_facts = facts;
	return 0;
}

const struct stage *
fake_gc(bool disks)
{
	static struct stage stages[2];

	stages[disks] = disks ? stage_gc_disks : stage_gc;
	stages[disks].run = fake_run;
	return &stages[disks];
}

const struct stage *const *
fake_stages(size_t *ret_n)
{
	enum { MOST = 32 };
	static struct stage stages[MOST], undos[MOST];
	static const struct stage *table[MOST];
	static size_t n;
	const struct stage *const *real = stages_all(ret_n);

	for (; n < *ret_n && n < MOST; n++) {
		stages[n] = *real[n];
		stages[n].run = fake_run;
		stages[n].probe = NULL;
		if (real[n]->copied)
			stages[n].copied = fake_copied;
		if (real[n]->undo) {
			undos[n] = *real[n]->undo;
			undos[n].run = fake_run;
			stages[n].undo = &undos[n];
		}
		table[n] = &stages[n];
	}
	return table;
}

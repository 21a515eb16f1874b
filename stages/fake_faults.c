/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake endpoint's steps suffer because their settings say so.
 *
 * settings.faults is a list, separated by blanks, of "STEP:KIND" or
 * "VM:STEP:KIND".  STEP is a step's id ("verify/disk-0", "undo/start"), a
 * stage's name, or "*" for all; KIND may be followed by "@N": only in the Nth
 * attempt.  The kinds are in FORMAT.md and below. */
#include "stages/fake_faults.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/fake_world.h"
#include "stages/fake_writer.h"

/* as often as a copy says how far it is */
#define SLICE_MS 250
#define SLICES 1
#define FLOOD_BYTES ((size_t)64 * 1024 * 1024)

/* One of the list; its text is the reader's. */
struct fault {
	const char *vm; /* NULL: each */
	const char *step;
	const char *kind;
	int attempt; /* 0: each */
};

struct reader {
	char *text, *rest; /* text is owned */
};

static void
reader_done(struct reader *r)
{
	free(r->text);
}

static struct reader
read_faults(const struct endpoint *ep)
{
	return (struct reader){
	    .text = mem_strdup(endpoint_setting(ep, "faults", ""))};
}

/* The next one; false at the end.  What is not whole has a kind of "". */
static bool
next_fault(struct reader *r, struct fault *ret)
{
	char *one = strtok_r(r->rest ? NULL : r->text, " ", &r->rest);
	char *kind, *at, *colon;

	if (!one)
		return false;
	*ret = (struct fault){.step = one, .kind = ""};
	kind = strrchr(one, ':');
	if (!kind)
		return true;
	*kind++ = '\0';
	ret->kind = kind;
	at = strchr(kind, '@');
	if (at) {
		*at++ = '\0';
		ret->attempt = (int)strtol(at, NULL, 10);
	}
	colon = strchr(one, ':');
	if (colon) {
		*colon++ = '\0';
		ret->vm = one;
		ret->step = colon;
	}
	return true;
}

static bool
is_meant(const struct fault *f, const struct work *w)
{
	if (f->vm && strcmp(f->vm, w->view->pvm->key) != 0)
		return false;
	if (f->attempt && f->attempt != w->attempt)
		return false;
	return strcmp(f->step, "*") == 0 || strcmp(f->step, w->step) == 0 ||
	       strcmp(f->step, w->stage->name) == 0;
}

static bool
is(const struct fault *f, const char *kind)
{
	return strcmp(f->kind, kind) == 0;
}

/* The milliseconds of "slow=MS". */
static bool
is_slow(const struct fault *f, unsigned long *ret_ms)
{
	char *end;

	if (strncmp(f->kind, "slow=", 5) != 0)
		return false;
	*ret_ms = strtoul(f->kind + 5, &end, 10);
	return end != f->kind + 5 && !*end;
}

/* The moment of "source-on=MOMENT" and "die=MOMENT", or NULL. */
static const char *
moment_of(const struct fault *f, const char *what)
{
	static const char *const moments[] = {"look", "mark", "start", "run"};
	size_t len = strlen(what);

	if (strncmp(f->kind, what, len) != 0 || f->kind[len] != '=')
		return NULL;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++)
		if (strcmp(f->kind + len + 1, moments[i]) == 0)
			return moments[i];
	return NULL;
}

int
fake_faults_check(const struct endpoint *ep, struct err *err)
{
	static const char *const kinds[] = {
	    "fail",   "retry", "once",	     "flap",  "crash",	 "hang",
	    "orphan", "half",  "stop",	     "mute",  "garbage", "flood",
	    "stray",  "lose",  "unbootable", "silent"};
	CLEANUP(reader_done) struct reader r = read_faults(ep);
	struct fault f;

	while (next_fault(&r, &f)) {
		unsigned long ms;
		bool known = is_slow(&f, &ms) || moment_of(&f, "source-on") ||
			     moment_of(&f, "die") || is(&f, "source-on");

		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			known |= is(&f, kinds[i]);
		if (!known)
			return err_set(err, ERR_USER,
				       "spec.settings.faults: the kind '%s' of "
				       "fault for '%s' is not "
				       "known",
				       f.kind, f.step);
	}
	return 0;
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

/* What a daemon does: no group of ours has it, and its parent is gone. */
static int
leave_stray(struct work *w, struct err *err)
{
	const char *argv[] = {"sh", "-c",
			      "rm -f fake.strays; setsid sh -c 'echo $$ "
			      ">fake.strays; exec sleep 600' & "
			      "until test -s fake.strays; do sleep 0.01; done",
			      NULL};
	struct process_opts opts = PROCESS_OPTS_INIT;
	struct process p;
	int status;

	opts.argv = argv;
	opts.dir = w->view->state_dir;
	opts.on_start = work_helper_started;
	opts.arg = w;
	if (process_start(&opts, &p, err) < 0)
		return -1;
	return process_wait(&p, "the helper", 0, &status, err);
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
misbehave(const struct fault *f)
{
	if (is(f, "crash"))
		raise(SIGSEGV);
	if (is(f, "stop"))
		raise(SIGSTOP);
	if (is(f, "mute"))
		close(find_socket());
	if (is(f, "garbage"))
		talk_nonsense(1);
	if (is(f, "flood"))
		talk_nonsense(FLOOD_BYTES);
	if (is(f, "hang") || is(f, "mute") || is(f, "garbage") ||
	    is(f, "flood"))
		for (;;)
			pause();
}

static int
suffer_one(struct work *w, const struct fault *f, struct err *err)
{
	if (is(f, "fail"))
		return err_set(err, ERR_FAIL, "fails as asked");
	if (is(f, "retry") || (is(f, "once") && w->attempt == 1))
		return err_set(err, ERR_RETRY, "fails for now, as asked");
	if (is(f, "flap") && w->attempt % 2 == 1)
		return err_set(err, ERR_RETRY,
			       "fails every other time, as asked");
	if (is(f, "orphan") && (w->attempt == 1 || f->attempt))
		return leave_orphan(w, err);
	if (is(f, "stray"))
		return leave_stray(w, err);
	if (is(f, "source-on") && (w->attempt == 1 || f->attempt))
		return fake_start_source(w->view, err);
	misbehave(f);
	return 0;
}

int
fake_suffer(struct work *w, struct err *err)
{
	CLEANUP(reader_done)
	struct reader r = read_faults(w->view->plan->source);
	struct fault f;

	while (next_fault(&r, &f))
		if (is_meant(&f, w) && suffer_one(w, &f, err) < 0)
			return -1;
	return 0;
}

unsigned long
fake_delay_ms(const struct work *w)
{
	const struct endpoint *ep = w->view->plan->source;
	CLEANUP(reader_done) struct reader r = read_faults(ep);
	unsigned long ms =
	    strtoul(endpoint_setting(ep, "stepMillis", "0"), NULL, 10);
	const struct fake_writer *fw = fake_writer_of(w->view);
	struct fault f;

	if (fw)
		ms = (unsigned long)fake_writer_ms(fw, w);
	while (next_fault(&r, &f))
		if (is_meant(&f, w))
			(void)is_slow(&f, &ms);
	return ms;
}

void
fake_take_time(struct work *w)
{
	int64_t total = (int64_t)fake_delay_ms(w), slice = SLICE_MS;

	/* hours are not told second by second */
	if (fake_writer_of(w->view) && slice < total / SLICES)
		slice = total / SLICES;
	for (int64_t spent = 0; spent < total; spent += slice) {
		work_progress(w, (uint64_t)spent, (uint64_t)total);
		clock_sleep_ms(total - spent < slice ? total - spent : slice);
	}
}

bool
fake_boots_like(const struct work *w, const char *kind)
{
	CLEANUP(reader_done)
	struct reader r = read_faults(w->view->plan->source);
	struct fault f;

	while (next_fault(&r, &f))
		if (is_meant(&f, w) && is(&f, kind))
			return true;
	return false;
}

/* Is a fault of that kind due, by default in the first attempt only? */
static bool
suffers(const struct work *w, const char *kind)
{
	CLEANUP(reader_done)
	struct reader r = read_faults(w->view->plan->source);
	struct fault f;

	while (next_fault(&r, &f))
		if (is_meant(&f, w) && is(&f, kind) &&
		    (w->attempt == 1 || f.attempt))
			return true;
	return false;
}

int
fake_race(struct work *w, const char *moment, struct err *err)
{
	CLEANUP(reader_done)
	struct reader r = read_faults(w->view->plan->source);
	struct fault f;

	while (next_fault(&r, &f)) {
		const char *back = moment_of(&f, "source-on");
		const char *end = moment_of(&f, "die");

		if (!is_meant(&f, w) || (w->attempt > 1 && !f.attempt))
			continue;
		if (back && strcmp(back, moment) == 0 &&
		    fake_start_source(w->view, err) < 0)
			return -1;
		if (end && strcmp(end, moment) == 0)
			raise(SIGKILL);
	}
	return 0;
}

bool
fake_stops_halfway(const struct work *w)
{
	return suffers(w, "half");
}

bool
fake_loses_point(const struct work *w)
{
	return suffers(w, "lose");
}

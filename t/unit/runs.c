/* SPDX-License-Identifier: Apache-2.0 */
/* Warm vms with writers (settings.writer of the fake endpoint) moved by whole
 * runs on a virtual clock: what decides on another generation, the cutover or
 * to end and wait is the runner's own loop, by what it reads in its journal.
 * Only that steps are done without a child is this test's (t/inline.c), and
 * t/5130-warm-writers.t shows that the program does the same with them.
 *
 * A vm: some runs at an interval that take a generation each, then a few that
 * may cut it over.  It is judged by an oracle that knows the writer
 * (t/oracle.h): infeasible, when the best there can be is over the budget;
 * feasible, when 1.2 times what is nearly sure to be had is within it; the rest
 * is a matter of luck: told, not judged.
 *
 *	runs			1,000 of each kind of writer; SEED, RUNS, LONG
 *	runs KIND SEED DIR	one, told: writes DIR/m.yaml */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "batch.h"
#include "downtime.h"
#include "slots.h"
#include "stages/fake_writer.h"
#include "t/clock.h"
#include "t/dice.h"
#include "t/inline.h"
#include "t/oracle.h"
#include "t/tap.h"

#define BEGIN_MS 1767225600000 /* 2026-01-01 */
#define SIZE (64.0 * 1024 * 1024 * 1024)
#ifdef __SANITIZE_ADDRESS__ /* which takes its time */
#define RUNS 100
#else
#define RUNS 1000
#endif
#define NSEEDS 4 /* with LONG=1 */
#define LATEST 2 /* runs that may cut over */

static const char *const kinds[] = {"constant", "burst", "hot-set", "growing"};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char manifest[] =
    "apiVersion: palletjack.io/v1alpha1\n"
    "kind: Endpoint\n"
    "metadata: {name: source, namespace: t}\n"
    "spec:\n"
    "  type: fake\n"
    "  settings: {power: \"on\", content: none, diskSize: 64Gi,\n"
    "    writer: %s, seed: \"%llu\"}\n"
    "---\n"
    "apiVersion: palletjack.io/v1alpha1\n"
    "kind: Endpoint\n"
    "metadata: {name: target, namespace: t}\n"
    "spec: {type: fake}\n"
    "---\n"
    "apiVersion: palletjack.io/v1alpha1\n"
    "kind: RunPolicy\n"
    "metadata: {name: default, namespace: t}\n"
    "spec:\n"
    "  precopy: {interval: 1ms}\n"
    "  verify: %s\n"
    "  cutover: {maxDowntime: %lldms}\n"
    "  deadlines: {wait: 1000h}\n"
    "---\n"
    "apiVersion: forklift.konveyor.io/v1beta1\n"
    "kind: NetworkMap\n"
    "metadata: {name: maps, namespace: t}\n"
    "spec:\n"
    "  provider: {source: {name: source}, destination: {name: target}}\n"
    "  map: [{source: {name: fake}, destination: {type: pod}}]\n"
    "---\n"
    "apiVersion: forklift.konveyor.io/v1beta1\n"
    "kind: StorageMap\n"
    "metadata: {name: maps, namespace: t}\n"
    "spec:\n"
    "  provider: {source: {name: source}, destination: {name: target}}\n"
    "  map: [{source: {name: fake}, destination: {storageClass: fake}}]\n"
    "---\n"
    "apiVersion: forklift.konveyor.io/v1beta1\n"
    "kind: Plan\n"
    "metadata: {name: p, namespace: t}\n"
    "spec:\n"
    "  provider: {source: {name: source}, destination: {name: target}}\n"
    "  map: {network: {name: maps}, storage: {name: maps}}\n"
    "  targetNamespace: t\n"
    "  type: warm\n"
    "  vms: [{name: vm-00001}]\n";

/* -- runs -- */

/* Nothing here must survive a power cut. */
int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}

/* Nor is memory scarce. */
int
malloc_trim(size_t pad)
{
	(void)pad;
	return 0;
}

struct job {
	struct manifest *manifest;
	const struct plan *plan;
	struct findings found;
	char *root;
};

/* What the journal says behind a run. */
struct outcome {
	enum err_class class;
	size_t generations;
	int64_t point_ms; /* the last one's */
	struct downtime_told told;
};

struct world {
	const char *kind;
	uint64_t seed;
	int64_t interval_ms;
	size_t before;	   /* runs until the cutover is due */
	bool verify;	   /* what is copied is read back */
	double generosity; /* of the budget, to the best there can be */
	int64_t budget_ms;
	struct oracle oracle;
	struct fake_writer writer;
};

static void
write_manifest(const char *dir, const struct world *w)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, "m.yaml");
	CLEANUP(buf_done) struct buf text = {0};
	struct err err;

	buf_printf(&text, manifest, w->kind, (unsigned long long)w->seed,
		   w->verify ? "full" : "none", (long long)w->budget_ms);
	if (fs_write(path, text.data, text.len, 0600, &err) < 0)
		tap_diag("%s", err.text);
}

static void
job_open(struct job *j, const char *kind)
{
	CLEANUP(mem_freep) char *dir = fs_path(tap_dir(), kind);
	CLEANUP(mem_freep) char *path = fs_path(dir, "m.yaml");
	const char *const paths[] = {path};
	struct manifest_opts how = {0};
	struct err err;

	*j = (struct job){.found = {.arena = arena_new()}};
	j->root = fs_path(dir, "state");
	if (fs_mkdirs(dir, 0700, &err) < 0)
		abort();
	write_manifest(dir, &(struct world){.kind = kind, .budget_ms = 1});
	if (manifest_read(paths, 1, &how, &j->found, &j->manifest, &err) < 0 ||
	    manifest_plan(j->manifest, "t/p", &j->plan, &err) < 0)
		abort();
}

static void
job_close(struct job *j)
{
	manifest_free(j->manifest);
	findings_done(&j->found);
	arena_free(j->found.arena);
	free(j->root);
}

static void
read_outcome(const struct vm_run *vm, struct outcome *ret)
{
	struct generation_seen seen[PREDICT_GENERATIONS];
	const struct history *h = vm->state->history;
	const struct step_history *points = history_past(h, "precopy");
	size_t n = downtime_generations(h, seen);

	ret->class = vm->outcome;
	ret->generations = points ? (size_t)points->attempts : 0;
	ret->point_ms = n ? seen[n - 1].point_ms : 0;
	downtime_told(h, &ret->told);
	ret->told.why = NULL;
}

/* `palletjack run`, but for what it says. */
static int
run(const struct job *j, int64_t cutover_ms, struct outcome *ret,
    struct err *err)
{
	struct batch_opts opts = {
	    .root = j->root, .read = &j->found, .take = true};
	struct execute_opts how = {
	    .plan = j->plan, .cutover_ms = cutover_ms, .slots_dir = -1};
	struct batch *b = NULL;
	int rc, signal;

	rc = batch_open(j->manifest, j->plan, &opts, &b, err);
	if (rc == 0 && b->vms[0].verdict != BATCH_READY) {
		*err = b->vms[0].error;
		rc = -1;
	}
	if (rc == 0 && (batch_begin(&b->vms[0].run, err) < 0 ||
			execute(&how, &b->vms[0].run, 1, &signal, err) < 0))
		rc = -1;
	if (rc == 0)
		read_outcome(&b->vms[0].run, ret);
	if (rc == 0 && ret->class != ERR_NONE && ret->class != ERR_WAITING)
		rc = err_set(err, ret->class, "%s", b->vms[0].run.error);
	batch_free(b);
	return rc;
}

/* -- worlds -- */

static void
make_world(const char *kind, uint64_t seed, struct world *ret)
{
	dice = seed * 0x9e3779b9u + 7;
	*ret = (struct world){.kind = kind, .seed = seed};
	ret->interval_ms =
	    uniform(0, 1) < 0.5 ? 3600000 : (int64_t)any_size(600000, 3600000);
	ret->before = 1 + (size_t)uniform(0, 4);
	ret->verify = uniform(0, 1) < 0.7;
	ret->generosity = any_size(0.5, 4);
	fake_writer_draw(kind, seed, SIZE, &ret->writer);
}

/* The run after this one begins so long after it, or as soon as it ended. */
static void
pass_interval(const struct world *w, int64_t begun_ms)
{
	int64_t next = begun_ms + w->interval_ms;

	if (clock_virtual_ms() < next)
		clock_virtual_set(next);
}

static double
seconds(int64_t wall_ms)
{
	return (double)(wall_ms - BEGIN_MS) / 1000;
}

/* As if the manifest had said so. */
static void
job_write(struct job *j, const struct world *w)
{
	json_t *settings = (json_t *)j->plan->source->settings;
	struct run_policy *policy = (struct run_policy *)j->plan->policy;
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)w->seed);
	json_object_set_new(settings, "writer", json_string(w->kind));
	json_object_set_new(settings, "seed", json_string(text));
	policy->verify = w->verify ? VERIFY_FULL : VERIFY_NONE;
	policy->cutover.max_downtime_ms = w->budget_ms;
}

static int
take_generations(const struct job *j, const struct world *w,
		 struct outcome *ret, struct err *err)
{
	clock_virtual_set(BEGIN_MS);
	for (size_t i = 0; i < w->before; i++) {
		int64_t begun = clock_virtual_ms();

		if (run(j, DUE_NEVER, ret, err) < 0)
			return -1;
		pass_interval(w, begun);
	}
	return 0;
}

/* Is it cut over, and else, how often was that tried? */
static int
try_cutover(const struct job *j, const struct world *w, struct outcome *ret,
	    struct err *err)
{
	for (size_t i = 0; i < LATEST; i++) {
		int64_t begun = clock_virtual_ms();

		if (run(j, 0, ret, err) < 0)
			return -1;
		if (ret->class == ERR_NONE)
			break;
		pass_interval(w, begun);
	}
	return 0;
}

static int
move(struct job *j, struct world *w, struct outcome *ret, struct err *err)
{
	const struct fake_writer *fw = &w->writer;
	struct oracle_question q = {
	    .writer = fw,
	    .verify = w->verify,
	    .real = {fw->stop.takes, fw->convert.takes, fw->start.takes,
		     fake_writer_luck(fw, "cutover/disk-0", 0),
		     fake_writer_luck(fw, "verify/disk-0", 0)},
	    .seed = w->seed + 1};

	job_write(j, w);
	if (take_generations(j, w, ret, err) < 0)
		return -1;
	q.last = seconds(ret->point_ms);
	q.due = seconds(clock_virtual_ms());
	q.horizon = q.due + (double)(LATEST * w->interval_ms) / 1000;
	oracle_ask(&q, &w->oracle);
	w->budget_ms = (int64_t)(w->oracle.best * w->generosity * 1000);
	job_write(j, w);
	return try_cutover(j, w, ret, err);
}

/* -- judging -- */

/* All double, so that they add up. */
struct tally {
	double runs, generations, broken;
	double feasible, cut_feasible, kept_feasible;
	double infeasible, cut_infeasible;
	double hopeless, cut_hopeless;
	double cut_else, kept_else;
	double cuts, held, below;
};

static void
tally_add(struct tally *to, const struct tally *more)
{
	double *sum = (double *)to;
	const double *part = (const double *)more;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*sum); i++)
		sum[i] += part[i];
}

static void
count(const struct world *w, const struct outcome *o, struct tally *t)
{
	double budget = (double)w->budget_ms / 1000;
	bool cut = o->class == ERR_NONE;
	bool kept = cut && o->told.took_ms <= w->budget_ms;

	t->runs++;
	t->generations += (double)o->generations;
	t->broken += cut && (!o->told.is_predicted || o->told.took_ms < 0);
	t->cuts += cut;
	t->below += cut && o->told.took_ms < o->told.low_ms;
	t->held += cut && o->told.took_ms >= o->told.low_ms &&
		   o->told.took_ms <= o->told.high_ms;
	t->hopeless += w->oracle.hindsight > budget;
	t->cut_hopeless += cut && w->oracle.hindsight > budget;
	if (w->oracle.best > budget) {
		t->infeasible++;
		t->cut_infeasible += cut;
	} else if (1.2 * w->oracle.sure <= budget) {
		t->feasible++;
		t->cut_feasible += cut;
		t->kept_feasible += kept;
	} else {
		t->cut_else += cut;
		t->kept_else += kept;
	}
}

static void
tell(const char *name, const struct tally *t)
{
	tap_diag(
	    "%s: %.0f runs; feasible %.0f, cut over %.1f %%, kept %.1f %% "
	    "of all; infeasible %.0f, cut over %.0f; hopeless %.0f, cut "
	    "over %.0f; else %.0f, cut over %.0f, kept %.0f",
	    name, t->runs, t->feasible, 100 * t->cut_feasible / t->feasible,
	    100 * t->kept_feasible / t->feasible, t->infeasible,
	    t->cut_infeasible, t->hopeless, t->cut_hopeless,
	    t->runs - t->feasible - t->infeasible, t->cut_else, t->kept_else);
	tap_diag("%s: of %.0f downtimes %.1f %% lay in their range, %.1f %% "
		 "below; %.1f generations each",
		 name, t->cuts, 100 * t->held / t->cuts,
		 100 * t->below / t->cuts, t->generations / t->runs);
}

static void
judge(const char *name, const struct tally *t, double slack)
{
	double held = t->held / t->cuts;

	ok(t->broken == 0, "%s: each cutover has its prediction and downtime",
	   name);
	ok(t->kept_feasible >= (0.95 - slack) * t->feasible,
	   "%s: the budget is kept where it is feasible", name);
	ok(t->cut_infeasible <= slack * 0.1 * t->infeasible,
	   "%s: nothing is cut over where it is not", name);
	ok(held >= 0.85 - slack && held <= 0.95 + slack,
	   "%s: nine of ten downtimes lie in their range", name);
}

/* Of a kind, by a process of its own. */
struct part {
	struct tally tally;
	bool whole;
	char error[1200];
};

static void
try_kind(const char *kind, uint64_t seed, int runs, struct part *ret)
{
	struct job j;
	struct err err;

	job_open(&j, kind);
	for (int i = 0; i < runs; i++) {
		struct outcome o = {0};
		struct world w;

		make_world(kind, seed + (uint64_t)i, &w);
		if (move(&j, &w, &o, &err) < 0)
			snprintf(ret->error, sizeof(ret->error), "%s %llu: %s",
				 kind, (unsigned long long)w.seed, err.text);
		count(&w, &o, &ret->tally);
		fake_writer_done(&w.writer);
		inline_journal_forget();
		(void)fs_remove_tree(j.root, &err);
	}
	job_close(&j);
	ret->whole = true;
}

/* Adds to `sums`; all kinds side by side. */
static void
try_kinds(uint64_t seed, int runs, struct tally *sums)
{
	struct part *parts =
	    mmap(NULL, NKINDS * sizeof(*parts), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[NKINDS];

	if (parts == MAP_FAILED)
		abort();
	tap_diag("SEED=%llu RUNS=%d", (unsigned long long)seed, runs);
	for (size_t k = 0; k < NKINDS; k++) {
		pids[k] = fork();
		if (pids[k] == 0) {
			try_kind(kinds[k], seed + k * 1000000, runs, &parts[k]);
			_exit(0);
		}
	}
	for (size_t k = 0; k < NKINDS; k++) {
		(void)waitpid(pids[k], NULL, 0);
		ok(parts[k].whole && !parts[k].error[0],
		   "%s: all runs end as runs do", kinds[k]);
		if (parts[k].error[0])
			tap_diag("%s", parts[k].error);
		tell(kinds[k], &parts[k].tally);
		tally_add(&sums[k], &parts[k].tally);
	}
	munmap(parts, NKINDS * sizeof(*parts));
}

/* A fixed seed must hold what is asked; another, or fewer runs, may miss a
 * little. */
static void
try_seeds(const uint64_t *seeds, size_t nseeds, int runs, double slack)
{
	struct tally sums[NKINDS] = {0}, all = {0};

	for (size_t i = 0; i < nseeds; i++)
		try_kinds(seeds[i], runs, sums);
	for (size_t k = 0; k < NKINDS; k++) {
		if (nseeds > 1)
			tell(kinds[k], &sums[k]);
		judge(kinds[k], &sums[k], slack);
		tally_add(&all, &sums[k]);
	}
	tell("all", &all);
}

/* For t/5130-warm-writers.t, which does the same with the program. */
static int
tell_one(char **args)
{
	struct outcome o = {0};
	struct job j;
	struct world w;
	struct err err;

	make_world(args[0], strtoull(args[1], NULL, 10), &w);
	job_open(&j, args[0]);
	if (move(&j, &w, &o, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	write_manifest(args[2], &w);
	printf("before %zu %d %lld %lld\n", w.before, LATEST,
	       (long long)w.interval_ms, (long long)BEGIN_MS);
	printf("outcome %s %zu", o.class == ERR_NONE ? "moved" : "waits",
	       o.generations);
	if (o.class == ERR_NONE)
		printf(" %lld %lld %lld", (long long)o.told.low_ms,
		       (long long)o.told.high_ms, (long long)o.told.took_ms);
	printf("\n");
	fake_writer_done(&w.writer);
	job_close(&j);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *seed = getenv("SEED"), *runs = getenv("RUNS");
	uint64_t seeds[NSEEDS] = {20261130, 100000000, 200000000, 300000000};
	int n = runs ? (int)strtol(runs, NULL, 10) : RUNS;

	/* files of a moment */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	if (argc == 4)
		return tell_one(argv + 1);
	(void)tap_dir();
	if (seed)
		seeds[0] = strtoull(seed, NULL, 10);
	try_seeds(seeds, getenv("LONG") && !seed ? NSEEDS : 1, n,
		  seed || n < 1000 ? 0.05 : 0);
	return tap_done();
}

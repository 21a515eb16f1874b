/* SPDX-License-Identifier: Apache-2.0 */
/* Who may go on now: vms wait for a place among those worked on, steps for
 * places on their host, their endpoints, among the conversions.
 *
 * Only what changed is looked at: a vm that was touched, and the first of the
 * queue before each place that came free. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "manifests/digest.h"
#include "run.h"

#define SLOT_POLL_MS 100 /* for what other runs hold */

#define SHOWN_DIGEST 16

/* A vm comes to hold a slot and the lock at its target.  A step has a socket,
 * for a moment its other end, a pidfd and slots of four pools.  Beside them all
 * there are signals, timers, requests, a journal that is written anew. */
#define FILES_A_VM 2
#define FILES_A_STEP 7
#define FILES_BESIDE 8
#define MANY_JOBS 100000 /* as good as no limit */

/* Pools. */

static void
digest_of(const struct endpoint *ep, const char *host,
	  char ret[DIGEST_HEX_SIZE])
{
	json_t *id = json_pack("[s, s, s]", ep->type,
			       ep->path ? ep->path : ep->url, host);

	digest_json(id, ret);
	json_decref(id);
}

static struct pool *
endpoint_pool(struct run *r, const struct endpoint *ep)
{
	char digest[DIGEST_HEX_SIZE];
	CLEANUP(mem_freep) char *name = NULL, *about = NULL;
	int limit = r->opts->plan->policy->limits.per_endpoint;

	if (limit <= 0)
		return NULL;
	digest_of(ep, "", digest);
	name = mem_printf("endpoint-%.*s", SHOWN_DIGEST, digest);
	about = mem_printf("endpoint '%s'", ep->o.name);
	return pools_get(r->pools, name, about, limit, true);
}

static struct pool *
host_pool(struct run *r, const struct endpoint *ep, const char *host)
{
	char digest[DIGEST_HEX_SIZE];
	CLEANUP(mem_freep) char *name = NULL, *about = NULL;

	digest_of(ep, host ? host : "", digest);
	name = mem_printf("disks-%.*s", SHOWN_DIGEST, digest);
	about = mem_printf("the disks of host '%s' of '%s'",
			   host && *host ? host : "-", ep->o.name);
	return pools_get(r->pools, name, about,
			 r->opts->plan->policy->limits.disks_per_host, true);
}

static void
make_disk_claim(struct step_run *s)
{
	const struct plan *plan = s->run->opts->plan;
	struct vm_work *w = s->vm->work;

	/* once a vm: of ten thousand steps nobody wants to digest each */
	if (!w->knows_pools) {
		w->disk_pools[0] =
		    host_pool(s->run, plan->source, s->vm->view.vm->host);
		w->disk_pools[1] = endpoint_pool(s->run, plan->source);
		w->disk_pools[2] = endpoint_pool(s->run, plan->target);
		w->knows_pools = true;
	}
	for (size_t i = 0; i < 3; i++)
		claim_add(&s->claim, w->disk_pools[i]);
}

/* Where open files are few, so are the steps at once: one that could not be
 * started for want of them had failed. */
static int
most_jobs(const struct run *r)
{
	long taken = FILES_BESIDE + FILES_A_VM * (long)r->nvms;
	long left = (fs_files_left() - taken) / FILES_A_STEP;
	int jobs = r->opts->jobs;

	if (left < 1)
		left = 1;
	if (jobs > 0 && jobs <= left)
		return jobs;
	return left < MANY_JOBS ? (int)left : 0;
}

static void
make_claim(struct step_run *s)
{
	struct run *r = s->run;

	s->claim = (struct claim){.owner = s->vm};
	claim_add(&s->claim,
		  pools_get(r->pools, "jobs", "--jobs", r->jobs, false));
	if (s->step->stage->pool == POOL_DISKS)
		make_disk_claim(s);
	if (s->step->stage->pool == POOL_CONVERSIONS)
		claim_add(
		    &s->claim,
		    pools_get(r->pools, "conversions", "conversions",
			      r->opts->plan->policy->limits.conversions, true));
}

bool
step_has_place(struct step_run *s)
{
	if (s->claim.held)
		return true;
	if (s->claim.waits)
		return false;
	make_claim(s);
	return pools_ask(s->run->pools, &s->claim);
}

void
step_leave_place(struct step_run *s, bool all)
{
	pools_drop(s->run->pools, &s->claim, all);
}

size_t
step_slots(const struct step_run *s, int *fds)
{
	size_t n = claim_fds(&s->claim, fds);

	return n + claim_fds(&s->vm->work->place, fds + n);
}

/* What has turned back has its source off: it waits for nobody. */
bool
vm_has_place(struct run *r, struct vm_run *vm)
{
	struct vm_work *w = vm->work;

	if (w->place.held || w->graph)
		return true;
	if (w->place.waits)
		return false;
	if (w->place.n == 0) {
		w->place.owner = vm;
		claim_add(
		    &w->place,
		    pools_get(r->pools, "vms", "vms in flight",
			      r->opts->plan->policy->limits.in_flight, true));
	}
	return pools_ask(r->pools, &w->place);
}

void
vm_leave_place(struct run *r, struct vm_run *vm)
{
	pools_drop(r->pools, &vm->work->place, true);
}

/* Order: sources that may be off, then by wave, those in none last; in a wave
 * the biggest first, as it takes longest; then as in the manifest. */

static uint64_t
bytes_of(const struct vm_run *vm)
{
	uint64_t sum = 0;

	for (size_t i = 0; vm->view.vm && i < vm->view.vm->ndisks; i++)
		sum += vm->view.vm->disks[i].capacity_bytes;
	return sum;
}

static size_t
wave_number(const struct vm_run *vm)
{
	return vm->pvm->wave ? vm->pvm->wave->number : SIZE_MAX;
}

static int
compare_vms(const void *a, const void *b)
{
	const struct vm_run *x = *(struct vm_run *const *)a,
			    *y = *(struct vm_run *const *)b;

	if (history_is_cut_over(x->state->history) !=
	    history_is_cut_over(y->state->history))
		return history_is_cut_over(x->state->history) ? -1 : 1;
	if (wave_number(x) != wave_number(y))
		return wave_number(x) < wave_number(y) ? -1 : 1;
	if (x->work->bytes != y->work->bytes)
		return x->work->bytes > y->work->bytes ? -1 : 1;
	return x->pvm->index < y->pvm->index ? -1 : 1;
}

static void
put_in_order(struct run *r)
{
	r->order = mem_new(r->nvms * sizeof(*r->order));
	for (size_t i = 0; i < r->nvms; i++) {
		r->order[i] = &r->vms[i];
		r->vms[i].work->bytes = bytes_of(&r->vms[i]);
	}
	qsort(r->order, r->nvms, sizeof(*r->order), compare_vms);
}

void
run_open_pools(struct run *r)
{
	const struct plan *plan = r->opts->plan;
	CLEANUP(mem_freep)
	char *who = mem_printf("process %d of plan %s/%s", (int)getpid(),
			       plan->o.namespace, plan->o.name);

	r->pools = pools_new(r->opts->slots_dir, who);
	r->jobs = most_jobs(r);
	put_in_order(r);
}

void
run_close_pools(struct run *r)
{
	pools_free(r->pools);
	vec_done(&r->touched);
	free(r->order);
}

/* Going on. */

void
vm_touch(struct run *r, struct vm_run *vm)
{
	if (vm->work->touched || vm->work->ended)
		return;
	vm->work->touched = true;
	*vec_push(&r->touched) = vm;
}

static void
say_news(struct run *r)
{
	const char *broken = pools_broken(r->pools);
	struct claim *c;
	char *text;

	while ((c = pools_news(r->pools, &text))) {
		const struct vm_run *vm = c->owner;
		struct event e = {
		    .type = EVENT_VM_WAITING, .vm = vm->pvm->key, .text = text};

		run_emit(r, &e);
		free(text);
	}
	if (broken && !r->said_broken)
		log_line(LOG_LEVEL_WARNING, NULL,
			 "limits hold within this run only from now on: %s",
			 broken);
	r->said_broken = broken != NULL;
}

/* Nothing failed, others have the machine: that is no failure of this run but
 * for a vm whose source is off, which is no state to be left in. */
static void
give_up_waiting(struct run *r, struct vm_run *vm, const char *what)
{
	char limit[CLOCK_TEXT_SIZE];
	CLEANUP(mem_freep)
	char *text = mem_printf(
	    "waited %s (deadlines.wait) %s; nothing failed, run again when "
	    "that has ended",
	    clock_format_duration(r->opts->plan->policy->deadlines.wait_ms,
				  limit),
	    what);

	vm_abandon(
	    r, vm,
	    history_is_cut_over(vm->state->history) ? ERR_RETRY : ERR_HELD,
	    text);
	vm_touch(r, vm);
}

static void
look_again(void *arg)
{
	struct run *r = arg;
	int64_t limit_ms = r->opts->plan->policy->deadlines.wait_ms;
	struct claim *late;
	char *what;

	r->slot_timer = 0;
	pools_look(r->pools);
	run_settle(r);
	while (
	    limit_ms && !r->broken &&
	    (late = pools_late(r->pools, clock_mono_ms(), limit_ms, &what))) {
		give_up_waiting(r, late->owner, what);
		free(what);
		run_settle(r);
	}
}

void
run_settle(struct run *r)
{
	struct claim *c;

	while (!r->broken) {
		if (r->ntouched < r->touched.n) {
			struct vm_run *vm = r->touched.v[r->ntouched++];

			vm->work->touched = false;
			vm_go_on(r, vm);
			continue;
		}
		r->ntouched = r->touched.n = 0;
		c = pools_next(r->pools);
		if (!c)
			break;
		vm_touch(r, c->owner);
	}
	if (r->broken || !pools_wait_outside(r->pools))
		return;
	say_news(r);
	if (!r->slot_timer)
		r->slot_timer = loop_at(r->loop, clock_mono_ms() + SLOT_POLL_MS,
					look_again, r);
}

void
run_advance(struct run *r)
{
	for (size_t i = 0; i < r->nvms; i++)
		vm_touch(r, r->order[i]);
	run_settle(r);
}

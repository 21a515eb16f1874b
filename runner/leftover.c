/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the states that no run works on, and saying what they are. */
#include "leftover.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "state.h"

/* The history of a state that was begun for this plan, or NULL; one that
 * cannot be read is somebody's, too: then *ret_broken. */
static struct vm_state *
open_begun(const char *root, const struct plan *plan, const struct plan_vm *pvm,
	   struct err *ret_broken)
{
	CLEANUP(mem_freep) char *dir = state_vm_dir(root, plan, pvm);
	CLEANUP(mem_freep)
	char *name = mem_printf("%s/%s", plan->o.namespace, plan->o.name);
	struct vm_state *s = NULL;

	ret_broken->class = ERR_NONE;
	if (state_peek(dir, &s, ret_broken) < 0)
		return NULL;
	if (s->history->version &&
	    (!s->history->plan || strcmp(s->history->plan, name) == 0))
		return s;
	state_release(s);
	return NULL;
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct plan_vm *)a)->key,
		      ((const struct plan_vm *)b)->key);
}

static bool
is_leftover(const char *root, const struct plan *plan,
	    const struct plan_vm *pvm)
{
	struct err broken;
	struct vm_state *s = open_begun(root, plan, pvm, &broken);
	bool is = s || broken.class != ERR_NONE;

	state_release(s);
	return is;
}

const struct plan_vm *
leftovers(const char *root, const struct plan *plan, struct arena *arena,
	  size_t *ret_n)
{
	CLEANUP(mem_freep) char *dir = state_plan_dir(root, plan);
	CLEANUP(mem_freep) struct plan_vm *found = NULL;
	struct plan_vm *ret;
	struct dirent *entry;
	DIR *d = opendir(dir);
	size_t n = 0;

	while (d && (entry = readdir(d))) {
		CLEANUP(mem_freep)
		char *key = entry->d_name[0] == '.'
				? NULL
				: state_decode(entry->d_name);
		struct plan_vm pvm = {.target_power = plan->target_power};

		if (!key || plan_vm_find(plan, key))
			continue;
		pvm.key = pvm.ref.name = key;
		if (!is_leftover(root, plan, &pvm))
			continue;
		pvm.key = pvm.ref.name = arena_strdup(arena, key);
		found = mem_resize(found, (n + 1) * sizeof(*found));
		found[n++] = pvm;
	}
	if (d)
		closedir(d);
	ret = arena_alloc(arena, (n + 1) * sizeof(*ret));
	if (n) {
		qsort(found, n, sizeof(*found), compare_keys);
		memcpy(ret, found, n * sizeof(*ret));
	}
	for (size_t i = 0; i < n; i++)
		ret[i].index = plan->nvms + i;
	*ret_n = n;
	return ret;
}

const struct plan_vm *
leftover_find(const struct plan_vm *all, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].key, key) == 0)
			return &all[i];
	return NULL;
}

bool
leftover_matters(const struct history *h)
{
	if (!h->version || h->rolled_back)
		return false;
	return h->rollback_begun ||
	       (!h->finished && (history_is_cut_over(h) || h->source_stopped ||
				 history_may_have_started(h)));
}

char *
leftover_text(const struct history *h, const char *key, const char *args)
{
	if (h->rolled_back)
		return mem_printf("rolled back on %.10s, its disks are kept; "
				  "to remove them: palletjack gc --disks%s "
				  "--vm %s",
				  h->rolled_back, args, key);
	if (h->rollback_begun)
		return mem_printf("its rollback is not finished; to go on: "
				  "palletjack rollback%s --vm %s",
				  args, key);
	if (h->finished)
		return mem_printf("moved and handed over on %.10s; to remove "
				  "what is no longer needed: palletjack gc%s "
				  "--vm %s",
				  h->finished, args, key);
	if (h->source_stopped && history_source_ran_at_start(h))
		return mem_printf("the source ran when the target was to be "
				  "started, which it never was; to leave it "
				  "with the source: palletjack rollback%s "
				  "--vm %s",
				  args, key);
	if (history_may_have_started(h))
		return mem_printf("the source is off and the target may have "
				  "started; to give the source back: "
				  "palletjack rollback "
				  "--discard-target-writes%s --vm %s",
				  args, key);
	if (h->source_stopped)
		return mem_printf("the source was stopped on %.10s at %.8s "
				  "UTC and is off; to give it back: "
				  "palletjack rollback%s --vm %s",
				  h->source_stopped, h->source_stopped + 11,
				  args, key);
	if (history_is_cut_over(h))
		return mem_printf("its disks are copied, and not handed "
				  "over; to give it up: palletjack "
				  "rollback%s --vm %s",
				  args, key);
	if (h->nsteps == 0)
		return mem_strdup("nothing of it is at the target; its state "
				  "directory may be removed");
	return mem_printf("begun, its source is as it was; to remove what "
			  "was made: palletjack gc --disks%s --vm %s",
			  args, key);
}

static void
note(struct findings *f, const struct history *h, const char *key,
     const char *why, const char *back, const char *args)
{
	CLEANUP(mem_freep) char *text = leftover_text(h, key, args);

	findings_add(f,
		     leftover_matters(h) ? FINDING_WARN : FINDING_INFORMATION,
		     "NotWorkedOn", "%s, and no run goes on with it: %s%s", why,
		     text, h->finished || h->rolled_back ? "" : back)
	    ->vm = arena_strdup(f->arena, key);
}

/* True when it matters. */
static bool
note_one(const char *root, const struct plan *plan, const struct plan_vm *pvm,
	 bool has_entry, const char *args, struct findings *f)
{
	struct err broken;
	struct vm_state *s = open_begun(root, plan, pvm, &broken);
	bool matters = s && leftover_matters(s->history);

	if (s && !has_entry)
		note(f, s->history, pvm->key, "the plan has no entry for it",
		     "; to go on, put its entry back", args);
	else if (matters)
		note(f, s->history, pvm->key, "the plan is archived",
		     "; to go on, take 'archived' out", args);
	else if (!s && broken.class != ERR_NONE)
		findings_add(f, FINDING_WARN, "NotWorkedOn",
			     "no run goes on with it, and its state cannot be "
			     "read: %s",
			     broken.text)
		    ->vm = arena_strdup(f->arena, pvm->key);
	state_release(s);
	return matters;
}

bool
leftovers_note(const char *root, const struct plan *plan, const char *args,
	       struct findings *f)
{
	size_t n;
	const struct plan_vm *all = leftovers(root, plan, f->arena, &n);
	bool any = false;

	for (size_t i = 0; plan->archived && i < plan->nvms; i++)
		any |= note_one(root, plan, &plan->vms[i], true, args, f);
	for (size_t i = 0; i < n; i++)
		any |= note_one(root, plan, &all[i], false, args, f);
	return any;
}

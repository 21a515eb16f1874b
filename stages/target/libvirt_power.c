/* SPDX-License-Identifier: Apache-2.0 */
/* Sees whether the domain runs, starts and stops it. */
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/target/libvirt.h"

#define START_DEADLINE_MS 60000
#define STOP_DEADLINE_MS 60000
/* Some guests miss the first call. */
#define ASK_EVERY_MS 30000
#define LOOK_EVERY_MS 200

/* Off is only what cannot run under any name: the source may be next. */
int
libvirt_target_power(const struct target_vm *t, enum power_state *ret,
		     struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	bool ours, active = false;

	if (files_check_names(t, err) < 0 ||
	    libvirt_find_target(t, &d, &ours, err) < 0 ||
	    (d && virt_domain_active(d, &active, err) < 0))
		return -1;
	*ret = active ? POWER_STATE_ON : POWER_STATE_UNKNOWN;
	if (active)
		return 0;
	if (libvirt_no_other_runs(t, d, err) < 0 ||
	    files_no_disk_is_open(t, err) < 0)
		return -1;
	*ret = POWER_STATE_OFF;
	return 0;
}

/* --- start -------------------------------------------------------------- */

static int
may_start(const struct target_vm *t, struct err *err)
{
	enum handover mark = HANDOVER_NONE;

	if (files_must_own(t, err) < 0 || files_marked(t, &mark, err) < 0)
		return -1;
	if (mark == HANDOVER_STARTED || mark == HANDOVER_LEFT_OFF)
		return 0;
	return err_set(err, ERR_FAIL,
		       mark == HANDOVER_NONE
			   ? "vm '%s' was not handed over yet"
			   : "vm '%s' was rolled back: its source has it again",
		       t->shape->name);
}

static int
refuse_strange(const struct target_vm *t, struct err *err)
{
	return err_set(err, ERR_FAIL,
		       "domain '%s' at '%s' has lost the claim in its "
		       "metadata: look whose it is; nothing is done to it",
		       t->shape->name, t->endpoint->url);
}

static int
find_ours(const struct target_vm *t, struct virt_domain **ret, struct err *err)
{
	bool ours = false;

	if (libvirt_find_target(t, ret, &ours, err) < 0)
		return -1;
	if (!*ret)
		return err_set(err, ERR_FAIL,
			       "there is no domain '%s' at '%s' any more: "
			       "somebody removed it, once it was handed over",
			       t->shape->name, t->endpoint->url);
	return ours ? 0 : refuse_strange(t, err);
}

/* Somebody else may be faster: what counts is that it runs. */
static int
switch_on(struct virt_domain *d, struct err *err)
{
	struct err said;
	bool active;

	if (virt_domain_active(d, &active, err) < 0)
		return -1;
	if (active || virt_domain_start(d, true, &said) == 0)
		return 0;
	if (virt_domain_active(d, &active, err) < 0)
		return -1;
	if (active)
		return 0;
	*err = said;
	return -1;
}

/* It was started with its processors standing still, by us or by a run that was
 * killed since. */
static int
let_run(const struct target_vm *t, struct virt_domain *d, struct err *err)
{
	CLEANUP(virt_state_done) struct virt_state s = {0};

	if (virt_domain_state(d, &s, err) < 0)
		return -1;
	if (!s.active || !s.paused)
		return 0;
	if (t->may_run && t->may_run(t->arg, err) < 0)
		return -1;
	return virt_domain_resume(d, err);
}

static int
wait_until_running(struct virt_domain *d, struct err *err)
{
	int64_t until = clock_mono_ms() + START_DEADLINE_MS;

	for (;;) {
		CLEANUP(virt_state_done) struct virt_state s = {0};

		if (virt_domain_state(d, &s, err) < 0)
			return -1;
		if (s.active && !s.paused)
			return 0;
		if (!s.active)
			return err_set(err, ERR_FAIL,
				       "domain '%s' was started and ended at "
				       "once: see its log at the daemon",
				       s.name);
		if (clock_mono_ms() >= until)
			return err_set(err, ERR_RETRY,
				       "waiting for domain '%s' to run took "
				       "longer than %d s: it is paused; see "
				       "'virsh domstate --reason'",
				       s.name, START_DEADLINE_MS / 1000);
		poll(NULL, 0, LOOK_EVERY_MS);
	}
}

int
libvirt_start(const struct target_vm *t, json_t **ret_facts, struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	char uuid[VIRT_UUID_SIZE];

	if (may_start(t, err) < 0 || files_show(t, err) < 0 ||
	    find_ours(t, &d, err) < 0 || libvirt_no_other_runs(t, d, err) < 0 ||
	    switch_on(d, err) < 0 || let_run(t, d, err) < 0 ||
	    wait_until_running(d, err) < 0 ||
	    virt_domain_uuid(d, uuid, err) < 0)
		return -1;
	*ret_facts =
	    json_pack("{s:s, s:s, s:s, s:s}", "power", "on", "uri",
		      t->endpoint->url, "domain", t->shape->name, "uuid", uuid);
	return 0;
}

/* --- stop --------------------------------------------------------------- */

/* One that runs without a definition is gone when it ends: it is looked for
 * each time. */
static int
look(const struct target_vm *t, struct virt_domain **ret, bool *ret_off,
     struct err *err)
{
	bool ours = false, active = false;

	/* found, and gone when it is looked at: once more */
	for (int i = 0; i < 2; i++) {
		virt_domain_freep(ret);
		if (libvirt_find_target(t, ret, &ours, err) < 0)
			return -1;
		if (!*ret || virt_domain_active(*ret, &active, err) == 0)
			break;
		if (i == 1)
			return -1;
	}
	*ret_off = !active;
	return active && !ours ? refuse_strange(t, err) : 0;
}

int
libvirt_may_stop(const struct target_vm *t, struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	bool off = false;

	if (files_check_names(t, err) < 0 || look(t, &d, &off, err) < 0)
		return -1;
	if (!off)
		return 0;
	return libvirt_no_other_runs(t, d, err) < 0
		   ? -1
		   : files_no_disk_is_open(t, err);
}

/* Asks or, with `force`, insists, until it is off or it is time.  What either
 * said counts less than the look that follows: it may end meanwhile. */
static int
bring_down(const struct target_vm *t, bool force, int64_t until, bool *ret_off,
	   struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	int64_t asked = -ASK_EVERY_MS;
	struct err said;

	for (;;) {
		if (look(t, &d, ret_off, err) < 0)
			return -1;
		if (*ret_off || clock_mono_ms() >= until)
			return 0;
		if (force) {
			(void)virt_domain_destroy(d, &said);
		} else if (clock_mono_ms() - asked >= ASK_EVERY_MS) {
			asked = clock_mono_ms();
			(void)virt_domain_shutdown(d, &said);
		}
		poll(NULL, 0, LOOK_EVERY_MS);
	}
}

int
libvirt_stop(const struct target_vm *t, int64_t grace_ms, struct err *err)
{
	int64_t now = clock_mono_ms();
	bool off = false;

	if (files_check_names(t, err) < 0 ||
	    bring_down(t, false, now + grace_ms, &off, err) < 0)
		return -1;
	if (!off && bring_down(t, true, clock_mono_ms() + STOP_DEADLINE_MS,
			       &off, err) < 0)
		return -1;
	return off ? 0
		   : err_set(err, ERR_RETRY,
			     "domain '%s' does not stop within %d s",
			     t->shape->name, STOP_DEADLINE_MS / 1000);
}

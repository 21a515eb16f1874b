/* SPDX-License-Identifier: Apache-2.0 */
/* Switching a domain off and on, and keeping it from starting by itself. */
#include "stages/source/libvirt.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define LOOK_EVERY_MS 200
/* Some guests miss the first call, or have nobody at home for it yet. */
#define ASK_EVERY_MS 30000

/* A domain and its connection. */
struct held {
	struct virtual_host host;
	struct virt_domain *domain;
};

static void
held_done(struct held *h)
{
	virt_domain_freep(&h->domain);
	libvirt_done(&h->host);
}

static int
hold(const struct endpoint *ep, const struct inv_vm *vm, struct held *ret,
     struct err *err)
{
	if (libvirt_connect(ep, &ret->host, err) < 0)
		return -1;
	return libvirt_find(&ret->host, vm, &ret->domain, err);
}

/* --- power -------------------------------------------------------------- */

int
libvirt_power_state(const struct endpoint *ep, const struct inv_vm *vm,
		    enum power_state *ret, struct err *err)
{
	CLEANUP(held_done) struct held h = {0};
	bool active;

	if (hold(ep, vm, &h, err) < 0 ||
	    virt_domain_active(h.domain, &active, err) < 0)
		return -1;
	*ret = active ? POWER_STATE_ON : POWER_STATE_OFF;
	return 0;
}

/* Both go by the look that follows: it may end while it is asked to. */
static int
still_active(struct virt_domain *d, struct err *said, struct err *err)
{
	bool active;

	if (virt_domain_active(d, &active, err) < 0)
		return -1;
	if (!active)
		return 0;
	*err = *said;
	return -1;
}

/* Until it is off, or it is time: *ret_off. */
static int
ask_guest(struct virt_domain *d, int64_t mono_deadline_ms, bool *ret_off,
	  struct err *err)
{
	int64_t asked = -ASK_EVERY_MS;
	bool active = true;
	struct err said;

	while (clock_mono_ms() < mono_deadline_ms) {
		if (virt_domain_active(d, &active, err) < 0)
			return -1;
		if (!active)
			break;
		if (clock_mono_ms() - asked >= ASK_EVERY_MS) {
			asked = clock_mono_ms();
			if (virt_domain_shutdown(d, &said) < 0 &&
			    still_active(d, &said, err) < 0)
				return -1;
		}
		poll(NULL, 0, LOOK_EVERY_MS);
	}
	*ret_off = !active;
	return 0;
}

static int
cut_off(struct virt_domain *d, struct err *err)
{
	struct err said;

	if (virt_domain_destroy(d, &said) < 0)
		return still_active(d, &said, err);
	return 0;
}

static int
may_power_off(struct virt_domain *d, bool *ret_paused, struct err *err)
{
	CLEANUP(virt_state_done) struct virt_state s = {0};

	if (virt_domain_state(d, &s, err) < 0)
		return -1;
	if (!s.persistent)
		return err_set(err, ERR_FAIL,
			       "domain '%s' is transient: stopped, it would be "
			       "gone",
			       s.name);
	*ret_paused = s.paused;
	return 0;
}

int
libvirt_power_off(const struct endpoint *ep, const struct inv_vm *vm,
		  enum hard_power_off hard, int64_t mono_deadline_ms,
		  struct err *err)
{
	CLEANUP(held_done) struct held h = {0};
	bool active, paused = false, off = false;

	if (hold(ep, vm, &h, err) < 0 ||
	    virt_domain_active(h.domain, &active, err) < 0)
		return -1;
	if (!active)
		return 0;
	if (may_power_off(h.domain, &paused, err) < 0)
		return -1;
	if (hard == HARD_ALWAYS)
		return cut_off(h.domain, err);
	/* a guest that stands still hears nothing */
	if (!paused && ask_guest(h.domain, mono_deadline_ms, &off, err) < 0)
		return -1;
	if (off)
		return 0;
	if (hard == HARD_FALLBACK)
		return cut_off(h.domain, err);
	return err_set(err, ERR_FAIL,
		       "the guest of domain '%s' %s; shut it down and run "
		       "again, or set cutover.hardPowerOff to fallback in the "
		       "RunPolicy",
		       vm->name,
		       paused ? "is paused and does not shut down"
			      : "did not shut down within deadlines.shutdown");
}

int
libvirt_power_on(const struct endpoint *ep, const struct inv_vm *vm,
		 struct err *err)
{
	CLEANUP(held_done) struct held h = {0};
	struct err said;
	bool active;

	if (hold(ep, vm, &h, err) < 0)
		return -1;
	if (virt_domain_start(h.domain, false, &said) == 0)
		return 0;
	if (virt_domain_active(h.domain, &active, err) < 0)
		return -1;
	if (active)
		return 0;
	*err = said;
	return -1;
}

/* --- what keeps it from starting ---------------------------------------- */

int
libvirt_settings(const struct endpoint *ep, const struct inv_vm *vm,
		 enum fence how, json_t **ret, struct err *err)
{
	CLEANUP(held_done) struct held h = {0};
	CLEANUP(virt_state_done) struct virt_state s = {0};
	CLEANUP(mem_freep) char *xml = NULL;
	json_t *up;

	if (hold(ep, vm, &h, err) < 0 ||
	    virt_domain_state(h.domain, &s, err) < 0)
		return -1;
	if (how == FENCE_RENAME && s.nsnapshots)
		return err_set(err, ERR_FAIL,
			       "domain '%s' has snapshots (%d), with which "
			       "not every libvirt renames; delete them, or set "
			       "cutover.fence to disconnect-nics in the "
			       "RunPolicy",
			       s.name, s.nsnapshots);
	if (virt_domain_xml(h.domain, true, &xml, err) < 0 ||
	    !(up = domain_links_up(xml, err)))
		return -1;
	*ret = json_pack("{s:b, s:s, s:o}", "autostart", s.autostart, "name",
			 s.name, "linksUp", up);
	return 0;
}

static int
set_links(struct virt_domain *d, const json_t *which, bool up, struct err *err)
{
	CLEANUP(mem_freep) char *xml = NULL;
	const json_t *one;
	size_t i;

	if (virt_domain_xml(d, true, &xml, err) < 0)
		return -1;
	json_array_foreach(which, i, one)
	{
		CLEANUP(mem_freep)
		char *nic =
		    domain_nic_xml(xml, (size_t)json_integer_value(one), up);

		if (nic && virt_domain_update(d, nic, err) < 0)
			return -1;
	}
	return 0;
}

static int
set_name(struct virt_domain *d, const char *now, const char *name,
	 struct err *err)
{
	return strcmp(now, name) ? virt_domain_rename(d, name, err) : 0;
}

static int
set_autostart(struct virt_domain *d, const struct virt_state *s, bool on,
	      struct err *err)
{
	return s->autostart != on ? virt_domain_set_autostart(d, on, err) : 0;
}

int
libvirt_fence(const struct endpoint *ep, const struct inv_vm *vm,
	      enum fence how, const json_t *was, struct err *err)
{
	const char *name = json_string_value(json_object_get(was, "name"));
	CLEANUP(mem_freep)
	char *fenced = mem_printf("%s" DOMAIN_FENCED, name ? name : vm->name);
	CLEANUP(held_done) struct held h = {0};
	CLEANUP(virt_state_done) struct virt_state s = {0};

	if (hold(ep, vm, &h, err) < 0 ||
	    virt_domain_state(h.domain, &s, err) < 0 ||
	    set_autostart(h.domain, &s, false, err) < 0)
		return -1;
	if (how == FENCE_RENAME)
		return set_name(h.domain, s.name, fenced, err);
	if (how == FENCE_DISCONNECT_NICS)
		return set_links(h.domain, json_object_get(was, "linksUp"),
				 false, err);
	return 0;
}

int
libvirt_unfence(const struct endpoint *ep, const struct inv_vm *vm,
		enum fence how, const json_t *was, struct err *err)
{
	const char *name = json_string_value(json_object_get(was, "name"));
	bool autostart = json_is_true(json_object_get(was, "autostart"));
	CLEANUP(held_done) struct held h = {0};
	CLEANUP(virt_state_done) struct virt_state s = {0};

	if (hold(ep, vm, &h, err) < 0 ||
	    virt_domain_state(h.domain, &s, err) < 0)
		return -1;
	if (how == FENCE_RENAME && name &&
	    set_name(h.domain, s.name, name, err) < 0)
		return -1;
	if (how == FENCE_DISCONNECT_NICS &&
	    set_links(h.domain, json_object_get(was, "linksUp"), true, err) < 0)
		return -1;
	return set_autostart(h.domain, &s, autostart, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Source `libvirt`: the domains of a libvirt daemon. */
#include "stages/source/libvirt.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/redact.h"
#include "manifests/digest.h"

/* --- the daemon --------------------------------------------------------- */

static char *
secret_text(const struct endpoint *ep, const char *key)
{
	struct buf text = {0};

	if (!ep->secret || secret_value(ep->secret, key, &text) < 0)
		return NULL;
	return buf_steal(&text);
}

int
libvirt_connect(const struct endpoint *ep, struct virtual_host *ret,
		struct err *err)
{
	CLEANUP(mem_freep) char *user = secret_text(ep, "user");
	CLEANUP(mem_freep) char *password = secret_text(ep, "password");
	struct virt_login login = {user, password};
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (password)
		redact_add(password);
	rc = virt_open(ep->url, &login, 0, &ret->virt, err);
	if (password)
		explicit_bzero(password, strlen(password));
	if (rc < 0)
		return -1;
	ret->ep = ep;
	ret->is_here = libvirt_is_here(ep);
	ret->name = virt_hostname(ret->virt);
	return 0;
}

void
libvirt_done(struct virtual_host *h)
{
	virt_names_done(&h->networks);
	free(h->name);
	nbd_server_stop(&h->shared);
	ssh_done(&h->ssh);
	free(h->runtime_dir);
	free(h->boot_id);
	virt_close(h->virt);
}

int
libvirt_find(const struct virtual_host *h, const struct inv_vm *vm,
	     struct virt_domain **ret, struct err *err)
{
	if (virt_domain_find(h->virt, vm->uuid, ret, err) < 0)
		return err_wrap(err, "domain '%s'", vm->name);
	return 0;
}

/* --- one domain --------------------------------------------------------- */

/* Where the daemon notes QEMU's process; caller frees. */
static char *
pid_file(const char *uri, const char *name)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (!strstr(uri, "/session"))
		return mem_printf("/run/libvirt/qemu/%s.pid", name);
	return mem_printf("%s/libvirt/qemu/run/%s.pid", runtime ? runtime : "",
			  name);
}

static void
add_process(const char *path, struct buf *epoch)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct process_id id;
	struct err ignored;

	if (fs_read(path, 100, true, &text, &ignored) < 0 || !text.data ||
	    process_identify((pid_t)strtol(text.data, NULL, 10), &id) < 0)
		return;
	buf_printf(epoch, " process %d %llu", (int)id.pid, id.start);
}

/* What another start of it would change. */
static int
add_start(const struct virtual_host *h, const struct virt_state *s,
	  struct buf *epoch, struct err *err)
{
	CLEANUP(mem_freep) char *pid = pid_file(h->ep->url, s->name);

	buf_printf(epoch, "runs as %u", s->id);
	if (h->at)
		return libvirt_ask_process(h, s->name, epoch, err);
	if (h->is_here) {
		buf_printf(epoch, " boot %s", clock_boot_id());
		add_process(pid, epoch);
	}
	return 0;
}

static int
set_epoch(const struct virtual_host *h, const struct virt_state *s,
	  struct inventory *inv, struct inv_vm *vm, struct err *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	char hex[DIGEST_HEX_SIZE];

	if (s->active) {
		if (add_start(h, s, &text, err) < 0)
			return -1;
	} else {
		buf_adds(&text, "is off");
		for (size_t i = 0; i < vm->ndisks; i++)
			buf_printf(&text, " %s %s", vm->disks[i].id,
				   vm->disks[i].epoch);
	}
	digest_bytes(text.data, text.len, hex);
	vm->epoch = arena_strdup(inv->arena, hex);
	return 0;
}

static void
state_concerns(const struct virt_state *s, struct findings *f)
{
	if (!s->persistent)
		findings_add(f, FINDING_CRITICAL, "TransientDomain",
			     "the domain is transient: stopped, it would be "
			     "gone and could not be given back; make it "
			     "persistent with 'virsh dumpxml' and 'virsh "
			     "define'");
	if (s->saved)
		findings_add(f, FINDING_CRITICAL, "SavedState",
			     "it has a saved state, and its disks are as they "
			     "were in the middle of its work; start it and "
			     "shut it down, or drop the state with 'virsh "
			     "managedsave-remove'");
	if (s->paused)
		findings_add(f, FINDING_WARN, "DomainPaused",
			     "it is paused: a guest that stands still does "
			     "not shut down; resume it before the cutover");
	if (s->nsnapshots)
		findings_add(f, FINDING_INFORMATION, "SnapshotDetected",
			     "its snapshots (%d) stay behind; the disks are "
			     "moved as they are now",
			     s->nsnapshots);
}

static bool
has_disk(const struct domain *d, const struct domain_disk *one)
{
	for (size_t i = 0; i < d->disks.n; i++) {
		const struct domain_disk *o = &d->disks.v[i];

		if (!strcmp(o->target, one->target))
			return !o->path || !one->path ||
			       !strcmp(o->path, one->path);
	}
	return false;
}

/* What was plugged in or out until the next start only. */
static int
compare_with_running(struct virt_domain *d, const struct domain *configured,
		     struct findings *f, struct err *err)
{
	CLEANUP(inventory_freep) struct inventory *aside = inventory_new();
	CLEANUP(domain_done) struct domain running = {0};
	CLEANUP(mem_freep) char *xml = NULL;
	bool same;

	if (virt_domain_xml(d, false, &xml, err) < 0 ||
	    domain_parse(xml, aside, inventory_add_vm(aside), &running, err) <
		0)
		return -1;
	same = running.disks.n == configured->disks.n;
	for (size_t i = 0; same && i < running.disks.n; i++)
		same = has_disk(configured, &running.disks.v[i]);
	if (!same)
		findings_add(f, FINDING_ERROR, "DisksDiffer",
			     "it runs with other disks than it is configured "
			     "with, and with those it would be moved; make "
			     "them the same with 'virsh attach-disk --config' "
			     "or 'detach-disk --config'");
	for (size_t i = 0; i < running.concerns.n; i++)
		if (!strcmp(running.concerns.v[i].type, "DiskJobRuns"))
			findings_add(f, FINDING_ERROR, "DiskJobRuns", "%s",
				     running.concerns.v[i].message);
	return 0;
}

static void
name_networks(const struct virtual_host *h, struct inventory *inv,
	      struct inv_vm *vm)
{
	for (size_t i = 0; i < vm->nnics; i++) {
		struct inv_nic *nic = &vm->nics[i];

		for (size_t j = 0; j < h->networks.all.n; j++)
			if (!strcmp(h->networks.all.v[j].name, nic->network_id))
				nic->network_id = arena_strdup(
				    inv->arena, h->networks.all.v[j].uuid);
		inventory_add_network(inv, nic->network_id, nic->network_name);
	}
}

static int
read_domain(struct virtual_host *h, struct virt_domain *d,
	    const struct virt_state *state, struct inventory *inv,
	    struct inv_vm *vm, struct err *err)
{
	CLEANUP(domain_done) struct domain domain = {0};
	CLEANUP(json_decrefp) json_t *list = NULL;
	CLEANUP(mem_freep) char *xml = NULL;

	if (virt_domain_xml(d, state->persistent, &xml, err) < 0 ||
	    domain_parse(xml, inv, vm, &domain, err) < 0)
		return -1;
	vm->power = state->active ? POWER_STATE_ON : POWER_STATE_OFF;
	vm->host = arena_strdup(inv->arena, h->name);
	state_concerns(state, &domain.concerns);
	if (state->active)
		libvirt_idle_concern(h, &domain.concerns);
	for (size_t i = 0; i < vm->ndisks; i++)
		libvirt_look_at_disk(h, d, inv, &vm->disks[i],
				     &domain.disks.v[i], &domain.concerns);
	if (h->lost.class != ERR_NONE) {
		*err = h->lost;
		return -1;
	}
	name_networks(h, inv, vm);
	if (set_epoch(h, state, inv, vm, err) < 0)
		return -1;
	if (state->active &&
	    compare_with_running(d, &domain, &domain.concerns, err) < 0)
		return -1;
	list = findings_to_json(&domain.concerns);
	json_array_extend(vm->concerns, list);
	return 0;
}

/* --- all of them -------------------------------------------------------- */

/* A domain that goes while they are listed is none of them. */
static int
add_domain(struct virtual_host *h, struct virt_domain *d, struct inventory *inv,
	   struct err *err)
{
	CLEANUP(virt_state_done) struct virt_state state = {0};
	struct findings f = {.arena = inv->arena};
	CLEANUP(json_decrefp) json_t *list = NULL;
	struct inv_vm *vm;
	bool there;

	if (virt_domain_state(d, &state, err) < 0)
		return virt_domain_active(d, &there, err) < 0 &&
			       err->class == ERR_FAIL
			   ? 0
			   : -1;
	vm = inventory_add_vm(inv);
	if (read_domain(h, d, &state, inv, vm, err) == 0)
		return 0;
	if (err->class != ERR_FAIL)
		return -1;
	if (!*vm->name)
		vm->id = vm->name = arena_strdup(inv->arena, state.name);
	findings_add(&f, FINDING_CRITICAL, "DomainNotValid", "%s", err->text);
	list = findings_to_json(&f);
	json_array_extend(vm->concerns, list);
	findings_done(&f);
	return 0;
}

static void
add_names(struct inventory *inv, const struct virt_names *names,
	  void (*add)(struct inventory *, const char *, const char *))
{
	for (size_t i = 0; i < names->all.n; i++)
		add(inv, arena_strdup(inv->arena, names->all.v[i].uuid),
		    arena_strdup(inv->arena, names->all.v[i].name));
}

static int
list_vms(const struct endpoint *ep, struct inventory *ret, struct err *err)
{
	CLEANUP(libvirt_done) struct virtual_host h = {0};
	CLEANUP(virt_domains_done) struct virt_domains domains = {0};
	CLEANUP(virt_names_done) struct virt_names pools = {0};
	struct err away;

	if (libvirt_connect(ep, &h, err) < 0 ||
	    virt_networks(h.virt, &h.networks, err) < 0 ||
	    virt_pools(h.virt, &pools, err) < 0 ||
	    virt_domains(h.virt, &domains, err) < 0)
		return -1;
	/* each disk says that it is not read; but a connection like the one
	 * that was made just now is only gone for the moment */
	if (libvirt_reach(&h, &away) < 0 && away.class == ERR_RETRY &&
	    libvirt_is_by_ssh(ep)) {
		*err = away;
		return -1;
	}
	add_names(ret, &h.networks, inventory_add_network);
	add_names(ret, &pools, inventory_add_storage);
	for (size_t i = 0; i < domains.all.n; i++)
		if (add_domain(&h, domains.all.v[i], ret, err) < 0)
			return -1;
	return 0;
}

/* Read anew: a snapshot taken meanwhile changed which images there are. */
static int
epoch(const struct endpoint *ep, const struct inv_vm *vm, char **ret,
      struct err *err)
{
	CLEANUP(libvirt_done) struct virtual_host h = {0};
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	CLEANUP(virt_state_done) struct virt_state state = {0};
	CLEANUP(inventory_freep) struct inventory *aside = inventory_new();
	struct inv_vm *now = inventory_add_vm(aside);

	if (libvirt_connect(ep, &h, err) < 0 || libvirt_reach(&h, err) < 0 ||
	    libvirt_find(&h, vm, &d, err) < 0 ||
	    virt_domain_state(d, &state, err) < 0 ||
	    read_domain(&h, d, &state, aside, now, err) < 0)
		return -1;
	*ret = mem_strdup(now->epoch);
	return 0;
}

const struct source_ops source_libvirt = {
    .type = "libvirt",
    .inventory = list_vms,
    .epoch = epoch,
    .power_state = libvirt_power_state,
    .power_off = libvirt_power_off,
    .power_on = libvirt_power_on,
    .settings = libvirt_settings,
    .fence = libvirt_fence,
    .unfence = libvirt_unfence,
    .is_itself = libvirt_is_itself,
    .raw_disk = libvirt_raw_disk,
    .open_disk = libvirt_open_disk,
    .warm = &libvirt_warm,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said about a target at libvirt before anything is copied; its
 * pools were looked at before. */
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/target/libvirt.h"

#define add(category, type, ...)                                             \
	(findings_add(findings, FINDING_##category, type, __VA_ARGS__)->vm = \
	     t->pvm->key)

static bool
is_bridge(const char *name)
{
	CLEANUP(mem_freep)
	char *path = mem_printf("/sys/class/net/%s/bridge", name);

	return *name && !strchr(name, '/') && fs_exists(path);
}

static int
check_networks(const struct target_vm *t, struct findings *findings,
	       struct err *err)
{
	for (size_t i = 0; i < t->shape->nnics; i++) {
		const struct shape_nic *nic = &t->shape->nics[i];
		const char *name = nic->name ? nic->name : "";
		bool there = false, active = false;

		if (nic->type != NETWORK_MULTUS)
			continue;
		if (*name && virt_network_state(t->at->virt, name, &there,
						&active, err) < 0)
			return -1;
		if (there && !active)
			add(ERROR, "TargetNetworkNotActive",
			    "network '%s' at '%s' is not active, and the vm "
			    "could not be started: 'virsh net-start %s'",
			    name, t->endpoint->url, name);
		else if (!there && !is_bridge(name))
			add(ERROR, "TargetNetworkNotFound",
			    "'%s' has no network '%s', nor this machine a "
			    "bridge of that name: make it, or map the network "
			    "to 'pod' or 'ignored'",
			    t->endpoint->url, name);
	}
	return 0;
}

static int
check_pools(const struct target_vm *t, struct findings *findings)
{
	struct files_dirs d = {0};
	bool good = true;

	files_dirs_of(t, &d);
	for (size_t i = 0; i < d.list.n; i++) {
		CLEANUP(mem_freep) char *hidden = fs_dirname(d.list.v[i]);
		CLEANUP(mem_freep) char *pool = fs_dirname(hidden);

		good &= files_check_writable(t, pool, findings);
	}
	files_dirs_done(&d);
	return good;
}

int
libvirt_check(const struct target_vm *t, struct findings *findings,
	      struct err *err)
{
	struct err why;

	if (files_check_names(t, err) < 0) {
		add(ERROR, "TargetNameNotValid", "%s", err->text);
		return 0;
	}
	if (!check_pools(t, findings))
		return 0;
	if (libvirt_name_is_free(t, &why) < 0 && why.class == ERR_FAIL)
		add(ERROR, "TargetNameTaken", "%s", why.text);
	else
		files_check_free(t, findings);
	if (check_networks(t, findings, err) < 0)
		return -1;
	files_check_needs(t, findings);
	return files_check_space(t, findings, err);
}

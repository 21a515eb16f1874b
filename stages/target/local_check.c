/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said about a local target before anything is copied. */
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"
#include "stages/target/local.h"

#define add(category, type, ...)                                             \
	(findings_add(findings, FINDING_##category, type, __VA_ARGS__)->vm = \
	     t->pvm->key)

static void
check_bridges(const struct target_vm *t, struct findings *findings)
{
	for (size_t i = 0; i < t->shape->nnics; i++) {
		const struct shape_nic *nic = &t->shape->nics[i];
		CLEANUP(mem_freep) char *path = NULL;

		if (nic->type != NETWORK_MULTUS)
			continue;
		path = mem_printf("/sys/class/net/%s/bridge", nic->name);
		if (!*nic->name || strchr(nic->name, '/') || !fs_exists(path))
			add(ERROR, "TargetNetworkNotFound",
			    "network '%s' means a bridge of this host, and "
			    "there is none of that name: make it, or map the "
			    "network to 'pod' or 'ignored'",
			    nic->name);
	}
}

int
local_check(const struct target_vm *t, struct findings *findings,
	    struct err *err)
{
	if (files_check_names(t, err) < 0) {
		add(ERROR, "TargetNameNotValid", "%s", err->text);
		return 0;
	}
	if (!files_check_writable(t, t->endpoint->path, findings))
		return 0;
	files_check_free(t, findings);
	check_bridges(t, findings);
	if (!process_in_path("qemu-system-x86_64"))
		add(ERROR, "ProgramMissing",
		    "'qemu-system-x86_64' is not installed: the vm could not "
		    "be started");
	files_check_needs(t, findings);
	return files_check_space(t, findings, err);
}

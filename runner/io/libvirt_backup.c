/* SPDX-License-Identifier: Apache-2.0 */
/* Backups and checkpoints of a running domain. */
#include "io/libvirt_backup.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/libvirt_calls.h"
#include "io/libvirt_own.h"

#define END_DEADLINE_MS 60000
#define LOOK_EVERY_MS 50

static virDomainPtr
domain(struct virt_domain *d)
{
	return (virDomainPtr)d;
}

static int
last_code(void)
{
	const virError *e = vir.GetLastError();

	return e ? e->code : VIR_ERR_OK;
}

int
virt_backup_running(struct virt_domain *d, char **ret, struct err *err)
{
	char *xml = vir.DomainBackupGetXMLDesc(domain(d), 0);
	int code = xml ? VIR_ERR_OK : last_code();

	*ret = NULL;
	if (xml)
		*ret = mem_strdup(xml);
	free(xml);
	if (*ret || code == VIR_ERR_NO_DOMAIN_BACKUP)
		return 0;
	return virt_err(err, "cannot ask for its backup");
}

int
virt_backup_begin(struct virt_domain *d, const char *xml,
		  const char *checkpoint_xml, bool *ret_lost, struct err *err)
{
	int code;

	*ret_lost = false;
	if (vir.DomainBackupBegin(domain(d), xml, checkpoint_xml, 0) == 0)
		return 0;
	code = last_code();
	*ret_lost = code == VIR_ERR_CHECKPOINT_INCONSISTENT ||
		    code == VIR_ERR_NO_DOMAIN_CHECKPOINT;
	return virt_err(err, "cannot begin a backup");
}

/* It is ended when it is gone: to be asked to is no more than that. */
int
virt_backup_end(struct virt_domain *d, struct err *err)
{
	int64_t until = clock_mono_ms() + END_DEADLINE_MS;
	struct err said = {0};

	for (;;) {
		CLEANUP(mem_freep) char *xml = NULL;

		if (virt_backup_running(d, &xml, err) < 0)
			return -1;
		if (!xml)
			return 0;
		if (clock_mono_ms() > until)
			break;
		if (vir.DomainAbortJob(domain(d)) < 0)
			(void)virt_err(&said, "ending it");
		poll(NULL, 0, LOOK_EVERY_MS);
	}
	return err_set(err, ERR_RETRY,
		       "its backup did not end within %d s; end it with "
		       "'virsh domjobabort'%s%.300s",
		       END_DEADLINE_MS / 1000, said.class ? ": " : "",
		       said.text);
}

/* --- checkpoints -------------------------------------------------------- */

int
virt_checkpoints(struct virt_domain *d, struct virt_checkpoints *ret,
		 struct err *err)
{
	virDomainCheckpointPtr *all = NULL;
	int n = vir.DomainListAllCheckpoints(
	    domain(d), &all, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);

	if (n < 0)
		return virt_err(err, "cannot list its checkpoints");
	for (int i = 0; i < n; i++) {
		*vec_push(&ret->names) =
		    mem_strdup(vir.DomainCheckpointGetName(all[i]));
		vir.DomainCheckpointFree(all[i]);
	}
	free(all);
	return 0;
}

void
virt_checkpoints_done(struct virt_checkpoints *c)
{
	for (size_t i = 0; i < c->names.n; i++)
		free(c->names.v[i]);
	vec_done(&c->names);
}

int
virt_checkpoint_xml(struct virt_domain *d, const char *name, char **ret,
		    struct err *err)
{
	virDomainCheckpointPtr c =
	    vir.DomainCheckpointLookupByName(domain(d), name, 0);

	*ret = NULL;
	if (!c && last_code() == VIR_ERR_NO_DOMAIN_CHECKPOINT)
		return 0;
	if (c)
		*ret = vir.DomainCheckpointGetXMLDesc(c, 0);
	if (!*ret)
		(void)virt_err(err, "reading its checkpoint '%s'", name);
	if (c)
		vir.DomainCheckpointFree(c);
	return *ret ? 0 : -1;
}

int
virt_checkpoint_delete(struct virt_domain *d, const char *name, bool forget,
		       struct err *err)
{
	virDomainCheckpointPtr c =
	    vir.DomainCheckpointLookupByName(domain(d), name, 0);
	unsigned flags =
	    forget ? VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY : 0;
	int rc = 0;

	if (!c && last_code() == VIR_ERR_NO_DOMAIN_CHECKPOINT)
		return 0;
	if (!c || vir.DomainCheckpointDelete(c, flags) < 0)
		rc = virt_err(err, "cannot remove its checkpoint '%s'", name);
	if (c)
		vir.DomainCheckpointFree(c);
	return rc;
}

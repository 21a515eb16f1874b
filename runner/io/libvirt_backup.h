/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time of a running domain: backups that are read by NBD, and
 * checkpoints that know what was written since.  As libvirt.h otherwise. */
#ifndef IO_LIBVIRT_BACKUP_H
#define IO_LIBVIRT_BACKUP_H

#include "base/vec.h"
#include "io/libvirt.h"

/* *ret is the XML of the backup that runs; NULL: none does. */
int virt_backup_running(struct virt_domain *d, char **ret, struct err *err);
/* Begins one, and makes a checkpoint (NULL: none) at the same moment.
 * *ret_lost: it failed as what it was to be incremental to is not there, or is
 * broken.  A domain has one backup at most, whoever began it. */
int virt_backup_begin(struct virt_domain *d, const char *xml,
		      const char *checkpoint_xml, bool *ret_lost,
		      struct err *err);
/* Ends the backup that runs; none is fine. */
int virt_backup_end(struct virt_domain *d, struct err *err);

struct virt_checkpoints {
	VEC(char *) names; /* the oldest first; owned */
};
int virt_checkpoints(struct virt_domain *d, struct virt_checkpoints *ret,
		     struct err *err);
void virt_checkpoints_done(struct virt_checkpoints *c);
/* With the domain as it was then; caller frees; *ret NULL: there is none. */
int virt_checkpoint_xml(struct virt_domain *d, const char *name, char **ret,
			struct err *err);
/* What was written since it is from then on known to be since the one before.
 * `forget`: the daemon alone forgets it, the images keep their bitmaps: all
 * that can be done while the domain is off. */
int virt_checkpoint_delete(struct virt_domain *d, const char *name, bool forget,
			   struct err *err);

#endif

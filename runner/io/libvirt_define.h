/* SPDX-License-Identifier: Apache-2.0 */
/* Making domains, and the pools their disks lie in.  As libvirt.h
 * otherwise. */
#ifndef IO_LIBVIRT_DEFINE_H
#define IO_LIBVIRT_DEFINE_H

#include "base/vec.h"
#include "io/libvirt.h"

/* A storage pool. */
struct virt_pool {
	char *name, *type; /* "dir", "fs", "logical" */
	char *path;	   /* where it is on its machine, or NULL */
	bool active;
};
struct virt_pool_list {
	VEC(struct virt_pool) all;
};
/* A driver that has none lists nothing. */
int virt_pool_list(struct virt *v, struct virt_pool_list *ret, struct err *err);
void virt_pool_list_done(struct virt_pool_list *p);
/* Has it look which volumes there are. */
int virt_pool_refresh(struct virt *v, const char *name, struct err *err);

/* One that is not there is no error: *ret_there and *ret_active false. */
int virt_network_state(struct virt *v, const char *name, bool *ret_there,
		       bool *ret_active, struct err *err);

/* *ret stays NULL where there is none. */
int virt_domain_named(struct virt *v, const char *name,
		      struct virt_domain **ret, struct err *err);
int virt_domain_with(struct virt *v, const char *uuid, struct virt_domain **ret,
		     struct err *err);

#define VIRT_UUID_SIZE 37
int virt_domain_uuid(struct virt_domain *d, char ret[VIRT_UUID_SIZE],
		     struct err *err);
/* The element of that namespace in its metadata, as XML; *ret stays NULL where
 * there is none. */
int virt_domain_metadata(struct virt_domain *d, const char *ns, char **ret,
			 struct err *err);

/* Makes a domain that does not run, or changes the one of that name and
 * uuid. */
int virt_domain_define(struct virt *v, const char *xml, struct err *err);
/* With its UEFI variables and whatever the daemon keeps of it; one that is
 * gone is fine.  One that runs runs on, and is gone when it ends. */
int virt_domain_undefine(struct virt_domain *d, struct err *err);

#endif

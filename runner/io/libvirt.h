/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt, as far as palletjack asks it.  For step children: it blocks, and
 * prints nothing by itself.  A build without libvirt has none of this.
 *
 * Errors: who is not let in is ERR_USER (never tried again, for accounts get
 * locked), a daemon that is away or busy is ERR_RETRY, the rest ERR_FAIL. */
#ifndef IO_LIBVIRT_H
#define IO_LIBVIRT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"

struct virt;	    /* a connection */
struct virt_domain; /* one of its domains */

struct virt_login {
	const char *user, *password; /* NULL: not known */
};

/* No daemon is started for a session that has none: it would end with our
 * step, and its domains with it.  deadline_ms: at most so long, 0 is 60 s. */
int virt_open(const char *uri, const struct virt_login *login, int deadline_ms,
	      struct virt **ret, struct err *err);
void virt_close(struct virt *v); /* NULL is fine */
/* Are the paths that it speaks of those of this machine?  By the URI alone. */
bool virt_is_local(const char *uri);
/* The name of the machine; caller frees; "" where it does not say. */
char *virt_hostname(struct virt *v);

/* What has an id of its own and a name: networks, storage pools. */
struct virt_named {
	char *uuid, *name;
};
struct virt_names {
	VEC(struct virt_named) all;
};
/* A driver that has none of them lists nothing. */
int virt_networks(struct virt *v, struct virt_names *ret, struct err *err);
int virt_pools(struct virt *v, struct virt_names *ret, struct err *err);
void virt_names_done(struct virt_names *n);

struct virt_volume {
	char *pool_uuid, *pool_name;
	char *path, *xml; /* owned */
};
/* The volume at `path`, or the one of that name in the pool.  0 with
 * ret->path NULL: no pool has it. */
int virt_volume_at(struct virt *v, const char *path, struct virt_volume *ret,
		   struct err *err);
int virt_volume_in(struct virt *v, const char *pool, const char *name,
		   struct virt_volume *ret, struct err *err);
void virt_volume_done(struct virt_volume *volume);

struct virt_domains {
	VEC(struct virt_domain *) all;
};
int virt_domains(struct virt *v, struct virt_domains *ret, struct err *err);
void virt_domains_done(struct virt_domains *d);
int virt_domain_find(struct virt *v, const char *uuid, struct virt_domain **ret,
		     struct err *err);
void virt_domain_freep(struct virt_domain **d);

/* As it runs, or as it would be started next. */
int virt_domain_xml(struct virt_domain *d, bool as_configured, char **ret,
		    struct err *err);

struct virt_state {
	bool active;	 /* there is a process of it: paused counts, too */
	bool paused;	 /* active, and its processors stand still */
	bool persistent; /* there when it does not run */
	bool autostart;
	bool saved; /* its memory is kept, and the next start goes on there */
	int nsnapshots;
	unsigned id; /* of this start of it, by the daemon; 0: not active */
	char *name;  /* owned */
};
int virt_domain_state(struct virt_domain *d, struct virt_state *ret,
		      struct err *err);
void virt_state_done(struct virt_state *s);
int virt_domain_active(struct virt_domain *d, bool *ret, struct err *err);
/* Of the disk called `target`. */
int virt_domain_size(struct virt_domain *d, const char *target,
		     uint64_t *ret_capacity, uint64_t *ret_allocated,
		     struct err *err);

/* Asks the guest, by its agent where there is one; returns at once. */
int virt_domain_shutdown(struct virt_domain *d, struct err *err);
/* Ends it without asking the guest, what it gave to its disks written. */
int virt_domain_destroy(struct virt_domain *d, struct err *err);
/* `paused`: its processors stand still until it is resumed. */
int virt_domain_start(struct virt_domain *d, bool paused, struct err *err);
int virt_domain_resume(struct virt_domain *d, struct err *err);
int virt_domain_set_autostart(struct virt_domain *d, bool on, struct err *err);
int virt_domain_rename(struct virt_domain *d, const char *name,
		       struct err *err);
/* Changes a device as it is configured, not as it runs. */
int virt_domain_update(struct virt_domain *d, const char *device_xml,
		       struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A libvirt domain, read from its XML alone: no daemon is asked, no file is
 * looked at. */
#ifndef SOURCE_LIBVIRT_XML_H
#define SOURCE_LIBVIRT_XML_H

#include "base/err.h"
#include "base/vec.h"
#include "manifests/finding.h"
#include "manifests/inventory.h"

/* Where the bytes of a disk are.  Strings are the inventory's. */
struct domain_disk {
	const char *target;	   /* "vda" */
	const char *format;	   /* raw, qcow2 */
	const char *path;	   /* of a file or block device, or NULL */
	const char *pool, *volume; /* instead of the path, or NULL */
	bool is_block;
	bool blocked; /* a concern says why it cannot be read */
};

struct domain {
	VEC(struct domain_disk) disks; /* beside vm->disks, in their order */
	struct findings concerns;
};

/* Fills in what the XML says of `vm`: all but power, host, epoch, and the
 * sizes and storage of its disks.  Networks are named as the XML does.  What is
 * no domain's XML is ERR_FAIL; what is odd about it is among the concerns. */
int domain_parse(const char *xml, struct inventory *inv, struct inv_vm *vm,
		 struct domain *ret, struct err *err);
void domain_done(struct domain *d);

/* What a fence leaves behind the name of a domain. */
#define DOMAIN_FENCED ".moved-by-palletjack"

/* The numbers of those interfaces whose link is up; NULL: err. */
json_t *domain_links_up(const char *xml, struct err *err);
/* The interfaces of a domain as XML for device updates, with the link up or
 * down; caller frees.  NULL: there is no n-th. */
char *domain_nic_xml(const char *xml, size_t n, bool up);

#endif

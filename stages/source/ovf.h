/* SPDX-License-Identifier: Apache-2.0 */
/* An OVF descriptor read: its files, its disks, and its vms with their disks
 * attached.  Pure; looks at no file it names. */
#ifndef SOURCE_OVF_H
#define SOURCE_OVF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "io/xml.h"
#include "manifests/finding.h"
#include "manifests/inventory.h"
#include "manifests/strmap.h"

struct ovf_file {
	const char *id, *href;
	const char *compression; /* "", "gzip", ... */
	uint64_t chunk_bytes;	 /* 0: in one piece */
	uint64_t size_bytes;
	bool has_size;
};

struct ovf_disk {
	const char *id, *file_ref; /* file_ref "": blank */
	const char *parent_ref;	   /* "" unless it is a delta */
	const char *interface;	   /* oVirt's word for the bus, or "" */
	uint64_t capacity_bytes;   /* 0: not given, or absurd */
	const char *bad_capacity;  /* as written when it makes no sense */
};

/* A disk in a vm.  file NULL: blank; disk NULL: attached as a plain file. */
struct ovf_drive {
	const struct ovf_disk *disk;
	const struct ovf_file *file;
	const char *bus, *controller_model;
	int controller, unit;
	size_t item; /* its place in the descriptor */
};

struct ovf_system {
	const char *id;	  /* ovf:id of the VirtualSystem, or "" */
	struct inv_vm vm; /* all but id, epoch, disks and concerns */
	struct findings concerns;
	VEC(struct ovf_drive) drives; /* in boot order */
};

struct ovf {
	struct inventory *inv; /* owns all strings and nics; borrowed */
	struct xml *xml;
	const char *ns;		   /* the Envelope's */
	const char *configuration; /* the deployment option taken, or "" */
	bool is_vmware;		   /* the exporter speaks of VMware */
	VEC(struct ovf_file) files;
	VEC(struct ovf_disk) disks;
	struct strmap file_ids, disk_ids;
	VEC(struct ovf_system) systems;
};

/* Strings go to inv's arena, networks to its list; its vms stay as they are.
 * What is not an OVF envelope is ERR_FAIL; what is odd about one vm is among
 * that vm's concerns. */
int ovf_parse(const void *data, size_t len, struct inventory *inv,
	      struct ovf *ret, struct err *err);
void ovf_done(struct ovf *o);

/* "byte * 2^20", "MegaBytes", "byte * 10^6", "KB", ...: bytes in one. */
int ovf_units(const char *text, uint64_t *ret);
/* linux, windows, other or "": by CIM's number and the exporter's word. */
const char *ovf_os_family(const char *cim, const char *word);

/* For ovf_hardware.c: elements of the envelope's namespace or of none,
 * sections by their name or by oVirt's xsi:type. */
const struct xml_node *ovf_child(const struct ovf *o, const struct xml_node *n,
				 const char *name);
const struct xml_node *ovf_next(const struct ovf *o, const struct xml_node *n,
				const char *name);
const struct xml_node *ovf_section(const struct ovf *o,
				   const struct xml_node *n, const char *name);
/* Never NULL; a copy that outlives the document. */
const char *ovf_attr(const struct ovf *o, const struct xml_node *n,
		     const char *name);
/* A whole number that is written as such; else -1. */
int ovf_number(const char *text, uint64_t *ret);
void ovf_read_hardware(struct ovf *o, const struct xml_node *section,
		       struct ovf_system *s);

#endif

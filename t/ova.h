/* SPDX-License-Identifier: Apache-2.0 */
/* A shop of OVAs for unit tests: one disk in several formats, archives made
 * around it, and what the source says about them. */
#ifndef T_OVA_H
#define T_OVA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"
#include "stages/source/source.h"
#include "t/ovf.h"
#include "t/tap.h"
#include "t/tarball.h"
#include "t/vmdk.h"

#define MIB ((size_t)1 << 20)

static char *raw_path;	       /* the disk as it is inside the guest */
static struct buf vmdk, qcow2; /* the same in two formats */
static struct buf esx;	       /* and as ESX streams it */

/* One disk, f1, on a SCSI controller. */
#define ONE_DISK(more)                                           \
	OVF_ENVELOPE(                                            \
	    OVF_REFERENCES(OVF_FILE_MORE("f1", "a.vmdk", more))  \
		OVF_DISKS(OVF_DISK("d1", "f1", "8")) OVF_SYSTEM( \
		    "web", OVF_USUAL OVF_DRIVE("17", "/disk/d1", "3", "0")))

struct shop {
	char *dir;
	struct endpoint ep;
	struct inventory *inv;
	struct findings found;
	struct err err;
};

static inline void
must_run(const char *const *argv)
{
	struct buf out = {0};
	struct err err;

	if (process_run(argv, 60000, &out, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	buf_done(&out);
}

static inline void
load(const char *path, struct buf *ret)
{
	struct err err;

	if (fs_read(path, 64 * MIB, false, ret, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
}

static inline void
store(const char *dir, const char *name, const void *data, size_t len)
{
	char *path = fs_path(dir, name);
	struct err err;

	if (fs_write(path, data, len, 0644, &err) < 0)
		tap_diag("%s", err.text);
	free(path);
}

/* 8 MiB: text, noise, zeroes. */
static inline void
make_disks(void)
{
	char *v = fs_path(tap_dir(), "a.vmdk"), *q = fs_path(tap_dir(), "a.q");
	char *data = mem_new(8 * MIB);
	unsigned seed = 7;

	for (size_t i = 0; i < MIB; i++)
		data[i] = (char)rand_r(&seed);
	for (size_t i = 5 * MIB; i < 6 * MIB; i++)
		data[i] = "palletjack "[i % 11];
	data[8 * MIB - 1] = 'z';
	raw_path = fs_path(tap_dir(), "a.raw");
	store(tap_dir(), "a.raw", data, 8 * MIB);
	must_run((const char *[]){"qemu-img", "convert", "-f", "raw", "-O",
				  "vmdk", "-o", "subformat=streamOptimized",
				  raw_path, v, NULL});
	must_run((const char *[]){"qemu-img", "convert", "-f", "raw", "-O",
				  "qcow2", raw_path, q, NULL});
	load(v, &vmdk);
	load(q, &qcow2);
	vmdk_write_as_esx(&esx, data, 8 * MIB);
	free(data);
	free(v);
	free(q);
}

static inline void
shop_open(struct shop *s, const char *name)
{
	memset(s, 0, sizeof(*s));
	s->dir = fs_path(tap_dir(), name);
	mkdir(s->dir, 0755);
	s->ep.path = s->dir;
	s->inv = inventory_new();
	s->found.arena = s->inv->arena;
}

static inline void
shop_read(struct shop *s)
{
	if (source_ova.inventory(&s->ep, s->inv, &s->err) < 0)
		tap_diag("%s", s->err.text);
	for (size_t i = 0; i < s->inv->nvms; i++)
		findings_add_json(&s->found, s->inv->vms[i].concerns);
}

static inline void
shop_validate(struct shop *s)
{
	for (size_t i = 0; i < s->inv->nvms; i++)
		if (source_ova.validate(&s->ep, &s->inv->vms[i], NULL,
					&s->found, &s->err) < 0)
			tap_diag("%s", s->err.text);
}

static inline void
shop_close(struct shop *s)
{
	findings_done(&s->found);
	inventory_free(s->inv);
	free(s->dir);
}

static inline void
show(const struct shop *s)
{
	for (size_t i = 0; i < s->found.n; i++)
		tap_diag("%s: %s", s->found.v[i].type, s->found.v[i].message);
}

static inline void
found(const struct shop *s, enum finding_category category, const char *type,
      const char *part, const char *name)
{
	for (size_t i = 0; i < s->found.n; i++)
		if (s->found.v[i].category == category &&
		    !strcmp(s->found.v[i].type, type) &&
		    strstr(s->found.v[i].message, part)) {
			ok(true, "%s: %s", name, s->found.v[i].message);
			return;
		}
	ok(false, "%s: no %s with '%s'", name, type, part);
	show(s);
}

static inline void
pack(struct buf *b, const char *ovf, const struct buf *disk)
{
	tar_add(b, "web.ovf", ovf, strlen(ovf));
	if (disk)
		tar_add(b, "a.vmdk", disk->data, disk->len);
	tar_end(b);
}

/* The one vm of one archive has this one Critical concern. */
static inline void
critical(const char *name, struct buf *archive, const char *type,
	 const char *part)
{
	struct shop s;

	shop_open(&s, name);
	store(s.dir, "web.ova", archive->data, archive->len);
	shop_read(&s);
	is_int((long long)s.inv->nvms, 1, name);
	is_str(s.inv->nvms ? s.inv->vms[0].name : "", "web", "it has a name");
	found(&s, FINDING_CRITICAL, type, part, name);
	is_int((long long)findings_blocking(&s.found, NULL), 1, "said once");
	shop_close(&s);
	buf_done(archive);
}

/* Through NBD, every byte is as it was in the guest. */
static inline void
same_disk(struct shop *s, size_t n, const char *name)
{
	struct nbd_serve_opts opts = {0};
	struct nbd_server server = {.process = {.pidfd = -1}};
	struct buf out = {0};
	struct err err;

	if (source_ova.open_disk(&s->ep, &s->inv->vms[0],
				 &s->inv->vms[0].disks[n], &opts, &server,
				 &err) < 0) {
		ok(false, "%s: %s", name, err.text);
		return;
	}
	ok(process_run(
	       (const char *[]){"qemu-img", "compare", "-f", "raw", "-F", "raw",
				raw_path, server.uri, NULL},
	       60000, &out, &err) == 0,
	   "%s: the same disk", name);
	buf_done(&out);
	nbd_server_stop(&server);
}

static inline void
free_disks(void)
{
	buf_done(&vmdk);
	buf_done(&qcow2);
	buf_done(&esx);
	free(raw_path);
}

#endif

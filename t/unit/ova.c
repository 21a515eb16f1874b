/* SPDX-License-Identifier: Apache-2.0 */
/* A museum of OVAs: what exporters make, and what becomes of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"
#include "manifests/digest.h"
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

static void
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

static void
load(const char *path, struct buf *ret)
{
	struct err err;

	if (fs_read(path, 64 * MIB, false, ret, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
}

static void
store(const char *dir, const char *name, const void *data, size_t len)
{
	char *path = fs_path(dir, name);
	struct err err;

	if (fs_write(path, data, len, 0644, &err) < 0)
		tap_diag("%s", err.text);
	free(path);
}

/* 8 MiB: text, noise, zeroes. */
static void
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

static void
shop_open(struct shop *s, const char *name)
{
	memset(s, 0, sizeof(*s));
	s->dir = fs_path(tap_dir(), name);
	mkdir(s->dir, 0755);
	s->ep.path = s->dir;
	s->inv = inventory_new();
	s->found.arena = s->inv->arena;
}

static void
shop_read(struct shop *s)
{
	if (source_ova.inventory(&s->ep, s->inv, &s->err) < 0)
		tap_diag("%s", s->err.text);
	for (size_t i = 0; i < s->inv->nvms; i++)
		findings_add_json(&s->found, s->inv->vms[i].concerns);
}

static void
shop_validate(struct shop *s)
{
	for (size_t i = 0; i < s->inv->nvms; i++)
		if (source_ova.validate(&s->ep, &s->inv->vms[i], &s->found,
					&s->err) < 0)
			tap_diag("%s", s->err.text);
}

static void
shop_close(struct shop *s)
{
	findings_done(&s->found);
	inventory_free(s->inv);
	free(s->dir);
}

static void
show(const struct shop *s)
{
	for (size_t i = 0; i < s->found.n; i++)
		tap_diag("%s: %s", s->found.v[i].type, s->found.v[i].message);
}

static void
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

static void
pack(struct buf *b, const char *ovf, const struct buf *disk)
{
	tar_add(b, "web.ovf", ovf, strlen(ovf));
	if (disk)
		tar_add(b, "a.vmdk", disk->data, disk->len);
	tar_end(b);
}

/* The one vm of one archive has this one Critical concern. */
static void
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
static void
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

static void
sound_archive(const char *name, const struct buf *disk, const char *format,
	      enum tar_size how)
{
	static const char ovf[] = ONE_DISK("");
	struct buf b = {0};
	struct shop s;
	char *epoch = NULL;

	tar_add(&b, "web.ovf", ovf, strlen(ovf));
	tar_add_sized(&b, "a.vmdk", disk->data, disk->len, how);
	tar_end(&b);
	shop_open(&s, name);
	store(s.dir, "web.ova", b.data, b.len);
	shop_read(&s);
	shop_validate(&s);
	is_int((long long)findings_blocking(&s.found, NULL), 0, name);
	if (is_int((long long)s.inv->nvms, 1, "one vm") &&
	    is_int((long long)s.inv->vms[0].ndisks, 1, "one disk")) {
		is_str(s.inv->vms[0].disks[0].format, format, "its format");
		is_int((long long)s.inv->vms[0].disks[0].capacity_bytes,
		       (long long)(8 * MIB), "its capacity");
		same_disk(&s, 0, name);
	}
	ok(source_ova.epoch(&s.ep, &s.inv->vms[0], &epoch, &s.err) == 0 &&
	       !strcmp(epoch, s.inv->vms[0].epoch),
	   "the epoch is what it was");
	free(epoch);
	store(s.dir, "web.ova", b.data, b.len);
	ok(source_ova.epoch(&s.ep, &s.inv->vms[0], &epoch, &s.err) == 0 &&
	       strcmp(epoch, s.inv->vms[0].epoch) != 0,
	   "a new file is a new epoch");
	free(epoch);
	shop_close(&s);
	buf_done(&b);
}

static void
sound(void)
{
	struct buf raw = {0};

	load(raw_path, &raw);
	sound_archive("streamOptimized", &vmdk, "vmdk", TAR_OCTAL);
	sound_archive("base-256", &vmdk, "vmdk", TAR_BASE_256);
	sound_archive("pax", &vmdk, "vmdk", TAR_PAX);
	sound_archive("ESX layout", &esx, "vmdk", TAR_OCTAL);
	sound_archive("qcow2 under a false name", &qcow2, "qcow2", TAR_OCTAL);
	sound_archive("raw under a false name", &raw, "raw", TAR_OCTAL);
	buf_done(&raw);
}

static void
damaged_archives(void)
{
	struct buf b = {0};

	pack(&b, ONE_DISK(""), &vmdk);
	b.len -= 2048 + 1024;
	critical("truncated", &b, "OVANotReadable", "truncated: it ends");
	pack(&b, ONE_DISK(""), &vmdk);
	b.len = 600;
	critical("truncated in the descriptor", &b, "OVANotReadable",
		 "truncated");
	buf_adds(&b, "not a tar archive at all");
	critical("not an archive", &b, "OVANotReadable", "within a header");
	tar_add(&b, "a.vmdk", "x", 1);
	tar_end(&b);
	critical("no descriptor", &b, "OVANotReadable", "no .ovf");
	tar_add(&b, "a.ovf", "x", 1);
	tar_add(&b, "b.ovf", "x", 1);
	critical("two descriptors", &b, "OVANotReadable", "several");
	tar_add(&b, "web.ovf", "<a", 2);
	tar_end(&b);
	critical("not XML", &b, "OVANotReadable", "line 1");
	tar_add(&b, "web.ovf", ONE_DISK(""), strlen(ONE_DISK("")));
	tar_add(&b, "../../etc/cron.d/x", "x", 1);
	critical("a way up", &b, "OVANotReadable", "leads outside");
	tar_add(&b, "web.ovf", ONE_DISK(""), strlen(ONE_DISK("")));
	tar_header(&b, "a.vmdk", '2', 0);
	critical("a link for a disk", &b, "OVANotReadable", "is a link");
	buf_add(&b, "\x1f\x8b\x08\0 packed", 12);
	critical("gzip around it", &b, "OVANotReadable", "'gunzip'");
	buf_add(&b, "PK\x03\x04 packed", 12);
	critical("zip around it", &b, "OVANotReadable", "'unzip'");
}

static void
damaged_disks(void)
{
	struct buf b = {0}, cut = {0};

	pack(&b, ONE_DISK(""), NULL);
	critical("missing disk", &b, "DiskNotReadable", "'a.vmdk' is missing");
	pack(&b, ONE_DISK("o:size='12345'"), &vmdk);
	critical("another size", &b, "DiskNotReadable", "12345 by the desc");
	pack(&b, ONE_DISK("o:chunkSize='1000'"), NULL);
	critical("chunks", &b, "DiskNotReadable", "cat a.vmdk.* >a.vmdk");
	pack(&b, ONE_DISK("o:compression='gzip'"), &vmdk);
	critical("gzip", &b, "DiskNotReadable", "compressed (gzip)");
	pack(&b,
	     OVF_ENVELOPE(OVF_REFERENCES(OVF_FILE("f1", "../../a.vmdk"))
			      OVF_DISKS(OVF_DISK("d1", "f1", "8")) OVF_SYSTEM(
				  "web", OVF_USUAL OVF_DRIVE("17", "/disk/d1",
							     "3", "0"))),
	     &vmdk);
	critical("a href that leads up", &b, "DiskNotReadable",
		 "leads outside");
	buf_add(&cut, esx.data, esx.len - 4096);
	pack(&b, ONE_DISK(""), &cut);
	critical("no footer", &b, "DiskNotReadable", "footer");
	buf_reset(&cut);
	buf_adds(&cut, "# Disk DescriptorFile\nRW 1 FLAT \"/etc/shadow\" 0\n");
	pack(&b, ONE_DISK(""), &cut);
	critical("a VMDK of other files", &b, "DiskNotReadable",
		 "only names other files");
	buf_reset(&cut);
	buf_add(&cut, "\x1f\x8b\x08\0", 4);
	pack(&b, ONE_DISK(""), &cut);
	critical("gzip unsaid", &b, "DiskNotReadable", "'gunzip'");
	buf_reset(&cut);
	buf_add(&cut, qcow2.data, qcow2.len);
	cut.data[15] = 8;
	pack(&b, ONE_DISK(""), &cut);
	critical("a backing file", &b, "DiskNotReadable", "backing file");
	cut.data[15] = 0;
	cut.data[79] = 4;
	pack(&b, ONE_DISK(""), &cut);
	critical("external data", &b, "DiskNotReadable", "in another file");
	buf_reset(&cut);
	buf_add(&cut, "text", 4);
	pack(&b, ONE_DISK(""), &cut);
	critical("raw and short", &b, "DiskCapacityDiffers", "truncated");
	buf_done(&cut);
}

/* qemu's own layout has its tables in front: only they show what is cut. */
static void
cut_behind_its_tables(void)
{
	struct buf b = {0}, cut = {0};
	struct shop s;

	buf_add(&cut, vmdk.data, vmdk.len / 2 / 512 * 512);
	pack(&b, ONE_DISK(""), &cut);
	shop_open(&s, "cut");
	store(s.dir, "web.ova", b.data, b.len);
	shop_read(&s);
	shop_validate(&s);
	found(&s, FINDING_CRITICAL, "DiskNotReadable", "damaged",
	      "half a VMDK");
	shop_close(&s);
	buf_done(&b);
	buf_done(&cut);
}

static void
strange_vmdks(void)
{
	struct buf b = {0}, disk = {0};
	char *hint;

	buf_add(&disk, esx.data, esx.len);
	memset(disk.data + 12, 0, 8);
	pack(&b, ONE_DISK(""), &disk);
	critical("no capacity in the header", &b, "DiskNotReadable",
		 "no sensible capacity");
	memset(disk.data + 12, 0xff, 8);
	pack(&b, ONE_DISK(""), &disk);
	critical("too much of it", &b, "DiskNotReadable",
		 "no sensible capacity");
	memcpy(disk.data, esx.data, esx.len);
	disk.data[13]++;
	pack(&b, ONE_DISK(""), &disk);
	critical("header against footer", &b, "DiskNotReadable",
		 "different sizes");
	memcpy(disk.data, esx.data, esx.len);
	hint = disk.data + 512;
	strcpy(hint, "parentFileNameHint=\"/etc/shadow\"\n");
	pack(&b, ONE_DISK(""), &disk);
	critical("a parent", &b, "DiskNotReadable", "delta on another");
	buf_done(&disk);
}

static void
odd_descriptors(void)
{
	struct buf b = {0};
	struct shop s;

	pack(&b,
	     OVF_ENVELOPE(
		 OVF_REFERENCES(OVF_FILE("f1", "a.vmdk"))
		     OVF_DISKS("<Disk o:diskId='d1' o:fileRef='f1' "
			       "o:capacity='9999999999' "
			       "o:capacityAllocationUnits="
			       "'byte * 2^40'/>")
			 OVF_SYSTEM("web", OVF_USUAL OVF_DRIVE("17", "/disk/d1",
							       "3", "0"))),
	     &vmdk);
	critical("absurd capacity", &b, "InvalidDiskSizes",
		 "'9999999999 x byte * 2^40'");

	shop_open(&s, "odd");
	pack(&b, OVF_ENVELOPE(OVF_SYSTEM("web", OVF_USUAL)), NULL);
	store(s.dir, "nodisks.ova", b.data, b.len);
	buf_reset(&b);
	pack(&b,
	     OVF_ENVELOPE(
		 OVF_REFERENCES(OVF_FILE("f0", "boot.iso")
				    OVF_FILE("f1", "a.vmdk"))
		     OVF_DISKS(OVF_DISK("d1", "f1", "9") OVF_BLANK("d2", "3")
				   OVF_DISK("d3", "f1", "8"))
			 OVF_SYSTEM(
			     "web",
			     OVF_USUAL OVF_DRIVE("17", "/disk/d2", "3", "1")
				 OVF_DRIVE("17", "/disk/d1", "3", "0")
				     OVF_DRIVE("15", "ovf:/file/f0", "", ""))),
	     &vmdk);
	store(s.dir, "blank.ova", b.data, b.len - 1024);
	buf_done(&b);
	store(s.dir, "empty.ova", "", 0);
	store(s.dir, "notes.txt", "x", 1);
	shop_read(&s);
	is_int((long long)s.inv->nvms, 2, "empty files are passed over");
	is_str(s.inv->vms[0].id, "blank.ova", "sorted by name");
	is_int((long long)s.inv->vms[1].ndisks, 0, "an OVF without disks");
	is_str(s.inv->vms[0].disks[0].name, "a.vmdk", "no ISO for a disk");
	ok(s.inv->vms[0].disks[1].blank, "a blank disk");
	is_int((long long)s.inv->vms[0].disks[1].capacity_bytes,
	       (long long)(3 * MIB), "and its capacity");
	found(&s, FINDING_WARN, "DiskCapacityDiffers", "8.0 MiB",
	      "another capacity");
	found(&s, FINDING_WARN, "OVAWithoutEnd", "blank.ova", "no end");
	found(&s, FINDING_WARN, "DiskNotAttached", "'d3'", "an orphan");
	found(&s, FINDING_INFORMATION, "MediumIgnored", "/file/f0", "a CD");
	same_disk(&s, 0, "beside an ISO");
	shop_close(&s);
}

static void
blank_disk_reads_as_zero(void)
{
	struct shop s;
	struct nbd_serve_opts opts = {0};
	struct nbd_server server = {.process = {.pidfd = -1}};
	uint64_t size = 0;

	shop_open(&s, "odd");
	shop_read(&s);
	ok(source_ova.open_disk(&s.ep, &s.inv->vms[0], &s.inv->vms[0].disks[1],
				&opts, &server, &s.err) == 0 &&
	       nbd_size(server.uri, &size, &s.err) == 0,
	   "a blank disk is served");
	is_int((long long)size, (long long)(3 * MIB), "at its size");
	nbd_server_stop(&server);
	shop_close(&s);
}

static void
other_exporters(void)
{
	static const char plain[] =
	    "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1' "
	    "xmlns:o='http://schemas.dmtf.org/ovf/envelope/1' xmlns:r='" OVF_CIM
	    "CIM_ResourceAllocationSettingData'>" OVF_REFERENCES(
		OVF_FILE("f1", "a.vmdk"))
		OVF_DISKS(OVF_DISK(
		    "d1", "f1",
		    "8")) "<VirtualSystemCollection "
			  "o:id='all'>" OVF_SYSTEM(
			      "one",
			      OVF_USUAL OVF_DRIVE("17", "/disk/d1", "3", "0"))
			      OVF_SYSTEM("two", OVF_USUAL) OVF_SYSTEM(
				  "two", OVF_USUAL) "</"
						    "VirtualSystemCollect"
						    "ion></Envelope>";
	struct buf b = {0};
	struct shop s;

	shop_open(&s, "several");
	pack(&b, plain, &vmdk);
	store(s.dir, "all.ova", b.data, b.len);
	buf_done(&b);
	shop_read(&s);
	is_int((long long)s.inv->nvms, 3, "several vms in one archive");
	is_str(s.inv->vms[0].id, "all.ova#one", "an id of its own");
	is_str(s.inv->vms[2].id, "all.ova#2", "even when names repeat");
	is_str(s.inv->vms[1].name, "two", "and a name");
	found(&s, FINDING_WARN, "UnsupportedOVFExportSource", "VMware",
	      "not VMware");
	same_disk(&s, 0, "of several");
	shop_close(&s);
}

static void
add_digest(struct buf *mf, const char *format, const char *name,
	   const char *algorithm, const void *data, size_t len)
{
	struct digest *d = digest_new(algorithm);
	char *hex;

	digest_add(d, data, len);
	hex = digest_end(d);
	/* the formats are this file's own */
	if (!strcmp(format, "tight"))
		buf_printf(mf, "%s(%s)=%s\r\n", algorithm, name, hex);
	else
		buf_printf(mf, " SHA%s ( %s ) =  %s \n", algorithm + 3, name,
			   hex);
	free(hex);
}

static void
digests(void)
{
	static const char ovf[] = ONE_DISK("");
	struct buf b = {0}, mf = {0};
	struct shop s;

	add_digest(&mf, "tight", "web.ovf", "sha1", ovf, strlen(ovf));
	add_digest(&mf, "loose", "a.vmdk", "sha256", vmdk.data, vmdk.len);
	add_digest(&mf, "loose", "a.vmdk", "sha512", vmdk.data, vmdk.len);
	tar_add(&b, "web.ovf", ovf, strlen(ovf));
	tar_add(&b, "web.mf", mf.data, mf.len);
	tar_add(&b, "web.cert", "x", 1);
	tar_add(&b, "a.vmdk", vmdk.data, vmdk.len);
	tar_end(&b);
	shop_open(&s, "digests");
	store(s.dir, "web.ova", b.data, b.len);
	shop_read(&s);
	shop_validate(&s);
	is_int((long long)s.found.n, 1, "all digests are right");
	found(&s, FINDING_INFORMATION, "SignatureIgnored", "web.cert",
	      "a signature");
	shop_close(&s);

	buf_reset(&b);
	buf_adds(&mf, "SHA256(gone.vmdk)= 0123\nMD5(a.vmdk)= 0\nnonsense\n");
	add_digest(&mf, "tight", "gone.vmdk", "sha1", "", 0);
	tar_add(&b, "web.ovf", ovf, strlen(ovf));
	tar_add(&b, "web.mf", mf.data, mf.len);
	vmdk.data[vmdk.len / 2] ^= 1;
	tar_add(&b, "a.vmdk", vmdk.data, vmdk.len);
	vmdk.data[vmdk.len / 2] ^= 1;
	tar_end(&b);
	shop_open(&s, "digests2");
	store(s.dir, "web.ova", b.data, b.len);
	shop_read(&s);
	shop_validate(&s);
	is_int((long long)findings_blocking(&s.found, NULL), 6,
	       "each wrong line is said");
	found(&s, FINDING_CRITICAL, "DigestMismatch", "'a.vmdk' has the sha256",
	      "a wrong digest");
	found(&s, FINDING_CRITICAL, "DigestNotChecked", "'gone.vmdk'",
	      "a missing file");
	found(&s, FINDING_CRITICAL, "DigestNotChecked", "line 6",
	      "a line that is none");
	shop_close(&s);
	buf_done(&b);
	buf_done(&mf);
}

static void
put_unpacked(const char *dir, const char *name, const char *ovf)
{
	char *sub = fs_path(dir, name);

	mkdir(sub, 0755);
	store(sub, "web.ovf", ovf, strlen(ovf));
	store(sub, "a disk.vmdk", esx.data, esx.len);
	free(sub);
}

static void
unpacked(void)
{
	static const char spaced[] = OVF_ENVELOPE(
	    OVF_REFERENCES(OVF_FILE("f1", "a%20disk.vmdk"))
		OVF_DISKS(OVF_DISK("d1", "f1", "8")) OVF_SYSTEM(
		    "web", OVF_USUAL OVF_DRIVE("17", "/disk/d1", "3", "0")));
	struct shop s;
	char *link;

	shop_open(&s, "unpacked");
	put_unpacked(s.dir, "one", spaced);
	put_unpacked(s.dir, "one/two", spaced);
	put_unpacked(s.dir, "one/two/three", spaced);
	put_unpacked(s.dir, "one/two/three/four", spaced);
	link = fs_path(s.dir, "one/two/three/a disk.vmdk");
	unlink(link);
	ok(symlink("/etc/passwd", link) == 0, "a link");
	free(link);
	shop_read(&s);
	shop_validate(&s);
	is_int((long long)s.inv->nvms, 3, "three directories down, not four");
	is_str(s.inv->vms[2].id, "one/web.ovf", "ids are relative paths");
	found(&s, FINDING_CRITICAL, "DiskNotReadable", "leads outside",
	      "a link that leads out");
	found(&s, FINDING_INFORMATION, "NoDigests", ".mf", "no manifest");
	is_int((long long)findings_blocking(&s.found, NULL), 1,
	       "the others are fine");
	/* vms[0] and [1] are deeper: "one/two/..." sorts first */
	s.inv->vms[0] = s.inv->vms[2];
	same_disk(&s, 0, "unpacked");
	shop_close(&s);
}

static void
endpoints(void)
{
	struct shop s;
	char *file;

	shop_open(&s, "digests");
	file = fs_path(s.dir, "web.ova");
	s.ep.path = file;
	shop_read(&s);
	is_int((long long)s.inv->nvms, 1, "an endpoint may be one file");
	same_disk(&s, 0, "of one file");
	free(file);
	s.ep.path = "/nonexistent";
	ok(source_ova.inventory(&s.ep, s.inv, &s.err) < 0, "no such path");
	like(s.err.text, "/nonexistent", "which is named");
	s.ep.path = NULL;
	ok(source_ova.inventory(&s.ep, s.inv, &s.err) < 0, "no path");
	s.ep.path = raw_path;
	ok(source_ova.inventory(&s.ep, s.inv, &s.err) < 0, "not an OVA");
	ok(source_find("ova") == &source_ova && !source_find("tape"),
	   "the table of sources");
	shop_close(&s);
}

int
main(void)
{
	if (!process_in_path("qemu-img") || !process_in_path("qemu-nbd"))
		tap_skip_all("qemu-img and qemu-nbd are not installed");
	make_disks();
	sound();
	damaged_archives();
	damaged_disks();
	cut_behind_its_tables();
	strange_vmdks();
	odd_descriptors();
	blank_disk_reads_as_zero();
	other_exporters();
	digests();
	unpacked();
	endpoints();
	buf_done(&vmdk);
	buf_done(&qcow2);
	buf_done(&esx);
	free(raw_path);
	return tap_done();
}

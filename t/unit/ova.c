/* SPDX-License-Identifier: Apache-2.0 */
/* A museum of OVAs: sound ones of every kind, compared byte for byte, and
 * damaged ones. */
#include "t/ova.h"

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
	snprintf(hint, 512, "parentFileNameHint=\"/etc/shadow\"\n");
	pack(&b, ONE_DISK(""), &disk);
	critical("a parent", &b, "DiskNotReadable", "delta on another");
	buf_done(&disk);
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
	free_disks();
	return tap_done();
}

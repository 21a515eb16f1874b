/* SPDX-License-Identifier: Apache-2.0 */
/* What else comes in OVAs: odd descriptors, several vms, digests, and the same
 * things unpacked. */
#include "manifests/digest.h"
#include "t/ova.h"

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

	buf_reset(&b);
	buf_reset(&mf);
	add_digest(&mf, "tight", "web.ovf", "sha1", ovf, strlen(ovf));
	tar_add(&b, "web.ovf", ovf, strlen(ovf));
	tar_add(&b, "WEB.MF", mf.data, mf.len);
	tar_add(&b, "a.vmdk", vmdk.data, vmdk.len);
	tar_end(&b);
	shop_open(&s, "digests3");
	store(s.dir, "web.ova", b.data, b.len);
	shop_read(&s);
	shop_validate(&s);
	found(&s, FINDING_WARN, "DigestNotChecked", "is not listed in 'WEB.MF'",
	      "a manifest that leaves the disk out");
	shop_close(&s);
	buf_done(&b);
	buf_done(&mf);
}

/* Two vms that have one file: said of both, and of no third. */
static void
shared_disks(void)
{
	static const char ovf[] = OVF_ENVELOPE(
	    OVF_REFERENCES(OVF_FILE("f1", "a.vmdk") OVF_FILE("f2", "b.vmdk"))
		OVF_DISKS(OVF_DISK("d1", "f1", "8") OVF_DISK(
		    "d2", "f2",
		    "8")) "<VirtualSystemCollection "
			  "ovf:id='all'>" OVF_SYSTEM(
			      "one",
			      OVF_USUAL OVF_DRIVE("17", "/disk/d1", "3", "0"))
			      OVF_SYSTEM("two", OVF_USUAL OVF_DRIVE(
						    "17", "/disk/d1", "3", "0"))
				  OVF_SYSTEM(
				      "three",
				      OVF_USUAL OVF_DRIVE(
					  "17", "/disk/d2", "3",
					  "0")) "</"
						"VirtualSystemCollection>");
	struct buf b = {0};
	struct shop s;

	tar_add(&b, "web.ovf", ovf, strlen(ovf));
	tar_add(&b, "a.vmdk", vmdk.data, vmdk.len);
	tar_add(&b, "b.vmdk", vmdk.data, vmdk.len);
	tar_end(&b);
	shop_open(&s, "shared");
	store(s.dir, "all.ova", b.data, b.len);
	shop_read(&s);
	is_int((long long)s.inv->nvms, 3, "three vms");
	for (size_t i = 0; i < s.inv->nvms; i++) {
		CLEANUP(mem_freep)
		char *said = json_dumps(s.inv->vms[i].concerns, 0);

		ok((strstr(said, "SharedDisk") != NULL) == (i < 2), "%s",
		   i < 2 ? "one disk with another" : "a disk alone");
	}
	shop_close(&s);
	buf_done(&b);
}

/* Each vm of a collection looks at what is its own: a disk is read once. */
static void
digests_of_several(void)
{
	static const char ovf[] = OVF_ENVELOPE(
	    OVF_REFERENCES(OVF_FILE("f1", "a.vmdk") OVF_FILE("f2", "b.vmdk"))
		OVF_DISKS(OVF_DISK("d1", "f1", "8") OVF_DISK(
		    "d2", "f2",
		    "8")) "<VirtualSystemCollection "
			  "ovf:id='all'>" OVF_SYSTEM(
			      "one",
			      OVF_USUAL OVF_DRIVE("17", "/disk/d1", "3", "0"))
			      OVF_SYSTEM(
				  "two",
				  OVF_USUAL OVF_DRIVE(
				      "17", "/disk/d2", "3",
				      "0")) "</VirtualSystemCollection>");
	struct buf b = {0}, mf = {0};
	struct shop s;

	add_digest(&mf, "tight", "web.ovf", "sha256", ovf, strlen(ovf));
	add_digest(&mf, "tight", "a.vmdk", "sha256", "", 0);
	add_digest(&mf, "tight", "b.vmdk", "sha256", "", 0);
	add_digest(&mf, "tight", "readme.txt", "sha256", "", 0);
	tar_add(&b, "web.ovf", ovf, strlen(ovf));
	tar_add(&b, "web.mf", mf.data, mf.len);
	tar_add(&b, "a.vmdk", vmdk.data, vmdk.len);
	tar_add(&b, "b.vmdk", vmdk.data, vmdk.len);
	tar_end(&b);
	shop_open(&s, "digests4");
	store(s.dir, "all.ova", b.data, b.len);
	shop_read(&s);
	is_int((long long)s.inv->nvms, 2, "two vms");
	for (size_t i = 0; i < s.inv->nvms; i++) {
		s.found.n = 0;
		(void)source_ova.validate(&s.ep, &s.inv->vms[i], NULL, &s.found,
					  &s.err);
		is_int((long long)findings_blocking(&s.found, NULL), 1,
		       "one wrong digest");
		found(&s, FINDING_CRITICAL, "DigestMismatch",
		      i ? "'b.vmdk'" : "'a.vmdk'", "its own");
	}
	shop_close(&s);
	buf_done(&b);
	buf_done(&mf);
}

/* What cannot be read is told, and costs nobody else. */
static void
unreadable(void)
{
	struct findings said;
	struct buf b = {0};
	struct shop s;
	char *closed, *loop;

	shop_open(&s, "closed");
	closed = fs_path(s.dir, "secret");
	loop = fs_path(s.dir, "loop");
	pack(&b, ONE_DISK(""), &vmdk);
	store(s.dir, "web.ova", b.data, b.len);
	mkdir(closed, 0000);
	ok(symlink("loop", loop) == 0, "a link to itself");
	if (geteuid() == 0) {
		chmod(tap_dir(), 0755);
		ok(seteuid(65534) == 0, "not as root, who may read all");
	}
	shop_read(&s);
	if (getuid() == 0)
		ok(seteuid(0) == 0, "as root again");
	is_int((long long)s.inv->nvms, 1, "the others are seen");
	said = (struct findings){.arena = s.inv->arena};
	findings_add_json(&said, s.inv->concerns);
	is_int((long long)said.n, 2, "and what was not");
	for (size_t i = 0; i < said.n; i++) {
		is_str(said.v[i].type, "SourceNotReadable", "as a finding");
		ok(strstr(said.v[i].message, "secret' cannot be read") ||
		       strstr(said.v[i].message, "loop' cannot be read"),
		   "%s", said.v[i].message);
	}
	findings_done(&said);
	shop_close(&s);
	buf_done(&b);
	rmdir(closed);
	free(closed);
	free(loop);
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
	odd_descriptors();
	blank_disk_reads_as_zero();
	other_exporters();
	digests();
	digests_of_several();
	shared_disks();
	unreadable();
	unpacked();
	endpoints();
	free_disks();
	return tap_done();
}

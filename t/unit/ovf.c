/* SPDX-License-Identifier: Apache-2.0 */
/* OVF descriptors: pairing, hardware, dialects; and damage at random. */
#include "stages/source/ovf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/source/tar.h"
#include "t/ovf.h"
#include "t/tap.h"
#include "t/tarball.h"

struct bench {
	struct inventory *inv;
	struct ovf ovf;
	struct err err;
	int status;
};

static void
read_text(struct bench *b, const char *text)
{
	memset(b, 0, sizeof(*b));
	b->inv = inventory_new();
	b->status = ovf_parse(text, strlen(text), b->inv, &b->ovf, &b->err);
	if (b->status < 0)
		tap_diag("%s", b->err.text);
}

static void
done(struct bench *b)
{
	if (b->status == 0)
		ovf_done(&b->ovf);
	inventory_free(b->inv);
}

/* "disk:file@bus/controller/unit" of each drive in boot order. */
static void
drives_are(const struct bench *b, size_t system, const char *want,
	   const char *name)
{
	struct buf got = {0};

	buf_adds(&got, "");
	for (size_t i = 0;
	     b->status == 0 && i < b->ovf.systems.v[system].drives.n; i++) {
		const struct ovf_drive *d =
		    &b->ovf.systems.v[system].drives.v[i];

		buf_printf(&got, "%s%s:%s@%s/%d/%d", i ? " " : "",
			   d->disk ? d->disk->id : "-",
			   d->file ? d->file->href : "-", d->bus, d->controller,
			   d->unit);
	}
	is_str(got.data, want, name);
	buf_done(&got);
}

static void
has_concern(const struct bench *b, const char *type, const char *part)
{
	const struct findings *f = &b->ovf.systems.v[0].concerns;

	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->v[i].type, type)) {
			like(f->v[i].message, part, type);
			return;
		}
	ok(false, "no concern of type %s", type);
}

static void
units(void)
{
	static const struct {
		const char *text;
		long long want;
	} cases[] = {
	    {"byte * 2^20", 1 << 20},
	    {"byte*2^30", 1 << 30},
	    {"byte * 10^6", 1000000},
	    {"MegaBytes", 1 << 20},
	    {" GigaBytes ", 1 << 30},
	    {"KB", 1024},
	    {"bytes", 1},
	    {"byte * 1024 * 1024", 1 << 20},
	    {"kilobyte * 2", 2048},
	    {"", -1},
	    {"hertz * 10^6", -1},
	    {"byte * ", -1},
	    {"byte * 2^64", -1},
	    {"byte * 10^30", -1},
	    {"byte * 2^20 rubbish", -1},
	    {"byte * 0", -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t n = 0;
		int status = ovf_units(cases[i].text, &n);

		is_int(status < 0 ? -1 : (long long)n, cases[i].want,
		       cases[i].text);
	}
}

static void
families(void)
{
	is_str(ovf_os_family("96", "debian11_64Guest"), "linux", "Debian");
	is_str(ovf_os_family("1", "windows9Server64Guest"), "windows", "2016");
	is_str(ovf_os_family("0", "winNetStandardGuest"), "windows", "2003");
	is_str(ovf_os_family("103", ""), "windows", "by number");
	is_str(ovf_os_family("80", ""), "linux", "by number");
	is_str(ovf_os_family("102", "darwin21_64Guest"), "other", "macOS");
	is_str(ovf_os_family("0", ""), "", "unknown");
	is_str(ovf_os_family("1", ""), "", "other, but what");
}

/* The ISO is the first file: whoever pairs by position takes it for a disk. */
static void
pairs_by_reference(void)
{
	struct bench b;

	read_text(
	    &b,
	    OVF_ENVELOPE(
		OVF_REFERENCES(OVF_FILE("f0", "tools.iso") OVF_FILE(
		    "f2", "data.vmdk") OVF_FILE("f1", "root.vmdk"))
		    OVF_DISKS(OVF_DISK("d1", "f1", "64") OVF_BLANK("d2", "10")
				  OVF_DISK("d3", "f2", "32"))
			OVF_SYSTEM(
			    "vm",
			    OVF_USUAL OVF_CONTROLLER("20", "5", "1",
						     "vmware.sata.ahci")
				OVF_CONTROLLER("6", "4", "1", "pvscsi")
				    OVF_DRIVE("17", "ovf:/disk/d2", "4", "2")
					OVF_DRIVE("17", "/disk/d3", "3", "1")
					    OVF_DRIVE("17", "ovf:/disk/d1", "3",
						      "0")
						OVF_DRIVE("17", "ovf:/file/f2",
							  "5", "3")
						    OVF_DRIVE("15",
							      "ovf:/file/f0",
							      "5", "0"))));
	drives_are(&b, 0,
		   "-:data.vmdk@sata/1/3 d1:root.vmdk@scsi/0/0 "
		   "d3:data.vmdk@scsi/0/1 d2:-@scsi/1/2",
		   "disks by reference, in boot order");
	has_concern(&b, "MediumIgnored", "ovf:/file/f0");
	is_str(b.ovf.systems.v[0].drives.v[3].controller_model, "pvscsi",
	       "the controller's model");
	done(&b);
}

static void
hardware(void)
{
	struct bench b;
	const struct inv_vm *vm;

	read_text(
	    &b,
	    OVF_ENVELOPE(
		"<NetworkSection><Network o:name='LAN'/>"
		"<Network o:name='unused'/></NetworkSection>"
		"<VirtualSystem o:id='x'><Name>Web &amp; Co</Name>"
		"<OperatingSystemSection o:id='80' vmw:osType='rhel8_64Guest'>"
		"<Description>RHEL</Description></OperatingSystemSection>"
		"<VirtualHardwareSection>" OVF_ITEM(
		    "3", "<r:VirtualQuantity>8</r:VirtualQuantity>"
			 "<vmw:CoresPerSocket o:required='false'>4"
			 "</vmw:CoresPerSocket>") OVF_MEMORY("2", "GigaBytes")
		    OVF_NIC("LAN", "<r:ElementName>Ethernet 1</r:ElementName>"
				   "<r:Address>00-50-56-AB-CD-EF</r:Address>")
			OVF_NIC("DMZ", "<r:Address>7</r:Address>") OVF_ITEM(
			    "1",
			    "<r:ResourceSubType>vmware.vtpm"
			    "</r:ResourceSubType>") "<vmw:Config "
						    "vmw:key='firmware' "
						    "vmw:value='efi'/>"
						    "<vmw:Config "
						    "vmw:key='bootOptions."
						    "efiSecureBootEnabled' "
						    "vmw:value='true'/>"
						    "</"
						    "VirtualHardwareSection></"
						    "VirtualSystem>"));
	if (!is_int(b.status, 0, "read"))
		return;
	vm = &b.ovf.systems.v[0].vm;
	is_str(vm->name, "Web & Co", "name");
	is_int(vm->sockets, 2, "sockets");
	is_int(vm->cores, 4, "cores");
	is_int((long long)vm->memory_bytes, 2ll << 30, "memory");
	ok(vm->efi && vm->secure_boot && vm->tpm, "firmware and TPM");
	is_str(vm->os, "rhel8_64Guest", "os");
	is_str(vm->os_family, "linux", "family");
	is_int((long long)vm->nnics, 2, "nics");
	is_str(vm->nics[0].name, "Ethernet 1", "a nic's name");
	is_str(vm->nics[0].mac, "00:50:56:ab:cd:ef", "a nic's address");
	is_str(vm->nics[0].model, "vmxnet3", "a nic's model");
	is_str(vm->nics[1].mac, "", "a slot is no address");
	is_str(vm->nics[1].network_name, "DMZ", "a nic's network");
	is_int((long long)b.inv->nnetworks, 3, "networks");
	ok(b.ovf.is_vmware, "from VMware");
	done(&b);
}

static void
older_spelling(void)
{
	struct bench b;

	read_text(
	    &b, OVF_ENVELOPE(OVF_SYSTEM(
		    "vm",
		    "<vmw:ExtraConfig vmw:key="
		    "'uefi.secureBoot.enabled' vmw:value='TRUE'/>" OVF_CPUS("6")
			OVF_MEMORY("300", ""))));
	ok(b.ovf.systems.v[0].vm.secure_boot, "secure boot in ExtraConfig");
	is_int((long long)b.ovf.systems.v[0].vm.memory_bytes, 300ll << 20,
	       "memory without a unit is in MiB");
	is_int(b.ovf.systems.v[0].vm.sockets, 6, "one core a socket");
	done(&b);
}

static void
collections(void)
{
	struct bench b;

	read_text(
	    &b, OVF_ENVELOPE(OVF_REFERENCES(OVF_FILE("f", "a.vmdk")) OVF_DISKS(
		    OVF_DISK("d", "f",
			     "1")) "<VirtualSystemCollection "
				   "o:id='c'>" OVF_SYSTEM(
				       "one",
				       OVF_USUAL OVF_DRIVE(
					   "17", "/disk/d", "3",
					   "0")) "<VirtualSys"
						 "temCollecti"
						 "on "
						 "o:id='d'"
						 ">" OVF_SYSTEM(
						     "two",
						     OVF_CPUS("3")) "</"
								    "VirtualSys"
								    "temCollect"
								    "ion>"
								    "</"
								    "VirtualSys"
								    "temCollect"
								    "ion>"));
	is_int((long long)b.ovf.systems.n, 2, "two vms");
	is_str(b.ovf.systems.v[1].vm.name, "two", "the nested one");
	is_int(b.ovf.systems.v[1].vm.sockets, 3, "and its processors");
	drives_are(&b, 0, "d:a.vmdk@scsi/0/0", "the first has the disk");
	drives_are(&b, 1, "", "the second has none");
	done(&b);
}

static void
version_2(void)
{
	struct bench b;

	read_text(
	    &b,
	    "<o:Envelope xmlns:o='http://schemas.dmtf.org/ovf/envelope/2'\n"
	    " xmlns:s='" OVF_CIM "CIM_StorageAllocationSettingData'\n"
	    " xmlns:e='" OVF_CIM "CIM_EthernetPortAllocationSettingData'>"
	    "<o:References><o:File o:id='f' o:href='a.vmdk'/></o:References>"
	    "<o:DiskSection><o:Disk o:diskId='d' o:fileRef='f'/>"
	    "</o:DiskSection>"
	    "<o:VirtualSystem o:id='vm'><o:VirtualHardwareSection>"
	    "<o:StorageItem><s:InstanceID>1</s:InstanceID>"
	    "<s:ResourceType>5</s:ResourceType></o:StorageItem>"
	    "<o:StorageItem><s:HostResource>ovf:/disk/d</s:HostResource>"
	    "<s:Parent>1</s:Parent><s:ResourceType>17</s:ResourceType>"
	    "</o:StorageItem>"
	    "<o:EthernetPortItem><e:Connection>LAN</e:Connection>"
	    "<e:Address>02:00:00:00:00:0A</e:Address>"
	    "<e:ResourceType>10</e:ResourceType></o:EthernetPortItem>"
	    "</o:VirtualHardwareSection></o:VirtualSystem></o:Envelope>");
	drives_are(&b, 0, "d:a.vmdk@ide/0/1", "a StorageItem");
	is_str(b.ovf.systems.v[0].vm.nics[0].mac, "02:00:00:00:00:0a",
	       "an EthernetPortItem");
	ok(!b.ovf.is_vmware, "not from VMware");
	is_str(b.ovf.systems.v[0].vm.name, "vm", "the id where no name is");
	done(&b);
}

static void
ovirt(void)
{
	struct bench b;

	read_text(
	    &b,
	    "<ovf:Envelope xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1/'"
	    " xmlns:rasd='" OVF_CIM "CIM_ResourceAllocationSettingData'"
	    " xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>"
	    "<References><File ovf:href='img' ovf:id='dsk'/></References>"
	    "<Section xsi:type='ovf:DiskSection_Type'><Disk ovf:diskId='dsk' "
	    "ovf:fileRef='dsk' ovf:disk-interface='VirtIO_SCSI' "
	    "ovf:capacity='1' ovf:capacityAllocationUnits='byte * 2^30'/>"
	    "</Section>"
	    "<Content ovf:id='out' xsi:type='ovf:VirtualSystem_Type'>"
	    "<Name>box</Name><BiosType>4</BiosType>"
	    "<Section xsi:type='ovf:VirtualHardwareSection_Type'>"
	    "<Item><rasd:InstanceId>7</rasd:InstanceId>"
	    "<rasd:HostResource>img/dsk</rasd:HostResource>"
	    "<rasd:Parent>0</rasd:Parent>"
	    "<rasd:ResourceType>17</rasd:ResourceType></Item>"
	    "</Section></Content></ovf:Envelope>");
	drives_are(&b, 0, "dsk:img@scsi/0/0", "oVirt's dialect");
	ok(b.status == 0 && b.ovf.systems.v[0].vm.secure_boot,
	   "oVirt's firmware");
	done(&b);
}

static void
configurations(void)
{
	struct bench b;

	read_text(
	    &b, OVF_ENVELOPE(
		    "<DeploymentOptionSection><Configuration o:id='small'/>"
		    "<Configuration o:id='large' o:default='true'/>"
		    "</DeploymentOptionSection>" OVF_SYSTEM(
			"vm",
			OVF_ITEM("3", "<r:InstanceID>1</r:InstanceID>"
				      "<r:VirtualQuantity>1</"
				      "r:VirtualQuantity>") "<Item "
							    "o:configuration='"
							    "tiny "
							    "small'><r:"
							    "InstanceID>1"
							    "</"
							    "r:InstanceID><r:"
							    "ResourceType>3</"
							    "r:ResourceType>"
							    "<r:"
							    "VirtualQuantity>2<"
							    "/r:"
							    "VirtualQuantity></"
							    "Item>"
							    "<Item "
							    "o:configuration='"
							    "large'><r:"
							    "InstanceID>1"
							    "</"
							    "r:InstanceID><r:"
							    "ResourceType>3</"
							    "r:ResourceType>"
							    "<r:"
							    "VirtualQuantity>4<"
							    "/r:"
							    "VirtualQuantity></"
							    "Item>"
							    "<Item "
							    "o:bound='max'><r:"
							    "InstanceID>1"
							    "</"
							    "r:InstanceID><r:"
							    "ResourceType>3</"
							    "r:ResourceType>"
							    "<r:"
							    "VirtualQuantity>"
							    "64</"
							    "r:VirtualQuantity>"
							    "</Item>")));
	is_int(b.ovf.systems.v[0].vm.sockets, 4, "the default configuration");
	has_concern(&b, "DeploymentOption", "'large'");
	done(&b);
}

static void
concerns(void)
{
	struct bench b;

	read_text(
	    &b,
	    OVF_ENVELOPE(
		OVF_DISKS("<Disk o:diskId='d' o:fileRef='gone' "
			  "o:parentRef='base' o:capacity='-5'/>")
		    OVF_SYSTEM("vm", OVF_CPUS("many") OVF_MEMORY(
					 "18446744073709551615", "byte * 2^20")
					 OVF_DRIVE("17", "/disk/d", "", ""))));
	has_concern(&b, "OVFNotValid", "'many' is no number of processors");
	has_concern(&b, "DiskNotSupported", "delta");
	is_str(b.ovf.disks.v[0].bad_capacity, "-5", "an absurd capacity");
	is_int((long long)b.ovf.systems.v[0].concerns.n, 4, "all of them");
	done(&b);
	read_text(&b, OVF_ENVELOPE(OVF_SYSTEM(
			  "vm", OVF_DRIVE("17", "/disk/x", "", ""))));
	has_concern(&b, "OVFNotValid", "names '/disk/x'");
	done(&b);
}

static void
refuses(void)
{
	struct bench b;

	read_text(&b, "<html/>");
	like(b.err.text, "'html'", "something else");
	done(&b);
	read_text(&b, OVF_ENVELOPE(""));
	like(b.err.text, "no vm", "nothing in it");
	done(&b);
	read_text(&b, "<!DOCTYPE a><a/>");
	like(b.err.text, "document type", "a document type");
	done(&b);
}

/* Anything may be said about damaged input but a crash. */
static void
try_all(const char *data, size_t len)
{
	struct inventory *inv = inventory_new();
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct tar tar = {.arena = inv->arena};
	struct err err;
	struct ovf o;

	if (fs_write_all(fd, data, len, &err) == 0)
		(void)tar_read(fd, &tar, &err);
	for (size_t i = 0; i < tar.members.n; i++) {
		const struct tar_member *m = &tar.members.v[i];

		if (m->offset > len || m->size > len - m->offset)
			continue;
		if (ovf_parse(data + m->offset, (size_t)m->size, inv, &o,
			      &err) == 0)
			ovf_done(&o);
	}
	tar_done(&tar);
	close(fd);
	inventory_free(inv);
}

static void
mutate(struct buf *b, unsigned *seed)
{
	static const char *const words[] = {
	    "'>", "</", "<Item>", "99999999999999999999", "-1", "&#0;", "^"};

	for (int n = rand_r(seed) % 4; n >= 0; n--) {
		size_t at = (size_t)rand_r(seed) % b->len;
		const char *word = words[(size_t)rand_r(seed) % 7];

		switch (rand_r(seed) % 3) {
		case 0:
			b->data[at] = (char)rand_r(seed);
			break;
		case 1:
			b->data[at] ^= (char)(1 << rand_r(seed) % 8);
			break;
		default:
			for (size_t i = 0; word[i] && at + i < b->len; i++)
				b->data[at + i] = word[i];
		}
	}
	/* most damage is below the header, where the checksum is no help */
	if (rand_r(seed) % 2)
		tar_seal(b->data);
	if (rand_r(seed) % 16 == 0)
		b->len = (size_t)rand_r(seed) % b->len + 1;
}

static void
fuzz(void)
{
	static const char text[] = OVF_ENVELOPE(
	    OVF_REFERENCES(OVF_FILE("f", "a"))
		OVF_DISKS(OVF_DISK("d", "f", "9")) OVF_SYSTEM(
		    "vm", OVF_USUAL OVF_DRIVE("17", "/disk/d", "3", "0")
			      OVF_NIC("LAN", "<r:Address>"
					     "02:00:00:00:00:01"
					     "</r:Address>")));
	const char *given = getenv("SEED");
	unsigned first = given ? (unsigned)strtoul(given, NULL, 0)
			       : (unsigned)clock_wall_ms();
	int rounds = given ? 1000 : 4000;

	for (int i = 0; i < rounds; i++) {
		unsigned seed = first + (unsigned)i;
		struct buf b = {0};

		/* printed first: a crash must leave it behind */
		if (i % 1000 == 0 || given)
			tap_diag("seeds from %u on; SEED=N shows each", seed);
		tar_add_sized(&b, "a.ovf", text, sizeof(text) - 1,
			      (enum tar_size)(seed % 3));
		tar_end(&b);
		mutate(&b, &seed);
		try_all(b.data, b.len);
		buf_done(&b);
	}
	ok(true, "%d damaged archives", rounds);
}

int
main(void)
{
	units();
	families();
	pairs_by_reference();
	hardware();
	older_spelling();
	collections();
	version_2();
	ovirt();
	configurations();
	concerns();
	refuses();
	fuzz();
	return tap_done();
}

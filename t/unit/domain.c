/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt's domain XML: what is read of it, what cannot be carried; and damage
 * at random. */
#include "stages/source/libvirt_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "t/tap.h"

struct bench {
	struct inventory *inv;
	struct inv_vm *vm;
	struct domain d;
	struct err err;
	int status;
};

static void
read_text(struct bench *b, const char *text)
{
	memset(b, 0, sizeof(*b));
	b->inv = inventory_new();
	b->vm = inventory_add_vm(b->inv);
	b->status = domain_parse(text, b->inv, b->vm, &b->d, &b->err);
}

static void
done(struct bench *b)
{
	if (b->status == 0)
		domain_done(&b->d);
	inventory_free(b->inv);
}

#define NAMED(name, os, devices)                                      \
	"<domain type='qemu'><name>" name "</name>"                   \
	"<uuid>1f9447b5-c8a3-4c26-89da-ad167aa0c49d</uuid>"           \
	"<memory unit='MiB'>64</memory><vcpu>2</vcpu><os>" os "</os>" \
	"<devices>" devices "</devices></domain>"
#define HVM "<type arch='x86_64' machine='pc'>hvm</type>"
#define WITH(devices) NAMED("web", HVM, devices)
#define DISK(attrs, driver, source, target, more)                 \
	"<disk " attrs "><driver name='qemu' type='" driver "'/>" \
	"<source " source "/><target " target "/>" more "</disk>"
#define VDA                                                       \
	DISK("type='file' device='disk'", "raw", "file='/a.raw'", \
	     "dev='vda' bus='virtio'", "")

/* "id:format:where@bus/model/controller/unit" of each disk in boot order; one
 * that cannot be read ends with "!". */
static void
disks_are(const struct bench *b, const char *want, const char *name)
{
	struct buf got = {0};

	buf_adds(&got, "");
	for (size_t i = 0; b->status == 0 && i < b->vm->ndisks; i++) {
		const struct inv_disk *disk = &b->vm->disks[i];
		const struct domain_disk *d = &b->d.disks.v[i];

		buf_printf(&got, "%s%s:%s:", i ? " " : "", disk->id, d->format);
		if (d->volume)
			buf_printf(&got, "%s/%s", d->pool, d->volume);
		else
			buf_adds(&got, d->path ? d->path : "-");
		buf_printf(&got, "@%s/%s/%d/%d%s", disk->bus,
			   disk->controller_model, disk->controller, disk->unit,
			   d->blocked ? "!" : "");
	}
	is_str(got.data, want, name);
	buf_done(&got);
}

/* "Category Type" of each concern; "" for none. */
static void
concerns_are(const struct bench *b, const char *want, const char *name)
{
	struct buf got = {0};

	buf_adds(&got, "");
	for (size_t i = 0; i < b->d.concerns.n; i++)
		buf_printf(&got, "%s%s %s", i ? ", " : "",
			   finding_category_name(b->d.concerns.v[i].category),
			   b->d.concerns.v[i].type);
	is_str(got.data, want, name);
	buf_done(&got);
}

static void
plain(void)
{
	struct bench b;

	read_text(&b, WITH(VDA "<interface type='network'>"
			       "<mac address='52:54:00:AA:00:01'/>"
			       "<source network='default'/>"
			       "<model type='virtio'/></interface>"
			       "<interface type='bridge'>"
			       "<source bridge='default'/></interface>"
			       "<interface type='user'/>"));
	is_int(b.status, 0, "a plain domain is read");
	is_str(b.vm->name, "web", "its name");
	is_str(b.vm->id, "1f9447b5-c8a3-4c26-89da-ad167aa0c49d", "its id");
	is_int((long long)b.vm->memory_bytes, 64 << 20, "its memory");
	is_int(b.vm->sockets, 2, "its processors");
	ok(!b.vm->efi && !b.vm->secure_boot && !b.vm->tpm, "BIOS, no TPM");
	disks_are(&b, "disk-vda:raw:/a.raw@virtio//0/0", "its disk");
	is_int((long long)b.vm->nnics, 3, "its interfaces");
	is_str(b.vm->nics[0].mac, "52:54:00:aa:00:01", "a MAC in lower case");
	is_str(b.vm->nics[0].network_id, "default", "libvirt's network");
	is_str(b.vm->nics[1].network_name, "default", "a bridge of that name");
	is_str(b.vm->nics[1].network_id, "bridge:default", "is another");
	is_str(b.vm->nics[2].network_id, "user", "user networking");
	concerns_are(&b, "", "nothing is odd");
	done(&b);
}

static void
firmware(void)
{
	struct bench b;

	read_text(&b,
		  NAMED("web",
			"<type arch='x86_64' machine='q35'>hvm</type>"
			"<loader readonly='yes' secure='yes' type='pflash'>"
			"/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>",
			VDA "<tpm model='tpm-crb'><backend type='emulator'/>"
			    "</tpm>"));
	ok(b.vm->efi && b.vm->secure_boot && b.vm->tpm,
	   "q35, OVMF, secure boot and a TPM");
	concerns_are(&b, "Advisory FirmwareVariables, Warn TpmState",
		     "what they keep is not carried");
	done(&b);
	read_text(&b, "<domain><name>w</name><memory>1024</memory>"
		      "<os firmware='efi'>" HVM "</os><devices/></domain>");
	ok(b.vm->efi && !b.vm->secure_boot, "firmware chosen by libvirt");
	is_int((long long)b.vm->memory_bytes, 1 << 20, "KiB go without saying");
	done(&b);
	read_text(&b, NAMED("web", HVM "<kernel>/boot/vmlinuz</kernel>", VDA));
	concerns_are(&b, "Error DirectBoot", "a kernel of the host");
	done(&b);
}

static void
cpus(void)
{
	struct bench b;

	read_text(&b, "<domain><name>w</name><memory>1024</memory>"
		      "<vcpu current='4'>8</vcpu><cpu><topology sockets='1' "
		      "dies='1' cores='4' threads='2'/></cpu><os>" HVM
		      "</os><devices/></domain>");
	ok(b.vm->sockets == 4 && b.vm->cores == 1 && b.vm->threads == 1,
	   "what is plugged in does not fill a socket");
	concerns_are(&b, "Warn CpuHotplug", "and the rest is not carried");
	done(&b);
	read_text(&b, "<domain><name>w</name><memory>1024</memory>"
		      "<vcpu>8</vcpu><cpu><topology sockets='1' dies='1' "
		      "cores='4' threads='2'/></cpu><os>" HVM
		      "</os><devices/></domain>");
	ok(b.vm->sockets == 1 && b.vm->cores == 4 && b.vm->threads == 2,
	   "a topology");
	done(&b);
	read_text(&b, "<domain><name>w</name><memory unit='EiB'>1</memory>"
		      "<vcpu>99999999999999999999</vcpu><os>" HVM
		      "</os><devices/></domain>");
	is_int(b.vm->sockets, 1, "an absurd number of processors");
	concerns_are(&b, "Critical DomainNotValid, Critical DomainNotValid",
		     "and an unknown unit are told");
	done(&b);
}

static void
disks(void)
{
	struct bench b;

	read_text(&b,
		  WITH(DISK("type='file' device='disk'", "qcow2",
			    "file='/top.qcow2'", "dev='sdb' bus='scsi'",
			    "<boot order='2'/><backingStore type='file'>"
			    "<format type='raw'/><source file='/base.raw'/>"
			    "</backingStore><address type='drive' "
			    "controller='1' bus='0' target='0' unit='3'/>")
			   DISK("type='block' device='disk'", "raw",
				"dev='/dev/vg/web'", "dev='vda' bus='virtio'",
				"<boot order='1'/>")
			       DISK("type='volume' device='disk'", "qcow2",
				    "pool='default' volume='v.qcow2'",
				    "dev='vdc' bus='virtio'",
				    "") "<controller type='scsi' index='0' "
					"model='lsilogic'/>"
					"<controller type='scsi' index='1' "
					"model='vmpvscsi'/>"));
	disks_are(&b,
		  "disk-vda:raw:/dev/vg/web@virtio//0/0 "
		  "disk-sdb:qcow2:/top.qcow2@scsi/pvscsi/1/3 "
		  "disk-vdc:qcow2:default/v.qcow2@virtio//0/2",
		  "in boot order: block, snapshot chain, volume");
	concerns_are(&b, "", "all of which are read");
	done(&b);
	read_text(&b,
		  WITH("<disk type='file' device='disk'>"
		       "<source file='/x.img'/><target dev='vda'/></disk>"));
	disks_are(&b, "disk-vda:raw:/x.img@//0/0",
		  "a format that is not given is raw, and never looked for");
	done(&b);
	read_text(&b, WITH("<disk type='file' device='cdrom'>"
			   "<target dev='sda' bus='sata'/></disk>"
			   "<disk type='file' device='cdrom'>"
			   "<source file='/cd.iso'/>"
			   "<target dev='sdb' bus='sata'/></disk>"));
	disks_are(&b, "", "drives are no disks");
	concerns_are(&b, "Warn MediumInDrive", "a medium is mentioned");
	done(&b);
}

/* Of one disk: its concerns, and whether it can be read. */
static const struct {
	const char *disk, *concerns;
	bool is_read;
} odd[] = {
    {DISK("type='network' device='disk'", "raw", "protocol='rbd' name='p/i'",
	  "dev='vda' bus='virtio'", ""),
     "Critical DiskNotReadable", false},
    {DISK("type='nvme' device='disk'", "raw", "type='pci'", "dev='vda'", ""),
     "Critical DiskNotReadable", false},
    {DISK("type='file' device='disk'", "vmdk", "file='/a'", "dev='vda'", ""),
     "Critical DiskNotReadable", false},
    {DISK("type='file' device='disk'", "raw", "file=''", "dev='vda'", ""),
     "Critical DiskNotReadable", false},
    {"<disk type='file' device='disk'><driver type='raw'/><source file='/a'>"
     "<slices><slice type='storage' offset='1' size='2'/></slices></source>"
     "<target dev='vda'/></disk>",
     "Critical DiskNotReadable", false},
    {"<disk type='file' device='disk'><driver type='raw'/><source file='/a'>"
     "<encryption format='luks'/></source><target dev='vda'/></disk>",
     "Critical DiskNotReadable", false},
    {DISK("type='file' device='disk'", "raw", "file='/a'", "dev='vda'",
	  "<shareable/>"),
     "Error SharedDisk", true},
    {DISK("type='file' device='disk'", "raw", "file='/a'", "dev='vda'",
	  "<readonly/>"),
     "Advisory ReadOnlyDisk", true},
    {DISK("type='file' device='disk'", "raw", "file='/a'", "dev='vda'",
	  "<transient/>"),
     "Warn TransientDisk", true},
    {DISK("type='file' device='disk'", "raw", "file='/a'", "dev='vda'",
	  "<mirror type='file' job='copy'/>"),
     "Error DiskJobRuns", true},
    {DISK("type='file' device='disk'", "raw", "file='/a'", "dev='vda'",
	  "<blockio logical_block_size='4096'/>"),
     "Error SectorSize", true},
    {DISK("type='block' device='lun'", "raw", "dev='/dev/sdx'", "dev='sda'",
	  ""),
     "Warn PassthroughDisk", true},
    {"<hostdev mode='subsystem' type='pci'/>", "Critical PassthroughDevice",
     true},
    {"<filesystem type='mount'><driver type='virtiofs'/></filesystem>",
     "Warn SharedDirectory", true},
    {"<interface type='hostdev'/>", "Warn PassthroughNic", true},
    {"<interface type='user'><link state='down'/></interface>", "Warn LinkDown",
     true},
};

static void
oddities(void)
{
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		CLEANUP(mem_freep)
		char *text = mem_printf(WITH("%s"), odd[i].disk);
		struct bench b;

		read_text(&b, text);
		concerns_are(&b, odd[i].concerns, odd[i].disk);
		if (b.vm->ndisks)
			ok(b.d.disks.v[0].blocked != odd[i].is_read,
			   "and is %sread", odd[i].is_read ? "" : "not ");
		done(&b);
	}
}

static void
names(void)
{
	struct bench b;

	read_text(
	    &b, NAMED("a &lt;b&gt; \"&amp;' \xc3\xbc", HVM,
		      DISK("type='file' device='disk'", "raw",
			   "file='/a &amp; b/$(x),y.raw'", "dev='v../a'", "")));
	is_str(b.vm->name, "a <b> \"&' \xc3\xbc", "a name of any characters");
	disks_are(&b, "disk-0:raw:/a & b/$(x),y.raw@//0/0",
		  "and a path of any; a disk's id of but a few");
	done(&b);
	read_text(&b, NAMED("web" DOMAIN_FENCED, HVM, ""));
	is_str(b.vm->name, "web", "a fence does not change the name");
	done(&b);
	read_text(&b, NAMED(DOMAIN_FENCED, HVM, ""));
	is_str(b.vm->name, DOMAIN_FENCED, "of one that has another");
	done(&b);
	read_text(&b, "<domain><name>w</name><memory>1</memory><metadata>"
		      "<l:libosinfo xmlns:l='http://libosinfo.org/xmlns/"
		      "libvirt/domain/1.0'><l:os id='http://microsoft.com/"
		      "win/11'/></l:libosinfo></metadata><os>" HVM
		      "</os><devices/></domain>");
	is_str(b.vm->os, "http://microsoft.com/win/11", "its system");
	is_str(b.vm->os_family, "windows", "and of what family that is");
	done(&b);
	read_text(&b, "<network/>");
	like(b.err.text, "it is no domain's XML", "another document");
	done(&b);
	read_text(&b, "<domain");
	is_int((int)b.err.class, ERR_FAIL, "no document");
	done(&b);
}

static void
link_is(const char *text, size_t n, bool up, const char *want)
{
	CLEANUP(mem_freep) char *got = domain_nic_xml(text, n, up);

	is_str(got ? got : "none", want, want);
}

static void
links(void)
{
	CLEANUP(json_decrefp) json_t *up = NULL;
	struct err err;
	const char *text =
	    WITH("<interface type=\"user\"/><interface type=\"bridge\">"
		 "<mac address=\"52:54:00:00:00:01\"/>"
		 "<link state=\"up\"/><alias name=\"a&gt;b\"/></interface>");

	link_is(text, 0, false,
		"<interface type=\"user\"><link state=\"down\"/></interface>");
	link_is(text, 1, false,
		"<interface type=\"bridge\"><link state=\"down\"/>"
		"<mac address=\"52:54:00:00:00:01\"/>"
		"<alias name=\"a&gt;b\"/></interface>");
	link_is(text, 2, false, "none");
	up = domain_links_up(WITH("<interface/><interface><link state='down'/>"
				  "</interface><interface/>"),
			     &err);
	ok(json_array_size(up) == 2 &&
	       json_integer_value(json_array_get(up, 1)) == 2,
	   "the first and the third are up");
}

/* Whatever is broken, it is read or refused. */
static void
damage(unsigned seed)
{
	const char *text = WITH(VDA "<interface type='network'>"
				    "<source network='d'/></interface>");
	CLEANUP(mem_freep) char *copy = mem_strdup(text);
	size_t len = strlen(text);

	srand(seed);
	for (int i = 0; i < 2000; i++) {
		struct bench b;

		memcpy(copy, text, len);
		for (int j = rand() % 4; j >= 0; j--)
			copy[(size_t)rand() % len] = (char)(rand() % 127 + 1);
		read_text(&b, copy);
		done(&b);
	}
	ok(true, "2000 times damaged at random, seed %u", seed);
}

int
main(void)
{
	const char *seed = getenv("SEED");

	plain();
	firmware();
	cpus();
	disks();
	oddities();
	names();
	links();
	damage(seed ? (unsigned)strtoul(seed, NULL, 10)
		    : (unsigned)clock_wall_ms());
	return tap_done();
}

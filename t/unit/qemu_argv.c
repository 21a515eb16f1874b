/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the command line and the XML made of a shape. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "stages/target/qemu.h"
#include "stages/target/xml.h"
#include "t/tap.h"

static struct inv_disk disk = {.id = "disk-0", .capacity_bytes = 1};
static struct shape_disk disks[8];
static struct shape_nic nics[2] = {
    {.type = NETWORK_POD, .mac = "52:54:00:00:00:01", .model = "virtio"},
    {.type = NETWORK_MULTUS,
     .name = "br0",
     .mac = "52:54:00:00:00:02",
     .model = "e1000e"}};
static struct shape shape = {.name = "web",
			     .sockets = 2,
			     .cores = 3,
			     .threads = 1,
			     .memory_bytes = 1536ULL * 1024 * 1024 + 1,
			     .disks = disks,
			     .ndisks = 1,
			     .nics = nics,
			     .nnics = 2};
static struct volume volumes[8];

/* The words after "the program", each in angle brackets. */
static char *
joined(const struct qemu_machine *m)
{
	CLEANUP(qemu_argv_freep) char **argv = qemu_argv(m);
	struct buf b = {0};

	for (size_t i = 0; argv[i]; i++)
		buf_printf(&b, "<%s>", argv[i]);
	return buf_steal(&b);
}

static struct qemu_machine
machine(void)
{
	for (size_t i = 0; i < 8; i++) {
		disks[i] = (struct shape_disk){.source = &disk,
					       .storage_class = "",
					       .format = "raw",
					       .bus = "virtio",
					       .volume = "disk",
					       .boot_order = i == 0};
		volumes[i] = (struct volume){.path = (char *)"/a,b \"c\".raw",
					     .format = "raw"};
	}
	shape.ndisks = 1;
	shape.efi = shape.secure_boot = false;
	return (struct qemu_machine){.shape = &shape,
				     .volumes = volumes,
				     .nvram = "/n,v",
				     .serial = "/c,o"};
}

static void
test_argv(void)
{
	struct qemu_machine m = machine();
	CLEANUP(mem_freep) char *line = joined(&m);

	like(line, "<qemu-system-x86_64>", "the program");
	like(line, "<-cpu><max>", "in software all features");
	like(line, "<-smp><6,sockets=2,cores=3,threads=1>", "topology");
	like(line, "<-m><1537M>", "memory is rounded up");
	like(line, "\"filename\":\"/a,b \\\"c\\\".raw\"", "paths are JSON");
	like(line, "<virtio-blk-pci,drive=disk0,bootindex=1>", "boot disk");
	like(line, "<user,id=net0>", "pod is user mode");
	like(line, "<bridge,id=net1,br=br0>", "multus is a bridge");
	like(line, "<e1000e,netdev=net1,mac=52:54:00:00:00:02,romfile=>",
	     "model and address are kept");
	like(line, "path=/c,,o", "commas are doubled");
	ok(!strstr(line, "pflash"), "BIOS has no flash");
	ok(!strstr(line, "-mon"), "no monitor unless asked for");
}

static void
test_isolated(void)
{
	struct qemu_machine m = machine();
	CLEANUP(mem_freep) char *line = NULL;

	m.isolated = true;
	line = joined(&m);
	like(line, "<hubport,id=net0,hubid=0>", "a card that leads nowhere");
	like(line, "<hubport,id=net1,hubid=1>", "not even to the other");
	ok(!strstr(line, "<user,") && !strstr(line, "<bridge,"),
	   "and no other way out");
}

static void
test_firmware(void)
{
	struct qemu_machine m = machine();
	CLEANUP(mem_freep) char *plain = NULL, *secure = NULL;

	shape.efi = true;
	plain = joined(&m);
	like(plain, "readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
	     "UEFI's code is only read");
	like(plain, "unit=1,format=raw,file=/n,,v", "its variables are ours");
	shape.secure_boot = true;
	secure = joined(&m);
	like(secure, "smm=on", "secure boot needs SMM");
	like(secure, "OVMF_CODE_4M.ms.fd", "and the enrolled keys");
}

/* A q35 board has six ports; the seventh disk wants a controller. */
static void
test_sata(void)
{
	struct qemu_machine m = machine();
	CLEANUP(mem_freep) char *line = NULL;

	shape.ndisks = 8;
	for (size_t i = 0; i < 8; i++)
		disks[i].bus = "sata";
	line = joined(&m);
	like(line, "<ide-hd,bus=ide.5,drive=disk5>", "six on board");
	like(line, "<ahci,id=sata1>", "one more controller");
	like(line, "<ide-hd,bus=sata1.1,drive=disk7>", "for the rest");
}

static void
test_xml(void)
{
	CLEANUP(buf_done) struct buf b = {0};
	struct qemu_machine m = machine();
	CLEANUP(mem_freep) char *xml = NULL, *own = NULL;
	char name[16];

	xml_printf(&b, "<a b='%s'>%u</a>", "<&'\">\n\x01", 7u);
	is_str(b.data, "<a b='&lt;&amp;&apos;&quot;&gt;&#10;?'>7</a>",
	       "XML is escaped");
	volumes[0].path = (char *)"/it's <here> & there";
	xml = qemu_domain_xml(&m);
	like(xml, "file='/it&apos;s &lt;here&gt; &amp; there'", "in a domain");
	like(xml, "<domain type='qemu'>", "of type qemu under TCG");
	like(xml, "<boot order='1'/>", "with its boot order");
	like(xml, "<source bridge='br0'/>", "and its bridge");
	m.libvirts_own = true;
	m.networks = (const bool[]){true, true};
	m.metadata = "<x:claim xmlns:x='y'/>";
	own = qemu_domain_xml(&m);
	like(own, "<metadata>\n<x:claim xmlns:x='y'/>",
	     "libvirt's has metadata");
	like(own, "<source network='br0'/>", "may have a network of its own");
	like(own, "<serial type='pty'/>", "its console where libvirt has it");
	like(own, "<listen type='socket'/>", "and no port for its screen");
	like(own, "org.qemu.guest_agent.0", "and a channel for its agent");
	qemu_device_name("sd", 25, name);
	is_str(name, "sdz", "the 26th disk");
	qemu_device_name("sd", 26, name);
	is_str(name, "sdaa", "the 27th disk");
	qemu_device_name("vd", 701, name);
	is_str(name, "vdzz", "the 702nd disk");
	qemu_device_name("vd", 702, name);
	is_str(name, "vdaaa", "the 703rd disk");
}

static void
test_uuid(void)
{
	struct plan plan = {.o = {.namespace = "demo", .name = "move"}};
	struct plan_vm pvm = {.key = "web"};
	struct inv_vm vm = {.uuid = "564D0000-1111-2222-3333-444455556666"};
	struct target_vm t = {.plan = &plan, .pvm = &pvm, .vm = &vm};
	CLEANUP(mem_freep) char *own = qemu_uuid(&t);
	CLEANUP(mem_freep) char *derived = NULL, *again = NULL;

	is_str(own, vm.uuid, "the source's uuid is kept");
	vm.uuid = "not a uuid, 36 bytes long, is it ...";
	derived = qemu_uuid(&t);
	again = qemu_uuid(&t);
	is_int((long long)strlen(derived), 36, "else one is derived");
	is_str(derived, again, "always the same");
}

int
main(void)
{
	test_argv();
	test_isolated();
	test_firmware();
	test_sata();
	test_xml();
	test_uuid();
	return tap_done();
}

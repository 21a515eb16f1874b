/* SPDX-License-Identifier: Apache-2.0 */
/* Domain XML: the machine, its disks and interfaces, and what of it nobody can
 * carry. */
#include "stages/source/libvirt_xml.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "io/xml.h"

#define QEMU_NS "http://libvirt.org/schemas/domain/qemu/1.0"
#define DISKS_LIMIT 1000
#define CPUS_LIMIT 65536

struct reading {
	struct inventory *inv;
	struct inv_vm *vm;
	struct domain *d;
	const struct xml_node *root, *os, *devices;
};

static const char *
attr(const struct xml_node *n, const char *name)
{
	const char *value = xml_attr(n, NULL, name);

	return value ? value : "";
}

static const struct xml_node *
child(const struct xml_node *n, const char *name)
{
	return xml_child(n, "", name);
}

static bool
is(const struct xml_node *n, const char *name, const char *value)
{
	return strcmp(attr(n, name), value) == 0;
}

static const char *
keep(const struct reading *r, const char *text)
{
	return arena_strdup(r->inv->arena, text);
}

/* A whole number, else `fallback`. */
static uint64_t
number(const char *text, uint64_t fallback)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return fallback;
	n = strtoull(text, &end, 10);
	return *end ? fallback : n;
}

/* --- the machine -------------------------------------------------------- */

static uint64_t
unit_bytes(const char *unit)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = {
	    {"", 1 << 10},	   {"b", 1},	      {"bytes", 1},
	    {"KB", 1000},	   {"k", 1 << 10},    {"KiB", 1 << 10},
	    {"MB", 1000000},	   {"M", 1 << 20},    {"MiB", 1 << 20},
	    {"GB", 1000000000},	   {"G", 1 << 30},    {"GiB", 1 << 30},
	    {"TB", 1000000000000}, {"T", 1ULL << 40}, {"TiB", 1ULL << 40},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(units[i].name, unit))
			return units[i].bytes;
	return 0;
}

static void
read_memory(struct reading *r)
{
	const struct xml_node *n = child(r->root, "memory");
	uint64_t size = number(xml_text(n), 0);

	if (__builtin_mul_overflow(size, unit_bytes(attr(n, "unit")),
				   &r->vm->memory_bytes) ||
	    r->vm->memory_bytes == 0)
		findings_add(&r->d->concerns, FINDING_CRITICAL,
			     "DomainNotValid",
			     "'%s' x '%s' is no size of "
			     "memory",
			     xml_text(n), attr(n, "unit"));
}

/* Processors that were never plugged in are not carried. */
static void
read_cpus(struct reading *r)
{
	const struct xml_node *vcpu = child(r->root, "vcpu");
	const struct xml_node *t = child(child(r->root, "cpu"), "topology");
	uint64_t most = number(xml_text(vcpu), 1);
	uint64_t n = number(attr(vcpu, "current"), most);
	uint64_t cores = number(attr(t, "cores"), 1);
	uint64_t threads = number(attr(t, "threads"), 1);

	if (n == 0 || n > most || most > CPUS_LIMIT) {
		findings_add(&r->d->concerns, FINDING_CRITICAL,
			     "DomainNotValid",
			     "'%s' is no number of processors", xml_text(vcpu));
		most = n = 1;
	}
	if (n != most)
		findings_add(&r->d->concerns, FINDING_WARN, "CpuHotplug",
			     "%llu of at most %llu processors are plugged in: "
			     "the vm gets those, and no room for more",
			     (unsigned long long)n, (unsigned long long)most);
	if (cores == 0 || threads == 0 || cores > n || threads > n ||
	    n % (cores * threads))
		cores = threads = 1;
	r->vm->sockets = (unsigned)(n / (cores * threads));
	r->vm->cores = (unsigned)cores;
	r->vm->threads = (unsigned)threads;
}

static bool
has_feature(const struct xml_node *firmware, const char *name)
{
	const struct xml_node *n = child(firmware, "feature");

	for (; n; n = xml_next(n, "", "feature"))
		if (is(n, "name", name) && is(n, "enabled", "yes"))
			return true;
	return false;
}

static void
read_firmware(struct reading *r)
{
	const struct xml_node *loader = child(r->os, "loader");
	const char *path = xml_text(loader);

	/* OVMF can be loaded as one ROM, too */
	r->vm->efi = is(r->os, "firmware", "efi") ||
		     is(loader, "type", "pflash") || strcasestr(path, "ovmf") ||
		     strcasestr(path, "edk2");
	r->vm->secure_boot =
	    r->vm->efi &&
	    (is(loader, "secure", "yes") ||
	     has_feature(child(r->os, "firmware"), "secure-boot"));
	if (r->vm->efi)
		findings_add(&r->d->concerns, FINDING_ADVISORY,
			     "FirmwareVariables",
			     "the firmware's variables (boot entries, keys "
			     "enrolled by hand) stay behind: the vm boots by "
			     "its disks' default loader");
	if (child(r->os, "kernel"))
		findings_add(&r->d->concerns, FINDING_ERROR, "DirectBoot",
			     "it boots the kernel '%s' of its host, which is "
			     "on none of its disks; let it boot from a disk",
			     xml_text(child(r->os, "kernel")));
}

static void
read_machine(struct reading *r)
{
	const struct xml_node *type = child(r->os, "type");
	const char *arch = attr(type, "arch");

	if (strcmp(xml_text(type), "hvm") != 0)
		findings_add(&r->d->concerns, FINDING_CRITICAL,
			     "MachineNotSupported",
			     "it is of type '%s'; only full virtual machines "
			     "('hvm') are moved",
			     xml_text(type));
	if (*arch && strcmp(arch, "x86_64") != 0 && strcmp(arch, "i686") != 0)
		findings_add(&r->d->concerns, FINDING_CRITICAL,
			     "ArchitectureNotSupported",
			     "its processor is '%s'; only x86 is moved", arch);
	if (child(r->root, "launchSecurity"))
		findings_add(&r->d->concerns, FINDING_CRITICAL,
			     "ConfidentialComputing",
			     "its memory is encrypted (launchSecurity), which "
			     "no target has");
	if (xml_child(r->root, QEMU_NS, "commandline"))
		findings_add(&r->d->concerns, FINDING_WARN, "QemuArguments",
			     "arguments for QEMU itself stay behind");
}

/* --- the guest's system ------------------------------------------------- */

static const char *
family_of(const char *id)
{
	static const struct {
		const char *part, *family;
	} known[] = {
	    {"microsoft.com/", "windows"},
	    {"freebsd.org/", "other"},
	    {"netbsd.org/", "other"},
	    {"openbsd.org/", "other"},
	    {"debian.org/", "linux"},
	    {"ubuntu.com/", "linux"},
	    {"redhat.com/", "linux"},
	    {"fedoraproject.org/", "linux"},
	    {"centos.org/", "linux"},
	    {"almalinux.org/", "linux"},
	    {"rockylinux.org/", "linux"},
	    {"oracle.com/ol/", "linux"},
	    {"suse.com/", "linux"},
	    {"opensuse.org/", "linux"},
	    {"amazon.com/", "linux"},
	    {"alpinelinux.org/", "linux"},
	    {"archlinux.org/", "linux"},
	    {"gentoo.org/", "linux"},
	    {"libosinfo.org/linux/", "linux"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strstr(id, known[i].part))
			return known[i].family;
	return "";
}

/* What libosinfo's tools wrote beside it: "http://debian.org/debian/12". */
static void
read_os(struct reading *r)
{
	const struct xml_node *info =
	    xml_child(child(r->root, "metadata"), NULL, "libosinfo");
	const char *id = attr(xml_child(info, NULL, "os"), "id");

	r->vm->os = keep(r, id);
	r->vm->os_family = family_of(id);
}

/* --- disks -------------------------------------------------------------- */

static const struct xml_node *
controller_of(const struct reading *r, const char *type, const char *index)
{
	const struct xml_node *n = child(r->devices, "controller");

	for (; n; n = xml_next(n, "", "controller"))
		if (is(n, "type", type) && is(n, "index", index))
			return n;
	return NULL;
}

static const char *
controller_model(const struct reading *r, const char *bus, const char *index)
{
	const char *model = attr(controller_of(r, bus, index), "model");

	return keep(r, strcmp(model, "vmpvscsi") ? model : "pvscsi");
}

static int
small_number(const char *text, int fallback)
{
	uint64_t n = number(text, (uint64_t)fallback);

	return n > INT_MAX ? fallback : (int)n;
}

static void
place_disk(const struct reading *r, const struct xml_node *n,
	   struct inv_disk *disk)
{
	const struct xml_node *a = child(n, "address");

	disk->bus = keep(r, attr(child(n, "target"), "bus"));
	disk->unit = (int)r->vm->ndisks - 1;
	disk->controller_model = "";
	if (!is(a, "type", "drive"))
		return;
	disk->controller = small_number(attr(a, "controller"), 0);
	disk->unit = small_number(attr(a, "unit"), 0);
	disk->controller_model =
	    controller_model(r, disk->bus, attr(a, "controller"));
}

/* The target's name is the domain's own key, and no two disks share it; a
 * number would change its disk when one is added before it. */
static const char *
disk_id(const struct reading *r, const char *target)
{
	size_t len = strlen(target);

	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)target[i]) &&
		    !isdigit((unsigned char)target[i]))
			len = 0;
	if (len == 0 || len > 20)
		return arena_printf(r->inv->arena, "disk-%zu",
				    r->vm->ndisks - 1);
	return arena_printf(r->inv->arena, "disk-%s", target);
}

/* Why such a disk cannot be read at all; NULL: it can. */
static const char *
obstacle(const struct xml_node *n, const struct domain_disk *disk)
{
	const struct xml_node *source = child(n, "source");

	if (is(n, "type", "network"))
		return "it is read from the network; palletjack reads files, "
		       "block devices and volumes of such. Map it to a block "
		       "device of its host, or copy it to a pool";
	if (strcmp(attr(n, "type"), "file") &&
	    strcmp(attr(n, "type"), "block") &&
	    strcmp(attr(n, "type"), "volume"))
		return "it is no file, block device or volume";
	if (!disk->path && !disk->volume)
		return "it names no image";
	if (child(n, "encryption") || child(source, "encryption"))
		return "it is encrypted by its host; decrypt it with "
		       "'qemu-img convert'";
	if (child(source, "slices"))
		return "it is a part of its file; give it a file of its own "
		       "with 'qemu-img convert'";
	if (strcmp(disk->format, "raw") != 0 &&
	    strcmp(disk->format, "qcow2") != 0)
		return "its format is not read; change it with 'qemu-img "
		       "convert -O qcow2'";
	return NULL;
}

/* --- what is odd about a disk but does not keep from reading it --- */

static void
disk_concerns(struct reading *r, const struct xml_node *n, const char *target)
{
	struct findings *f = &r->d->concerns;
	const char *sector = attr(child(n, "blockio"), "logical_block_size");

	if (child(n, "shareable"))
		findings_add(f, FINDING_ERROR, "SharedDisk",
			     "disk '%s' is shared with other domains, and what "
			     "they write while it is copied would be lost; "
			     "detach it, or take <shareable/> off it",
			     target);
	if (child(n, "readonly"))
		findings_add(f, FINDING_ADVISORY, "ReadOnlyDisk",
			     "disk '%s' cannot be written by its guest; at the "
			     "target it can",
			     target);
	if (child(n, "transient"))
		findings_add(f, FINDING_WARN, "TransientDisk",
			     "what is written to disk '%s' is thrown away when "
			     "the domain stops, and is not moved",
			     target);
	if (child(n, "mirror"))
		findings_add(f, FINDING_ERROR, "DiskJobRuns",
			     "a job copies disk '%s' just now; wait until it "
			     "is over, or end it with 'virsh blockjob'",
			     target);
	if (*sector && strcmp(sector, "512") != 0)
		findings_add(f, FINDING_ERROR, "SectorSize",
			     "disk '%s' has sectors of %s bytes, but 512 at "
			     "the target, where its partitions would not be "
			     "found",
			     target, sector);
	if (is(n, "device", "lun"))
		findings_add(f, FINDING_WARN, "PassthroughDisk",
			     "disk '%s' hands SCSI commands to its host's "
			     "device; at the target it is an ordinary disk",
			     target);
}

static void
read_disk(struct reading *r, const struct xml_node *n)
{
	const char *target = attr(child(n, "target"), "dev");
	const char *format = attr(child(n, "driver"), "type");
	const struct xml_node *source = child(n, "source");
	const char *path = attr(source, "file");
	struct inv_disk *disk = inventory_add_disk(r->inv, r->vm);
	struct domain_disk *from = vec_push(&r->d->disks);
	const char *why;

	if (!*path)
		path = attr(source, "dev");
	from->target = disk->name = keep(r, target);
	from->format = keep(r, *format ? format : "raw");
	from->path = *path ? keep(r, path) : NULL;
	from->is_block = is(n, "type", "block");
	if (is(n, "type", "volume") && *attr(source, "volume")) {
		from->pool = keep(r, attr(source, "pool"));
		from->volume = keep(r, attr(source, "volume"));
	}
	disk->id = disk_id(r, target);
	disk->format = from->format;
	place_disk(r, n, disk);
	why = obstacle(n, from);
	from->blocked = why != NULL;
	if (why)
		findings_add(&r->d->concerns, FINDING_CRITICAL,
			     "DiskNotReadable", "disk '%s': %s", target, why);
	disk_concerns(r, n, target);
}

/* A drive whose medium can be changed is not moved. */
static bool
is_drive(struct reading *r, const struct xml_node *n)
{
	const struct xml_node *source = child(n, "source");

	if (!is(n, "device", "cdrom") && !is(n, "device", "floppy"))
		return false;
	if (source)
		findings_add(&r->d->concerns, FINDING_WARN, "MediumInDrive",
			     "%s drive '%s' and the medium in it stay behind",
			     attr(n, "device"),
			     attr(child(n, "target"), "dev"));
	return true;
}

/* Where it stands in the order of boot; those that say nothing come last, in
 * the order that they are written in. */
static uint64_t
boot_rank(const struct xml_node *n)
{
	return number(attr(child(n, "boot"), "order"), UINT64_MAX);
}

static void
read_disks(struct reading *r)
{
	VEC(const struct xml_node *) found = {0};
	const struct xml_node *n = child(r->devices, "disk");

	for (; n && found.n < DISKS_LIMIT; n = xml_next(n, "", "disk")) {
		size_t at = found.n;

		if (is_drive(r, n))
			continue;
		*vec_push(&found) = NULL;
		for (; at && boot_rank(found.v[at - 1]) > boot_rank(n); at--)
			found.v[at] = found.v[at - 1];
		found.v[at] = n;
	}
	if (n)
		findings_add(&r->d->concerns, FINDING_CRITICAL,
			     "DomainNotValid", "it has more than %d disks",
			     DISKS_LIMIT);
	for (size_t i = 0; i < found.n; i++)
		read_disk(r, found.v[i]);
	vec_done(&found);
}

/* --- interfaces --------------------------------------------------------- */

static const char *
keep_lower(const struct reading *r, const char *text)
{
	char *copy = arena_strdup(r->inv->arena, text);

	for (char *c = copy; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

/* A libvirt network is called as libvirt does; what is not libvirt's bears its
 * kind in its id, for a bridge may have a network's name. */
static void
name_network(const struct reading *r, const struct xml_node *n,
	     struct inv_nic *nic)
{
	const struct xml_node *source = child(n, "source");
	const char *type = attr(n, "type"), *name = "";

	if (!strcmp(type, "network"))
		name = attr(source, "network");
	else if (!strcmp(type, "bridge"))
		name = attr(source, "bridge");
	else if (!strcmp(type, "direct"))
		name = attr(source, "dev");
	if (!*name)
		name = type;
	nic->network_name = keep(r, name);
	nic->network_id = nic->network_name;
	if (strcmp(type, "network") != 0 && strcmp(type, name) != 0)
		nic->network_id =
		    arena_printf(r->inv->arena, "%s:%s", type, name);
}

static void
read_nics(struct reading *r)
{
	const struct xml_node *n = child(r->devices, "interface");

	for (size_t i = 0; n; n = xml_next(n, "", "interface"), i++) {
		struct inv_nic *nic = inventory_add_nic(r->inv, r->vm);

		nic->name = arena_printf(r->inv->arena, "nic-%zu", i);
		nic->mac = keep_lower(r, attr(child(n, "mac"), "address"));
		nic->model = keep(r, attr(child(n, "model"), "type"));
		name_network(r, n, nic);
		if (is(n, "type", "hostdev"))
			findings_add(&r->d->concerns, FINDING_WARN,
				     "PassthroughNic",
				     "interface %zu (%s) is a device of its "
				     "host; at the target it is an ordinary "
				     "one",
				     i + 1, nic->mac);
		if (is(child(n, "link"), "state", "down"))
			findings_add(&r->d->concerns, FINDING_WARN, "LinkDown",
				     "interface %zu (%s) has its link down; at "
				     "the target it is up",
				     i + 1, nic->mac);
	}
}

/* --- other devices ------------------------------------------------------ */

static void
read_others(struct reading *r)
{
	static const struct {
		const char *name;
		enum finding_category category;
		const char *type, *text;
	} known[] = {
	    {"hostdev", FINDING_CRITICAL, "PassthroughDevice",
	     "a device of its host is passed through, which no target has; "
	     "detach it"},
	    {"filesystem", FINDING_WARN, "SharedDirectory",
	     "a directory of its host is shared with the guest, and stays "
	     "behind"},
	    {"shmem", FINDING_WARN, "SharedMemory",
	     "it shares memory with its host, and will not at the target"},
	    {"nvram", FINDING_WARN, "Nvram", "its NVRAM device stays behind"},
	    {"tpm", FINDING_WARN, "TpmState",
	     "the state of its TPM stays behind: what is sealed by it "
	     "(BitLocker, LUKS) wants its recovery key"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (child(r->devices, known[i].name))
			findings_add(&r->d->concerns, known[i].category,
				     known[i].type, "%s", known[i].text);
	r->vm->tpm = child(r->devices, "tpm") != NULL;
}

static const char *
name_without_fence(const struct reading *r, const char *name)
{
	size_t len = strlen(name), ending = strlen(DOMAIN_FENCED);

	if (len > ending && !strcmp(name + len - ending, DOMAIN_FENCED))
		len -= ending;
	return arena_strndup(r->inv->arena, name, len);
}

int
domain_parse(const char *text, struct inventory *inv, struct inv_vm *vm,
	     struct domain *ret, struct err *err)
{
	CLEANUP(xml_freep) struct xml *xml = NULL;
	struct reading r = {.inv = inv, .vm = vm, .d = ret};

	if (xml_parse(text, strlen(text), &xml, err) < 0)
		return -1;
	r.root = xml_root(xml);
	if (!xml_is(r.root, "", "domain"))
		return err_set(err, ERR_FAIL,
			       "it is no domain's XML: it begins with <%s>",
			       xml_name(r.root));
	memset(ret, 0, sizeof(*ret));
	ret->concerns.arena = inv->arena;
	r.os = child(r.root, "os");
	r.devices = child(r.root, "devices");
	vm->name = name_without_fence(&r, xml_text(child(r.root, "name")));
	vm->id = vm->uuid = keep(&r, xml_text(child(r.root, "uuid")));
	read_machine(&r);
	read_cpus(&r);
	read_memory(&r);
	read_firmware(&r);
	read_os(&r);
	read_disks(&r);
	read_nics(&r);
	read_others(&r);
	return 0;
}

void
domain_done(struct domain *d)
{
	vec_done(&d->disks);
	findings_done(&d->concerns);
}

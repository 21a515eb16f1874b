/* SPDX-License-Identifier: Apache-2.0 */
/* One vm's virtual hardware: items, and what hangs on what. */
#include "stages/source/ovf.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define VMWARE_NS "http://www.vmware.com/schema/ovf"
#define CIM_NS "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
#define NBUSES 5
#define ITEMS_LIMIT 10000

enum resource {
	RESOURCE_OTHER = 1,
	RESOURCE_CPU = 3,
	RESOURCE_MEMORY = 4,
	RESOURCE_IDE = 5,
	RESOURCE_SCSI = 6,
	RESOURCE_NIC = 10,
	RESOURCE_FLOPPY = 14,
	RESOURCE_CD = 15,
	RESOURCE_DVD = 16,
	RESOURCE_DISK = 17,
	RESOURCE_STORAGE = 20,
	RESOURCE_LOGICAL_DISK = 31,
};

struct item {
	const struct xml_node *node;
	const char *ns; /* of its children */
	const char *id;
	uint64_t type;
	/* controllers only */
	const char *bus;
	int number;
};

struct hardware {
	struct ovf *ovf;
	struct ovf_system *system;
	VEC(struct item) items;
	struct strmap ids;
	uint64_t ncpus, cores_per_socket;
};

static const char *
text_of(const struct item *i, const char *name)
{
	return xml_text(xml_child(i->node, i->ns, name));
}

static const char *
keep(const struct hardware *h, const char *text)
{
	return arena_strdup(h->ovf->inv->arena, text);
}

static const char *
keep_lower(const struct hardware *h, const char *text)
{
	char *copy = arena_strdup(h->ovf->inv->arena, text);

	for (char *c = copy; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

/* OVF 1 says ElementName, its drafts Caption; OVF 2 spells InstanceID. */
static const char *
name_of(const struct item *i)
{
	const char *name = text_of(i, "ElementName");

	return *name ? name : text_of(i, "Caption");
}

static bool
has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (; *list; list += strspn(list, " \t\r\n")) {
		size_t n = strcspn(list, " \t\r\n");

		if (n == len && !strncmp(list, word, n))
			return true;
		list += n;
	}
	return false;
}

/* An item of the chosen configuration replaces the plain one of its id. */
static void
add_item(struct hardware *h, const struct xml_node *n, const char *ns)
{
	const char *configuration = ovf_attr(h->ovf, n, "configuration");
	struct item item = {.node = n, .ns = ns}, *known;
	const char *id;

	/* an item with a bound is no device, but the limit of one */
	if (*ovf_attr(h->ovf, n, "bound") ||
	    (*configuration && !has_word(configuration, h->ovf->configuration)))
		return;
	id = text_of(&item, "InstanceID");
	item.id = keep(h, *id ? id : text_of(&item, "InstanceId"));
	if (ovf_number(text_of(&item, "ResourceType"), &item.type) < 0)
		item.type = 0;
	for (size_t i = 0; *configuration && i < h->items.n; i++) {
		known = &h->items.v[i];
		if (!strcmp(known->id, item.id)) {
			*known = item;
			return;
		}
	}
	*vec_push(&h->items) = item;
}

static void
collect_items(struct hardware *h, const struct xml_node *section)
{
	const struct xml_node *n = xml_child(section, NULL, NULL);

	for (; n && h->items.n < ITEMS_LIMIT; n = xml_next(n, NULL, NULL)) {
		if (!xml_is(n, h->ovf->ns, NULL) && !xml_is(n, "", NULL))
			continue;
		if (xml_is(n, NULL, "Item"))
			add_item(h, n,
				 CIM_NS "CIM_ResourceAllocationSettingData");
		else if (xml_is(n, NULL, "StorageItem"))
			add_item(h, n,
				 CIM_NS "CIM_StorageAllocationSettingData");
		else if (xml_is(n, NULL, "EthernetPortItem"))
			add_item(h, n,
				 CIM_NS
				 "CIM_EthernetPortAllocationSettingData");
	}
	if (n)
		findings_add(&h->system->concerns, FINDING_CRITICAL,
			     "OVFNotValid", "the vm has more than %d devices",
			     ITEMS_LIMIT);
}

static void
read_cpu(struct hardware *h, const struct item *i)
{
	const char *per_socket =
	    xml_text(xml_child(i->node, VMWARE_NS, "CoresPerSocket"));
	uint64_t n;

	if (ovf_number(text_of(i, "VirtualQuantity"), &n) < 0 || n == 0 ||
	    n > 65536)
		findings_add(&h->system->concerns, FINDING_CRITICAL,
			     "OVFNotValid",
			     "line %u: '%s' is no number of processors",
			     xml_line(i->node), text_of(i, "VirtualQuantity"));
	else
		h->ncpus += n;
	(void)ovf_number(per_socket, &h->cores_per_socket);
}

static void
settle_cpus(struct hardware *h)
{
	uint64_t cores = h->cores_per_socket, n = h->ncpus ? h->ncpus : 1;

	if (cores == 0 || cores > n || n % cores)
		cores = 1;
	h->system->vm.sockets = (unsigned)(n / cores);
	h->system->vm.cores = (unsigned)cores;
	h->system->vm.threads = 1;
}

static void
read_memory(struct hardware *h, const struct item *i)
{
	const char *units = text_of(i, "AllocationUnits");
	const char *quantity = text_of(i, "VirtualQuantity");
	uint64_t n, unit, sum;

	/* no unit: MiB, as everybody who leaves it out means it */
	if (ovf_units(*units ? units : "byte * 2^20", &unit) < 0 ||
	    ovf_number(quantity, &n) < 0 ||
	    __builtin_mul_overflow(n, unit, &n) ||
	    __builtin_add_overflow(h->system->vm.memory_bytes, n, &sum))
		findings_add(&h->system->concerns, FINDING_CRITICAL,
			     "OVFNotValid",
			     "line %u: '%s' x '%s' is no size of memory",
			     xml_line(i->node), quantity, units);
	else
		h->system->vm.memory_bytes = sum;
}

static const char *
bus_of(const struct item *i)
{
	const char *subtype = text_of(i, "ResourceSubType");

	if (i->type == RESOURCE_IDE)
		return "ide";
	if (i->type == RESOURCE_SCSI)
		return "scsi";
	if (i->type != RESOURCE_STORAGE)
		return NULL;
	if (strcasestr(subtype, "nvme"))
		return "nvme";
	return strcasestr(subtype, "virtio") ? "virtio" : "sata";
}

/* The order in which firmware looks; anything else comes last. */
static int
bus_rank(const char *bus)
{
	static const char *const order[] = {"sata", "ide", "scsi", "nvme"};
	for (int i = 0; i < NBUSES - 1; i++)
		if (!strcmp(order[i], bus))
			return i;
	return NBUSES - 1;
}

/* Controllers come in any order, before or after what hangs on them. */
static void
number_controllers(struct hardware *h)
{
	int nseen[NBUSES] = {0};

	for (size_t i = 0; i < h->items.n; i++) {
		struct item *c = &h->items.v[i];
		uint64_t address;

		strmap_add(&h->ids, c->id, c);
		c->bus = bus_of(c);
		if (!c->bus)
			continue;
		c->number = nseen[bus_rank(c->bus)]++;
		if (ovf_number(text_of(c, "Address"), &address) == 0 &&
		    address < INT_MAX)
			c->number = (int)address;
	}
}

/* "ovf:/disk/ID", "/file/ID", or oVirt's "IMAGE/DISK". */
static void
resolve(struct hardware *h, const char *resource, struct ovf_drive *d)
{
	CLEANUP(mem_freep) char *path = mem_strdup(resource);
	char *save = NULL;
	bool is_file = strstr(path, "/file/") != NULL;

	for (char *part = strtok_r(path, "/", &save); part;
	     part = strtok_r(NULL, "/", &save)) {
		if (!d->disk && !is_file)
			d->disk = strmap_get(&h->ovf->disk_ids, part);
		if (!d->file && (is_file || !strstr(resource, "/disk/")))
			d->file = strmap_get(&h->ovf->file_ids, part);
	}
	if (d->disk && *d->disk->file_ref)
		d->file = strmap_get(&h->ovf->file_ids, d->disk->file_ref);
}

static void
hang_on(struct hardware *h, const struct item *i, struct ovf_drive *d)
{
	const struct item *parent = strmap_get(&h->ids, text_of(i, "Parent"));
	uint64_t unit;

	d->bus = parent && parent->bus ? parent->bus : "scsi";
	d->controller_model = "";
	if (parent && parent->bus) {
		d->controller = parent->number;
		d->controller_model =
		    keep_lower(h, text_of(parent, "ResourceSubType"));
	} else if (d->disk && *d->disk->interface) {
		d->bus = strcasestr(d->disk->interface, "scsi")	  ? "scsi"
			 : strcasestr(d->disk->interface, "ide")  ? "ide"
			 : strcasestr(d->disk->interface, "sata") ? "sata"
								  : "virtio";
	}
	d->unit = (int)d->item;
	if (ovf_number(text_of(i, "AddressOnParent"), &unit) == 0 &&
	    unit < INT_MAX)
		d->unit = (int)unit;
}

static void
read_disk(struct hardware *h, const struct item *i)
{
	const char *resource = text_of(i, "HostResource");
	struct ovf_drive d = {.item = (size_t)(i - h->items.v)};
	struct findings *concerns = &h->system->concerns;

	resolve(h, resource, &d);
	if (!d.disk && !d.file) {
		findings_add(concerns, FINDING_CRITICAL, "OVFNotValid",
			     "line %u: disk '%s' names '%s', which the OVF "
			     "does not describe",
			     xml_line(i->node), name_of(i), resource);
		return;
	}
	if (d.disk && *d.disk->file_ref && !d.file)
		findings_add(concerns, FINDING_CRITICAL, "OVFNotValid",
			     "disk '%s' is in file '%s', which the OVF does "
			     "not list",
			     d.disk->id, d.disk->file_ref);
	if (d.disk && *d.disk->parent_ref)
		findings_add(concerns, FINDING_CRITICAL, "DiskNotSupported",
			     "disk '%s' is a delta on '%s'; export the vm "
			     "without snapshots",
			     d.disk->id, d.disk->parent_ref);
	hang_on(h, i, &d);
	*vec_push(&h->system->drives) = d;
}

/* Twelve hexadecimal digits, however parted. */
static const char *
mac_of(struct hardware *h, const struct item *i)
{
	const char *text = text_of(i, "Address");
	char digits[13];
	size_t n = 0;

	if (!*text)
		text = text_of(i, "MACAddress");
	for (; *text && n < sizeof(digits); text++) {
		if (isxdigit((unsigned char)*text))
			digits[n++] = (char)tolower((unsigned char)*text);
		else if (!strchr(":-.", *text))
			return "";
	}
	if (n != 12)
		return "";
	return arena_printf(h->ovf->inv->arena, "%.2s:%.2s:%.2s:%.2s:%.2s:%.2s",
			    digits, digits + 2, digits + 4, digits + 6,
			    digits + 8, digits + 10);
}

static void
read_nic(struct hardware *h, const struct item *i)
{
	struct inv_nic *nic = inventory_add_nic(h->ovf->inv, &h->system->vm);

	nic->name = keep(h, name_of(i));
	if (!*nic->name)
		nic->name = arena_printf(h->ovf->inv->arena, "nic-%zu",
					 h->system->vm.nnics - 1);
	nic->mac = mac_of(h, i);
	nic->model = keep_lower(h, text_of(i, "ResourceSubType"));
	nic->network_name = keep(h, text_of(i, "Connection"));
	nic->network_id = nic->network_name;
	if (*nic->network_name)
		inventory_add_network(h->ovf->inv, nic->network_id,
				      nic->network_name);
}

static void
read_medium(struct hardware *h, const struct item *i)
{
	const char *resource = text_of(i, "HostResource");

	if (*resource)
		findings_add(&h->system->concerns, FINDING_INFORMATION,
			     "MediumIgnored",
			     "the image '%s' in drive '%s' is not carried over",
			     resource, name_of(i));
}

static void
read_item(struct hardware *h, const struct item *i)
{
	switch (i->type) {
	case RESOURCE_CPU:
		read_cpu(h, i);
		break;
	case RESOURCE_MEMORY:
		read_memory(h, i);
		break;
	case RESOURCE_NIC:
		read_nic(h, i);
		break;
	case RESOURCE_DISK:
	case RESOURCE_LOGICAL_DISK:
		read_disk(h, i);
		break;
	case RESOURCE_FLOPPY:
	case RESOURCE_CD:
	case RESOURCE_DVD:
		read_medium(h, i);
		break;
	case RESOURCE_OTHER:
		if (strcasestr(text_of(i, "ResourceSubType"), "vtpm"))
			h->system->vm.tpm = true;
		break;
	default:
		break;
	}
}

static void
read_setting(struct inv_vm *vm, const char *key, const char *value)
{
	if (!key || !value)
		return;
	if (!strcasecmp(key, "firmware"))
		vm->efi = !strcasecmp(value, "efi");
	if (!strcasecmp(key, "bootOptions.efiSecureBootEnabled") ||
	    !strcasecmp(key, "uefi.secureBoot.enabled"))
		vm->secure_boot = !strcasecmp(value, "true");
}

static void
read_settings(const struct xml_node *section, const char *element,
	      struct inv_vm *vm)
{
	const struct xml_node *n = xml_child(section, VMWARE_NS, element);

	for (; n; n = xml_next(n, VMWARE_NS, element))
		read_setting(vm, xml_attr(n, VMWARE_NS, "key"),
			     xml_attr(n, VMWARE_NS, "value"));
}

static int
compare_drives(const void *left, const void *right)
{
	const struct ovf_drive *a = left, *b = right;
	int by_bus = bus_rank(a->bus) - bus_rank(b->bus);

	if (by_bus)
		return by_bus;
	if (a->controller != b->controller)
		return a->controller < b->controller ? -1 : 1;
	if (a->unit != b->unit)
		return a->unit < b->unit ? -1 : 1;
	return a->item < b->item ? -1 : a->item > b->item;
}

void
ovf_read_hardware(struct ovf *o, const struct xml_node *section,
		  struct ovf_system *s)
{
	struct hardware h = {.ovf = o, .system = s};

	collect_items(&h, section);
	number_controllers(&h);
	for (size_t i = 0; i < h.items.n; i++)
		read_item(&h, &h.items.v[i]);
	settle_cpus(&h);
	read_settings(section, "Config", &s->vm);
	read_settings(section, "ExtraConfig", &s->vm);
	if (s->drives.n)
		qsort(s->drives.v, s->drives.n, sizeof(*s->drives.v),
		      compare_drives);
	vec_done(&h.items);
	strmap_done(&h.ids);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope: references, disks, networks, and the systems in it. */
#include "stages/source/ovf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define VMWARE_NS "http://www.vmware.com/schema/ovf"
#define VIRTUALBOX_NS "http://www.virtualbox.org/ovf/machine"
#define XSI_NS "http://www.w3.org/2001/XMLSchema-instance"
#define SYSTEMS_LIMIT 1000

/* OVF 1 and 2, oVirt's spelling of 1, and the draft of VMware's old tools. */
static const char *const envelopes[] = {
    "http://schemas.dmtf.org/ovf/envelope/1",
    "http://schemas.dmtf.org/ovf/envelope/2",
    "http://schemas.dmtf.org/ovf/envelope/1/",
    "http://www.vmware.com/schema/ovf/1/envelope",
};

const struct xml_node *
ovf_child(const struct ovf *o, const struct xml_node *n, const char *name)
{
	const struct xml_node *child = xml_child(n, o->ns, name);

	return child ? child : xml_child(n, "", name);
}

const struct xml_node *
ovf_next(const struct ovf *o, const struct xml_node *n, const char *name)
{
	return xml_next(n, xml_is(n, o->ns, NULL) ? o->ns : "", name);
}

/* xsi:type="ovf:DiskSection_Type" */
static bool
has_type(const struct xml_node *n, const char *name)
{
	const char *type = xml_attr(n, XSI_NS, "type");
	size_t len = strlen(name);

	if (!type)
		return false;
	if (strrchr(type, ':'))
		type = strrchr(type, ':') + 1;
	return !strncmp(type, name, len) && !strcmp(type + len, "_Type");
}

const struct xml_node *
ovf_section(const struct ovf *o, const struct xml_node *n, const char *name)
{
	const struct xml_node *found = ovf_child(o, n, name);

	if (found)
		return found;
	found = ovf_child(o, n, "Section");
	while (found && !has_type(found, name))
		found = ovf_next(o, found, "Section");
	return found;
}

const char *
ovf_attr(const struct ovf *o, const struct xml_node *n, const char *name)
{
	const char *value = xml_attr(n, o->ns, name);

	return value ? arena_strdup(o->inv->arena, value) : "";
}

int
ovf_number(const char *text, uint64_t *ret)
{
	char *end;
	uint64_t n;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end)
		return -1;
	*ret = n;
	return 0;
}

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

/* "2^20", "1024" */
static int
parse_factor(const char **s, uint64_t *ret)
{
	char *end;
	uint64_t base, power = 1, n = 1;

	if (**s < '0' || **s > '9')
		return -1;
	base = strtoull(*s, &end, 10);
	end = (char *)skip_blanks(end);
	if (*end == '^')
		power = strtoull(end + 1, &end, 10);
	if (power > 63)
		return -1;
	while (power--)
		if (__builtin_mul_overflow(n, base, &n))
			return -1;
	*s = end;
	*ret = n;
	return 0;
}

static int
parse_unit_word(const char **s, uint64_t *ret)
{
	static const struct {
		const char *word;
		int shift;
	} words[] = {
	    {"byte", 0},      {"bytes", 0},	 {"b", 0},
	    {"kilobyte", 10}, {"kilobytes", 10}, {"kb", 10},
	    {"megabyte", 20}, {"megabytes", 20}, {"mb", 20},
	    {"gigabyte", 30}, {"gigabytes", 30}, {"gb", 30},
	    {"terabyte", 40}, {"terabytes", 40}, {"tb", 40},
	};
	size_t len = strcspn(*s, " \t\r\n*");

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(words[i].word) == len &&
		    !strncasecmp(words[i].word, *s, len)) {
			*ret = (uint64_t)1 << words[i].shift;
			*s += len;
			return 0;
		}
	return -1;
}

int
ovf_units(const char *text, uint64_t *ret)
{
	const char *s = skip_blanks(text);
	uint64_t unit, factor;

	if (parse_unit_word(&s, &unit) < 0)
		return -1;
	for (s = skip_blanks(s); *s == '*'; s = skip_blanks(s)) {
		s = skip_blanks(s + 1);
		if (parse_factor(&s, &factor) < 0 ||
		    __builtin_mul_overflow(unit, factor, &unit))
			return -1;
	}
	if (*s || !unit)
		return -1;
	*ret = unit;
	return 0;
}

static void
read_files(struct ovf *o, const struct xml_node *references)
{
	const struct xml_node *n = ovf_child(o, references, "File");

	for (; n; n = ovf_next(o, n, "File")) {
		struct ovf_file *f = vec_push(&o->files);
		const char *size = ovf_attr(o, n, "size");

		f->id = ovf_attr(o, n, "id");
		f->href = ovf_attr(o, n, "href");
		f->compression = ovf_attr(o, n, "compression");
		f->has_size = ovf_number(size, &f->size_bytes) == 0;
		(void)ovf_number(ovf_attr(o, n, "chunkSize"), &f->chunk_bytes);
	}
	for (size_t i = 0; i < o->files.n; i++)
		strmap_add(&o->file_ids, o->files.v[i].id, &o->files.v[i]);
}

static void
read_capacity(struct ovf *o, const struct xml_node *n, struct ovf_disk *d)
{
	const char *capacity = ovf_attr(o, n, "capacity");
	const char *units = ovf_attr(o, n, "capacityAllocationUnits");
	uint64_t unit = 1, bytes = 0;

	if (!*capacity)
		return;
	if ((*units && ovf_units(units, &unit) < 0) ||
	    ovf_number(capacity, &bytes) < 0 ||
	    __builtin_mul_overflow(bytes, unit, &bytes) || bytes == 0) {
		d->bad_capacity =
		    arena_printf(o->inv->arena, "%s%s%s", capacity,
				 *units ? " x " : "", units);
		bytes = 0;
	}
	d->capacity_bytes = bytes;
}

static void
read_disks(struct ovf *o, const struct xml_node *section)
{
	const struct xml_node *n = ovf_child(o, section, "Disk");

	for (; n; n = ovf_next(o, n, "Disk")) {
		struct ovf_disk *d = vec_push(&o->disks);

		d->id = ovf_attr(o, n, "diskId");
		d->file_ref = ovf_attr(o, n, "fileRef");
		d->parent_ref = ovf_attr(o, n, "parentRef");
		d->interface = ovf_attr(o, n, "disk-interface");
		read_capacity(o, n, d);
	}
	for (size_t i = 0; i < o->disks.n; i++)
		strmap_add(&o->disk_ids, o->disks.v[i].id, &o->disks.v[i]);
}

static void
read_networks(struct ovf *o, const struct xml_node *section)
{
	const struct xml_node *n = ovf_child(o, section, "Network");

	for (; n; n = ovf_next(o, n, "Network")) {
		const char *name = ovf_attr(o, n, "name");

		if (*name)
			inventory_add_network(o->inv, name, name);
	}
}

/* The configuration marked as default, else the first. */
static void
choose_configuration(struct ovf *o, const struct xml_node *section)
{
	const struct xml_node *n = ovf_child(o, section, "Configuration");

	o->configuration = n ? ovf_attr(o, n, "id") : "";
	for (; n; n = ovf_next(o, n, "Configuration"))
		if (!strcmp(ovf_attr(o, n, "default"), "true"))
			o->configuration = ovf_attr(o, n, "id");
}

static void
read_os(struct ovf *o, const struct xml_node *system, struct inv_vm *vm)
{
	const struct xml_node *section =
	    ovf_section(o, system, "OperatingSystemSection");
	const char *cim = ovf_attr(o, section, "id");
	const char *word = xml_attr(section, VMWARE_NS, "osType");

	if (!word || !*word)
		word = xml_text(ovf_child(o, section, "Description"));
	vm->os = arena_strdup(o->inv->arena, *word ? word : cim);
	vm->os_family = ovf_os_family(cim, word);
}

/* VirtualBox keeps the firmware in a section of its own beside ours. */
static void
read_virtualbox(const struct xml_node *system, struct inv_vm *vm)
{
	const struct xml_node *machine =
	    xml_child(system, VIRTUALBOX_NS, "Machine");
	const struct xml_node *firmware =
	    xml_child(xml_child(machine, NULL, "Hardware"), NULL, "Firmware");
	const char *type = xml_attr(firmware, NULL, "type");

	if (type && !strncasecmp(type, "efi", 3))
		vm->efi = true;
}

static void
read_system(struct ovf *o, const struct xml_node *n)
{
	struct ovf_system *s = vec_push(&o->systems);
	const struct xml_node *hardware =
	    ovf_section(o, n, "VirtualHardwareSection");
	const char *name = xml_text(ovf_child(o, n, "Name"));
	const char *bios = xml_text(ovf_child(o, n, "BiosType"));

	s->id = ovf_attr(o, n, "id");
	s->concerns.arena = o->inv->arena;
	s->vm =
	    (struct inv_vm){.uuid = "", .host = "", .power = POWER_STATE_OFF};
	s->vm.name = *name ? arena_strdup(o->inv->arena, name) : s->id;
	/* oVirt: 3 is OVMF, 4 is OVMF with secure boot */
	s->vm.efi = !strcmp(bios, "3") || !strcmp(bios, "4");
	s->vm.secure_boot = !strcmp(bios, "4");
	read_os(o, n, &s->vm);
	read_virtualbox(n, &s->vm);
	if (*o->configuration)
		findings_add(&s->concerns, FINDING_INFORMATION,
			     "DeploymentOption",
			     "the OVF offers several configurations; '%s' is "
			     "taken",
			     o->configuration);
	if (hardware)
		ovf_read_hardware(o, hardware, s);
	else
		findings_add(&s->concerns, FINDING_CRITICAL, "OVFNotValid",
			     "the OVF describes no hardware for this vm");
}

/* Collections may hold collections; their depth is the parser's. */
static void
read_systems(struct ovf *o, const struct xml_node *parent)
{
	const struct xml_node *n = xml_child(parent, NULL, NULL);

	for (; n && o->systems.n <= SYSTEMS_LIMIT;
	     n = xml_next(n, NULL, NULL)) {
		if (!xml_is(n, o->ns, NULL) && !xml_is(n, "", NULL))
			continue;
		if (xml_is(n, NULL, "VirtualSystem") ||
		    (xml_is(n, NULL, "Content") &&
		     has_type(n, "VirtualSystem")))
			read_system(o, n);
		else if (xml_is(n, NULL, "VirtualSystemCollection"))
			read_systems(o, n);
	}
}

static int
find_namespace(struct ovf *o, struct err *err)
{
	const struct xml_node *root = xml_root(o->xml);

	for (size_t i = 0; i < sizeof(envelopes) / sizeof(*envelopes); i++)
		if (xml_is(root, envelopes[i], "Envelope"))
			o->ns = envelopes[i];
	if (o->ns)
		return 0;
	return err_set(err, ERR_FAIL,
		       "it is no OVF: the outermost element is '%s' of "
		       "namespace '%s'",
		       xml_name(root), xml_ns(root));
}

int
ovf_parse(const void *data, size_t len, struct inventory *inv, struct ovf *ret,
	  struct err *err)
{
	struct ovf o = {.inv = inv};
	const struct xml_node *root;

	if (xml_parse(data, len, &o.xml, err) < 0)
		return -1;
	if (find_namespace(&o, err) < 0) {
		ovf_done(&o);
		return -1;
	}
	root = xml_root(o.xml);
	o.is_vmware = xml_declares(root, VMWARE_NS);
	read_files(&o, ovf_section(&o, root, "References"));
	read_disks(&o, ovf_section(&o, root, "DiskSection"));
	read_networks(&o, ovf_section(&o, root, "NetworkSection"));
	choose_configuration(&o,
			     ovf_section(&o, root, "DeploymentOptionSection"));
	read_systems(&o, root);
	if (o.systems.n == 0 || o.systems.n > SYSTEMS_LIMIT) {
		bool none = o.systems.n == 0;

		ovf_done(&o);
		return none ? err_set(err, ERR_FAIL, "it describes no vm")
			    : err_set(err, ERR_FAIL, "more than %d vms",
				      SYSTEMS_LIMIT);
	}
	*ret = o;
	return 0;
}

void
ovf_done(struct ovf *o)
{
	for (size_t i = 0; i < o->systems.n; i++) {
		vec_done(&o->systems.v[i].drives);
		findings_done(&o->systems.v[i].concerns);
	}
	vec_done(&o->systems);
	vec_done(&o->files);
	vec_done(&o->disks);
	strmap_done(&o->file_ids);
	strmap_done(&o->disk_ids);
	xml_free(o->xml);
	o->xml = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* From one OVA to vms in the inventory.  What is wrong with one disk, vm or
 * OVA becomes a concern of the vms it touches, and of no other. */
#include "stages/source/ova.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"
#include "manifests/digest.h"
#include "io/image.h"
#include "stages/source/ovf.h"

#define SECTOR 512

/* One vm being added. */
struct adding {
	struct inventory *inv;
	struct package *package;
	const struct ovf *ovf;
	const struct ovf_system *system;
	struct inv_vm *vm;
	struct findings concerns;
};

int
ova_file_epoch(const char *root, const char *rel, char **ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(root, rel);
	CLEANUP(mem_freep) char *text = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(err, "cannot look at '%s'", path);
	text = mem_printf("%s %lld %lld.%09ld", rel, (long long)st.st_size,
			  (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	digest_bytes(text, strlen(text), hex);
	*ret = mem_strdup(hex);
	return 0;
}

static const char *
located(const struct inv_disk *disk, const char *key)
{
	return json_string_value(json_object_get(disk->locator, key));
}

int
ova_vm_epoch(const char *root, const struct inv_vm *vm, char **ret,
	     struct err *err)
{
	char hex[DIGEST_HEX_SIZE] = "";
	const char *last = NULL;

	for (size_t i = 0; i < 2 * vm->ndisks; i++) {
		const char *rel =
		    located(&vm->disks[i / 2], i % 2 ? "file" : "package");
		CLEANUP(mem_freep) char *one = NULL;

		if (!rel || (last && !strcmp(rel, last)))
			continue;
		if (ova_file_epoch(root, rel, &one, err) < 0)
			return -1;
		digest_chain(hex, one, strlen(one), hex);
		last = rel;
	}
	*ret = mem_strdup(hex);
	return 0;
}

/* Looks into the image; what it says of itself is believed more than what the
 * descriptor says of it. */
static int
probe_file(struct adding *a, const struct package_file *f,
	   struct inv_disk *disk, uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(mem_closep) int fd = package_file_open(a->package, f, err);
	CLEANUP(mem_freep) char *path = fs_path(a->package->root, f->rel);
	struct image image;

	if (fd < 0 || image_probe(fd, f->offset, f->size, &image, err) < 0)
		return -1;
	disk->format = image.format;
	disk->allocated_bytes = image_data_bytes(fd, f->size);
	*ret_bytes = image.virtual_bytes;
	if (*ret_bytes)
		return 0;
	return image_ask_qemu(path, image.format, f->offset,
			      a->package->is_archive
				  ? (f->size + SECTOR - 1) / SECTOR * SECTOR
				  : 0,
			      ret_bytes, err);
}

static int
refuse_encoding(const struct ovf_file *file, struct err *err)
{
	if (strstr(file->href, "://"))
		return err_set(err, ERR_FAIL,
			       "it is at '%s'; fetch it and put it beside the "
			       "descriptor",
			       file->href);
	if (file->chunk_bytes)
		return err_set(err, ERR_FAIL,
			       "it is split into chunks of %" PRIu64
			       " bytes; join them ('cat %s.* >%s') and drop "
			       "ovf:chunkSize",
			       file->chunk_bytes, file->href, file->href);
	if (*file->compression && strcmp(file->compression, "identity") != 0)
		return err_set(err, ERR_FAIL,
			       "it is compressed (%s); unpack it and drop "
			       "ovf:compression",
			       file->compression);
	return 0;
}

/* "%20" in an href, where the file is not called so. */
static const char *
decode(struct arena *arena, const char *href)
{
	char *out = arena_strdup(arena, href), *to = out;
	unsigned byte;

	for (const char *c = href; *c; c++) {
		if (*c == '%' && strspn(c + 1, "0123456789abcdefABCDEF") >= 2 &&
		    sscanf(c + 1, "%2x", &byte) == 1 && byte) {
			*to++ = (char)byte;
			c += 2;
		} else {
			*to++ = *c;
		}
	}
	*to = '\0';
	return out;
}

static int
find_file(struct adding *a, const struct ovf_file *file,
	  struct package_file *ret, struct err *err)
{
	const char *decoded = decode(a->inv->arena, file->href);
	struct err ignored;

	if (refuse_encoding(file, err) < 0)
		return -1;
	if (package_find(a->package, file->href, ret, &ignored) < 0 &&
	    package_find(a->package, decoded, ret, err) < 0)
		return -1;
	if (file->has_size && file->size_bytes != ret->size)
		return err_set(err, ERR_FAIL,
			       "it has %" PRIu64 " bytes, but %" PRIu64
			       " by the descriptor: truncated, or not the "
			       "file that was exported",
			       ret->size, file->size_bytes);
	return 0;
}

/* Finds the disk's bytes and writes down how open_disk finds them again. */
static int
locate(struct adding *a, const struct ovf_file *file, struct inv_disk *disk,
       uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(mem_freep) char *epoch = NULL;
	struct package_file f;

	if (find_file(a, file, &f, err) < 0 ||
	    probe_file(a, &f, disk, ret_bytes, err) < 0 ||
	    ova_file_epoch(a->package->root, f.rel, &epoch, err) < 0)
		return -1;
	disk->epoch = arena_strdup(a->inv->arena, epoch);
	json_object_set_new(disk->locator, "file", json_string(f.rel));
	json_object_set_new(disk->locator, "offset",
			    json_integer((json_int_t)f.offset));
	/* a whole file is served as such; a member with its padding, because
	 * qemu takes whole sectors only */
	json_object_set_new(
	    disk->locator, "length",
	    json_integer(
		a->package->is_archive
		    ? (json_int_t)((f.size + SECTOR - 1) / SECTOR * SECTOR)
		    : 0));
	return 0;
}

/* The size that is copied is the image's. */
static void
settle_capacity(struct adding *a, const struct ovf_disk *d, uint64_t bytes,
		struct inv_disk *disk)
{
	char said[UNITS_TEXT_SIZE], is[UNITS_TEXT_SIZE];
	uint64_t claimed = d ? d->capacity_bytes : 0;
	bool raw_and_short = !strcmp(disk->format, "raw") && bytes < claimed;

	disk->capacity_bytes = bytes ? bytes : claimed;
	if (d && d->bad_capacity)
		findings_add(&a->concerns, FINDING_CRITICAL, "InvalidDiskSizes",
			     "%s '%s': the descriptor gives the absurd "
			     "capacity '%s'",
			     disk->id, disk->name, d->bad_capacity);
	if (!bytes || !claimed || bytes == claimed)
		return;
	units_format_bytes(claimed, said);
	units_format_bytes(bytes, is);
	findings_add(
	    &a->concerns, raw_and_short ? FINDING_CRITICAL : FINDING_WARN,
	    "DiskCapacityDiffers",
	    "%s '%s' has %s (%" PRIu64 " bytes), but %s by the "
	    "descriptor; %s",
	    disk->id, disk->name, is, bytes, said,
	    raw_and_short ? "it is truncated" : "what the disk says counts");
}

static void
add_disk(struct adding *a, const struct ovf_drive *drive)
{
	struct inv_disk *disk = inventory_add_disk(a->inv, a->vm);
	struct arena *arena = a->inv->arena;
	uint64_t bytes = 0;
	struct err err;

	disk->id = arena_printf(arena, "disk-%zu", a->vm->ndisks - 1);
	disk->name = drive->file ? drive->file->href : drive->disk->id;
	disk->storage_id = disk->storage_name = disk->name;
	disk->bus = drive->bus;
	disk->controller_model = drive->controller_model;
	disk->controller = drive->controller;
	disk->unit = drive->unit;
	disk->blank = drive->disk && !*drive->disk->file_ref;
	disk->locator = inventory_keep(
	    a->inv, json_pack("{s:s}", "package", a->package->rel));
	inventory_add_storage(a->inv, disk->storage_id, disk->storage_name);
	/* of a damaged archive nothing is believed, and that was said */
	if (drive->file && !a->package->is_damaged &&
	    locate(a, drive->file, disk, &bytes, &err) < 0)
		findings_add(&a->concerns, FINDING_CRITICAL, "DiskNotReadable",
			     "%s '%s': %s", disk->id, disk->name, err.text);
	settle_capacity(a, drive->disk, bytes, disk);
}

static void
add_package_concerns(struct adding *a)
{
	const struct package *p = a->package;

	if (p->is_damaged)
		findings_add(&a->concerns, FINDING_CRITICAL, "OVANotReadable",
			     "'%s': %s", p->rel, p->damage.text);
	else if (p->is_archive && !p->tar.has_end)
		findings_add(&a->concerns, FINDING_WARN, "OVAWithoutEnd",
			     "'%s' lacks the blocks that end an archive: "
			     "something may be cut off",
			     p->rel);
	if (!a->ovf->is_vmware)
		findings_add(&a->concerns, FINDING_WARN,
			     "UnsupportedOVFExportSource",
			     "'%s' was not exported by VMware: look twice at "
			     "what was read",
			     p->rel);
	if (package_beside(p, ".cert"))
		findings_add(&a->concerns, FINDING_INFORMATION,
			     "SignatureIgnored",
			     "the signature in '%s' is not checked",
			     package_beside(p, ".cert"));
}

static bool
is_attached(const struct ovf *o, const struct ovf_disk *disk)
{
	for (size_t i = 0; i < o->systems.n; i++)
		for (size_t j = 0; j < o->systems.v[i].drives.n; j++)
			if (o->systems.v[i].drives.v[j].disk == disk)
				return true;
	return false;
}

/* Disks in the OVF that hang on no vm would be lost without a word. */
static void
add_orphans(struct adding *a)
{
	for (size_t i = 0; i < a->ovf->disks.n; i++)
		if (!is_attached(a->ovf, &a->ovf->disks.v[i]))
			findings_add(&a->concerns, FINDING_WARN,
				     "DiskNotAttached",
				     "disk '%s' of the OVF is attached to no "
				     "vm and stays behind",
				     a->ovf->disks.v[i].id);
}

/* Another vm of the package that has the drive's file, or NULL. */
static const struct ovf_system *
sharer_of(const struct adding *a, const struct ovf_drive *drive)
{
	for (size_t i = 0; drive->file && i < a->ovf->systems.n; i++) {
		const struct ovf_system *other = &a->ovf->systems.v[i];

		for (size_t j = 0; other != a->system && j < other->drives.n;
		     j++)
			if (other->drives.v[j].file == drive->file)
				return other;
	}
	return NULL;
}

/* Whether the vms wrote to one disk or only began with one content, the
 * package does not say. */
static void
add_shared(struct adding *a)
{
	for (size_t i = 0; i < a->system->drives.n; i++) {
		const struct ovf_drive *drive = &a->system->drives.v[i];
		const struct ovf_system *other = sharer_of(a, drive);

		if (other)
			findings_add(
			    &a->concerns, FINDING_WARN, "SharedDisk",
			    "'%s' is a disk of vm '%s', too: each "
			    "gets a copy of its own, and does not "
			    "see what the other writes; a cluster "
			    "that needs one disk must be given one "
			    "by hand",
			    drive->file->href,
			    *other->vm.name ? other->vm.name : other->id);
	}
}

/* Hands the findings over to the inventory's record. */
static void
keep_concerns(struct inv_vm *vm, const struct findings *findings)
{
	CLEANUP(json_decrefp) json_t *list = findings_to_json(findings);

	json_array_extend(vm->concerns, list);
}

/* The package's path; in a collection with the vm's id, or its number. */
static const char *
id_of(const struct adding *a, size_t n)
{
	const struct ovf *o = a->ovf;
	bool is_unique = *a->system->id != '\0';

	if (o->systems.n == 1)
		return arena_strdup(a->inv->arena, a->package->rel);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(o->systems.v[i].id, a->system->id))
			is_unique = false;
	if (is_unique)
		return arena_printf(a->inv->arena, "%s#%s", a->package->rel,
				    a->system->id);
	return arena_printf(a->inv->arena, "%s#%zu", a->package->rel, n);
}

/* "dir/web.ova" is called web. */
static const char *
stem_of(struct arena *arena, const char *rel)
{
	const char *name = fs_basename(rel);

	return arena_strndup(arena, name, strlen(name) - 4);
}

static void
add_system(struct inventory *inv, struct package *p, const struct ovf *o,
	   size_t n)
{
	struct adding a = {.inv = inv, .package = p, .ovf = o};
	json_t *concerns;
	CLEANUP(mem_freep) char *epoch = NULL;
	struct err err;

	a.system = &o->systems.v[n];
	a.vm = inventory_add_vm(inv);
	a.concerns.arena = inv->arena;
	concerns = a.vm->concerns;
	*a.vm = a.system->vm;
	a.vm->concerns = concerns;
	a.vm->id = id_of(&a, n);
	a.vm->epoch = "";
	if (!*a.vm->name)
		a.vm->name = stem_of(inv->arena, p->rel);
	add_package_concerns(&a);
	keep_concerns(a.vm, &a.system->concerns);
	for (size_t i = 0; i < a.system->drives.n; i++)
		add_disk(&a, &a.system->drives.v[i]);
	if (n == 0)
		add_orphans(&a);
	add_shared(&a);
	if (ova_vm_epoch(p->root, a.vm, &epoch, &err) == 0)
		a.vm->epoch = arena_strdup(inv->arena, epoch);
	keep_concerns(a.vm, &a.concerns);
	findings_done(&a.concerns);
}

static int
read_descriptor(struct inventory *inv, struct package *p, struct ovf *ret,
		struct err *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct package_file f;

	if (package_find(p, p->descriptor, &f, err) < 0 ||
	    package_file_read(p, &f, XML_LIMIT, &text, err) < 0)
		return p->is_damaged ? (*err = p->damage, -1) : -1;
	if (ovf_parse(text.data ? text.data : "", text.len, inv, ret, err) < 0)
		return err_wrap(err, "'%s'", p->descriptor);
	return 0;
}

/* A package nobody can read is a vm nobody can migrate, but must be seen. */
static void
add_unreadable(struct inventory *inv, const char *rel, const char *why)
{
	struct findings findings = {.arena = inv->arena};
	struct inv_vm *vm = inventory_add_vm(inv);

	vm->id = arena_strdup(inv->arena, rel);
	vm->name = stem_of(inv->arena, rel);
	vm->power = POWER_STATE_OFF;
	findings_add(&findings, FINDING_CRITICAL, "OVANotReadable", "'%s': %s",
		     rel, why);
	keep_concerns(vm, &findings);
	findings_done(&findings);
}

static int
add_systems(struct inventory *inv, const char *root, const char *rel,
	    struct err *err)
{
	struct package p;
	struct ovf o;

	if (package_open(inv->arena, root, rel, &p, err) < 0)
		return -1;
	if (read_descriptor(inv, &p, &o, err) < 0) {
		package_done(&p);
		return -1;
	}
	for (size_t i = 0; i < o.systems.n; i++)
		add_system(inv, &p, &o, i);
	ovf_done(&o);
	package_done(&p);
	return 0;
}

void
ova_add_package(struct inventory *inv, const char *root, const char *rel)
{
	CLEANUP(json_decrefp) json_t *utf8 = json_string(rel);
	struct err err;

	if (!utf8)
		add_unreadable(inv, rel, "its name is not UTF-8; rename it");
	else if (add_systems(inv, root, rel, &err) < 0)
		add_unreadable(inv, rel, err.text);
}

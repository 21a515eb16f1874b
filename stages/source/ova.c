/* SPDX-License-Identifier: Apache-2.0 */
/* Source `ova`: archives and unpacked OVFs in a directory, read in place. */
#include "stages/source/ova.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/image.h"
#include "stages/source/source.h"
#include "stages/source/zeroes.h"

static void
add_unread(struct inventory *inv, const struct ova_paths *found)
{
	struct findings findings = {.arena = inv->arena};
	CLEANUP(json_decrefp) json_t *list = NULL;

	for (size_t i = 0; i < found->unread.n; i++)
		findings_add(&findings, FINDING_WARN, "SourceNotReadable",
			     "%s: what vms are there is not known",
			     found->unread.v[i]);
	list = findings_to_json(&findings);
	json_array_extend(inv->concerns, list);
	findings_done(&findings);
}

static int
list_vms(const struct endpoint *ep, struct inventory *ret, struct err *err)
{
	CLEANUP(ova_paths_done) struct ova_paths found = {0};
	CLEANUP(mem_freep) char *root = ova_root(ep, err);

	if (!root || ova_scan(ep, &found, err) < 0)
		return -1;
	for (size_t i = 0; i < found.paths.n; i++)
		ova_add_package(ret, root, found.paths.v[i]);
	add_unread(ret, &found);
	return 0;
}

/* Where a disk's bytes are, as the inventory wrote it down. */
struct place {
	char *path; /* owned */
	uint64_t offset, length;
};

static void
place_done(struct place *p)
{
	free(p->path);
}

static int
place_of(const struct endpoint *ep, const struct inv_disk *disk,
	 struct place *ret, struct err *err)
{
	CLEANUP(mem_freep) char *root = ova_root(ep, err);
	const char *rel =
	    json_string_value(json_object_get(disk->locator, "file"));

	if (!root)
		return -1;
	if (!rel)
		return err_set(err, ERR_FAIL, "%s '%s' cannot be read",
			       disk->id, disk->name);
	ret->path = fs_path(root, rel);
	ret->offset = (uint64_t)json_integer_value(
	    json_object_get(disk->locator, "offset"));
	ret->length = (uint64_t)json_integer_value(
	    json_object_get(disk->locator, "length"));
	return 0;
}

/* qemu reads the disk as the inventory did. */
static int
check_disk(const struct endpoint *ep, const struct inv_disk *disk,
	   struct err *err)
{
	CLEANUP(place_done) struct place place = {0};
	uint64_t bytes;

	if (place_of(ep, disk, &place, err) < 0 ||
	    image_ask_qemu(place.path, disk->format, place.offset, place.length,
			   &bytes, err) < 0 ||
	    image_check(place.path, disk->format, place.offset, place.length,
			err) < 0)
		return -1;
	if (bytes != disk->capacity_bytes)
		return err_set(err, ERR_FAIL,
			       "qemu sees %" PRIu64 " bytes, the header says "
			       "%" PRIu64,
			       bytes, disk->capacity_bytes);
	return 0;
}

static void
check_disks(const struct endpoint *ep, const struct inv_vm *vm,
	    struct findings *findings)
{
	struct err err;

	for (size_t i = 0; i < vm->ndisks; i++) {
		const struct inv_disk *disk = &vm->disks[i];

		/* one that could not be found is a concern already */
		if (disk->blank || !json_object_get(disk->locator, "file") ||
		    check_disk(ep, disk, &err) == 0)
			continue;
		findings_add(findings, FINDING_CRITICAL, "DiskNotReadable",
			     "%s '%s': %s", disk->id, disk->name, err.text);
	}
}

static const char *
package_of(const struct inv_vm *vm)
{
	const char *rel = NULL;

	if (vm->ndisks)
		rel = json_string_value(
		    json_object_get(vm->disks[0].locator, "package"));
	return rel;
}

static int
validate(const struct endpoint *ep, const struct inv_vm *vm,
	 const struct source_reader *reader, struct findings *findings,
	 struct err *err)
{
	CLEANUP(mem_freep) char *root = ova_root(ep, err);
	const char *rel = package_of(vm);
	struct package p;

	if (!root)
		return -1;
	if (!rel)
		return 0;
	if (package_open(findings->arena, root, rel, &p, err) < 0)
		return err_wrap(err, "'%s'", rel);
	if (!p.is_damaged) {
		ova_check_digests(&p, vm, reader, findings);
		check_disks(ep, vm, findings);
	}
	package_done(&p);
	return 0;
}

static int
epoch(const struct endpoint *ep, const struct inv_vm *vm, char **ret,
      struct err *err)
{
	CLEANUP(mem_freep) char *root = ova_root(ep, err);

	return root ? ova_vm_epoch(root, vm, ret, err) : -1;
}

static int
open_disk(const struct endpoint *ep, const struct inv_vm *vm,
	  const struct inv_disk *disk, const struct nbd_serve_opts *opts,
	  struct nbd_server *ret, struct err *err)
{
	CLEANUP(place_done) struct place place = {0};
	struct nbd_serve_opts how = *opts;

	(void)vm;
	if (disk->blank)
		return zeroes_serve(disk->capacity_bytes, opts, ret, err);
	if (place_of(ep, disk, &place, err) < 0)
		return -1;
	how.filename = place.path;
	how.format = disk->format;
	how.offset = place.offset;
	how.length = place.length;
	how.writable = false;
	return nbd_serve_image(&how, ret, err);
}

const struct source_ops source_ova = {
    .type = "ova",
    .inventory = list_vms,
    .validate = validate,
    .epoch = epoch,
    .open_disk = open_disk,
};

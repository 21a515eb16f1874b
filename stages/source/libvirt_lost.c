/* SPDX-License-Identifier: Apache-2.0 */
/* Whether it is known what changed on a domain's disk since a point in time,
 * and if not, why.
 *
 * A bitmap that was begun at the point records in the image that was on top
 * then.  Who puts another image on top (a snapshot) while the domain runs has
 * the daemon begin one of the same name there, and both together know it; who
 * does so otherwise leaves a gap.  So there must be one in each image from the
 * top down to the one of then, each of them whole.  Which that was is in the
 * checkpoint. */
#include "stages/source/libvirt.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/image.h"
#include "io/libvirt_backup.h"
#include "io/xml.h"

static const json_t *
layers_of(const struct inv_disk *disk)
{
	return json_object_get(disk->locator, "layers");
}

static const char *
file_of(const struct inv_disk *disk, int layer)
{
	const char *file = json_string_value(json_object_get(
	    json_array_get(layers_of(disk), (size_t)layer), "file"));

	return file ? file : "";
}

/* --- the image of then -------------------------------------------------- */

struct then {
	bool is_known; /* the daemon has the checkpoint */
	int layer;     /* of those of now, which was on top; -1: none */
	char *was;     /* the image, or NULL */
};

static void
then_done(struct then *t)
{
	free(t->was);
}

static const struct domain_disk *
disk_called(const struct domain *d, const char *target)
{
	for (size_t i = 0; i < d->disks.n; i++)
		if (strcmp(d->disks.v[i].target, target) == 0)
			return &d->disks.v[i];
	return NULL;
}

static bool
is_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool
is_place(const struct domain_disk *a, const struct domain_disk *b)
{
	return is_text(a->path, b->path) ||
	       (is_text(a->pool, b->pool) && is_text(a->volume, b->volume));
}

static int
parse_within(const char *text, struct inventory *inv, struct domain *ret,
	     struct err *err)
{
	CLEANUP(xml_freep) struct xml *xml = NULL;
	CLEANUP(mem_freep) char *domain = NULL;
	const struct xml_node *root;

	if (xml_parse(text, strlen(text), &xml, err) < 0)
		return -1;
	root = xml_root(xml);
	domain = xml_source(
	    xml_is(root, "", "domain") ? root : xml_child(root, "", "domain"));
	return domain_parse(domain, inv, inventory_add_vm(inv), ret, err);
}

static int
layer_of(const struct inv_disk *disk, const struct domain_disk *was,
	 const struct domain_disk *is)
{
	if (!was)
		return -1;
	if (is && is_place(was, is))
		return 0;
	for (size_t i = 0; i < json_array_size(layers_of(disk)); i++)
		if (is_text(was->path, file_of(disk, (int)i)))
			return (int)i;
	return -1;
}

static void
look_back(struct virt_domain *d, const struct inv_disk *disk, const char *point,
	  struct then *ret)
{
	CLEANUP(inventory_freep) struct inventory *aside = inventory_new();
	CLEANUP(domain_done) struct domain then = {0}, now = {0};
	CLEANUP(mem_freep) char *was = NULL, *is = NULL;
	const struct domain_disk *at;
	struct err ignored;

	*ret = (struct then){.layer = -1};
	if (virt_checkpoint_xml(d, point, &was, &ignored) < 0 || !was)
		return;
	ret->is_known = true;
	if (virt_domain_xml(d, true, &is, &ignored) < 0 ||
	    parse_within(was, aside, &then, &ignored) < 0 ||
	    parse_within(is, aside, &now, &ignored) < 0)
		return;
	at = disk_called(&then, disk->name);
	ret->layer = layer_of(disk, at, disk_called(&now, disk->name));
	if (at && at->path)
		ret->was = mem_strdup(at->path);
}

/* --- bitmaps ------------------------------------------------------------ */

static const struct image_bitmap *
bitmap_called(const struct image_bitmaps *all, const char *name)
{
	for (size_t i = 0; i < all->all.n; i++)
		if (strcmp(all->all.v[i].name, name) == 0)
			return &all->all.v[i];
	return NULL;
}

static char *
say_missing(const struct inv_disk *disk, int layer, int then, const char *point)
{
	if (layer < then)
		return mem_printf(
		    "'%s' was put on top of '%s' (a snapshot that is not "
		    "ours), and has no bitmap of checkpoint '%s' (it was made "
		    "without libvirt, or QEMU was killed)",
		    file_of(disk, layer), file_of(disk, then), point);
	return mem_printf("the bitmap of checkpoint '%s' is not in '%s' (QEMU "
			  "was killed before it wrote it there, or another "
			  "tool removed it)",
			  point, file_of(disk, layer));
}

/* *ret: why the bitmap in that layer tells nothing, or NULL.  As long as QEMU
 * runs a whole one, too, is marked as in use. */
static int
look_at_bitmap(const struct ssh *at, const struct inv_disk *disk, int layer,
	       int then, const char *point, char **ret, struct err *err)
{
	CLEANUP(image_bitmaps_done) struct image_bitmaps all = {0};
	const struct image_bitmap *b;

	if (image_bitmaps(at, file_of(disk, layer), &all, err) < 0)
		return -1;
	b = bitmap_called(&all, point);
	if (!b)
		*ret = say_missing(disk, layer, then, point);
	else if (!b->records)
		*ret = mem_printf("the bitmap of checkpoint '%s' in '%s' was "
				  "switched off: another tool did that",
				  point, file_of(disk, layer));
	else if (b->broken)
		*ret = mem_printf("the bitmap of checkpoint '%s' in '%s' is "
				  "marked as in use: QEMU was killed while it "
				  "had the image open, and not all that was "
				  "written is in it",
				  point, file_of(disk, layer));
	return 0;
}

/* --- why ---------------------------------------------------------------- */

char *
libvirt_no_bitmap(const struct inv_disk *disk)
{
	return mem_printf("an image of format '%s' keeps no bitmap of what "
			  "changes",
			  disk->format);
}

/* By where the disk is. */
static char *
why_by_place(const struct inv_disk *disk, const struct then *then,
	     const char *point, enum foreign foreign)
{
	if (!libvirt_keeps_bitmap(disk))
		return libvirt_no_bitmap(disk);
	if (!then->is_known)
		return mem_printf("libvirt knows no checkpoint '%s' any more "
				  "(another tool removed it, or defined the "
				  "domain anew)",
				  point);
	if (then->layer < 0)
		return mem_printf("it is in '%s' now, and was in '%s' when "
				  "checkpoint '%s' was made: it was moved",
				  file_of(disk, 0),
				  then->was ? then->was : "another place",
				  point);
	if (then->layer > 0 && foreign == FOREIGN_FULL)
		return mem_printf("'%s' was put on top of '%s' (a snapshot "
				  "that is not ours), and "
				  "precopy.foreignSnapshots is full",
				  file_of(disk, 0), file_of(disk, then->layer));
	return NULL;
}

int
libvirt_since(const struct ssh *at, struct virt_domain *d,
	      const struct inv_disk *disk, const struct source_point *point,
	      int *ret_layer, char **ret_why, struct err *err)
{
	CLEANUP(then_done) struct then then = {0};

	look_back(d, disk, point->since, &then);
	*ret_layer = then.layer;
	*ret_why = why_by_place(disk, &then, point->since, point->foreign);
	for (int i = 0; !*ret_why && i <= then.layer; i++)
		if (look_at_bitmap(at, disk, i, then.layer, point->since,
				   ret_why, err) < 0)
			return -1;
	return 0;
}

/* The daemon names one disk of which it has no whole bitmap; as long as QEMU
 * runs the images tell no more than why that may be.  NULL: this one would have
 * told. */
static char *
why_not(const struct ssh *at, struct virt_domain *d,
	const struct inv_disk *disk, const struct source_point *point,
	const char *said)
{
	CLEANUP(mem_freep) char *quoted = mem_printf("'%s'", disk->name);
	CLEANUP(then_done) struct then then = {0};
	char *why = NULL;
	struct err ignored;
	int layer;

	look_back(d, disk, point->since, &then);
	if (!said || !libvirt_keeps_bitmap(disk) || !then.is_known)
		return why_by_place(disk, &then, point->since, point->foreign);
	if (!strstr(said, quoted))
		return NULL;
	if (libvirt_since(at, d, disk, point, &layer, &why, &ignored) == 0 &&
	    why)
		return why;
	return mem_strdup(said);
}

json_t *
libvirt_lost(const struct ssh *at, struct virt_domain *d,
	     const struct inv_vm *vm, const struct source_point *point,
	     const char *said)
{
	json_t *lost = json_object(), *others = json_object();

	for (size_t i = 0; i < vm->ndisks; i++) {
		const struct inv_disk *disk = &vm->disks[i];
		CLEANUP(mem_freep) char *why = NULL;

		if (!libvirt_keeps_bitmap(disk) ||
		    json_object_get(point->lost, disk->id))
			continue;
		why = why_not(at, d, disk, point, said);
		if (why || said)
			json_object_set_new(why ? lost : others, disk->id,
					    json_string(why ? why : said));
	}
	/* of one of them, whichever it is */
	if (json_object_size(lost) == 0)
		json_object_update(lost, others);
	json_decref(others);
	if (json_object_size(lost) > 0)
		return lost;
	json_decref(lost);
	return NULL;
}

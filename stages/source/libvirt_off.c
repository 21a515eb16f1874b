/* SPDX-License-Identifier: Apache-2.0 */
/* What the images of a domain that is off know of what was written since a
 * point in time.
 *
 * A bitmap that was begun at the point records in the image that was on top
 * then.  Who puts another image on top (a snapshot) while the domain runs has
 * the daemon begin one of the same name there, and both together know it; who
 * does so otherwise leaves a gap.  So there must be one in each image from the
 * top down to the one of then, each of them whole.  Which that was is in the
 * checkpoint. */
#include "stages/source/libvirt.h"

#include <string.h>

#include "base/fs.h"
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
file_of(const json_t *layers, size_t i)
{
	return json_string_value(
	    json_object_get(json_array_get(layers, i), "file"));
}

/* --- the image of then -------------------------------------------------- */

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

/* The number of the layer that was on top at the point; -1: none of those
 * that are there now, or nobody knows. */
static int
layer_of_then(struct virt_domain *d, const struct inv_disk *disk,
	      const char *point)
{
	CLEANUP(inventory_freep) struct inventory *aside = inventory_new();
	CLEANUP(domain_done) struct domain then = {0}, now = {0};
	CLEANUP(mem_freep) char *was = NULL, *is = NULL;
	const struct domain_disk *a, *b;
	struct err ignored;

	if (virt_checkpoint_xml(d, point, &was, &ignored) < 0 || !was ||
	    virt_domain_xml(d, true, &is, &ignored) < 0 ||
	    parse_within(was, aside, &then, &ignored) < 0 ||
	    parse_within(is, aside, &now, &ignored) < 0)
		return -1;
	a = disk_called(&then, disk->name);
	b = disk_called(&now, disk->name);
	if (a && b && is_place(a, b))
		return 0;
	for (size_t i = 0; a && i < json_array_size(layers_of(disk)); i++)
		if (is_text(a->path, file_of(layers_of(disk), i)))
			return (int)i;
	return -1;
}

bool
libvirt_is_as_then(struct virt_domain *d, const struct inv_vm *vm,
		   const char *point)
{
	for (size_t i = 0; i < vm->ndisks; i++)
		if (libvirt_keeps_bitmap(&vm->disks[i]) &&
		    layer_of_then(d, &vm->disks[i], point) != 0)
			return false;
	return true;
}

/* --- bitmaps ------------------------------------------------------------ */

/* Is there such a bitmap that has recorded all the time? */
static int
has_whole(const char *path, const char *name, bool *ret, struct err *err)
{
	CLEANUP(image_bitmaps_done) struct image_bitmaps all = {0};

	*ret = false;
	if (image_bitmaps(path, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.all.n; i++)
		if (strcmp(all.all.v[i].name, name) == 0)
			*ret = all.all.v[i].records && !all.all.v[i].broken;
	return 0;
}

static int
add_bitmap(const struct endpoint *ep, const struct inv_disk *disk, size_t layer,
	   const struct nbd_serve_opts *opts, struct source_changes *ret,
	   struct err *err)
{
	CLEANUP(mem_freep)
	char *context = mem_printf("qemu:dirty-bitmap:%s", opts->bitmap);
	struct nbd_server server = {0};
	int rc;

	if (libvirt_open_layer(ep, disk, layer, opts, &server, err) < 0)
		return -1;
	rc = extents_of_context(server.uri, context, ret->wait_ms, &ret->v,
				&ret->n, err);
	nbd_server_stop(&server);
	return rc;
}

int
libvirt_changes(const struct endpoint *ep, const struct inv_vm *vm,
		const struct inv_disk *disk, const struct source_point *point,
		const struct nbd_serve_opts *opts, struct source_changes *ret,
		struct err *err)
{
	CLEANUP(libvirt_done) struct virtual_host h = {0};
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	struct nbd_serve_opts how = *opts;
	bool whole = true;
	int then;

	if (!libvirt_keeps_bitmap(disk))
		return 0;
	if (libvirt_connect(ep, &h, err) < 0 ||
	    libvirt_find(&h, vm, &d, err) < 0)
		return -1;
	then = layer_of_then(d, disk, point->since);
	if (then > 0 && point->foreign == FOREIGN_FULL)
		return 0;
	how.bitmap = point->since;
	for (int i = 0; whole && i <= then; i++)
		if (has_whole(file_of(layers_of(disk), (size_t)i), point->since,
			      &whole, err) < 0 ||
		    (whole &&
		     add_bitmap(ep, disk, (size_t)i, &how, ret, err) < 0))
			return -1;
	if (then < 0 || !whole)
		return 0;
	extents_tidy(ret->v, &ret->n);
	ret->known = true;
	return 0;
}

/* --- forgetting --------------------------------------------------------- */

static int
remove_from(const char *path, const char *like, struct err *err)
{
	CLEANUP(image_bitmaps_done) struct image_bitmaps all = {0};

	if (image_bitmaps(path, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.all.n; i++)
		if (libvirt_is_of_same(like, all.all.v[i].name) &&
		    image_remove_bitmap(path, all.all.v[i].name, err) < 0)
			return -1;
	return 0;
}

/* Below the top others may stand on the same image, and keep us from writing
 * it: there a bitmap that nobody asks for does no harm. */
int
libvirt_remove_bitmaps(const struct inv_disk *disk, const char *like,
		       struct err *err)
{
	const json_t *layers = layers_of(disk), *one;
	struct err ignored;
	size_t i;

	json_array_foreach((json_t *)layers, i, one)
	{
		const char *format =
		    json_string_value(json_object_get(one, "format"));
		const char *path = file_of(layers, i);

		if (is_text(format, "qcow2") && fs_exists(path) &&
		    remove_from(path, like, i ? &ignored : err) < 0 && i == 0)
			return -1;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the images of a domain that is off know of what was written since a
 * point in time: their bitmaps, where each of them is whole
 * (libvirt_lost.c). */
#include "stages/source/libvirt.h"

#include <string.h>

#include "base/mem.h"
#include "io/image.h"

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

/* --- bitmaps ------------------------------------------------------------ */

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
	rc = extents_of_context(server.uri, context, ret->wait_ms, &ret->list,
				err);
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
	int then;

	if (!libvirt_keeps_bitmap(disk)) {
		ret->why = libvirt_no_bitmap(disk);
		return 0;
	}
	if (libvirt_connect(ep, &h, err) < 0 || libvirt_reach(&h, err) < 0 ||
	    libvirt_find(&h, vm, &d, err) < 0 ||
	    libvirt_since(h.at, d, disk, point, &then, &ret->why, err) < 0)
		return -1;
	if (ret->why)
		return 0;
	how.bitmap = point->since;
	for (int i = 0; i <= then; i++)
		if (add_bitmap(ep, disk, (size_t)i, &how, ret, err) < 0)
			return -1;
	extents_tidy(&ret->list);
	ret->known = true;
	return 0;
}

/* --- forgetting --------------------------------------------------------- */

static int
remove_from(const struct virtual_host *h, const char *path, const char *like,
	    struct err *err)
{
	CLEANUP(image_bitmaps_done) struct image_bitmaps all = {0};
	bool there;

	if (libvirt_exists(h, path, &there, err) < 0)
		return -1;
	if (!there)
		return 0;
	if (image_bitmaps(h->at, path, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.all.n; i++)
		if (libvirt_is_of_same(like, all.all.v[i].name) &&
		    image_remove_bitmap(h->at, path, all.all.v[i].name, err) <
			0)
			return -1;
	return 0;
}

/* Below the top others may stand on the same image, and keep us from writing
 * it: there a bitmap that nobody asks for does no harm. */
int
libvirt_remove_bitmaps(const struct virtual_host *h,
		       const struct inv_disk *disk, const char *like,
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

		if (format && strcmp(format, "qcow2") == 0 &&
		    remove_from(h, path, like, i ? &ignored : err) < 0 &&
		    i == 0)
			return -1;
	}
	return 0;
}

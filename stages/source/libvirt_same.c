/* SPDX-License-Identifier: Apache-2.0 */
/* Is a domain still the one that was copied?  Who defines another of its name
 * and uuid puts that in its place, and the target's domain.xml bears both.
 *
 * It goes by the images: a snapshot may have put another on top since. */
#include "stages/source/libvirt.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

/* One definition of it. */
struct defined {
	struct inventory *inv;
	json_t *disks; /* of each the images, [{file, format}], the top first */
};

static void
defined_done(struct defined *d)
{
	json_decref(d->disks);
	inventory_freep(&d->inv);
}

/* What cannot be read has at least the image that it is said to have. */
static json_t *
images_of(const struct inv_disk *disk, const struct domain_disk *from)
{
	json_t *layers = json_object_get(disk->locator, "layers");

	if (json_array_size(layers) > 0)
		return json_incref(layers);
	return json_pack("[{s:s, s:s}]", "file", from->path ? from->path : "",
			 "format", from->format);
}

static int
read_definition(struct virtual_host *h, struct virt_domain *d,
		bool as_configured, struct defined *ret, struct err *err)
{
	CLEANUP(domain_done) struct domain domain = {0};
	CLEANUP(mem_freep) char *xml = NULL;
	struct inv_vm *vm;

	ret->inv = inventory_new();
	ret->disks = json_array();
	vm = inventory_add_vm(ret->inv);
	if (virt_domain_xml(d, as_configured, &xml, err) < 0 ||
	    domain_parse(xml, ret->inv, vm, &domain, err) < 0)
		return -1;
	for (size_t i = 0; i < vm->ndisks; i++) {
		libvirt_look_at_disk(h, d, ret->inv, &vm->disks[i],
				     &domain.disks.v[i], &domain.concerns);
		json_array_append_new(
		    ret->disks, images_of(&vm->disks[i], &domain.disks.v[i]));
	}
	if (h->lost.class == ERR_NONE)
		return 0;
	*err = h->lost;
	return -1;
}

/* --- images ------------------------------------------------------------- */

static const char *
text_of(const json_t *image, const char *key)
{
	const char *text = json_string_value(json_object_get(image, key));

	return text ? text : "";
}

/* By another name, too, where that can be seen. */
static bool
is_file(const struct virtual_host *h, const char *a, const char *b)
{
	struct stat st_a, st_b;

	return strcmp(a, b) == 0 ||
	       (h->is_here && stat(a, &st_a) == 0 && stat(b, &st_b) == 0 &&
		st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino);
}

/* One that is read as of another format holds something else. */
static bool
has_image(const struct virtual_host *h, const struct defined *d,
	  const json_t *want)
{
	const json_t *images, *one;
	size_t i, j;

	json_array_foreach(d->disks, i, images)
	{
		json_array_foreach(images, j, one)
		{
			if (is_file(h, text_of(one, "file"),
				    text_of(want, "file")) &&
			    strcmp(text_of(one, "format"),
				   text_of(want, "format")) == 0)
				return true;
		}
	}
	return false;
}

static const json_t *
copied_image(const struct inv_disk *disk)
{
	return json_array_get(json_object_get(disk->locator, "layers"), 0);
}

static const struct inv_disk *
first_missing(const struct virtual_host *h, const struct inv_vm *vm,
	      const struct defined *d)
{
	for (size_t i = 0; i < vm->ndisks; i++) {
		const json_t *want = copied_image(&vm->disks[i]);

		if (want && !has_image(h, d, want))
			return &vm->disks[i];
	}
	return NULL;
}

/* --- what is said ------------------------------------------------------- */

static void
add_image(struct buf *b, const json_t *image, const char *name)
{
	buf_printf(b, "%s%s '%s'", b->len ? ", " : "", text_of(image, "format"),
		   text_of(image, "file"));
	if (name)
		buf_printf(b, " (%s)", name);
}

static int
refuse(const struct virtual_host *h, const struct inv_vm *vm,
       const struct defined *d, const struct inv_disk *missing, bool runs,
       struct err *err)
{
	CLEANUP(buf_done) struct buf is = {0}, of = {0}, was = {0};
	const json_t *images;
	size_t i;

	json_array_foreach(d->disks, i, images)
	{
		add_image(&is, json_array_get(images, 0), NULL);
	}
	for (i = 0; i < vm->ndisks; i++)
		add_image(&was, copied_image(&vm->disks[i]), vm->disks[i].name);
	add_image(&of, copied_image(missing), missing->name);
	return err_set(
	    err, ERR_FAIL,
	    "domain '%s' at '%s' is not the source any more%s: of its disks "
	    "none is %s, which was copied, but they are %s; %s the disks %s, "
	    "and run this again",
	    vm->name, h->ep->url, runs ? ", as it runs now" : "", of.data,
	    is.len ? is.data : "none",
	    runs ? "shut it down, see that it is defined with"
		 : "define it again as it was, with",
	    was.data);
}

static int
check(struct virtual_host *h, struct virt_domain *d, const struct inv_vm *vm,
      bool runs, struct err *err)
{
	CLEANUP(defined_done) struct defined now = {0};
	const struct inv_disk *missing;

	if (read_definition(h, d, !runs, &now, err) < 0)
		return -1;
	missing = first_missing(h, vm, &now);
	return missing ? refuse(h, vm, &now, missing, runs, err) : 0;
}

int
libvirt_is_itself(const struct endpoint *ep, const struct inv_vm *vm,
		  struct err *err)
{
	CLEANUP(libvirt_done) struct virtual_host h = {0};
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	bool active = false;

	if (libvirt_connect(ep, &h, err) < 0 ||
	    libvirt_find(&h, vm, &d, err) < 0 ||
	    virt_domain_active(d, &active, err) < 0 ||
	    (active && check(&h, d, vm, true, err) < 0))
		return -1;
	return check(&h, d, vm, false, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The dirty bitmaps of a qcow2. */
#include "io/image.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define QEMU_DEADLINE_MS 60000

static bool
has_flag(const json_t *bitmap, const char *flag)
{
	const json_t *flags = json_object_get(bitmap, "flags"), *one;
	size_t i;

	json_array_foreach((json_t *)flags, i, one)
	{
		if (json_is_string(one) &&
		    strcmp(json_string_value(one), flag) == 0)
			return true;
	}
	return false;
}

/* No character of the path means anything in it. */
static char *
qcow2_name(const char *path)
{
	json_t *image = json_pack("{s:s, s:{s:s, s:s}}", "driver", "qcow2",
				  "file", "driver", "file", "filename", path);
	char *dumped = json_dumps(image, JSON_COMPACT);
	char *name = mem_printf("json:%s", dumped);

	free(dumped);
	json_decref(image);
	return name;
}

int
image_bitmaps(const struct ssh *at, const char *path, struct image_bitmaps *ret,
	      struct err *err)
{
	CLEANUP(mem_freep) char *name = qcow2_name(path);
	CLEANUP(buf_done) struct buf out = {0};
	CLEANUP(json_decrefp) json_t *info = NULL;
	const char *argv[] = {"qemu-img",      "info", "--force-share",
			      "--output=json", name,   NULL};
	const json_t *list, *one;
	size_t i;

	if (ssh_run(at, argv, QEMU_DEADLINE_MS, &out, err) < 0)
		return err_wrap(err, "asking for the bitmaps of '%s'", path);
	info = json_loadb(out.data ? out.data : "", out.len, 0, NULL);
	list = json_object_get(
	    json_object_get(json_object_get(info, "format-specific"), "data"),
	    "bitmaps");
	json_array_foreach((json_t *)list, i, one)
	{
		const char *text =
		    json_string_value(json_object_get(one, "name"));
		struct image_bitmap *b = text ? vec_push(&ret->all) : NULL;

		if (b)
			*b = (struct image_bitmap){mem_strdup(text),
						   has_flag(one, "in-use"),
						   has_flag(one, "auto")};
	}
	return 0;
}

void
image_bitmaps_done(struct image_bitmaps *b)
{
	for (size_t i = 0; i < b->all.n; i++)
		free(b->all.v[i].name);
	vec_done(&b->all);
}

int
image_remove_bitmap(const struct ssh *at, const char *path, const char *name,
		    struct err *err)
{
	const char *argv[] = {"qemu-img", "bitmap", "--remove", "-f", "qcow2",
			      "--",	  path,	    name,	NULL};

	if (ssh_run(at, argv, QEMU_DEADLINE_MS, NULL, err) < 0)
		return err_wrap(err, "removing a bitmap of '%s'", path);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Images that qemu-nbd serves. */
#include "io/nbd.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/nbd_own.h"

static bool
is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static json_t *
file_spec(const struct nbd_serve_opts *opts, const char *path, bool device)
{
	if (!opts->at)
		device = is_device(path);
	return json_pack("{s:s, s:s}", "driver",
			 device ? "host_device" : "file", "filename", path);
}

/* The lowest stands on nothing, whatever it says itself. */
static json_t *
below_spec(const struct nbd_serve_opts *opts)
{
	json_t *below = json_null();

	for (size_t i = opts->nbelow; i > 0; i--) {
		const struct nbd_layer *l = &opts->below[i - 1];
		json_t *one =
		    json_pack("{s:s, s:o}", "driver", l->format, "file",
			      file_spec(opts, l->filename, l->device));

		if (strcmp(l->format, "raw") != 0)
			json_object_set_new(one, "backing", below);
		below = one;
	}
	return below;
}

/* qemu's own JSON file name: no character of a path means anything in it. */
static char *
image_spec(const struct nbd_serve_opts *opts)
{
	json_t *file = file_spec(opts, opts->filename, opts->device);
	json_t *image;
	char *dumped, *spec;

	if (opts->length)
		file = json_pack("{s:s, s:I, s:I, s:o}", "driver", "raw",
				 "offset", (json_int_t)opts->offset, "size",
				 (json_int_t)opts->length, "file", file);
	image = json_pack("{s:s, s:o}", "driver", opts->format, "file", file);
	if (opts->nbelow)
		json_object_set_new(image, "backing", below_spec(opts));
	dumped = json_dumps(image, JSON_COMPACT);
	spec = mem_printf("json:%s", dumped);
	free(dumped);
	json_decref(image);
	return spec;
}

/* Layers inherit the image's cache mode. */
static int
serve_image(const struct nbd_serve_opts *opts, bool direct,
	    struct nbd_server *ret, struct err *err)
{
	CLEANUP(mem_freep) char *spec = image_spec(opts);
	CLEANUP(mem_freep)
	char *clients =
	    mem_printf("%d", opts->connections ? opts->connections : 8);
	const char *argv[13] = {"qemu-nbd", "--persistent", "--socket",
				"@SOCKET@", "--shared",	    clients};
	size_t n = 6;

	if (!opts->writable)
		argv[n++] = "--read-only";
	if (direct)
		argv[n++] = "--cache=none";
	if (opts->bitmap) {
		argv[n++] = "--bitmap";
		argv[n++] = opts->bitmap;
	}
	argv[n] = spec;
	return opts->at ? nbd_serve_there(argv, opts, ret, err)
			: nbd_serve(argv, opts, ret, err);
}

/* What was not written out yet stays: so that is done first.  Where it fails
 * the disk has something else, and whoever reads will see. */
static void
drop_from_cache(const char *path)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fdatasync(fd);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* qemu-nbd answers before it opens the image, and then may not. */
static int
serve_direct(const struct nbd_serve_opts *opts, struct nbd_server *ret,
	     struct err *err)
{
	uint64_t ignored;

	if (serve_image(opts, true, ret, err) < 0)
		return -1;
	if (nbd_size(ret->uri, &ignored, err) == 0)
		return 0;
	nbd_server_stop(ret);
	return -1;
}

int
nbd_serve_image(const struct nbd_serve_opts *opts, struct nbd_server *ret,
		struct err *err)
{
	if (!opts->direct)
		return serve_image(opts, false, ret, err);
	if (serve_direct(opts, ret, err) == 0)
		return 0;
	if (opts->at)
		return -1;
	drop_from_cache(opts->filename);
	for (size_t i = 0; i < opts->nbelow; i++)
		drop_from_cache(opts->below[i].filename);
	return serve_image(opts, false, ret, err);
}

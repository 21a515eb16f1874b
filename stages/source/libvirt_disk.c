/* SPDX-License-Identifier: Apache-2.0 */
/* A domain's disks: where their bytes are, what they stand on, and what
 * changes when somebody writes them. */
#include "stages/source/libvirt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "io/image.h"
#include "io/xml.h"
#include "manifests/digest.h"

#define LAYERS_LIMIT 200

/* One disk being looked at. */
struct look {
	struct virtual_host *host;
	struct inventory *inv;
	struct inv_disk *disk;
	struct virt_volume volume; /* path NULL: no pool has it */
	json_t *layers;		   /* [{file, format}], the top first */
	struct buf epoch;
};

/* --- epoch -------------------------------------------------------------- */

/* Nothing but the kernel's count tells that a device was written. */
static int
add_device(struct look *l, const char *path, const struct stat *st,
	   struct err *err)
{
	CLEANUP(mem_freep)
	char *name = mem_printf("/sys/dev/block/%u:%u/stat", major(st->st_rdev),
				minor(st->st_rdev));
	unsigned long long n[17] = {0};
	FILE *f = fopen(name, "re");
	int got = 0;

	if (!f)
		return err_sys(err, "cannot tell what is written to '%s': '%s'",
			       path, name);
	while (got < 17 && fscanf(f, "%llu", &n[got]) == 1)
		got++;
	fclose(f);
	if (got < 8)
		return err_set(err, ERR_FAIL, "'%s' is not understood", name);
	/* writes and their sectors, discards and theirs */
	buf_printf(&l->epoch, "device %s %u:%u %s %llu %llu %llu %llu\n", path,
		   major(st->st_rdev), minor(st->st_rdev), clock_boot_id(),
		   n[4], n[6], n[11], n[13]);
	return 0;
}

static int
add_image(struct look *l, const char *path, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot look at '%s'", path);
	if (S_ISBLK(st.st_mode))
		return add_device(l, path, &st, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAIL,
			       "'%s' is neither a file nor a block device",
			       path);
	buf_printf(&l->epoch, "file %s %ju %jd %jd.%09ld %jd.%09ld\n", path,
		   (uintmax_t)st.st_ino, (intmax_t)st.st_size,
		   (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		   (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	return 0;
}

/* --- images ------------------------------------------------------------- */

/* "rbd:pool/image", "json:{...}": no path. */
static bool
is_path(const char *name)
{
	return name[strcspn(name, ":/")] != ':';
}

/* The next layer, as an absolute name beside `path`. */
static int
find_below(int fd, const char *path, struct image_layer *below, struct err *err)
{
	CLEANUP(mem_freep) char *dir = fs_dirname(path);
	CLEANUP(mem_freep) char *written = NULL;
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return err_sys(err, "cannot tell the size of '%s'", path);
	if (image_backing(fd, (uint64_t)end, below, err) < 0)
		return err_wrap(err, "'%s'", path);
	if (!below->path)
		return 0;
	if (!is_path(below->path))
		return err_set(err, ERR_FAIL,
			       "'%s' stands on '%s', which is no file of this "
			       "machine",
			       path, below->path);
	if (strcmp(below->format, "raw") && strcmp(below->format, "qcow2"))
		return err_set(err, ERR_FAIL,
			       "'%s' stands on '%s' without a word on its "
			       "format (or of one that is not read: '%s'); say "
			       "it with 'qemu-img rebase -u -b %s -F FORMAT'",
			       path, below->path, below->format, below->path);
	if (*below->path != '/') {
		written = steal(&below->path);
		below->path = fs_path(dir, written);
	}
	return 0;
}

static int
open_image(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		return err_set(err, ERR_FAIL,
			       "'%s' cannot be read: permission denied; run "
			       "palletjack as root, or as the images' owner",
			       path);
	return err_sys(err, "cannot open '%s'", path);
}

/* What it adds to the epoch; a file that begins as it does, at least as far as
 * its header goes. */
static int
take_image(struct look *l, const struct image_layer *at, bool *ret_device,
	   struct err *err)
{
	CLEANUP(mem_closep) int fd = -1;
	int got;

	*ret_device = false;
	if (l->host->at) {
		if (libvirt_fetch_image(l->host, at->path,
					!strcmp(at->format, "qcow2"), &l->epoch,
					ret_device, &fd, err) < 0)
			return -1;
	} else {
		fd = open_image(at->path, err);
		if (fd < 0 || add_image(l, at->path, fd, err) < 0)
			return -1;
	}
	got = fd;
	fd = -1;
	return got;
}

static void
add_layer(struct look *l, const struct image_layer *at, bool device)
{
	json_t *layer =
	    json_pack("{s:s, s:s}", "file", at->path, "format", at->format);

	if (device)
		json_object_set_new(layer, "device", json_true());
	json_array_append_new(l->layers, layer);
}

/* From the top down, each of the format that its upper neighbour gives. */
static int
read_layers(struct look *l, const char *top, const char *format,
	    struct err *err)
{
	struct image_layer at = {mem_strdup(top), mem_strdup(format)};
	int rc = 0;

	while (rc == 0 && at.path) {
		CLEANUP(mem_closep) int fd = -1;
		struct image_layer below = {0};
		bool device;

		if (json_array_size(l->layers) == LAYERS_LIMIT)
			rc = err_set(err, ERR_FAIL,
				     "it stands on more than %d images",
				     LAYERS_LIMIT);
		else if ((fd = take_image(l, &at, &device, err)) < 0 ||
			 (!strcmp(at.format, "qcow2") &&
			  find_below(fd, at.path, &below, err) < 0))
			rc = -1;
		else
			add_layer(l, &at, device);
		image_layer_done(&at);
		at = below;
	}
	image_layer_done(&at);
	return rc;
}

/* --- storage ------------------------------------------------------------ */

static void
name_storage(struct look *l, const char *path)
{
	CLEANUP(mem_freep) char *dir = fs_dirname(path);
	const char *id = l->volume.pool_uuid, *name = l->volume.pool_name;

	l->disk->storage_id = arena_strdup(l->inv->arena, id ? id : dir);
	l->disk->storage_name = arena_strdup(l->inv->arena, name ? name : dir);
	inventory_add_storage(l->inv, l->disk->storage_id,
			      l->disk->storage_name);
}

/* What the pool says of when it was written. */
static void
add_volume_times(struct look *l)
{
	CLEANUP(xml_freep) struct xml *xml = NULL;
	const struct xml_node *times;
	struct err ignored;

	if (!l->volume.xml ||
	    xml_parse(l->volume.xml, strlen(l->volume.xml), &xml, &ignored) < 0)
		return;
	times = xml_child(xml_child(xml_root(xml), NULL, "target"), NULL,
			  "timestamps");
	buf_printf(&l->epoch, "volume %s %s %s\n", l->volume.path,
		   xml_text(xml_child(times, NULL, "mtime")),
		   xml_text(xml_child(times, NULL, "ctime")));
}

static int
look_up(struct look *l, const struct domain_disk *from, struct err *err)
{
	if (from->volume)
		return virt_volume_in(l->host->virt, from->pool, from->volume,
				      &l->volume, err);
	return virt_volume_at(l->host->virt, from->path, &l->volume, err);
}

static int
look_at(struct look *l, struct virt_domain *d, const struct domain_disk *from,
	struct err *err)
{
	struct err away = {0};
	const char *path;

	if (look_up(l, from, err) < 0)
		return -1;
	path = from->path ? from->path : l->volume.path;
	name_storage(l, path);
	if (libvirt_reach(l->host, &away) < 0)
		add_volume_times(l);
	else if (read_layers(l, path, from->format, err) < 0)
		return -1;
	if (virt_domain_size(d, from->target, &l->disk->capacity_bytes,
			     &l->disk->allocated_bytes, err) < 0)
		return -1;
	if (away.class == ERR_NONE)
		return 0;
	return err_set(err, ERR_FAIL, "'%s' is on '%s', and not read: %s", path,
		       l->host->name, away.text);
}

void
libvirt_look_at_disk(struct virtual_host *h, struct virt_domain *d,
		     struct inventory *inv, struct inv_disk *disk,
		     const struct domain_disk *from, struct findings *concerns)
{
	struct look l = {
	    .host = h, .inv = inv, .disk = disk, .layers = json_array()};
	char hex[DIGEST_HEX_SIZE];
	struct err err;

	if (!from->blocked && look_at(&l, d, from, &err) < 0) {
		findings_add(concerns, FINDING_CRITICAL, "DiskNotReadable",
			     "disk '%s': %s", disk->name, err.text);
		if (h->at && err.class == ERR_RETRY)
			h->lost = err;
	}
	buf_adds(&l.epoch, "");
	digest_bytes(l.epoch.data, l.epoch.len, hex);
	disk->epoch = arena_strdup(inv->arena, hex);
	disk->locator =
	    inventory_keep(inv, json_pack("{s:o}", "layers", l.layers));
	virt_volume_done(&l.volume);
	buf_done(&l.epoch);
}

/* --- reading ------------------------------------------------------------ */

static const char *
text_of(const json_t *layer, const char *key)
{
	const char *text = json_string_value(json_object_get(layer, key));

	return text ? text : "";
}

static bool
has_size(const char *path, uint64_t want)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	return end >= 0 && (uint64_t)end == want;
}

char *
libvirt_raw_disk(const struct endpoint *ep, const struct inv_disk *disk)
{
	const json_t *layers = json_object_get(disk->locator, "layers");
	const json_t *top = json_array_get(layers, 0);

	if (!libvirt_is_here(ep) || json_array_size(layers) != 1 ||
	    strcmp(text_of(top, "format"), "raw") != 0 ||
	    !has_size(text_of(top, "file"), disk->capacity_bytes))
		return NULL;
	return mem_strdup(text_of(top, "file"));
}

char *
libvirt_top_image(const struct inv_disk *disk)
{
	const json_t *top =
	    json_array_get(json_object_get(disk->locator, "layers"), 0);

	return top ? mem_strdup(text_of(top, "file")) : NULL;
}

bool
libvirt_top_is_file(const struct virtual_host *h, const struct inv_disk *disk)
{
	const json_t *top =
	    json_array_get(json_object_get(disk->locator, "layers"), 0);
	struct stat st;

	if (h->at)
		return top && !json_object_get(top, "device");
	return top && stat(text_of(top, "file"), &st) == 0 &&
	       S_ISREG(st.st_mode);
}

bool
libvirt_keeps_bitmap(const struct inv_disk *disk)
{
	return strcmp(disk->format, "qcow2") == 0;
}

int
libvirt_open_layer(const struct endpoint *ep, const struct inv_disk *disk,
		   size_t layer, const struct nbd_serve_opts *opts,
		   struct nbd_server *ret, struct err *err)
{
	const json_t *layers = json_object_get(disk->locator, "layers");
	size_t n = json_array_size(layers);
	CLEANUP(mem_freep)
	struct nbd_layer *at = mem_new((n + 1) * sizeof(*at));
	CLEANUP(ssh_done) struct ssh place = {0};
	struct nbd_serve_opts how = *opts;

	if (layer >= n)
		return err_set(err, ERR_FAIL, "disk '%s' cannot be read",
			       disk->name);
	if (libvirt_place(ep, &place, err) < 0)
		return -1;
	for (size_t i = layer; i < n; i++) {
		const json_t *one = json_array_get(layers, i);

		at[i].filename = text_of(one, "file");
		at[i].format = text_of(one, "format");
		at[i].device = json_is_true(json_object_get(one, "device"));
	}
	how.at = place.host ? &place : NULL;
	how.device = at[layer].device;
	how.filename = at[layer].filename;
	how.format = at[layer].format;
	how.below = at + layer + 1;
	how.nbelow = n - layer - 1;
	how.offset = how.length = 0;
	how.writable = false;
	return nbd_serve_image(&how, ret, err);
}

int
libvirt_open_disk(const struct endpoint *ep, const struct inv_vm *vm,
		  const struct inv_disk *disk,
		  const struct nbd_serve_opts *opts, struct nbd_server *ret,
		  struct err *err)
{
	(void)vm;
	return libvirt_open_layer(ep, disk, 0, opts, ret, err);
}

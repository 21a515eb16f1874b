/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of disk images.  A guest can write any header into its raw disk, so
 * what is let through here must be harmless whoever wrote it. */
#include "io/image.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"

#define SECTOR 512
#define FOOTER 512
#define DESCRIPTOR_LIMIT ((size_t)1 << 20)
#define QEMU_DEADLINE_MS 60000
#define CHECK_DEADLINE_MS 1800000

/* vmdk */
#define GD_AT_END UINT64_MAX
#define FOOTER_FROM_END 1024
#define QEMU_DESCRIPTOR_AT 512 /* where qemu looks for a parent */
#define QEMU_DESCRIPTOR_SIZE 10240

/* qcow2's incompatible features */
#define QCOW2_CORRUPT 2
#define QCOW2_EXTERNAL_DATA 4
#define QCOW2_HEADER 104
#define QCOW2_NAME_LIMIT 1023
#define QCOW2_BACKING_FORMAT 0xe2792acaU /* a header extension */

struct part {
	int fd;
	uint64_t offset, length;
};

static int
read_part(const struct part *p, uint64_t at, void *data, size_t len,
	  struct err *err)
{
	if (at > p->length || len > p->length - at)
		return err_set(err, ERR_FAIL,
			       "truncated: %" PRIu64 " bytes, too few for its "
			       "own header",
			       p->length);
	return fs_pread(p->fd, data, len, (off_t)(p->offset + at), err);
}

static uint64_t
le64(const unsigned char *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return le64toh(n);
}

static uint64_t
be64(const unsigned char *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return be64toh(n);
}

static uint32_t
be32(const unsigned char *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return be32toh(n);
}

static uint32_t
le32(const unsigned char *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return le32toh(n);
}

/* qemu follows the hint wherever it finds it in the descriptor. */
static int
refuse_parent(const struct part *p, uint64_t at, uint64_t size, struct err *err)
{
	CLEANUP(mem_freep) char *text = NULL;
	size_t len = size < DESCRIPTOR_LIMIT ? (size_t)size : DESCRIPTOR_LIMIT;

	if (at >= p->length)
		return 0;
	if (len > p->length - at)
		len = (size_t)(p->length - at);
	text = mem_new(len + 1);
	if (read_part(p, at, text, len, err) < 0)
		return -1;
	if (strstr(text, "parentFileNameHint"))
		return err_set(err, ERR_FAIL,
			       "it is a delta on another image; export the vm "
			       "without snapshots");
	return 0;
}

/* Exporters that stream write the grain directory at the end, and a second
 * header behind it. */
static int
check_footer(const struct part *p, uint64_t capacity, struct err *err)
{
	/* qemu counts whole sectors from the end */
	uint64_t length = p->length / SECTOR * SECTOR;
	unsigned char footer[SECTOR];

	if (length < 3 * SECTOR ||
	    read_part(p, length - FOOTER_FROM_END, footer, SECTOR, err) < 0 ||
	    memcmp(footer, "KDMV", 4) != 0)
		return err_set(err, ERR_FAIL,
			       "truncated: the footer that should end the "
			       "VMDK is missing");
	if (le64(footer + 12) != capacity)
		return err_set(err, ERR_FAIL,
			       "damaged: header and footer of the VMDK name "
			       "different sizes");
	return 0;
}

static int
probe_vmdk(const struct part *p, struct image *ret, struct err *err)
{
	unsigned char h[SECTOR];
	uint64_t capacity;

	if (read_part(p, 0, h, sizeof(h), err) < 0)
		return -1;
	capacity = le64(h + 12);
	/* without a capacity qemu takes the descriptor's word, and opens the
	 * files it names */
	if (capacity == 0 || capacity > INT64_MAX / SECTOR)
		return err_set(err, ERR_FAIL,
			       "the VMDK's header has no sensible capacity");
	if (le64(h + 56) == GD_AT_END && check_footer(p, capacity, err) < 0)
		return -1;
	if (le64(h + 28) < p->length / SECTOR &&
	    refuse_parent(p, le64(h + 28) * SECTOR,
			  (le64(h + 36) & 0xffff) * SECTOR, err) < 0)
		return -1;
	if (refuse_parent(p, QEMU_DESCRIPTOR_AT, QEMU_DESCRIPTOR_SIZE, err) < 0)
		return -1;
	ret->virtual_bytes = capacity * SECTOR;
	return 0;
}

/* What goes for a qcow2 with or without a backing file. */
static int
read_qcow2(const struct part *p, unsigned char h[QCOW2_HEADER], struct err *err)
{
	uint64_t features = 0;

	if (read_part(p, 0, h, 72, err) < 0)
		return -1;
	if (be32(h + 4) != 2 && be32(h + 4) != 3)
		return err_set(err, ERR_FAIL, "qcow version %u is not read",
			       be32(h + 4));
	if (be32(h + 32))
		return err_set(err, ERR_FAIL, "it is encrypted");
	if (be32(h + 4) == 3) {
		if (read_part(p, 72, h + 72, QCOW2_HEADER - 72, err) < 0)
			return -1;
		features = be64(h + 72);
	}
	if (features & QCOW2_EXTERNAL_DATA)
		return err_set(err, ERR_FAIL,
			       "its data is in another file; join them with "
			       "'qemu-img convert'");
	if (features & QCOW2_CORRUPT)
		return err_set(err, ERR_FAIL,
			       "it is marked corrupt; see 'qemu-img check'");
	return 0;
}

static int
probe_qcow2(const struct part *p, struct image *ret, struct err *err)
{
	unsigned char h[QCOW2_HEADER] = {0};

	if (read_qcow2(p, h, err) < 0)
		return -1;
	if (be64(h + 8))
		return err_set(err, ERR_FAIL,
			       "it has a backing file; flatten it with "
			       "'qemu-img convert'");
	ret->virtual_bytes = be64(h + 24);
	return 0;
}

static int
probe_vdi(const struct part *p, struct image *ret, struct err *err)
{
	unsigned char h[SECTOR];

	if (read_part(p, 0, h, sizeof(h), err) < 0)
		return -1;
	if (le32(h + 0x4c) != 1 && le32(h + 0x4c) != 2)
		return err_set(err, ERR_FAIL,
			       "it is a delta on another image; merge the "
			       "snapshots first");
	ret->virtual_bytes = le64(h + 0x170);
	return 0;
}

static int
probe_vhdx(const struct part *p, struct image *ret, struct err *err)
{
	(void)p;
	(void)ret;
	(void)err;
	return 0;
}

static const struct magic_format {
	const char *bytes;
	size_t len, at;
	const char *format;
	int (*probe)(const struct part *p, struct image *ret, struct err *err);
} formats[] = {
    {"KDMV", 4, 0, "vmdk", probe_vmdk},
    {"QFI\xfb", 4, 0, "qcow2", probe_qcow2},
    {"vhdxfile", 8, 0, "vhdx", probe_vhdx},
    {"\x7f\x10\xda\xbe", 4, 64, "vdi", probe_vdi},
};

static const struct {
	const char *bytes;
	size_t len;
	const char *reason;
} refused[] = {
    {"COWD", 4, "it is an ESX snapshot delta; export the vm without them"},
    {"# Disk DescriptorFile", 21,
     "it is a VMDK that only names other files; join them with 'qemu-img "
     "convert -O vmdk'"},
    {"conectix", 8,
     "it is a VHD; change it with 'qemu-img convert -f vpc -O vhdx'"},
    {"QED\0", 4, "it is a QED image; change it with 'qemu-img convert'"},
    {"WithoutFreeSpace", 16,
     "it is a Parallels image; change it with 'qemu-img convert'"},
    {"WithouFreSpacExt", 16,
     "it is a Parallels image; change it with 'qemu-img convert'"},
    {"\x1f\x8b", 2, "it is compressed; unpack it with 'gunzip'"},
    {"BZh", 3, "it is compressed; unpack it with 'bunzip2'"},
    {"\xfd"
     "7zXZ",
     5, "it is compressed; unpack it with 'unxz'"},
    {"\x28\xb5\x2f\xfd", 4, "it is compressed; unpack it with 'unzstd'"},
    {"PK\x03\x04", 4, "it is a ZIP archive; unpack it with 'unzip'"},
};

/* Formats whose only mark stands at their end. */
static int
refuse_footers(const struct part *p, struct err *err)
{
	char foot[FOOTER] = {0};

	if (p->length < FOOTER)
		return 0;
	if (read_part(p, p->length - FOOTER, foot, sizeof(foot), err) < 0)
		return -1;
	if (!memcmp(foot, "conectix", 8))
		return err_set(err, ERR_FAIL,
			       "it is a VHD of fixed size; change it with "
			       "'qemu-img convert -f vpc -O vhdx'");
	if (!memcmp(foot, "koly", 4))
		return err_set(err, ERR_FAIL,
			       "it is a DMG; change it with 'qemu-img convert "
			       "-f dmg -O qcow2'");
	return 0;
}

int
image_probe(int fd, uint64_t offset, uint64_t length, struct image *ret,
	    struct err *err)
{
	struct part p = {fd, offset, length};
	char head[128] = {0};

	if (length == 0)
		return err_set(err, ERR_FAIL, "it is empty");
	if (read_part(&p, 0, head,
		      length < sizeof(head) ? (size_t)length : sizeof(head),
		      err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (!memcmp(head, refused[i].bytes, refused[i].len))
			return err_set(err, ERR_FAIL, "%s", refused[i].reason);
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (memcmp(head + formats[i].at, formats[i].bytes,
			   formats[i].len) != 0)
			continue;
		*ret = (struct image){.format = formats[i].format};
		return formats[i].probe(&p, ret, err);
	}
	if (refuse_footers(&p, err) < 0)
		return -1;
	*ret = (struct image){
	    .format = "raw",
	    .virtual_bytes = (length + SECTOR - 1) / SECTOR * SECTOR,
	};
	return 0;
}

/* qemu's JSON file name: its driver and the part of the file are given. */
static char *
qemu_name(const char *path, const char *format, uint64_t offset,
	  uint64_t length)
{
	json_t *file =
	    json_pack("{s:s, s:s}", "driver", "file", "filename", path);
	json_t *image;
	char *text, *name;

	if (length)
		file = json_pack("{s:s, s:I, s:I, s:o}", "driver", "raw",
				 "offset", (json_int_t)offset, "size",
				 (json_int_t)length, "file", file);
	image = json_pack("{s:s, s:o}", "driver", format, "file", file);
	text = json_dumps(image, JSON_COMPACT);
	name = mem_printf("json:%s", text ? text : "");
	free(text);
	json_decref(image);
	return name;
}

int
image_ask_qemu(const char *path, const char *format, uint64_t offset,
	       uint64_t length, uint64_t *ret_bytes, struct err *err)
{
	CLEANUP(mem_freep)
	char *name = qemu_name(path, format, offset, length);
	const char *argv[] = {"qemu-img",      "info", "--force-share",
			      "--output=json", name,   NULL};
	CLEANUP(buf_done) struct buf out = {0};
	CLEANUP(json_decrefp) json_t *info = NULL;
	const json_t *size;

	if (process_run(argv, QEMU_DEADLINE_MS, &out, err) < 0)
		return err_wrap(err, "qemu cannot read it as %s", format);
	info = json_loadb(out.data ? out.data : "", out.len, 0, NULL);
	if (json_object_get(info, "backing-filename"))
		return err_set(err, ERR_FAIL,
			       "it has a backing file; flatten it with "
			       "'qemu-img convert'");
	size = json_object_get(info, "virtual-size");
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(err, ERR_FAIL,
			       "qemu-img did not tell the size of the disk");
	*ret_bytes = (uint64_t)json_integer_value(size);
	return 0;
}

int
image_check(const char *path, const char *format, uint64_t offset,
	    uint64_t length, struct err *err)
{
	CLEANUP(mem_freep)
	char *name = qemu_name(path, format, offset, length);
	const char *argv[] = {"qemu-img", "check", "--force-share",
			      "-q",	  name,	   NULL};
	CLEANUP(buf_done) struct buf out = {0};

	if (strcmp(format, "vmdk") != 0)
		return 0;
	if (process_run(argv, CHECK_DEADLINE_MS, &out, err) < 0)
		return err_wrap(err, "damaged, probably truncated");
	return 0;
}

static int
grow_raw(const char *path, uint64_t bytes, struct err *err)
{
	CLEANUP(mem_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return err_sys(err, "cannot make '%s' %" PRIu64 " bytes long",
			       path, bytes);
	return 0;
}

int
image_grow(const char *path, const char *format, uint64_t bytes,
	   struct err *err)
{
	CLEANUP(mem_freep) char *size = mem_printf("%" PRIu64, bytes);
	const char *argv[] = {"qemu-img", "resize", "-q", "-f", "qcow2",
			      "--",	  path,	    size, NULL};

	if ((strcmp(format, "raw") == 0
		 ? grow_raw(path, bytes, err)
		 : process_run(argv, QEMU_DEADLINE_MS, NULL, err)) < 0)
		return -1;
	return fs_sync_file(path, err);
}

uint64_t
image_data_bytes(int fd, uint64_t size)
{
	uint64_t data = size;
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_blocks * 512 < data)
		data = (uint64_t)st.st_blocks * 512;
	return data ? data : 1;
}

/* The extensions follow the header, each a type, a length and data that is
 * filled up to eights; the backing file's name comes behind them. */
static int
read_backing_format(const struct part *p, const unsigned char *h, char **ret,
		    struct err *err)
{
	uint64_t at = be32(h + 4) == 3 ? be32(h + 100) : 72;
	uint64_t end = be64(h + 8);
	unsigned char e[8];

	while (at + sizeof(e) <= end) {
		if (read_part(p, at, e, sizeof(e), err) < 0)
			return -1;
		at += sizeof(e);
		if (be32(e) == 0)
			break;
		if (be32(e) == QCOW2_BACKING_FORMAT && be32(e + 4) < 64) {
			*ret = mem_new(be32(e + 4) + 1);
			return read_part(p, at, *ret, be32(e + 4), err);
		}
		at += ((uint64_t)be32(e + 4) + 7) & ~7ULL;
	}
	*ret = mem_strdup("");
	return 0;
}

int
image_backing(int fd, uint64_t length, struct image_layer *ret, struct err *err)
{
	struct part p = {fd, 0, length};
	unsigned char h[QCOW2_HEADER] = {0};
	struct image_layer layer = {0};

	*ret = layer;
	if (read_qcow2(&p, h, err) < 0)
		return -1;
	if (memcmp(h, "QFI\xfb", 4) != 0)
		return err_set(err, ERR_FAIL, "it is no qcow2");
	if (!be64(h + 8) || !be32(h + 16))
		return 0;
	if (be32(h + 16) > QCOW2_NAME_LIMIT)
		return err_set(err, ERR_FAIL,
			       "damaged: its backing file's name is too long");
	layer.path = mem_new(be32(h + 16) + 1);
	if (read_part(&p, be64(h + 8), layer.path, be32(h + 16), err) < 0 ||
	    read_backing_format(&p, h, &layer.format, err) < 0) {
		image_layer_done(&layer);
		return -1;
	}
	*ret = layer;
	return 0;
}

void
image_layer_done(struct image_layer *layer)
{
	free(layer->path);
	free(layer->format);
}

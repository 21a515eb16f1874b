/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk image is, by its own bytes and not by its name. */
#ifndef IO_IMAGE_H
#define IO_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"
#include "io/ssh.h"

struct image {
	const char *format;	/* raw, qcow2, vmdk, vhdx, vdi */
	uint64_t virtual_bytes; /* 0: its header does not say, ask qemu */
};

/* Looks at `length` bytes at `offset` of fd.  Whatever would make qemu open
 * another file (backing files, external data, extents), and what is no disk
 * image at all (archives), is an ERR_FAIL that says what to do. */
int image_probe(int fd, uint64_t offset, uint64_t length, struct image *ret,
		struct err *err);

/* The size of the disk as qemu sees it, reading with this format and no
 * other; proves that qemu can open it.  length 0: the whole file. */
int image_ask_qemu(const char *path, const char *format, uint64_t offset,
		   uint64_t length, uint64_t *ret_bytes, struct err *err);

/* Lets qemu follow all references within a VMDK: those that lead behind its
 * end would read as zeroes.  Other formats find out by themselves. */
int image_check(const char *path, const char *format, uint64_t offset,
		uint64_t length, struct err *err);

/* Makes an image of ours, raw or qcow2, that nobody has open `bytes` long, more
 * than it is; what is new reads as zeroes.  Synced. */
int image_grow(const char *path, const char *format, uint64_t bytes,
	       struct err *err);

/* What a qcow2 that is trusted (a guest has it as its disk and cannot write its
 * header) stands on, as its header says: `path` as written there, NULL where it
 * stands alone; `format` "" where it is left to guessing. */
struct image_layer {
	char *path, *format;
};
int image_backing(int fd, uint64_t length, struct image_layer *ret,
		  struct err *err);
void image_layer_done(struct image_layer *layer);

/* The dirty bitmaps that a qcow2 keeps; `broken`: not all that was written is
 * in it, for who had it open was killed; `records`: what is written is entered
 * by whoever opens the image. */
struct image_bitmaps {
	VEC(struct image_bitmap {
		char *name;
		bool broken;
		bool records;
	})
	all;
};
/* `at` is whose path it is; NULL: this machine's. */
int image_bitmaps(const struct ssh *at, const char *path,
		  struct image_bitmaps *ret, struct err *err);
void image_bitmaps_done(struct image_bitmaps *b);
/* Of an image that nobody has open. */
int image_remove_bitmap(const struct ssh *at, const char *path,
			const char *name, struct err *err);

/* How much of an image of `size` bytes is data, holes being none: a disk that
 * is unpacked from it holds that much at least.  Never 0, which would say that
 * it is not known. */
uint64_t image_data_bytes(int fd, uint64_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Small disks for tests, and servers for them. */
#include "t/disk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)

static struct err err;

void
disk_make(const char *path, const char *map, uint64_t size)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CLEANUP(mem_freep) uint8_t *block = mem_new(MIB);
	uint64_t at, n;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		abort();
	for (size_t i = 0; map[i]; i++) {
		at = i * MIB;
		n = size - at < MIB ? size - at : MIB;
		for (size_t k = 0; k < MIB; k++)
			block[k] = map[i] == '0'
				       ? 0
				       : (uint8_t)((k * 31 + k / 4096) ^
						   (unsigned)map[i] ^ i);
		if (map[i] != '.' &&
		    fs_pwrite(fd, block, n, (off_t)at, &err) < 0)
			abort();
	}
}

void
disk_make_blank(const char *path, uint64_t size)
{
	disk_make(path, "", size);
}

bool
disk_same(const char *a, const char *b, uint64_t size)
{
	CLEANUP(mem_closep) int fa = open(a, O_RDONLY | O_CLOEXEC);
	CLEANUP(mem_closep) int fb = open(b, O_RDONLY | O_CLOEXEC);
	CLEANUP(mem_freep) uint8_t *ba = mem_new(MIB);
	CLEANUP(mem_freep) uint8_t *bb = mem_new(MIB);
	uint64_t n;

	for (uint64_t at = 0; at < size; at += n) {
		n = size - at < MIB ? size - at : MIB;
		if (fs_pread(fa, ba, n, (off_t)at, &err) < 0 ||
		    fs_pread(fb, bb, n, (off_t)at, &err) < 0 ||
		    memcmp(ba, bb, n) != 0)
			return false;
	}
	return true;
}

struct nbd_server
disk_serve_by(const char *const *argv)
{
	struct nbd_serve_opts opts = {.format = "raw"};
	struct nbd_server server = {0};

	if (nbd_serve(argv, &opts, &server, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	return server;
}

struct nbd_server
disk_serve(const char *path)
{
	const char *argv[] = {"nbdkit", "-f", "-U", "@SOCKET@",
			      "file",	path, NULL};

	return disk_serve_by(argv);
}

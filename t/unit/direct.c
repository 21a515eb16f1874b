/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks past the page cache: all arrive, failures are those they belong to,
 * and what cannot be written so is not taken. */
#include "stages/copy/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "t/tap.h"

#define BLOCK (1024 * 1024)
#define NBLOCKS 24
#define TMPFS 0x01021994

static struct direct d;
static struct direct_op op[NBLOCKS];
static uint8_t *data[NBLOCKS];
static char *path;
static int fd;

static void
make_blocks(void)
{
	for (int i = 0; i < NBLOCKS; i++) {
		data[i] = aligned_alloc(4096, BLOCK);
		memset(data[i], i + 1, BLOCK);
	}
}

static void
open_new(void)
{
	path = fs_path(tap_dir(), "target");
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)NBLOCKS * BLOCK) < 0)
		abort();
	direct_open(&d, fd, path);
}

static void
close_all(void)
{
	direct_close(&d);
	close(fd);
	free(path);
}

static void
begin(int i)
{
	direct_begin(&d, &op[i], data[i], BLOCK, (uint64_t)i * BLOCK);
}

static int
count_there(void)
{
	uint8_t *there = aligned_alloc(4096, BLOCK);
	int n = 0;

	for (int i = 0; i < NBLOCKS; i++)
		n += pread(fd, there, BLOCK, (off_t)i * BLOCK) == BLOCK &&
		     memcmp(there, data[i], BLOCK) == 0;
	free(there);
	return n;
}

static void
test_all_arrive(void)
{
	struct err err = {0};
	char other[4200];
	int nfailed = 0;

	open_new();
	/* it is the file that is open, not its name */
	snprintf(other, sizeof(other), "%s.other", path);
	rename(path, other);
	for (int i = 0; i < NBLOCKS; i++)
		begin(i);
	for (int i = NBLOCKS - 1; i >= 0; i--)
		nfailed += direct_end(&op[i], &err) < 0;
	is_int(nfailed, 0, "many at once, waited for in any order");
	is_int(count_there(), NBLOCKS, "all are where they belong");
	unlink(other);
	close_all();
}

static void
test_close_ends_them(void)
{
	int nended = 0;

	open_new();
	for (int i = 0; i < NBLOCKS; i++)
		begin(i);
	direct_close(&d);
	for (int i = 0; i < NBLOCKS; i++)
		nended += op[i].has_ended && op[i].rc == 0;
	is_int(nended, NBLOCKS, "what was begun has ended when it is closed");
	is_int(count_there(), NBLOCKS, "and is there");
	ok(!direct_is_open(&d), "it is closed");
	close_all();
}

static void
test_failures(void)
{
	struct rlimit before, small;
	struct err err = {0};
	int nfailed = 0;

	open_new();
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = (rlim_t)(NBLOCKS - 4) * BLOCK;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	for (int i = 0; i < NBLOCKS; i++)
		begin(i);
	for (int i = 0; i < NBLOCKS; i++)
		nfailed += (direct_end(&op[i], &err) < 0) == (i >= NBLOCKS - 4);
	setrlimit(RLIMIT_FSIZE, &before);
	is_int(nfailed, NBLOCKS, "those fail that cannot be written, no other");
	is_int(err.sys, EFBIG, "and say why");
	like(err.text, path, "and what could not be written");
	is_int(count_there(), NBLOCKS - 4, "the others are there");
	close_all();
}

static void
test_what_is_taken(void)
{
	open_new();
	ok(direct_takes(&d, data[0], BLOCK, BLOCK), "a block is taken");
	ok(!direct_takes(&d, data[0] + 512, BLOCK - 512, 512),
	   "data anywhere in memory is not");
	ok(!direct_takes(&d, data[0], 1000, 0), "nor an odd length");
	ok(!direct_takes(&d, data[0], 4096, 1000), "nor an odd place");
	close_all();
	ok(!direct_takes(&d, data[0], BLOCK, 0), "nor anything when closed");
}

/* It would only cost there. */
static void
test_memory(void)
{
	char name[] = "/dev/shm/palletjack-t.XXXXXX";
	struct statfs fs;
	int shm = mkstemp(name);

	if (shm < 0 || fstatfs(shm, &fs) < 0 || fs.f_type != TMPFS) {
		ok(true, "a file system in memory # SKIP /dev/shm is none");
	} else {
		direct_open(&d, shm, name);
		ok(!direct_is_open(&d),
		   "a file system in memory is left alone");
	}
	unlink(name);
	close(shm);
}

int
main(void)
{
	bool offered;

	open_new();
	offered = direct_is_open(&d);
	close_all();
	if (!offered)
		tap_skip_all("the file system here says nothing of O_DIRECT");
	make_blocks();
	test_all_arrive();
	test_close_ends_them();
	test_failures();
	test_what_is_taken();
	test_memory();
	for (int i = 0; i < NBLOCKS; i++)
		free(data[i]);
	return tap_done();
}

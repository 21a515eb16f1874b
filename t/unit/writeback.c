/* SPDX-License-Identifier: Apache-2.0 */
/* A write-back that fails while a checkpoint is under way.  The kernel tells
 * each descriptor of it once, to whatever asks first; here sync_file_range and
 * fdatasync are ours, so that the order is. */
#include "stages/copy/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "t/disk.h"
#include "t/tap.h"

#define MIB (1024 * 1024ull)
#define NBLOCKS 40
#define WAIT_MS 20000 /* longer than any machine takes */

static char *source, *target, *ledger_path;
static atomic_bool is_syncing; /* of the target */
static atomic_int taker;       /* descriptor that was told; -1: none yet */
static bool says_once;	       /* no other descriptor is told after that */
static ino_t target_ino;

static bool
is_target(int fd)
{
	struct stat st;

	return target_ino && fstat(fd, &st) == 0 && st.st_ino == target_ino;
}

static int
count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = -2; /* itself, and what it is in */

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* A lane that waits does so until a sync is under way; the first is told. */
int
sync_file_range(int fd, off_t at, off_t len, unsigned flags)
{
	int64_t until = clock_mono_ms() + WAIT_MS;
	int none = -1;

	(void)at;
	(void)len;
	if (!(flags & SYNC_FILE_RANGE_WAIT_AFTER) || !is_target(fd))
		return 0;
	while (!atomic_load(&is_syncing) && clock_mono_ms() < until)
		poll(NULL, 0, 2);
	if (!atomic_compare_exchange_strong(&taker, &none, fd))
		return 0;
	errno = EIO;
	return -1;
}

/* Until a lane was told; with says_once, until all of them have ended. */
int
fdatasync(int fd)
{
	int64_t until = clock_mono_ms() + WAIT_MS;

	if (!is_target(fd))
		return 0;
	atomic_store(&is_syncing, true);
	while (clock_mono_ms() < until &&
	       (atomic_load(&taker) < 0 || (says_once && count_threads() > 2)))
		poll(NULL, 0, 2);
	if (says_once || atomic_load(&taker) == fd)
		return 0;
	errno = EIO;
	return -1;
}

static void
test(bool once, const char *what)
{
	struct ledger_identity id = {.vm = "vm",
				     .disk = "disk",
				     .target = "target",
				     .size_bytes = NBLOCKS * MIB,
				     .digest = LEDGER_XXH3,
				     .target_is_blank = true};
	struct copy_opts opts = {
	    .source_file = source,
	    .target = {.file = target, .reads_as_zero = true},
	    .generation = 1,
	    .checkpoint_bytes = 12 * MIB, /* lanes wait from their 9th on */
	};
	struct copy_progress stats;
	struct err err = {0};
	struct stat st;

	disk_make_blank(target, NBLOCKS * MIB);
	unlink(ledger_path);
	if (stat(target, &st) < 0 ||
	    ledger_open(ledger_path, &id, &opts.ledger, &err) < 0)
		abort();
	atomic_store(&is_syncing, false);
	atomic_store(&taker, -1);
	says_once = once;
	target_ino = st.st_ino;
	ok(copy_run(&opts, &stats, &err) < 0, "%s: the copy fails", what);
	target_ino = 0;
	ok(atomic_load(&taker) >= 0, "%s: a lane was told", what);
	like(err.text, "target", "it says whose it is");
	is_int(ledger_count_durable(opts.ledger), 0,
	       "and nothing is called durable");
	ok(copy_run(&opts, &stats, &err) == 0 &&
	       disk_same(source, target, NBLOCKS * MIB),
	   "the next copy ends the same");
	ledger_close(opts.ledger);
}

int
main(void)
{
	char map[NBLOCKS + 1] = "";

	memset(map, 'd', NBLOCKS);
	source = fs_path(tap_dir(), "source");
	target = fs_path(tap_dir(), "target");
	ledger_path = fs_path(tap_dir(), "ledger");
	disk_make(source, map, NBLOCKS * MIB);
	test(false, "told to a lane before the sync ends");
	test(true, "a lane failed before a sync succeeds");
	free(source);
	free(target);
	free(ledger_path);
	return tap_done();
}

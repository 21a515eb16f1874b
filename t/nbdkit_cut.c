/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin for nbdkit: a disk whose power can go.
 *
 * What is written stays in memory, where it can be read, and reaches the file
 * only when it is flushed: what had been answered on any connection before the
 * flush began, or, without multi-conn, on that one.  When the server ends
 * (SIGTERM), or dies by die-at, the power is off: of each page that was not
 * flushed the file gets all, some sectors or nothing, as the dice fall.
 *
 *   file=PATH       the medium, a raw image
 *   seed=N          of the dice
 *   multi-conn=0|1  what is promised (1)
 *   flush-fails=N   the Nth flush fails (EIO), and what it was for is never
 *                   written, as Linux does it: it can be read until the end,
 *                   and later flushes succeed
 *   flush-ms=N      a flush takes so long
 *   lie=0|1         flushes succeed and do nothing (0)
 *   die-at=N        dies at the Nth request */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#define PAGE 4096u
#define SECTOR 512u

/* Per page: nobody's, or of the connection that wrote it last; LOST belongs to
 * a flush that failed. */
#define CLEAN 0
#define LOST UINT32_MAX

static char *file;
static uint64_t seed = 1, die_at, nrequests, size, nflushes;
static int multi_conn = 1, lie;
static unsigned flush_fails, flush_ms;
static int fd = -1;
static uint8_t *seen;	 /* what is read */
static uint32_t *writer; /* of each page */
static uint64_t *version;
static uint64_t now; /* counts writes */
static uint32_t nclients;
static bool is_off;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* splitmix64 */
static uint64_t
roll(uint64_t sides)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % sides;
}

static int
cut_config(const char *key, const char *value)
{
	unsigned number = (unsigned)strtoul(value, NULL, 10);

	if (strcmp(key, "file") == 0) {
		file = nbdkit_realpath(value);
		return file ? 0 : -1;
	}
	if (strcmp(key, "seed") == 0)
		seed = number;
	else if (strcmp(key, "multi-conn") == 0)
		multi_conn = (int)number;
	else if (strcmp(key, "flush-fails") == 0)
		flush_fails = number;
	else if (strcmp(key, "flush-ms") == 0)
		flush_ms = number;
	else if (strcmp(key, "lie") == 0)
		lie = (int)number;
	else if (strcmp(key, "die-at") == 0)
		die_at = number;
	else {
		nbdkit_error("unknown parameter '%s'", key);
		return -1;
	}
	return 0;
}

static uint64_t
npages(void)
{
	return (size + PAGE - 1) / PAGE;
}

static int
cut_get_ready(void)
{
	struct stat st;

	fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0 || fstat(fd, &st) < 0) {
		nbdkit_error("cannot open file=%s", file ? file : "");
		return -1;
	}
	size = (uint64_t)st.st_size;
	seen = malloc(npages() * PAGE);
	writer = calloc(npages(), sizeof(*writer));
	version = calloc(npages(), sizeof(*version));
	if (!seen || !writer || !version ||
	    pread(fd, seen, size, 0) != (ssize_t)size) {
		nbdkit_error("cannot read %s", file);
		return -1;
	}
	return 0;
}

static void
store(uint64_t page, uint64_t from, uint64_t len)
{
	uint64_t at = page * PAGE + from;

	if (at + len > size)
		len = size - at;
	if (pwrite(fd, seen + at, len, (off_t)at) != (ssize_t)len)
		abort();
}

/* All of it, some sectors, or nothing; nothing for sure of what is lost. */
static void
store_by_chance(uint64_t page, unsigned luck)
{
	if (roll(8) != 0) {
		if (roll(4) < luck)
			store(page, 0, PAGE);
		return;
	}
	for (uint64_t from = 0; from < PAGE && page * PAGE + from < size;
	     from += SECTOR)
		if (roll(4) < luck)
			store(page, from, SECTOR);
}

static void
power_off(void)
{
	unsigned luck = (unsigned)roll(5);

	if (is_off)
		return;
	is_off = true;
	for (uint64_t page = 0; page < npages(); page++)
		if (writer[page] != CLEAN && writer[page] != LOST)
			store_by_chance(page, luck);
}

static void
cut_unload(void)
{
	if (fd >= 0)
		power_off();
}

/* With the lock held. */
static void
count_request(void)
{
	if (++nrequests != die_at)
		return;
	power_off();
	_exit(1);
}

static void *
cut_open(int readonly)
{
	uint32_t *id = malloc(sizeof(*id));

	(void)readonly;
	if (!id)
		return NULL;
	pthread_mutex_lock(&lock);
	*id = ++nclients;
	pthread_mutex_unlock(&lock);
	return id;
}

static void
cut_close(void *handle)
{
	free(handle);
}

static int64_t
cut_get_size(void *handle)
{
	(void)handle;
	return (int64_t)size;
}

static int
cut_can_multi_conn(void *handle)
{
	(void)handle;
	return multi_conn;
}

static int
cut_pread(void *handle, void *to, uint32_t n, uint64_t at, uint32_t flags)
{
	(void)handle;
	(void)flags;
	pthread_mutex_lock(&lock);
	memcpy(to, seen + at, n);
	pthread_mutex_unlock(&lock);
	return 0;
}

/* A page that is written again after it was lost is new. */
static int
change(const uint32_t *client, const void *from, uint64_t n, uint64_t at)
{
	pthread_mutex_lock(&lock);
	if (from)
		memcpy(seen + at, from, n);
	else
		memset(seen + at, 0, n);
	now++;
	for (uint64_t page = at / PAGE; page * PAGE < at + n; page++) {
		writer[page] = *client;
		version[page] = now;
	}
	count_request();
	pthread_mutex_unlock(&lock);
	return 0;
}

static int
cut_pwrite(void *handle, const void *from, uint32_t n, uint64_t at,
	   uint32_t flags)
{
	(void)flags;
	return change(handle, from, n, at);
}

static int
cut_zero(void *handle, uint32_t n, uint64_t at, uint32_t flags)
{
	(void)flags;
	return change(handle, NULL, n, at);
}

static bool
is_flushed(uint64_t page, uint32_t client, uint64_t until)
{
	if (writer[page] == CLEAN || writer[page] == LOST)
		return false;
	return version[page] <= until && (multi_conn || writer[page] == client);
}

/* What comes in while it takes its time is not of this flush. */
static int
cut_flush(void *handle, uint32_t flags)
{
	const uint32_t *client = handle;
	const struct timespec pause = {flush_ms / 1000,
				       (long)(flush_ms % 1000) * 1000000};
	uint64_t until;
	bool fails;

	(void)flags;
	pthread_mutex_lock(&lock);
	until = now;
	fails = ++nflushes == flush_fails;
	count_request();
	pthread_mutex_unlock(&lock);
	if (flush_ms)
		nanosleep(&pause, NULL);
	pthread_mutex_lock(&lock);
	for (uint64_t page = 0; !lie && page < npages(); page++) {
		if (!is_flushed(page, *client, until))
			continue;
		if (!fails)
			store(page, 0, PAGE);
		writer[page] = fails ? LOST : CLEAN;
	}
	pthread_mutex_unlock(&lock);
	if (fails)
		nbdkit_set_error(EIO);
	return fails ? -1 : 0;
}

static int
yes(void *handle)
{
	(void)handle;
	return 1;
}

static struct nbdkit_plugin plugin = {
    .name = "cut",
    .config = cut_config,
    .config_help = "see the source",
    .get_ready = cut_get_ready,
    .unload = cut_unload,
    .open = cut_open,
    .close = cut_close,
    .get_size = cut_get_size,
    .can_multi_conn = cut_can_multi_conn,
    .can_write = yes,
    .can_flush = yes,
    .can_zero = yes,
    .pread = cut_pread,
    .pwrite = cut_pwrite,
    .zero = cut_zero,
    .flush = cut_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)

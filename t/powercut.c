/* SPDX-License-Identifier: Apache-2.0 */
/* A power cut for files; powercut.h says how it is used. */
#include "t/powercut.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <libnbd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NFILES 2
#define NCALLS 65536
#define ROOM (512ull * 1024 * 1024) /* for what is written in one life */
#define SECTOR 512
#define PAGE 4096

enum kind { CALL_WRITE, CALL_ZERO, CALL_SYNC };

struct call {
	enum kind kind;
	int file;
	uint64_t at, len;
	uint64_t data;	       /* where in the room */
	uint64_t begun, ended; /* events; 0: did not */
};

/* Shared with the child, and still there after its death. */
struct record {
	atomic_bool armed;
	uint64_t die_at;
	_Atomic uint64_t events, ncalls, used;
	struct call calls[NCALLS];
	uint8_t room[ROOM];
};

struct file {
	const char *path;
	dev_t dev;
	ino_t ino;
	uint64_t size;
	uint8_t *durable;
};

static struct record *rec;
static struct file files[NFILES];
static int nfiles;
static int liar = -1;

static void
die(const char *what)
{
	perror(what);
	abort();
}

static uint64_t
event(void)
{
	uint64_t now = atomic_fetch_add(&rec->events, 1) + 1;

	if (now == rec->die_at) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
	return now;
}

static struct call *
begin(int file, enum kind kind, uint64_t at, uint64_t len, const void *data)
{
	struct call *call;
	uint64_t n, room;

	if (file < 0 || !rec || !atomic_load(&rec->armed))
		return NULL;
	n = atomic_fetch_add(&rec->ncalls, 1);
	room = atomic_fetch_add(&rec->used, data ? len : 0);
	if (n >= NCALLS || room + len > ROOM)
		die("# powercut: the record is full");
	call = &rec->calls[n];
	*call = (struct call){
	    .kind = kind, .file = file, .at = at, .len = len, .data = room};
	if (data)
		memcpy(rec->room + room, data, len);
	call->begun = event();
	return call;
}

static void
end(struct call *call, bool succeeded)
{
	uint64_t now;

	if (!call)
		return;
	now = event();
	if (succeeded)
		call->ended = now;
}

static int
file_of(int fd)
{
	struct stat st;

	if (nfiles == 0 || fstat(fd, &st) < 0)
		return -1;
	for (int i = 0; i < nfiles; i++)
		if (st.st_dev == files[i].dev && st.st_ino == files[i].ino)
			return i;
	return -1;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	ssize_t (*real)(int, const void *, size_t, off_t) = (ssize_t(*)(
	    int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
	struct call *call =
	    begin(file_of(fd), CALL_WRITE, (uint64_t)at, len, data);
	ssize_t put = real(fd, data, len, at);

	end(call, put == (ssize_t)len);
	return put;
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	int (*real)(int, int, off_t, off_t) =
	    (int (*)(int, int, off_t, off_t))dlsym(RTLD_NEXT, "fallocate");
	struct call *call =
	    begin(file_of(fd), CALL_ZERO, (uint64_t)at, (uint64_t)len, NULL);
	int rc = real(fd, mode, at, len);

	end(call, rc == 0);
	return rc;
}

static int
record_sync(int fd, const char *name)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	int file = file_of(fd), rc;
	struct call *call;

	if (file >= 0 && file == liar)
		return 0;
	call = begin(file, CALL_SYNC, 0, 0, NULL);
	/* the medium is ours: a real sync would only cost time */
	rc = call ? 0 : real(fd);
	end(call, rc == 0);
	return rc;
}

int
fdatasync(int fd)
{
	return record_sync(fd, "fdatasync");
}

int
fsync(int fd)
{
	return record_sync(fd, "fsync");
}

/* A request over NBD ends when the server has answered it. */
struct request {
	struct call *call;
	nbd_completion_callback asked;
};

static int
answered(void *arg, int *error)
{
	struct request *r = arg;

	end(r->call, *error == 0);
	return r->asked.callback ? r->asked.callback(r->asked.user_data, error)
				 : 1;
}

/* What is passed on in the caller's stead. */
static nbd_completion_callback
listen_in(struct call *call, nbd_completion_callback asked)
{
	struct request *r = malloc(sizeof(*r));
	nbd_completion_callback mine = {
	    .callback = answered, .user_data = r, .free = free};

	if (!r)
		die("# powercut");
	*r = (struct request){.call = call, .asked = asked};
	return call ? mine : (free(r), asked);
}

int64_t
nbd_aio_pwrite(struct nbd_handle *h, const void *data, size_t len, uint64_t at,
	       nbd_completion_callback done, uint32_t flags)
{
	int64_t (*real)(struct nbd_handle *, const void *, size_t, uint64_t,
			nbd_completion_callback, uint32_t) =
	    (int64_t(*)(struct nbd_handle *, const void *, size_t, uint64_t,
			nbd_completion_callback,
			uint32_t))dlsym(RTLD_NEXT, "nbd_aio_pwrite");
	struct call *call = begin(0, CALL_WRITE, at, len, data);

	return real(h, data, len, at, listen_in(call, done), flags);
}

int64_t
nbd_aio_zero(struct nbd_handle *h, uint64_t len, uint64_t at,
	     nbd_completion_callback done, uint32_t flags)
{
	int64_t (*real)(struct nbd_handle *, uint64_t, uint64_t,
			nbd_completion_callback, uint32_t) =
	    (int64_t(*)(struct nbd_handle *, uint64_t, uint64_t,
			nbd_completion_callback,
			uint32_t))dlsym(RTLD_NEXT, "nbd_aio_zero");
	struct call *call = begin(0, CALL_ZERO, at, len, NULL);

	return real(h, len, at, listen_in(call, done), flags);
}

int64_t
nbd_aio_flush(struct nbd_handle *h, nbd_completion_callback done,
	      uint32_t flags)
{
	int64_t (*real)(struct nbd_handle *, nbd_completion_callback,
			uint32_t) =
	    (int64_t(*)(struct nbd_handle *, nbd_completion_callback,
			uint32_t))dlsym(RTLD_NEXT, "nbd_aio_flush");
	struct call *call = liar == 0 ? NULL : begin(0, CALL_SYNC, 0, 0, NULL);

	return real(h, listen_in(call, done), flags);
}

static void
watch_file(struct file *f, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	free(f->durable);
	*f = (struct file){.path = path,
			   .dev = st.st_dev,
			   .ino = st.st_ino,
			   .size = (uint64_t)st.st_size,
			   .durable = malloc((size_t)st.st_size + 1)};
	if (!f->durable || read(fd, f->durable, f->size) != (ssize_t)f->size)
		die(path);
	close(fd);
}

static void
forget(void)
{
	rec->armed = false;
	rec->events = rec->ncalls = rec->used = 0;
}

void
powercut_watch(const char *const *paths, int npaths)
{
	if (!rec)
		rec = mmap(NULL, sizeof(*rec), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rec == MAP_FAILED)
		die("mmap");
	forget();
	for (nfiles = 0; nfiles < npaths; nfiles++)
		watch_file(&files[nfiles], paths[nfiles]);
}

void
powercut_arm(uint64_t die_at)
{
	rec->die_at = die_at;
	rec->armed = true;
}

void
powercut_lie(int file)
{
	liar = file;
}

uint64_t
powercut_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static bool
is_durable(const struct call *call)
{
	for (uint64_t i = 0; i < rec->ncalls; i++) {
		const struct call *sync = &rec->calls[i];

		if (sync->kind == CALL_SYNC && sync->file == call->file &&
		    sync->ended && call->ended && call->ended <= sync->begun)
			return true;
	}
	return false;
}

static void
put(const struct call *call, uint64_t from, uint64_t len)
{
	uint8_t *to = files[call->file].durable + call->at + from;

	if (call->kind == CALL_ZERO)
		memset(to, 0, len);
	else
		memcpy(to, rec->room + call->data + from, len);
}

/* `luck` of 4: how much of it reached the medium all the same.  A page is
 * written back whole, but for the one that the cut tears. */
static void
put_by_chance(const struct call *call, unsigned luck, uint64_t *dice)
{
	uint64_t unit, n;

	for (uint64_t from = 0; from < call->len; from += n) {
		unit = powercut_random(dice) % 8 == 0 ? SECTOR : PAGE;
		n = unit - (call->at + from) % unit;
		if (n > call->len - from)
			n = call->len - from;
		if (powercut_random(dice) % 4 < luck)
			put(call, from, n);
	}
}

static void
write_back(const struct file *f)
{
	int fd = open(f->path, O_RDWR | O_CLOEXEC);
	uint64_t at = 0;
	ssize_t put_now;

	if (fd < 0 || ftruncate(fd, (off_t)f->size) < 0)
		die(f->path);
	for (; at < f->size; at += (uint64_t)put_now) {
		put_now = pwrite(fd, f->durable + at, f->size - at, (off_t)at);
		if (put_now <= 0)
			die(f->path);
	}
	close(fd);
}

void
powercut_strike(uint64_t seed)
{
	unsigned luck = (unsigned)(powercut_random(&seed) % 5);

	rec->armed = false;
	for (uint64_t i = 0; i < rec->ncalls; i++) {
		const struct call *call = &rec->calls[i];

		if (call->kind == CALL_SYNC)
			continue;
		if (is_durable(call))
			put(call, 0, call->len);
		else if (call->begun)
			put_by_chance(call, luck, &seed);
	}
	for (int i = 0; i < nfiles; i++)
		write_back(&files[i]);
	forget();
}

uint64_t
powercut_events(void)
{
	return rec->events;
}

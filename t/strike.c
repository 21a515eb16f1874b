/* SPDX-License-Identifier: Apache-2.0 */
/* After a power cut: makes the tree anew as the disk might have it (cut.h).
 *
 *   strike begin RECORD           empties the record
 *   strike events RECORD          prints how many events and syncs there were
 *   strike end RECORD SNAP SEED DIR
 *
 * SNAP is a copy of DIR from before, SNAP.list what was where:
 * find DIR -printf '%y %i %P\n'.
 *
 * A change is there for certain if it had ended before a sync of its file (of
 * its directory, for names) began that succeeded.  Of any other write each
 * page is there or not as the dice fall, and now and then each sector.  Names
 * that nobody synced are lost from some moment on: everywhere from the same
 * one, as a journal of the file system would have it, in which case a sync
 * brings all that came before it; or in each directory from another. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t/cut.h"

#define NFILES 8192
#define NNAMES 512 /* in a directory */
#define SECTOR 512
#define PAGE 4096

struct name {
	char text[CUT_NAME];
	int file; /* -1: none */
};

struct file {
	uint64_t ino;
	bool is_dir;
	uint64_t size, room;
	uint8_t *data;
	struct name *names;
	int nnames;
};

static struct cut_record *rec;
static struct file files[NFILES];
static int nfiles;
static uint64_t dice;

static void
die(const char *what)
{
	perror(what);
	exit(2);
}

/* splitmix64 */
static uint64_t
roll(uint64_t sides)
{
	uint64_t z = dice += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % sides;
}

static int
add_file(uint64_t ino, bool is_dir)
{
	if (nfiles == NFILES)
		die("too many files");
	files[nfiles] = (struct file){.ino = ino, .is_dir = is_dir};
	return nfiles++;
}

/* Inodes are used again: the newest is meant. */
static int
file_of(uint64_t ino)
{
	for (int i = nfiles - 1; i >= 0; i--)
		if (files[i].ino == ino)
			return i;
	return -1;
}

static struct name *
find_name(struct file *dir, const char *text)
{
	for (int i = 0; i < dir->nnames; i++)
		if (strcmp(dir->names[i].text, text) == 0)
			return &dir->names[i];
	return NULL;
}

static void
set_name(int dir, const char *text, int file)
{
	struct file *d = &files[dir];
	struct name *n = find_name(d, text);

	if (!d->names)
		d->names = calloc(NNAMES, sizeof(*d->names));
	if (!d->names || (!n && d->nnames == NNAMES))
		die("names");
	if (!n) {
		n = &d->names[d->nnames++];
		snprintf(n->text, sizeof(n->text), "%s", text);
	}
	n->file = file;
}

static void
reach(struct file *f, uint64_t end)
{
	if (end > f->room) {
		uint64_t room = end + end / 2 + PAGE;

		f->data = realloc(f->data, room);
		if (!f->data)
			die("realloc");
		memset(f->data + f->room, 0, room - f->room);
		f->room = room;
	}
	if (end > f->size)
		f->size = end;
}

static void
load_data(struct file *f, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	reach(f, (uint64_t)st.st_size);
	if (pread(fd, f->data, f->size, 0) != (ssize_t)f->size)
		die(path);
	close(fd);
}

/* A line of SNAP.list: its parent came before it. */
static void
load_line(const char *snap, char *line)
{
	char type, path[4096], *slash;
	unsigned long long ino;
	int skip = 0, file, dir = 0;

	if (sscanf(line, "%c %llu %n", &type, &ino, &skip) < 2)
		die(line);
	line += skip;
	line[strcspn(line, "\n")] = '\0';
	if (type != 'f' && type != 'd')
		return;
	file = add_file(ino, type == 'd');
	if (*line == '\0') /* DIR itself, the first one */
		return;
	snprintf(path, sizeof(path), "%s/%s", snap, line);
	if (type == 'f')
		load_data(&files[file], path);
	for (char *at = line; (slash = strchr(at, '/')); at = slash + 1) {
		*slash = '\0';
		dir = find_name(&files[dir], at)->file;
		*slash = '/';
	}
	slash = strrchr(line, '/');
	set_name(dir, slash ? slash + 1 : line, file);
}

static void
load(const char *snap)
{
	char path[4096], line[4096];
	FILE *list;

	snprintf(path, sizeof(path), "%s.list", snap);
	list = fopen(path, "r");
	if (!list)
		die(path);
	while (fgets(line, sizeof(line), list))
		load_line(snap, line);
	fclose(list);
}

static bool
is_name(const struct cut_op *op)
{
	return op->kind >= CUT_NAME_IT;
}

/* The first sync that was for it decides: what that could not write is clean
 * to the kernel, and no later one tries again. */
static bool
is_synced(const struct cut_op *op)
{
	uint64_t ino = is_name(op) ? op->dir : op->ino;

	for (const struct cut_op *s = op + 1; s < rec->ops + rec->nops; s++)
		if (s->kind == CUT_SYNC && s->ino == ino && s->ended &&
		    op->ended && op->ended <= s->begun)
			return !s->has_failed;
	return false;
}

static void
put(struct file *f, const struct cut_op *op, uint64_t from, uint64_t len)
{
	uint64_t at = op->at + from;

	if (op->kind == CUT_ZERO && at >= f->size)
		return;
	if (op->kind == CUT_ZERO && at + len > f->size)
		len = f->size - at;
	reach(f, at + len);
	if (op->kind == CUT_ZERO)
		memset(f->data + at, 0, len);
	else
		memcpy(f->data + at, rec->room + op->data + from, len);
}

/* `luck` of 4: how much of it reached the medium all the same. */
static void
put_by_chance(struct file *f, const struct cut_op *op, unsigned luck)
{
	uint64_t unit, n;

	for (uint64_t from = 0; from < op->len; from += n) {
		unit = roll(8) == 0 ? SECTOR : PAGE;
		n = unit - (op->at + from) % unit;
		if (n > op->len - from)
			n = op->len - from;
		if (roll(4) < luck)
			put(f, op, from, n);
	}
}

static void
apply_data(const struct cut_op *op, unsigned luck)
{
	int i = file_of(op->ino);
	struct file *f = &files[i < 0 ? 0 : i];
	bool synced;

	if (i < 0 || op->kind == CUT_SYNC)
		return;
	synced = is_synced(op);
	if (op->kind == CUT_WRITE || op->kind == CUT_ZERO) {
		if (synced)
			put(f, op, 0, op->len);
		else
			put_by_chance(f, op, luck);
		return;
	}
	if (!synced && roll(4) >= luck)
		return;
	if (op->kind == CUT_SIZE && op->len < f->size) {
		memset(f->data + op->len, 0, f->size - op->len);
		f->size = op->len;
	}
	reach(f, op->len);
}

static int
new_file(const struct cut_op *op)
{
	int file = file_of(op->ino);

	return file >= 0 ? file : add_file(op->ino, false);
}

static void
apply_name(const struct cut_op *op)
{
	int dir = file_of(op->dir);

	if (dir < 0)
		return;
	if (op->kind == CUT_RENAME && file_of(op->from_dir) >= 0)
		set_name(file_of(op->from_dir), op->from_name, -1);
	set_name(dir, op->name, op->kind == CUT_UNNAME ? -1 : new_file(op));
}

/* When names that nobody synced are lost, by directory. */
static uint64_t
moment_of(uint64_t dir, uint64_t everywhere, uint64_t last)
{
	uint64_t saved = dice, moment;

	if (everywhere)
		return everywhere;
	dice = saved ^ (dir * 0x9e3779b97f4a7c15u);
	moment = roll(last + 2);
	dice = saved;
	return moment;
}

static void
apply(void)
{
	bool ordered = roll(2) == 0;
	uint64_t last = rec->events, lost, by_dir, saved;
	unsigned luck = (unsigned)roll(5);

	lost = 1 + roll(last + 1);
	by_dir = roll(UINT64_MAX);
	for (uint64_t i = 0; ordered && i < rec->nops; i++)
		if (rec->ops[i].begun > lost && is_name(&rec->ops[i]) &&
		    is_synced(&rec->ops[i]))
			lost = rec->ops[i].begun;
	for (uint64_t i = 0; i < rec->nops; i++) {
		const struct cut_op *op = &rec->ops[i];
		uint64_t moment;

		if (!op->begun)
			continue;
		if (!is_name(op)) {
			apply_data(op, luck);
			continue;
		}
		saved = dice;
		dice = by_dir;
		moment = moment_of(op->dir, ordered ? lost : 0, last);
		dice = saved;
		/* who had the number before is gone */
		if (op->kind == CUT_NAME_IT && op->is_new)
			add_file(op->ino, op->is_dir);
		if (op->begun <= moment || is_synced(op))
			apply_name(op);
	}
}

static void
remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char below[4096];

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		if (unlink(below) < 0)
			remove_tree(below);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

/* Holes stay holes.  Modes are not recorded: all may be run. */
static void
store_data(const struct file *f, const char *path)
{
	static const uint8_t zeroes[PAGE];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	uint64_t n;

	if (fd < 0 || ftruncate(fd, (off_t)f->size) < 0)
		die(path);
	for (uint64_t at = 0; at < f->size; at += n) {
		n = f->size - at < PAGE ? f->size - at : PAGE;
		if (memcmp(f->data + at, zeroes, n) != 0 &&
		    pwrite(fd, f->data + at, n, (off_t)at) != (ssize_t)n)
			die(path);
	}
	close(fd);
}

static void
store(const struct file *f, const char *path)
{
	char below[4096];

	if (!f->is_dir) {
		store_data(f, path);
		return;
	}
	if (mkdir(path, 0700) < 0)
		die(path);
	for (int i = 0; i < f->nnames; i++) {
		if (f->names[i].file < 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, f->names[i].text);
		store(&files[f->names[i].file], below);
	}
}

static void
open_record(const char *path, bool empty)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || (empty && ftruncate(fd, 0) < 0) ||
	    ftruncate(fd, sizeof(*rec)) < 0)
		die(path);
	rec =
	    mmap(NULL, sizeof(*rec), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (rec == MAP_FAILED)
		die(path);
	close(fd);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp(what, "begin") == 0) {
		open_record(argv[2], true);
		return 0;
	}
	if (strcmp(what, "events") == 0) {
		open_record(argv[2], false);
		printf("%llu %llu\n", (unsigned long long)rec->events,
		       (unsigned long long)rec->nsyncs);
		return 0;
	}
	if (strcmp(what, "end") != 0 || argc != 6) {
		fprintf(stderr, "usage: strike begin RECORD | events RECORD | "
				"end RECORD SNAP SEED DIR\n");
		return 2;
	}
	open_record(argv[2], false);
	load(argv[3]);
	dice = strtoull(argv[4], NULL, 10);
	apply();
	remove_tree(argv[5]);
	store(&files[0], argv[5]);
	return 0;
}

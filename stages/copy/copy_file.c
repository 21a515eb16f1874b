/* SPDX-License-Identifier: Apache-2.0 */
/* Disk images we make to copy to, and how they are known again.
 *
 * The id is written before the image appears under its name.  A run killed in
 * between leaves an id without an image, which the next one replaces; an image
 * without an id is never ours. */
#include "stages/copy/copy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/image.h"
#include "io/process.h"
#include "stages/copy/copy_lock.h"

#define CREATE_MS 60000

static char *
id_path(const char *path)
{
	return mem_printf("%s.id", path);
}

static int
make_id(const char *path, char ret[LEDGER_ID_SIZE], struct err *err)
{
	CLEANUP(mem_freep) char *beside = id_path(path);
	uint8_t bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return err_sys(err, "cannot get random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return fs_write(beside, ret, strlen(ret), 0600, err);
}

static int
read_id(const char *path, char ret[LEDGER_ID_SIZE], struct err *err)
{
	CLEANUP(mem_freep) char *beside = id_path(path);
	CLEANUP(buf_done) struct buf text = {0};

	if (fs_read(beside, LEDGER_ID_SIZE - 1, true, &text, err) < 0)
		return -1;
	if (text.len == 0)
		return err_set(err, ERR_FAIL,
			       "'%s' exists, but was not made for a copy: "
			       "remove it or choose another name",
			       path);
	memcpy(ret, text.data, text.len + 1);
	return 0;
}

static bool
is_raw(const char *format)
{
	return strcmp(format, "raw") == 0;
}

static int
size_raw(int fd, const char *path, uint64_t size, struct err *err)
{
	if (ftruncate(fd, (off_t)size) < 0)
		return err_sys(err, "cannot give '%s' its %llu bytes", path,
			       (unsigned long long)size);
	return 0;
}

static int
make_qcow2(const char *path, uint64_t size, struct err *err)
{
	CLEANUP(mem_freep)
	char *bytes = mem_printf("%llu", (unsigned long long)size);
	CLEANUP(buf_done) struct buf out = {0};
	const char *argv[] = {"qemu-img", "create", "-q",  "-f",
			      "qcow2",	  path,	    bytes, NULL};

	return process_run(argv, CREATE_MS, &out, err);
}

/* Of those who find no image one makes it, and what it has locked then is the
 * image.  What a killed one left of it is emptied. */
static int
open_aside(const char *aside, const char *path, const char *format, int *ret,
	   struct err *err)
{
	*ret = open(aside, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*ret < 0)
		return err_sys(err, "cannot create '%s'", aside);
	if (copy_lock(*ret, path, is_raw(format), err) < 0)
		return -1;
	if (!copy_lock_is_of(*ret, aside) || fs_exists(path))
		return err_set(err, ERR_HELD,
			       "'%s' was made by another copy just now: when "
			       "that has ended, run this again",
			       path);
	if (ftruncate(*ret, 0) < 0)
		return err_sys(err, "cannot empty '%s'", aside);
	return 0;
}

static int
make_image(const char *path, const char *format, uint64_t size,
	   struct copy_file *file, struct err *err)
{
	CLEANUP(mem_freep) char *aside = mem_printf("%s.new", path);
	CLEANUP(mem_freep) char *dir = fs_dirname(path);

	if (open_aside(aside, path, format, &file->lock, err) < 0 ||
	    make_id(path, file->id, err) < 0 ||
	    (is_raw(format) ? size_raw(file->lock, aside, size, err)
			    : make_qcow2(aside, size, err)) < 0 ||
	    fs_sync_file(aside, err) < 0)
		return -1;
	if (renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE) < 0 &&
	    (errno != EINVAL || rename(aside, path) < 0))
		return err_sys(err, "cannot rename '%s'", aside);
	file->is_new = true;
	return fs_sync_dir(dir, err);
}

int
copy_file_check_size(const char *path, uint64_t has, uint64_t wanted,
		     struct err *err)
{
	if (has == wanted)
		return 0;
	return err_set(err, ERR_FAIL,
		       "'%s' has %llu bytes, the source has %llu: remove it "
		       "or choose another name",
		       path, (unsigned long long)has,
		       (unsigned long long)wanted);
}

/* Whose it is may have changed until it is locked. */
static int
find_image(const char *path, const struct stat *st, const char *format,
	   uint64_t size, struct copy_file *ret, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_FAIL, "'%s' is not a regular file",
			       path);
	if (read_id(path, ret->id, err) < 0)
		return -1;
	if (is_raw(format) &&
	    copy_file_check_size(path, (uint64_t)st->st_size, size, err) < 0)
		return -1;
	ret->lock = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (ret->lock < 0)
		return err_sys(err, "cannot open target '%s'", path);
	if (copy_lock(ret->lock, path, is_raw(format), err) < 0)
		return -1;
	if (!copy_lock_is_of(ret->lock, path))
		return err_set(err, ERR_HELD,
			       "'%s' is being replaced: run this again", path);
	return read_id(path, ret->id, err);
}

int
copy_file_make(const char *path, const char *format, uint64_t size,
	       struct copy_file *ret, struct err *err)
{
	struct copy_file file = {.lock = -1};
	struct stat st;
	int rc;

	if (stat(path, &st) == 0)
		rc = find_image(path, &st, format, size, &file, err);
	else if (errno == ENOENT)
		rc = make_image(path, format, size, &file, err);
	else
		rc = err_sys(err, "cannot examine '%s'", path);
	if (rc < 0) {
		copy_file_done(&file);
		return -1;
	}
	*ret = file;
	return 0;
}

void
copy_file_done(struct copy_file *file)
{
	mem_closep(&file->lock);
}

int
copy_file_grow(const char *path, const char *format,
	       const struct ledger_identity *was, uint64_t size,
	       struct err *err)
{
	bool qcow2 = strcmp(format, "qcow2") == 0;
	uint64_t has,
	    had = qcow2 ? (was->size_bytes + 511) / 512 * 512 : was->size_bytes;
	char id[LEDGER_ID_SIZE] = "";
	struct stat st;

	if (read_id(path, id, err) < 0)
		return -1;
	if (strcmp(id, was->target) != 0)
		return err_set(err, ERR_FAIL,
			       "'%s' is not the target that the ledger is of",
			       path);
	if (stat(path, &st) < 0)
		return err_sys(err, "cannot examine '%s'", path);
	has = (uint64_t)st.st_size;
	if (qcow2 && image_ask_qemu(path, format, 0, 0, &has, err) < 0)
		return -1;
	/* longer than the ledger says: it grew, the ledger did not any more */
	return has >= had && has < size ? image_grow(path, format, size, err)
					: 0;
}

int
copy_file_renew(const char *path, struct copy_file *file, struct err *err)
{
	return make_id(path, file->id, err);
}

int
copy_file_remove(const char *path, struct err *err)
{
	CLEANUP(mem_freep) char *beside = id_path(path);

	if (fs_remove(path, err) < 0)
		return -1;
	return fs_remove(beside, err);
}

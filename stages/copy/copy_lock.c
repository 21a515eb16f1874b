/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of open files on single bytes: unlike flock they go together with
 * QEMU's on a network file system, too, where all are of one kind. */
#include "stages/copy/copy_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/clock.h"

#define PATIENCE_MS 2000 /* for what was killed and is not quite gone */

/* QEMU's own are readers' locks that say what somebody does, or does not bear
 * that another does.  Ours is a byte that no disk has. */
enum { QEMU_WRITES = 100 + 1, QEMU_BEARS_NO_WRITER = 200 + 1 };
#define OURS ((off_t)1 << 62)

#define SMB2_SUPER 0xfe534d42u
#define CIFS_SUPER 0xff534d42u
#define SMB_SUPER 0x517bu

static int
set(int fd, off_t at, short type)
{
	struct flock lock = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock);
}

static bool
is_anothers(int fd, off_t at)
{
	struct flock lock = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* On SMB a lock keeps even its holder from writing there. */
static bool
locks_forbid_writes(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && ((uint32_t)fs.f_type == SMB2_SUPER ||
					 (uint32_t)fs.f_type == CIFS_SUPER ||
					 (uint32_t)fs.f_type == SMB_SUPER);
}

bool
copy_lock_is_in_qemu(int fd)
{
	return is_anothers(fd, QEMU_WRITES) ||
	       is_anothers(fd, QEMU_BEARS_NO_WRITER);
}

/* First said, then looked: of two that do so at once none goes on. */
static int
tell_qemu(int fd, const char *path, bool is_ours, struct err *err)
{
	is_ours = is_ours && !locks_forbid_writes(fd);
	if (is_ours && (set(fd, QEMU_WRITES, F_RDLCK) < 0 ||
			set(fd, QEMU_BEARS_NO_WRITER, F_RDLCK) < 0))
		return err_sys(err, "cannot lock '%s'", path);
	if (!copy_lock_is_in_qemu(fd))
		return 0;
	(void)set(fd, QEMU_WRITES, F_UNLCK);
	(void)set(fd, QEMU_BEARS_NO_WRITER, F_UNLCK);
	return err_set(err, ERR_HELD,
		       "'%s' is open in QEMU: shut down the vm that uses it, "
		       "or let end what reads it, and run this again",
		       path);
}

static int
lock_once(int fd, const char *path, bool is_ours, struct err *err)
{
	if (set(fd, OURS, F_WRLCK) == 0)
		return tell_qemu(fd, path, is_ours, err);
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, ERR_HELD,
			       "'%s' is being written to by another copy: when "
			       "that has ended, run this again",
			       path);
	return err_sys(err,
		       "cannot lock '%s', so that another copy to it could "
		       "not be told: its file system has to take locks",
		       path);
}

int
copy_lock(int fd, const char *path, bool is_ours, struct err *err)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	while (lock_once(fd, path, is_ours, err) < 0) {
		if (err->class != ERR_HELD || clock_mono_ms() > until)
			return -1;
		poll(NULL, 0, 10);
	}
	return 0;
}

bool
copy_lock_is_of(int fd, const char *path)
{
	struct stat open_one, named;

	return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 &&
	       open_one.st_ino == named.st_ino &&
	       open_one.st_dev == named.st_dev;
}

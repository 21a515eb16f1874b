/* SPDX-License-Identifier: Apache-2.0 */
/* Does anybody run the vm whom we know nothing of: a domain made of its
 * domain.xml, QEMU by hand?  Its disks tell, by the locks of QEMU. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stages/copy/copy_lock.h"
#include "stages/target/files.h"

/* For a QEMU that is about to end: what converted, or read, was killed. */
#define PATIENCE_MS 2000
#define LOOK_EVERY_MS 50

static int
look_whether_open(const char *path, bool *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*ret = false;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(err, "cannot see whether '%s' is in use", path);
	*ret = copy_lock_is_in_qemu(fd);
	close(fd);
	return 0;
}

static int
must_not_be_open(const char *path, int64_t until, struct err *err)
{
	bool is_open;

	for (;;) {
		if (look_whether_open(path, &is_open, err) < 0)
			return -1;
		if (!is_open)
			return 0;
		if (clock_mono_ms() >= until)
			break;
		poll(NULL, 0, LOOK_EVERY_MS);
	}
	return err_set(err, ERR_RETRY,
		       "'%s' is open in QEMU: shut down the vm that uses it, "
		       "or let end what reads it, and run this again",
		       path);
}

int
files_no_disk_is_open(const struct target_vm *t, struct err *err)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;

	for (size_t i = 0; i < t->shape->ndisks; i++) {
		CLEANUP(volume_done) struct volume v = {0};
		CLEANUP(mem_freep) char *shown = NULL;

		files_volume(t, i, &v);
		shown = files_shown(t, v.path);
		if (must_not_be_open(v.path, until, err) < 0 ||
		    must_not_be_open(shown, until, err) < 0)
			return -1;
	}
	return 0;
}

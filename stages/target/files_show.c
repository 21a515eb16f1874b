/* SPDX-License-Identifier: Apache-2.0 */
/* The names of volumes that all can see, where those lie among the files of
 * others: made when the vm is handed over, so that nothing can start it before.
 *
 * They are hard links.  As long as the name that is ours alone is there, what
 * is the same file is provably ours: it goes last. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/target/files.h"

char *
files_shown(const struct target_vm *t, const char *path)
{
	const struct files_layout *layout = files_of(t);

	return layout->shown ? layout->shown(path) : mem_strdup(path);
}

enum files_whose
files_whose(const struct target_vm *t, const char *path)
{
	CLEANUP(mem_freep) char *shown = files_shown(t, path);
	struct stat st, st_shown;

	if (lstat(shown, &st_shown) < 0)
		return errno == ENOENT ? FILES_NOBODYS : FILES_ANOTHERS;
	return lstat(path, &st) == 0 && st.st_dev == st_shown.st_dev &&
		       st.st_ino == st_shown.st_ino
		   ? FILES_OURS
		   : FILES_ANOTHERS;
}

static int
refuse_anothers(const char *shown, struct err *err)
{
	return err_set(err, ERR_FAIL,
		       "'%s' is there and is not the file that was made for "
		       "this vm: nothing touches it; move it away",
		       shown);
}

int
files_hide(const struct target_vm *t, const char *path, struct err *err)
{
	CLEANUP(mem_freep) char *shown = files_shown(t, path);

	if (strcmp(shown, path) == 0 || files_whose(t, path) != FILES_OURS)
		return 0;
	return fs_remove(shown, err);
}

int
files_remove_shown(const struct target_vm *t, const char *path, struct err *err)
{
	return files_hide(t, path, err) < 0 ? -1 : fs_remove(path, err);
}

int
files_may_show(const struct target_vm *t, struct err *err)
{
	for (size_t i = 0; i < t->shape->ndisks; i++) {
		CLEANUP(volume_done) struct volume v = {0};
		CLEANUP(mem_freep) char *shown = NULL;

		files_volume(t, i, &v);
		shown = files_shown(t, v.path);
		if (!fs_exists(v.path))
			return err_set(err, ERR_FAIL, "'%s' is gone", v.path);
		if (files_whose(t, v.path) == FILES_ANOTHERS)
			return refuse_anothers(shown, err);
	}
	return 0;
}

/* Nobody's file gives way to it. */
static int
show(const struct target_vm *t, const char *path, struct err *err)
{
	CLEANUP(mem_freep) char *shown = files_shown(t, path);
	CLEANUP(mem_freep) char *dir = fs_dirname(shown);

	if (files_whose(t, path) != FILES_OURS && link(path, shown) < 0)
		return errno == EEXIST
			   ? refuse_anothers(shown, err)
			   : err_sys(err, "cannot make '%s'", shown);
	return fs_sync_dir(dir, err);
}

int
files_show(const struct target_vm *t, struct err *err)
{
	for (size_t i = 0; i < t->shape->ndisks; i++) {
		CLEANUP(volume_done) struct volume v = {0};

		files_volume(t, i, &v);
		if (show(t, v.path, err) < 0)
			return -1;
	}
	return 0;
}

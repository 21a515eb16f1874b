/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a vm: its definition, or all that we made, by name and only
 * where our claim is. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/target/files.h"

int
files_owned(const struct target_vm *t, bool *ret, struct err *err)
{
	struct files_dirs d = {0};
	bool all = true;
	int rc = files_check_names(t, err);

	files_dirs_of(t, &d);
	for (size_t i = 0; rc == 0 && i < d.list.n; i++) {
		int claimed = files_claimed(t, d.list.v[i], err);

		all &= claimed == 1;
		rc = claimed < 0 ? -1 : 0;
	}
	files_dirs_done(&d);
	if (rc == 0)
		*ret = all;
	return rc;
}

int
files_must_be_off(const struct target_vm *t, struct err *err)
{
	enum power_state state;

	if (target_find(t->endpoint->type)->power_state(t, &state, err) < 0)
		return -1;
	if (state == POWER_STATE_OFF)
		return 0;
	return err_set(err, ERR_RETRY, "vm '%s' runs", t->shape->name);
}

static int
remove_names(const char *dir, const char *const *names, struct err *err)
{
	for (; *names; names++) {
		CLEANUP(mem_freep) char *path = fs_path(dir, *names);

		if (fs_remove(path, err) < 0)
			return -1;
	}
	return 0;
}

static const char *const defined[] = {FILES_DOMAIN, FILES_NVRAM, NULL};

int
files_undefine(const struct target_vm *t, struct err *err)
{
	CLEANUP(mem_freep) char *home = files_home(t);

	if (files_check_names(t, err) < 0 || files_must_own(t, err) < 0 ||
	    files_must_be_off(t, err) < 0 || files_of(t)->withdraw(t, err) < 0)
		return -1;
	return remove_names(home, defined, err);
}

/* The volumes that lie in `dir`, the id first: what has one is whole. */
static int
remove_volumes(const struct target_vm *t, const char *dir, struct err *err)
{
	for (size_t i = 0; i < t->shape->ndisks; i++) {
		CLEANUP(mem_freep) char *id = files_volume_id(t, i);
		CLEANUP(mem_freep) char *home = files_disk_dir(t, i);
		CLEANUP(volume_done) struct volume v = {0};

		if (strcmp(home, dir) != 0)
			continue;
		files_volume(t, i, &v);
		if (fs_remove(id, err) < 0 ||
		    files_remove_shown(t, v.path, err) < 0)
			return -1;
	}
	return 0;
}

/* What attempts to claim it that were cut short left, whoever's. */
static int
remove_attempts(const char *dir, struct err *err)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	int rc = 0;

	if (!d)
		return err_sys(err, "cannot read directory '%s'", dir);
	while (rc == 0 && (entry = readdir(d))) {
		CLEANUP(mem_freep) char *path = fs_path(dir, entry->d_name);

		if (strncmp(entry->d_name, FILES_CLAIM ".",
			    strlen(FILES_CLAIM ".")) == 0 &&
		    strcmp(entry->d_name, FILES_HELD) != 0)
			rc = fs_remove(path, err);
	}
	closedir(d);
	return rc;
}

/* What is in there besides is not ours: it stays, and so does the directory. */
static int
remove_if_empty(const char *dir, struct err *err)
{
	CLEANUP(mem_freep) char *above = fs_dirname(dir);

	if (rmdir(dir) == 0)
		return fs_sync_dir(above, err);
	if (errno == ENOENT || errno == ENOTEMPTY)
		return 0;
	return err_sys(err, "cannot remove directory '%s'", dir);
}

static int
remove_dir(const struct target_vm *t, const char *dir, struct err *err)
{
	static const char *const last[] = {FILES_MARK, FILES_HELD, FILES_CLAIM,
					   NULL};
	CLEANUP(mem_freep) char *above = fs_dirname(dir);

	if (remove_volumes(t, dir, err) < 0 ||
	    files_remove_aside(dir, err) < 0 ||
	    remove_names(dir, defined, err) < 0 ||
	    remove_names(dir, files_of(t)->made, err) < 0 ||
	    remove_attempts(dir, err) < 0 || remove_names(dir, last, err) < 0)
		return -1;
	if (remove_if_empty(dir, err) < 0)
		return -1;
	/* of a hidden directory all vms have in common the last one is gone */
	return files_of(t)->shown ? remove_if_empty(above, err) : 0;
}

/* Nothing must start what is about to lose its disks. */
static int
withdraw_ours(const struct target_vm *t, struct err *err)
{
	CLEANUP(mem_freep) char *home = files_home(t);
	int claimed = files_claimed(t, home, err);

	return claimed == 1 ? files_of(t)->withdraw(t, err) : claimed;
}

int
files_remove(const struct target_vm *t, struct err *err)
{
	struct files_dirs d = {0};
	int rc = files_check_names(t, err);

	if (rc == 0)
		rc = files_must_be_off(t, err);
	if (rc == 0)
		rc = withdraw_ours(t, err);
	files_dirs_of(t, &d);
	/* the home last: it is the one whose mark the start script reads */
	for (size_t i = d.list.n; rc == 0 && i > 0; i--) {
		int claimed = files_claimed(t, d.list.v[i - 1], err);

		rc = claimed == 1 ? remove_dir(t, d.list.v[i - 1], err)
				  : claimed;
	}
	files_dirs_done(&d);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a local vm: its definition, or all that we made, by name and only
 * where our claim is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/target/local.h"

int
local_owned(const struct target_vm *t, bool *ret, struct err *err)
{
	struct local_dirs d = {0};
	bool all = true;
	int rc = local_check_names(t, err);

	local_dirs_of(t, &d);
	for (size_t i = 0; rc == 0 && i < d.list.n; i++) {
		int claimed = local_claimed(t, d.list.v[i], err);

		all &= claimed == 1;
		rc = claimed < 0 ? -1 : 0;
	}
	local_dirs_done(&d);
	if (rc == 0)
		*ret = all;
	return rc;
}

int
local_must_be_off(const struct target_vm *t, struct err *err)
{
	enum power_state state;

	if (local_power_state(t, &state, err) < 0)
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

int
local_undefine(const struct target_vm *t, struct err *err)
{
	static const char *const names[] = {LOCAL_START, LOCAL_DOMAIN,
					    LOCAL_NVRAM, NULL};
	CLEANUP(mem_freep) char *home = local_home(t);

	if (local_check_names(t, err) < 0 || local_must_own(t, err) < 0 ||
	    local_must_be_off(t, err) < 0)
		return -1;
	return remove_names(home, names, err);
}

/* The volumes that lie in `dir`, the id first: what has one is whole. */
static int
remove_volumes(const struct target_vm *t, const char *dir, struct err *err)
{
	for (size_t i = 0; i < t->shape->ndisks; i++) {
		CLEANUP(mem_freep) char *id = local_volume_id(t, i);
		CLEANUP(mem_freep) char *home = local_disk_dir(t, i);
		CLEANUP(volume_done) struct volume v = {0};

		if (strcmp(home, dir) != 0)
			continue;
		local_volume(t, i, &v);
		if (fs_remove(id, err) < 0 || fs_remove(v.path, err) < 0)
			return -1;
	}
	return 0;
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
	static const char *const made[] = {
	    LOCAL_START, LOCAL_DOMAIN,	 LOCAL_NVRAM,	    LOCAL_CONSOLE,
	    LOCAL_LOG,	 LOCAL_QMP,	 LOCAL_PROCESS,	    LOCAL_PIDFILE,
	    LOCAL_LOCK,	 LOCAL_STARTING, LOCAL_CONSOLE_OLD, LOCAL_PIPE,
	    NULL};
	/* what a change of the claim that was cut short leaves, too */
	static const char *const last[] = {
	    LOCAL_MARK, LOCAL_HELD, LOCAL_CLAIM ".new", LOCAL_CLAIM, NULL};

	if (remove_volumes(t, dir, err) < 0 ||
	    local_remove_aside(dir, err) < 0 ||
	    remove_names(dir, made, err) < 0 ||
	    remove_names(dir, last, err) < 0)
		return -1;
	return remove_if_empty(dir, err);
}

int
local_remove(const struct target_vm *t, struct err *err)
{
	struct local_dirs d = {0};
	int rc = local_check_names(t, err);

	if (rc == 0)
		rc = local_must_be_off(t, err);
	local_dirs_of(t, &d);
	/* the home last: it is the one whose mark the start script reads */
	for (size_t i = d.list.n; rc == 0 && i > 0; i--) {
		int claimed = local_claimed(t, d.list.v[i - 1], err);

		rc = claimed == 1 ? remove_dir(t, d.list.v[i - 1], err)
				  : claimed;
	}
	local_dirs_done(&d);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Target type `local`: where its files are. */
#include "stages/target/local.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"

static char *
home(const struct target_vm *t)
{
	return fs_path(t->endpoint->path, t->shape->name);
}

static char *
disk_dir(const struct target_vm *t, size_t n)
{
	const char *class = t->shape->disks[n].storage_class;

	if (!*class)
		return home(t);
	return mem_printf("%s/%s/%s", t->endpoint->path, class, t->shape->name);
}

static int
check_names(const struct target_vm *t, struct err *err)
{
	const struct shape *s = t->shape;

	if (!t->endpoint->path || t->endpoint->path[0] != '/')
		return err_set(err, ERR_USER,
			       "endpoint '%s' needs a directory as its url",
			       t->endpoint->o.name);
	for (size_t i = 0; i < s->ndisks; i++) {
		const char *class = s->disks[i].storage_class;

		if (*class && !files_is_safe_name(class))
			return err_set(err, ERR_USER,
				       "storageClass '%s' cannot be the name "
				       "of a directory at endpoint '%s'",
				       class, t->endpoint->o.name);
	}
	return files_check_vm_names(t, err);
}

static int
withdraw(const struct target_vm *t, struct err *err)
{
	CLEANUP(mem_freep) char *start = files_path(t, LOCAL_START);

	return fs_remove(start, err);
}

static char *
name(const struct target_vm *t, size_t n)
{
	CLEANUP(volume_done) struct volume v = {0};

	files_volume(t, n, &v);
	return mem_strdup(v.path);
}

static const char *const made[] = {
    LOCAL_START,   LOCAL_CONSOLE,     LOCAL_LOG,  LOCAL_QMP,
    LOCAL_PROCESS, LOCAL_PIDFILE,     LOCAL_LOCK, LOCAL_STARTING,
    LOCAL_PIPE,	   LOCAL_CONSOLE_OLD, NULL};

static const struct files_layout layout = {
    .home = home,
    .disk_dir = disk_dir,
    .check_names = check_names,
    .withdraw = withdraw,
    .made = made,
};

const struct target_ops target_local = {
    .type = "local",
    .files = &layout,
    .check = local_check,
    .guard = files_guard,
    .claim = files_claim,
    .note_power = files_note_power,
    .claimant = files_claimant,
    .hold = files_hold,
    .name = name,
    .volume = files_volume,
    .create_volume = files_create_volume,
    .grow_volume = files_grow_volume,
    .volume_is = files_volume_is,
    .seal = files_seal,
    .aside = files_aside,
    .set_aside = files_set_aside,
    .scratch = files_scratch,
    .create_vm = local_create_vm,
    .is_defined = local_is_defined,
    .mark = files_mark,
    .marked = files_marked,
    .start = local_start,
    .power_state = local_power_state,
    .may_stop = local_may_stop,
    .stop = local_stop,
    .owned = files_owned,
    .undefine = files_undefine,
    .remove = files_remove,
};

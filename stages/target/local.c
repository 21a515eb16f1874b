/* SPDX-License-Identifier: Apache-2.0 */
/* Target type `local`: where its files are. */
#include "stages/target/local.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"

char *
local_home(const struct target_vm *t)
{
	return fs_path(t->endpoint->path, t->shape->name);
}

char *
local_path(const struct target_vm *t, const char *name)
{
	return mem_printf("%s/%s/%s", t->endpoint->path, t->shape->name, name);
}

char *
local_disk_dir(const struct target_vm *t, size_t n)
{
	const char *class = t->shape->disks[n].storage_class;

	if (!*class)
		return local_home(t);
	return mem_printf("%s/%s/%s", t->endpoint->path, class, t->shape->name);
}

static bool
has_dir(const struct local_dirs *d, const char *dir)
{
	for (size_t i = 0; i < d->list.n; i++)
		if (strcmp(d->list.v[i], dir) == 0)
			return true;
	return false;
}

void
local_dirs_of(const struct target_vm *t, struct local_dirs *ret)
{
	*vec_push(&ret->list) = local_home(t);
	for (size_t i = 0; i < t->shape->ndisks; i++) {
		char *dir = local_disk_dir(t, i);

		if (has_dir(ret, dir))
			free(dir);
		else
			*vec_push(&ret->list) = dir;
	}
}

void
local_dirs_done(struct local_dirs *d)
{
	for (size_t i = 0; i < d->list.n; i++)
		free(d->list.v[i]);
	vec_done(&d->list);
}

/* One component of a path that nobody has to quote, and no hidden file. */
static bool
is_safe_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 200 && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

int
local_check_names(const struct target_vm *t, struct err *err)
{
	const struct shape *s = t->shape;

	if (!t->endpoint->path || t->endpoint->path[0] != '/')
		return err_set(err, ERR_USER,
			       "endpoint '%s' needs a directory as its url",
			       t->endpoint->o.name);
	if (!is_safe_name(s->name))
		return err_set(err, ERR_USER,
			       "'%s' cannot be the name of a directory: set "
			       "targetName",
			       s->name);
	for (size_t i = 0; i < s->ndisks; i++) {
		const struct shape_disk *d = &s->disks[i];

		if (*d->storage_class && !is_safe_name(d->storage_class))
			return err_set(err, ERR_USER,
				       "storageClass '%s' cannot be the name "
				       "of a directory at endpoint '%s'",
				       d->storage_class, t->endpoint->o.name);
		if (!is_safe_name(d->volume))
			return err_set(err, ERR_BUG,
				       "'%s' cannot be the name of a volume",
				       d->volume);
	}
	return 0;
}

static char *
local_scratch(const struct target_vm *t)
{
	return local_path(t, "overlays");
}

const struct target_ops target_local = {
    .type = "local",
    .check = local_check,
    .guard = local_guard,
    .claim = local_claim,
    .note_power = local_note_power,
    .claimant = local_claimant,
    .hold = local_hold,
    .volume = local_volume,
    .create_volume = local_create_volume,
    .grow_volume = local_grow_volume,
    .volume_is = local_volume_is,
    .seal = local_seal,
    .aside = local_aside,
    .set_aside = local_set_aside,
    .scratch = local_scratch,
    .create_vm = local_create_vm,
    .is_defined = local_is_defined,
    .mark = local_mark,
    .marked = local_marked,
    .start = local_start,
    .power_state = local_power_state,
    .stop = local_stop,
    .owned = local_owned,
    .undefine = local_undefine,
    .remove = local_remove,
};

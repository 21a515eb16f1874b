/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of a vm whose target is files. */
#include "stages/target/files.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"

const struct files_layout *
files_of(const struct target_vm *t)
{
	return target_find(t->endpoint->type)->files;
}

char *
files_home(const struct target_vm *t)
{
	return files_of(t)->home(t);
}

char *
files_path(const struct target_vm *t, const char *name)
{
	CLEANUP(mem_freep) char *home = files_home(t);

	return fs_path(home, name);
}

char *
files_disk_dir(const struct target_vm *t, size_t n)
{
	return files_of(t)->disk_dir(t, n);
}

char *
files_scratch(const struct target_vm *t)
{
	return files_path(t, "overlays");
}

int
files_check_names(const struct target_vm *t, struct err *err)
{
	return files_of(t)->check_names(t, err);
}

static bool
has_dir(const struct files_dirs *d, const char *dir)
{
	for (size_t i = 0; i < d->list.n; i++)
		if (strcmp(d->list.v[i], dir) == 0)
			return true;
	return false;
}

void
files_dirs_of(const struct target_vm *t, struct files_dirs *ret)
{
	*vec_push(&ret->list) = files_home(t);
	for (size_t i = 0; i < t->shape->ndisks; i++) {
		char *dir = files_disk_dir(t, i);

		if (has_dir(ret, dir))
			free(dir);
		else
			*vec_push(&ret->list) = dir;
	}
}

void
files_dirs_done(struct files_dirs *d)
{
	for (size_t i = 0; i < d->list.n; i++)
		free(d->list.v[i]);
	vec_done(&d->list);
}

bool
files_is_safe_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 200 && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

int
files_check_vm_names(const struct target_vm *t, struct err *err)
{
	const struct shape *s = t->shape;

	if (!files_is_safe_name(s->name))
		return err_set(err, ERR_USER,
			       "'%s' cannot be the name of a directory: set "
			       "targetName",
			       s->name);
	for (size_t i = 0; i < s->ndisks; i++)
		if (!files_is_safe_name(s->disks[i].volume))
			return err_set(err, ERR_BUG,
				       "'%s' cannot be the name of a volume",
				       s->disks[i].volume);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake endpoint sets aside: its files get another name. */
#include "stages/fake_aside.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/fake.h"
#include "stages/fake_world.h"

static char *
aside_of(const struct view *v, const char *what, int number)
{
	CLEANUP(mem_freep) char *path = fake_path(v, what);

	return mem_printf("%s.aside-%d", path, number);
}

char *
fake_aside_text(const struct view *v)
{
	CLEANUP(buf_done) struct buf b = {0};

	for (size_t i = 0; i < v->vm->ndisks; i++)
		buf_printf(&b, "%sfake.%s as fake.%s.aside-%d", i ? ", " : "",
			   v->vm->disks[i].id, v->vm->disks[i].id, v->aside);
	return buf_steal(&b);
}

/* What is aside already is not overwritten: then the old name is new. */
static int
move_aside(const struct view *v, const char *what, struct err *err)
{
	CLEANUP(mem_freep) char *from = fake_path(v, what);
	CLEANUP(mem_freep) char *to = aside_of(v, what, v->aside);
	CLEANUP(mem_freep) char *dir = fs_dirname(from);

	if (fs_exists(from) && !fs_exists(to) && rename(from, to) < 0)
		return err_sys(err, "cannot rename '%s'", from);
	return fs_sync_dir(dir, err);
}

/* The id goes last: without one, a disk is taken for a cut-short attempt. */
static int
set_disk_aside(const struct view *v, const struct inv_disk *disk,
	       struct err *err)
{
	CLEANUP(mem_freep) char *path = fake_path(v, disk->id);
	CLEANUP(mem_freep) char *id = mem_printf("%s.id", path);

	if (move_aside(v, disk->id, err) < 0)
		return -1;
	return fs_exists(path) ? 0 : fs_remove(id, err);
}

int
fake_set_aside(struct work *w, json_t **ret_facts, struct err *err)
{
	const struct view *v = w->view;

	(void)ret_facts;
	for (size_t i = 0; i < v->vm->ndisks; i++)
		if (set_disk_aside(v, &v->vm->disks[i], err) < 0)
			return -1;
	if (move_aside(v, "vm", err) < 0 || move_aside(v, "overlay", err) < 0)
		return -1;
	return fake_change(v, "disks", "replicas", err);
}

static int
remove_one(const struct view *v, const char *what, int number, struct err *err)
{
	CLEANUP(mem_freep) char *path = aside_of(v, what, number);

	return fs_remove(path, err);
}

int
fake_remove_aside(const struct view *v, struct err *err)
{
	for (int n = 1; n <= v->aside; n++) {
		if (remove_one(v, "vm", n, err) < 0 ||
		    remove_one(v, "overlay", n, err) < 0)
			return -1;
		for (size_t i = 0; i < v->vm->ndisks; i++)
			if (remove_one(v, v->vm->disks[i].id, n, err) < 0)
				return -1;
	}
	return 0;
}

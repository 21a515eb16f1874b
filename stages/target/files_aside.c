/* SPDX-License-Identifier: Apache-2.0 */
/* Setting a vm's disks aside: "disk-0.raw" becomes "disk-0.aside-1.raw",
 * and what belongs to it goes along.  Nothing is overwritten, nothing lost. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/target/files.h"

#define ASIDE ".aside-"

/* Where, beside what it was. */
static char *
aside_path(const struct target_vm *t, size_t n)
{
	const struct shape_disk *d = &t->shape->disks[n];
	CLEANUP(mem_freep) char *dir = files_disk_dir(t, n);

	return mem_printf("%s/%s" ASIDE "%d.%s", dir, d->volume, t->aside,
			  d->format);
}

char *
files_aside(const struct target_vm *t, size_t n)
{
	CLEANUP(mem_freep) char *path = aside_path(t, n);

	return mem_strdup(fs_basename(path));
}

bool
files_is_to_set_aside(const struct target_vm *t, size_t n)
{
	CLEANUP(mem_freep) char *aside = aside_path(t, n);

	return t->aside > 0 && !fs_exists(aside);
}

/* Done before when it is there already: then what has the old name is new. */
static int
move_aside(const char *from, const char *to, struct err *err)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ||
	    errno == ENOENT || errno == EEXIST)
		return 0;
	/* a file system that knows no flags */
	if (errno == EINVAL && (fs_exists(to) || rename(from, to) == 0))
		return 0;
	return err_sys(err, "cannot rename '%s' to '%s'", from, to);
}

/* The id goes last: a volume without one would be taken for a cut-short
 * attempt and removed. */
static int
set_volume_aside(const struct target_vm *t, size_t n, struct err *err)
{
	CLEANUP(mem_freep) char *dir = files_disk_dir(t, n);
	CLEANUP(mem_freep) char *id = files_volume_id(t, n);
	CLEANUP(mem_freep) char *aside = aside_path(t, n);
	CLEANUP(volume_done) struct volume v = {0};

	files_volume(t, n, &v);
	if (files_hide(t, v.path, err) < 0 ||
	    move_aside(v.path, aside, err) < 0 || fs_sync_dir(dir, err) < 0)
		return -1;
	return fs_exists(v.path) ? 0 : fs_remove(id, err);
}

static int
set_file_aside(const struct target_vm *t, const char *stem, const char *suffix,
	       struct err *err)
{
	CLEANUP(mem_freep) char *home = files_home(t);
	CLEANUP(mem_freep)
	char *from = mem_printf("%s/%s%s", home, stem, suffix);
	CLEANUP(mem_freep)
	char *to =
	    mem_printf("%s/%s" ASIDE "%d%s", home, stem, t->aside, suffix);

	return move_aside(from, to, err);
}

/* First what could start it: its disks are about to be others. */
int
files_set_aside(const struct target_vm *t, struct err *err)
{
	CLEANUP(mem_freep) char *home = files_home(t);

	if (files_guard(t, err) < 0 || files_must_own(t, err) < 0 ||
	    files_must_be_off(t, err) < 0 || files_of(t)->withdraw(t, err) < 0)
		return -1;
	for (size_t i = 0; i < t->shape->ndisks; i++)
		if (set_volume_aside(t, i, err) < 0)
			return -1;
	if (set_file_aside(t, "domain", ".xml", err) < 0 ||
	    set_file_aside(t, "nvram", ".fd", err) < 0 ||
	    set_file_aside(t, "overlays", "", err) < 0)
		return -1;
	return fs_sync_dir(home, err);
}

/* "disk-0.aside-12.raw", "overlays.aside-12" */
static bool
is_aside(const char *name)
{
	const char *at = strstr(name, ASIDE), *end;

	if (!at || at == name)
		return false;
	at += strlen(ASIDE);
	end = at + strspn(at, "0123456789");
	return end > at && (!*end || *end == '.');
}

int
files_remove_aside(const char *dir, struct err *err)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	int rc = 0;

	if (!d && errno == ENOENT)
		return 0;
	if (!d)
		return err_sys(err, "cannot read directory '%s'", dir);
	while (rc == 0 && (entry = readdir(d))) {
		CLEANUP(mem_freep) char *path = NULL;

		if (!is_aside(entry->d_name))
			continue;
		path = fs_path(dir, entry->d_name);
		rc = fs_remove_tree(path, err);
	}
	closedir(d);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which OVAs and OVFs an endpoint has. */
#include "stages/source/ova.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"

#define OVA_DEPTH 2
#define OVF_DEPTH 3

static int
look_at_path(const struct endpoint *ep, struct stat *ret, struct err *err)
{
	if (!ep->path || !*ep->path)
		return err_set(err, ERR_USER,
			       "the endpoint has no path: its 'url' shall be "
			       "a file or a directory");
	if (stat(ep->path, ret) < 0)
		return err_sys(err, "cannot look at '%s'", ep->path);
	return 0;
}

char *
ova_root(const struct endpoint *ep, struct err *err)
{
	struct stat st;

	if (look_at_path(ep, &st, err) < 0)
		return NULL;
	return S_ISDIR(st.st_mode) ? mem_strdup(ep->path)
				   : fs_dirname(ep->path);
}

static bool
is_wanted(const char *name, int depth)
{
	return (package_has_ending(name, ".ova") && depth <= OVA_DEPTH) ||
	       (package_has_ending(name, ".ovf") && depth <= OVF_DEPTH);
}

static int scan_directory(const char *root, const char *rel, int depth,
			  struct ova_paths *ret, struct err *err);

/* What cannot be read keeps nothing else back. */
static void
pass_over(struct ova_paths *ret, const char *path)
{
	struct err why;

	err_sys(&why, "'%s' cannot be read", path);
	*vec_push(&ret->unread) = mem_strdup(why.text);
}

/* Takes `rel`. */
static int
scan_entry(const char *root, char *rel, int depth, struct ova_paths *ret,
	   struct err *err)
{
	CLEANUP(mem_freep) char *owned = rel;
	CLEANUP(mem_freep) char *path = fs_path(root, rel);
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno != ENOENT) /* gone meanwhile, or a link to nowhere */
			pass_over(ret, path);
		return 0;
	}
	if (S_ISDIR(st.st_mode) && depth < OVF_DEPTH)
		return scan_directory(root, rel, depth + 1, ret, err);
	/* an empty file is a copy that has not begun */
	if (S_ISREG(st.st_mode) && st.st_size > 0 && is_wanted(rel, depth))
		*vec_push(&ret->paths) = steal(&owned);
	return 0;
}

static int
scan_directory(const char *root, const char *rel, int depth,
	       struct ova_paths *ret, struct err *err)
{
	CLEANUP(mem_freep)
	char *path = *rel ? fs_path(root, rel) : mem_strdup(root);
	struct dirent *entry;
	DIR *dir = opendir(path);
	int failed = 0;

	if (!dir && !*rel)
		return err_sys(err, "cannot list '%s'", path);
	if (!dir) {
		pass_over(ret, path);
		return 0;
	}
	while (!failed && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (*name == '.' || !strcmp(name, "lost+found"))
			continue;
		failed = scan_entry(
		    root, *rel ? fs_path(rel, name) : mem_strdup(name), depth,
		    ret, err);
	}
	closedir(dir);
	return failed;
}

static int
compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
ova_scan(const struct endpoint *ep, struct ova_paths *ret, struct err *err)
{
	const char *name;
	struct stat st;

	if (look_at_path(ep, &st, err) < 0)
		return -1;
	name = fs_basename(ep->path);
	if (S_ISDIR(st.st_mode)) {
		if (scan_directory(ep->path, "", 0, ret, err) < 0)
			return -1;
	} else if (is_wanted(name, 0)) {
		*vec_push(&ret->paths) = mem_strdup(name);
	} else {
		return err_set(err, ERR_USER,
			       "'%s' is neither a directory nor an .ova or "
			       ".ovf",
			       ep->path);
	}
	if (ret->paths.n)
		qsort(ret->paths.v, ret->paths.n, sizeof(*ret->paths.v),
		      compare_paths);
	return 0;
}

void
ova_paths_done(struct ova_paths *p)
{
	for (size_t i = 0; i < p->paths.n; i++)
		free(p->paths.v[i]);
	for (size_t i = 0; i < p->unread.n; i++)
		free(p->unread.v[i]);
	vec_done(&p->paths);
	vec_done(&p->unread);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* From paths to a manifest. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "manifests/load.h"

/* What the caller gave is at fault, whatever the system said. */
static int
blame_user(struct err *err)
{
	err->class = ERR_USER;
	return -1;
}

static int
read_fd(struct reader *r, int fd, const char *name, struct err *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	const char *file = arena_strdup(r->arena, name);

	if (buf_read_fd(&text, fd, NODE_MAX_BYTES, err) < 0) {
		err_wrap(err, "%s", name);
		return blame_user(err);
	}
	return load_text(r, file, text.data ? text.data : "", text.len, err);
}

static int
read_file(struct reader *r, const char *path, struct err *err)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		err_sys(err, "cannot open '%s'", path);
		return blame_user(err);
	}
	return read_fd(r, fd, path, err);
}

static int
is_manifest(const struct dirent *entry)
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	size_t len = strlen(entry->d_name);

	if (entry->d_name[0] == '.')
		return 0;
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		size_t n = strlen(endings[i]);

		if (len > n && !strcmp(entry->d_name + len - n, endings[i]))
			return 1;
	}
	return 0;
}

/* scandir's own alphasort follows the locale; this order is everywhere the
 * same. */
static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
read_directory(struct reader *r, const char *dir, struct err *err)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_manifest, by_bytes);
	int failed = 0, nothers = 0;
	struct stat st;

	if (n < 0) {
		err_sys(err, "cannot read directory '%s'", dir);
		return blame_user(err);
	}
	for (int i = 0; i < n; i++) {
		CLEANUP(mem_freep)
		char *path = fs_path(dir, entries[i]->d_name);

		/* a directory x.yaml is passed over, and so is a pipe that
		 * would never end */
		if (!failed && stat(path, &st) == 0 && !S_ISREG(st.st_mode))
			nothers++;
		else if (!failed)
			failed = read_file(r, path, err);
		free(entries[i]);
	}
	free(entries);
	if (!failed && n == nothers)
		return err_set(err, ERR_USER,
			       "'%s' holds no *.yaml, *.yml or *.json", dir);
	return failed;
}

static int
read_path(struct reader *r, const char *path, struct err *err)
{
	struct stat st;

	if (!strcmp(path, "-"))
		return read_fd(r, STDIN_FILENO, "-", err);
	if (stat(path, &st) < 0) {
		err_sys(err, "cannot read '%s'", path);
		return blame_user(err);
	}
	if (S_ISDIR(st.st_mode))
		return read_directory(r, path, err);
	return read_file(r, path, err);
}

static struct manifest *
collect(struct reader *r)
{
	struct manifest *m = arena_alloc(r->arena, sizeof(*m));
	size_t size = (r->objects.n + 1) * sizeof(void *);

	m->arena = r->arena;
	m->objects = arena_alloc(r->arena, size);
	m->plans = arena_alloc(r->arena, size);
	for (size_t i = 0; i < r->objects.n; i++) {
		struct loaded *l = r->objects.v[i];

		m->objects[m->nobjects++] = l->o;
		if (!strcmp(l->kind->name, "Plan"))
			m->plans[m->nplans++] = (struct plan *)l->o;
	}
	m->nplans_read = m->nplans;
	return m;
}

static void
reader_done(struct reader *r)
{
	vec_done(&r->objects);
	strmap_done(&r->by_name);
	arena_free(r->scratch);
	arena_free(r->arena);
}

int
manifest_read(const char *const *paths, size_t npaths,
	      const struct manifest_opts *opts, struct findings *findings,
	      struct manifest **ret, struct err *err)
{
	CLEANUP(reader_done)
	struct reader r = {
	    .arena = arena_new(),
	    .scratch = arena_new(),
	    .findings = findings,
	    .strict = opts && opts->strict,
	};

	for (size_t i = 0; i < npaths; i++)
		if (read_path(&r, paths[i], err) < 0)
			return -1;
	load_builtin_policy(&r);
	resolve_all(&r);
	*ret = collect(&r);
	r.arena = NULL; /* the manifest's now */
	return 0;
}

void
manifest_free(struct manifest *m)
{
	if (m)
		arena_free(m->arena);
}

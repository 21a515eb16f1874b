/* SPDX-License-Identifier: Apache-2.0 */
/* Throw-away qcow2 layers above a vm's disks. */
#include "stages/overlay.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/process.h"

#define QEMU_IMG_DEADLINE_MS 300000
#define NOTE_MAX ((size_t)16 * 1024 * 1024)

void
overlays_done(struct overlays *o)
{
	for (size_t i = 0; i < o->n; i++)
		volume_done(&o->v[i]);
	free(o->v);
	free(o->dir);
	*o = (struct overlays){0};
}

static bool
is_of_kind(const char *name, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(name, kind, len) == 0 && name[len] &&
	       strspn(name + len, "0123456789") == strlen(name + len);
}

/* *removed is set when there was one; it may be NULL. */
static int
sweep(const char *scratch, const char *kind, bool *removed, struct err *err)
{
	struct dirent *entry;
	DIR *dir = opendir(scratch);
	int rc = 0;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return err_sys(err, "cannot read directory '%s'", scratch);
	while (rc == 0 && (entry = readdir(dir))) {
		CLEANUP(mem_freep) char *path = NULL;

		if (!is_of_kind(entry->d_name, kind))
			continue;
		path = fs_path(scratch, entry->d_name);
		rc = fs_remove_tree(path, err);
		if (removed)
			*removed = true;
	}
	closedir(dir);
	return rc;
}

int
overlays_sweep(const char *scratch, const char *kind, struct err *err)
{
	return sweep(scratch, kind, NULL, err);
}

/* The converted ones come last. */
static const char *const kinds[] = {OVERLAYS_BOOTED, OVERLAYS_REHEARSED_BOOT,
				    OVERLAYS_REHEARSED, OVERLAYS_CONVERTED};

#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static int
sweep_kinds(const char *scratch, size_t n, bool *removed, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (sweep(scratch, kinds[i], removed, err) < 0)
			return -1;
	return 0;
}

int
overlays_sweep_all(const char *scratch, struct err *err)
{
	return sweep_kinds(scratch, NKINDS, NULL, err);
}

int
overlays_clear(const char *scratch, bool keep_converted, bool *removed,
	       struct err *err)
{
	if (sweep_kinds(scratch, keep_converted ? NKINDS - 1 : NKINDS, removed,
			err) < 0)
		return -1;
	/* what is in there besides is not ours, and stays */
	if (rmdir(scratch) < 0)
		return errno == ENOENT || errno == ENOTEMPTY
			   ? 0
			   : err_sys(err, "cannot remove directory '%s'",
				     scratch);
	if (removed)
		*removed = true;
	return 0;
}

static int
create_one(const char *path, const struct volume *base, struct err *err)
{
	const char *argv[] = {"qemu-img",   "create", "-q",	  "-f",
			      "qcow2",	    "-b",     base->path, "-F",
			      base->format, "--",     path,	  NULL};

	if (process_run(argv, QEMU_IMG_DEADLINE_MS, NULL, err) < 0)
		return -1;
	return fs_sync_file(path, err);
}

int
overlays_create(const char *scratch, const char *kind, int attempt,
		const struct shape *shape, const struct volume *bases,
		struct overlays *ret, struct err *err)
{
	CLEANUP(overlays_done) struct overlays o = {0};

	o.dir = mem_printf("%s/%s%d", scratch, kind, attempt);
	if (fs_mkdirs(scratch, 0700, err) < 0)
		return -1;
	if (mkdir(o.dir, 0700) < 0)
		return err_sys(err, "cannot make directory '%s'", o.dir);
	o.v = mem_new((shape->ndisks + 1) * sizeof(*o.v));
	for (size_t i = 0; i < shape->ndisks; i++) {
		struct volume *v = &o.v[o.n++];

		v->path = mem_printf("%s/%s.qcow2", o.dir,
				     shape->disks[i].source->id);
		v->format = "qcow2";
		if (create_one(v->path, &bases[i], err) < 0)
			return -1;
	}
	if (fs_sync_dir(o.dir, err) < 0 || fs_sync_dir(scratch, err) < 0)
		return -1;
	*ret = o;
	o = (struct overlays){0};
	return 0;
}

json_t *
overlays_to_json(const struct overlays *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < o->n; i++) {
		const char *name = fs_basename(o->v[i].path);

		json_array_append_new(
		    list, json_pack("{s:s%, s:s}", "disk", name,
				    strlen(name) - strlen(".qcow2"), "path",
				    o->v[i].path));
	}
	return list;
}

int
overlays_from_json(const json_t *json, const struct shape *shape,
		   struct overlays *ret, struct err *err)
{
	CLEANUP(overlays_done) struct overlays o = {0};

	o.v = mem_new((shape->ndisks + 1) * sizeof(*o.v));
	for (size_t i = 0; i < shape->ndisks; i++) {
		const char *disk = NULL, *path = NULL;

		if (json_unpack(json_array_get(json, i), "{s:s, s:s}", "disk",
				&disk, "path", &path) < 0 ||
		    strcmp(disk, shape->disks[i].source->id) != 0)
			return err_set(err, ERR_BUG,
				       "the recorded overlays are not those "
				       "of disk '%s'",
				       shape->disks[i].source->id);
		o.v[o.n].path = mem_strdup(path);
		o.v[o.n++].format = "qcow2";
	}
	if (json_array_size(json) != o.n)
		return err_set(err, ERR_BUG,
			       "%zu overlays are recorded for %zu disks",
			       json_array_size(json), o.n);
	o.dir = o.n ? fs_dirname(o.v[0].path) : mem_strdup("");
	*ret = o;
	o = (struct overlays){0};
	return 0;
}

int
overlay_check(const char *path, struct err *err)
{
	/* clusters nobody refers to are waste, no damage */
	const char *argv[] = {"qemu-img", "check", "-q", "-r", "leaks",
			      "-f",	  "qcow2", "--", path, NULL};

	return process_run(argv, QEMU_IMG_DEADLINE_MS, NULL, err);
}

static char *
note_path(const char *dir, const char *step)
{
	return mem_printf("%s/%s.done", dir, step);
}

int
overlays_note_done(const char *dir, const char *step, const json_t *basis,
		   const json_t *facts, struct err *err)
{
	CLEANUP(mem_freep) char *path = note_path(dir, step);
	json_t *note = json_pack("{s:O, s:O}", "basis", basis, "facts", facts);
	CLEANUP(mem_freep) char *text = json_dumps(note, JSON_INDENT(2));

	json_decref(note);
	if (!text)
		return err_set(err, ERR_BUG, "the facts of %s are no JSON",
			       step);
	return fs_write(path, text, strlen(text), 0600, err);
}

int
overlays_find_done(const char *dir, const char *step, const json_t *basis,
		   json_t **ret_facts, struct err *err)
{
	CLEANUP(mem_freep) char *path = note_path(dir, step);
	CLEANUP(buf_done) struct buf text = {0};
	struct err ignored;
	json_t *note, *facts;

	if (fs_read(path, NOTE_MAX, true, &text, &ignored) < 0 || !text.data)
		return 0;
	note = json_loadb(text.data, text.len, 0, NULL);
	facts = json_object_get(note, "facts");
	if (json_is_object(facts) &&
	    json_equal(json_object_get(note, "basis"), basis))
		*ret_facts = json_incref(facts);
	json_decref(note);
	/* renamed perhaps a moment before the kill */
	if (*ret_facts && fs_sync_dir(dir, err) < 0) {
		json_decref(*ret_facts);
		*ret_facts = NULL;
		return -1;
	}
	return 0;
}

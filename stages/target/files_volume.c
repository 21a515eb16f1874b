/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes that are files, sparse, and beside each the id of its contents. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/image.h"
#include "io/process.h"
#include "stages/target/files.h"

#define ID_BYTES 16
#define SEAL "committed\n" /* its second line, from the commit's begin on */
#define QEMU_IMG_DEADLINE_MS 60000

void
files_volume(const struct target_vm *t, size_t n, struct volume *ret)
{
	const struct shape_disk *d = &t->shape->disks[n];
	CLEANUP(mem_freep) char *dir = files_disk_dir(t, n);

	ret->path = mem_printf("%s/%s.%s", dir, d->volume, d->format);
	ret->format = d->format;
}

/* Named after the file, format and all: volumes of two formats are two. */
char *
files_volume_id(const struct target_vm *t, size_t n)
{
	CLEANUP(volume_done) struct volume v = {0};

	files_volume(t, n, &v);
	return mem_printf("%s.id", v.path);
}

/* *ret stays NULL where there is none. */
static int
read_id(const char *path, char **ret, bool *ret_sealed, struct err *err)
{
	CLEANUP(buf_done) struct buf text = {0};

	if (fs_read(path, 1024, true, &text, err) < 0)
		return -1;
	if (text.len < 2 * ID_BYTES + 1 || text.data[2 * ID_BYTES] != '\n')
		return 0;
	*ret = mem_strndup(text.data, 2 * ID_BYTES);
	/* whatever else is said: more than that it is a replica */
	*ret_sealed = text.len > 2 * ID_BYTES + 1;
	return 0;
}

static int
write_id(const char *path, char **ret, struct err *err)
{
	unsigned char random[ID_BYTES];
	char text[2 * ID_BYTES + 2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, "cannot make up an id for a volume");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	text[2 * sizeof(random)] = '\n';
	text[2 * sizeof(random) + 1] = '\0';
	if (fs_write(path, text, strlen(text), 0644, err) < 0)
		return -1;
	*ret = mem_strndup(text, 2 * ID_BYTES);
	return 0;
}

/* What a guest would see as the disk's size. */
static int
qcow2_size(const char *path, uint64_t *ret, struct err *err)
{
	const char *argv[] = {"qemu-img", "info",  "--output=json",
			      "-f",	  "qcow2", "--",
			      path,	  NULL};
	CLEANUP(buf_done) struct buf out = {0};
	json_t *info;
	json_int_t size = -1;

	if (process_run(argv, QEMU_IMG_DEADLINE_MS, &out, err) < 0)
		return -1;
	info = json_loadb(out.data, out.len, 0, NULL);
	json_unpack(info, "{s:I}", "virtual-size", &size);
	json_decref(info);
	if (size < 0)
		return err_set(err, ERR_FAIL,
			       "'qemu-img info' says nothing of the size of "
			       "'%s'",
			       path);
	*ret = (uint64_t)size;
	return 0;
}

/* qcow2 counts in sectors. */
static uint64_t
rounded(const struct volume *v, uint64_t size)
{
	return strcmp(v->format, "qcow2") == 0 ? (size + 511) / 512 * 512
					       : size;
}

static int
volume_size(const struct volume *v, uint64_t *ret, struct err *err)
{
	struct stat st;

	if (lstat(v->path, &st) < 0)
		return err_sys(err, "cannot examine '%s'", v->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAIL, "'%s' is not a regular file",
			       v->path);
	*ret = (uint64_t)st.st_size;
	return strcmp(v->format, "qcow2") == 0 ? qcow2_size(v->path, ret, err)
					       : 0;
}

static int
check_existing(const struct volume *v, const struct shape_disk *d,
	       struct err *err)
{
	uint64_t size, wanted = rounded(v, d->source->capacity_bytes);

	if (volume_size(v, &size, err) < 0)
		return -1;
	if (size != wanted)
		return err_set(
		    err, ERR_FAIL,
		    "'%s' has %" PRIu64 " bytes, the source's disk "
		    "has %" PRIu64 ": %s, or the file is another's; "
		    "move it and its .id file away to copy anew",
		    v->path, size, wanted,
		    size > wanted ? "the disk shrank" : "it was cut short");
	return 0;
}

static int
create_raw(const char *path, uint64_t size, struct err *err)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, "cannot create '%s'", path);
	if (ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0)
		return err_sys(err, "cannot give '%s' its %" PRIu64 " bytes",
			       path, size);
	return 0;
}

static int
create_qcow2(const char *path, uint64_t size, struct err *err)
{
	CLEANUP(mem_freep) char *bytes = mem_printf("%" PRIu64, size);
	const char *argv[] = {
	    "qemu-img",		 "create", "-q", "-f",	"qcow2", "-o",
	    "preallocation=off", "--",	   path, bytes, NULL};

	if (process_run(argv, QEMU_IMG_DEADLINE_MS, NULL, err) < 0)
		return -1;
	if (chmod(path, 0600) < 0)
		return err_sys(err, "cannot set the mode of '%s'", path);
	return fs_sync_file(path, err);
}

/* The id goes last: a volume without one was never handed to anybody, so in a
 * directory that is claimed by us it is a cut-short attempt. */
static int
create_anew(const struct target_vm *t, size_t n, const struct volume *v,
	    char **ret_id, struct err *err)
{
	uint64_t size = rounded(v, t->shape->disks[n].source->capacity_bytes);
	CLEANUP(mem_freep) char *id = files_volume_id(t, n);
	CLEANUP(mem_freep) char *dir = fs_dirname(v->path);
	bool qcow2 = strcmp(v->format, "qcow2") == 0;

	if (fs_remove(id, err) < 0 || files_remove_shown(t, v->path, err) < 0)
		return -1;
	if ((qcow2 ? create_qcow2(v->path, size, err)
		   : create_raw(v->path, size, err)) < 0 ||
	    fs_sync_dir(dir, err) < 0)
		return -1;
	return write_id(id, ret_id, err);
}

static int
refuse_sealed(const struct volume *v, struct err *err)
{
	return err_set(err, ERR_FAIL,
		       "'%s' has been committed, at least in part: nothing is "
		       "copied to it; 'palletjack plan' says how to set it "
		       "aside and copy anew",
		       v->path);
}

int
files_create_volume(const struct target_vm *t, size_t n, char **ret_id,
		    bool *ret_fresh, struct err *err)
{
	CLEANUP(volume_done) struct volume v = {0};
	CLEANUP(mem_freep) char *id = NULL;
	bool sealed = false;

	if (files_guard(t, err) < 0 || files_must_own(t, err) < 0 ||
	    files_volume_is(t, n, &id, &sealed, err) < 0)
		return -1;
	files_volume(t, n, &v);
	if (!id) {
		*ret_fresh = true;
		return create_anew(t, n, &v, ret_id, err);
	}
	if (sealed)
		return refuse_sealed(&v, err);
	if (check_existing(&v, &t->shape->disks[n], err) < 0)
		return -1;
	*ret_fresh = false;
	*ret_id = steal(&id);
	return 0;
}

int
files_grow_volume(const struct target_vm *t, size_t n, uint64_t was,
		  struct err *err)
{
	uint64_t size, wanted = t->shape->disks[n].source->capacity_bytes;
	CLEANUP(mem_freep) char *id = NULL;
	CLEANUP(volume_done) struct volume v = {0};
	bool sealed = false;

	if (files_guard(t, err) < 0 || files_must_own(t, err) < 0 ||
	    files_volume_is(t, n, &id, &sealed, err) < 0)
		return -1;
	if (!id || sealed)
		return 0;
	files_volume(t, n, &v);
	if (volume_size(&v, &size, err) < 0)
		return -1;
	if (size != rounded(&v, was) || size >= wanted)
		return 0;
	return image_grow(v.path, v.format, rounded(&v, wanted), err);
}

int
files_volume_is(const struct target_vm *t, size_t n, char **ret_id,
		bool *ret_sealed, struct err *err)
{
	CLEANUP(mem_freep) char *path = files_volume_id(t, n);
	CLEANUP(volume_done) struct volume v = {0};

	*ret_id = NULL;
	*ret_sealed = false;
	files_volume(t, n, &v);
	return fs_exists(v.path) ? read_id(path, ret_id, ret_sealed, err) : 0;
}

static int
seal_volume(const struct target_vm *t, size_t n, struct err *err)
{
	CLEANUP(mem_freep) char *path = files_volume_id(t, n);
	CLEANUP(mem_freep) char *id = NULL, *text = NULL;
	bool sealed;

	if (files_volume_is(t, n, &id, &sealed, err) < 0)
		return -1;
	if (!id)
		return err_set(err, ERR_FAIL,
			       "'%s' or what it names is gone: the disk must "
			       "be copied anew",
			       path);
	text = mem_printf("%s\n" SEAL, id);
	/* written aside and renamed, all of it synced */
	return sealed ? 0 : fs_write(path, text, strlen(text), 0644, err);
}

int
files_seal(const struct target_vm *t, struct err *err)
{
	if (files_guard(t, err) < 0 || files_must_own(t, err) < 0)
		return -1;
	for (size_t i = 0; i < t->shape->ndisks; i++)
		if (seal_volume(t, i, err) < 0)
			return -1;
	return 0;
}

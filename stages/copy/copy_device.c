/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices as ends of a copy. */
#include "stages/copy/copy_device.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"
#include "stages/copy/digest.h"

#define LOOK_MS 60000

bool
copy_device_is(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/* A line of sysfs without blanks around it; NULL: there is none.  Its files
 * say that they have 4096 bytes, whatever they have. */
static char *
attribute(const char *dir, const char *name)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, name);
	CLEANUP(mem_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *from = text;

	if (n <= 0)
		return NULL;
	text[n] = '\0';
	while (n > 0 && strchr(" \t\n", text[n - 1]))
		text[--n] = '\0';
	from += strspn(text, " \t\n");
	return *from ? mem_strdup(from) : NULL;
}

/* A loop device is the file behind it. */
static char *
loop_id(const char *dir)
{
	CLEANUP(mem_freep) char *file = attribute(dir, "loop/backing_file");
	CLEANUP(mem_freep) char *offset = attribute(dir, "loop/offset");
	struct stat st;

	if (!file || stat(file, &st) < 0)
		return NULL;
	return mem_printf("loop %llx:%llu+%s",
			  (unsigned long long)fs_volume(file),
			  (unsigned long long)st.st_ino, offset ? offset : "0");
}

/* What its maker or its owner gave it, from the surest to the least sure. */
static char *
lasting_id(const char *dir)
{
	static const char *const names[] = {
	    "dm/uuid", "wwid",		"device/wwid", "md/uuid",
	    "serial",  "device/serial", "device/cid"};
	char *found = loop_id(dir);

	for (size_t i = 0; !found && i < sizeof(names) / sizeof(names[0]);
	     i++) {
		CLEANUP(mem_freep) char *value = attribute(dir, names[i]);

		if (value)
			found = mem_printf("%s %s", names[i], value);
	}
	return found;
}

/* The kernel numbers attachments: none gets the number of another. */
static char *
passing_id(const char *dir, dev_t dev)
{
	CLEANUP(mem_freep) char *number = attribute(dir, "diskseq");

	return mem_printf("%u:%u attached as %s of boot %s", major(dev),
			  minor(dev), number ? number : "?", clock_boot_id());
}

static char *
name_disk(const char *dir, dev_t dev)
{
	char *id = lasting_id(dir);

	return id ? id : passing_id(dir, dev);
}

static char *
name_device(dev_t dev)
{
	CLEANUP(mem_freep)
	char *dir = mem_printf("/sys/dev/block/%u:%u", major(dev), minor(dev));
	CLEANUP(mem_freep) char *number = attribute(dir, "partition");
	CLEANUP(mem_freep) char *start = attribute(dir, "start");
	CLEANUP(mem_freep) char *parent = NULL;
	CLEANUP(mem_freep) char *disk = NULL;

	if (!number)
		return name_disk(dir, dev);
	parent = mem_printf("%s/..", dir);
	disk = name_disk(parent, dev);
	return mem_printf("%s partition %s from %s", disk, number,
			  start ? start : "?");
}

int
copy_device_identify(const char *path, struct copy_device *ret, struct err *err)
{
	CLEANUP(mem_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(mem_freep) char *name = NULL;
	CLEANUP(mem_freep) char *whole = NULL;
	struct stat st;
	off_t size;

	*ret = (struct copy_device){0};
	if (fd < 0 || fstat(fd, &st) < 0 || (size = lseek(fd, 0, SEEK_END)) < 0)
		return err_sys(err, "cannot examine block device '%s'", path);
	name = name_device(st.st_rdev);
	whole = mem_printf("device %s", name);
	ret->size = (uint64_t)size;
	return ledger_put_id(ret->id, whole, err);
}

/* Somebody has it: mounted, swap, a part of something, or another copy. */
static int
check_unused(const char *path, struct err *err)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	if (errno == EBUSY)
		return err_set(err, ERR_FAIL,
			       "block device '%s' is in use: mounted, swap, "
			       "part of a RAID or volume group, or written by "
			       "another copy",
			       path);
	return err_sys(err, "cannot open block device '%s'", path);
}

/* "ext4 'root', gpt" of what wipefs lists; NULL for an empty list. */
static char *
describe(const json_t *signatures)
{
	CLEANUP(buf_done) struct buf text = {0};
	const json_t *one;
	size_t i;

	json_array_foreach(signatures, i, one)
	{
		const char *type =
		    json_string_value(json_object_get(one, "type"));
		const char *label =
		    json_string_value(json_object_get(one, "label"));

		buf_printf(&text, "%s%s", i ? ", " : "",
			   type ? type : "something");
		if (label)
			buf_printf(&text, " '%s'", label);
	}
	return text.len ? mem_strdup(text.data) : NULL;
}

/* "0x438" */
static void
note_places(struct copy_device *d, const json_t *signatures)
{
	const json_t *one;
	size_t i;

	d->places =
	    mem_new((json_array_size(signatures) + 1) * sizeof(*d->places));
	json_array_foreach(signatures, i, one)
	{
		const char *at =
		    json_string_value(json_object_get(one, "offset"));

		d->places[d->nplaces++] = at ? strtoull(at, NULL, 0) : 0;
	}
}

/* The digest covers all that was found, names and places. */
static int
put_accept(struct copy_device *d, const json_t *found, struct err *err)
{
	CLEANUP(digest_done) struct digest sha = {0};
	CLEANUP(mem_freep) char *listed = NULL;
	CLEANUP(mem_freep) char *all = NULL;
	uint8_t digest[LEDGER_DIGEST_SIZE];

	listed = json_dumps(found, JSON_COMPACT | JSON_SORT_KEYS);
	all = mem_printf("%s %s", d->id, listed ? listed : "");
	if (digest_init(&sha, LEDGER_SHA256, err) < 0 ||
	    digest_block(&sha, all, strlen(all), digest, err) < 0)
		return -1;
	for (int i = 0; i < 8; i++)
		snprintf(d->accept + (ptrdiff_t)i * 2, 3, "%02x", digest[i]);
	return 0;
}

static int
take_list(const char *path, const char *text, size_t len,
	  struct copy_device *ret, struct err *err)
{
	json_t *list = len ? json_loadb(text, len, 0, NULL) : json_object();
	const json_t *found = json_object_get(list, "signatures");
	int rc = 0;

	if (!list)
		rc = err_set(err, ERR_FAIL,
			     "cannot make out what wipefs says about '%s'",
			     path);
	ret->holds = describe(found);
	note_places(ret, found);
	if (rc == 0)
		rc = put_accept(ret, found, err);
	json_decref(list);
	return rc;
}

/* An operator's PATH need not have what is root's. */
static const char *
wipefs(void)
{
	return process_in_path("wipefs") ? "wipefs" : "/usr/sbin/wipefs";
}

int
copy_device_look(const char *path, struct copy_device *ret, struct err *err)
{
	const char *argv[] = {wipefs(), "--no-act", "--json", path, NULL};
	CLEANUP(buf_done) struct buf out = {0};

	if (copy_device_identify(path, ret, err) < 0 ||
	    check_unused(path, err) < 0)
		return -1;
	if (process_run(argv, LOOK_MS, &out, err) < 0)
		return err_wrap(err, "cannot look what block device '%s' holds",
				path);
	return take_list(path, out.data, out.len, ret, err);
}

int
copy_device_wipe(const char *path, struct err *err)
{
	const char *argv[] = {wipefs(), "--all", "--quiet", path, NULL};
	CLEANUP(buf_done) struct buf out = {0};

	if (process_run(argv, LOOK_MS, &out, err) < 0)
		return err_wrap(
		    err, "cannot erase what block device '%s' holds", path);
	return fs_sync_file(path, err);
}

void
copy_device_done(struct copy_device *d)
{
	free(d->holds);
	free(d->places);
	d->holds = NULL;
	d->places = NULL;
	d->nplaces = 0;
}

int
copy_device_check_accepted(const char *path, const struct copy_device *d,
			   const char *accept, struct err *err)
{
	if (!d->holds || (accept && strcmp(accept, d->accept) == 0))
		return 0;
	return err_set(err, ERR_NOT_READY,
		       "block device '%s' holds %s, which would be lost: to "
		       "overwrite it, say --accept %s",
		       path, d->holds, d->accept);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said about a place for files before anything is copied. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"
#include "io/process.h"
#include "stages/target/files.h"
#include "stages/target/qemu.h"

/* What conversion and boot test may write beside the disks. */
#define OVERLAY_BYTES ((uint64_t)1024 * 1024 * 1024)

struct check {
	const struct target_vm *t;
	struct findings *findings;
};

#define add(c, category, type, ...)                                         \
	(findings_add((c)->findings, FINDING_##category, type, __VA_ARGS__) \
	     ->vm = (c)->t->pvm->key)

/* The nearest ancestor that exists: what is missing will be made below it. */
static char *
existing_ancestor(const char *path)
{
	char *at = mem_strdup(path);

	while (!fs_exists(at) && strcmp(at, "/") != 0) {
		char *up = fs_dirname(at);

		free(at);
		at = up;
	}
	return at;
}

bool
files_check_writable(const struct target_vm *t, const char *path,
		     struct findings *findings)
{
	CLEANUP(mem_freep) char *at = existing_ancestor(path);
	struct check check = {t, findings}, *c = &check;
	struct stat st;

	if (stat(at, &st) < 0 || !S_ISDIR(st.st_mode)) {
		add(c, ERROR, "TargetDirectoryNotValid",
		    "the target directory '%s' cannot be made: '%s' is not a "
		    "directory",
		    path, at);
		return false;
	}
	if (access(at, W_OK | X_OK) < 0) {
		add(c, ERROR, "TargetDirectoryNotWritable",
		    "the target directory '%s' cannot be written: '%s': %s",
		    path, at, strerror(errno));
		return false;
	}
	if (strcmp(at, path) != 0)
		add(c, INFORMATION, "TargetDirectoryMissing",
		    "the target directory '%s' is not there and will be made",
		    path);
	return true;
}

/* What is still to be written somewhere: `likely` at least, by what the source
 * says its disks hold; `most` when all of them were written. */
struct need {
	uint64_t likely, most;
};

/* What of one disk is still to be written; what is there already is not. */
static void
add_disk(const struct target_vm *t, size_t n, struct need *need)
{
	const struct inv_disk *d = t->shape->disks[n].source;
	CLEANUP(volume_done) struct volume v = {0};
	struct stat st;
	uint64_t has = 0, capacity = d->capacity_bytes, holds = capacity;

	if (d->blank)
		holds = 0;
	else if (d->allocated_bytes && d->allocated_bytes < capacity)
		holds = d->allocated_bytes;
	files_volume(t, n, &v);
	/* what is set aside first keeps its space */
	if (!files_is_to_set_aside(t, n) && stat(v.path, &st) == 0)
		has = (uint64_t)st.st_blocks * 512;
	need->likely += holds > has ? holds - has : 0;
	need->most += capacity > has ? capacity - has : 0;
}

static bool
writes_overlays(const struct target_vm *t)
{
	return t->shape->converted ||
	       (t->plan->policy && t->plan->policy->boot_test != BOOT_TEST_OFF);
}

static bool
same_file_system(const char *a, const char *b)
{
	CLEANUP(mem_freep) char *at_a = existing_ancestor(a);
	CLEANUP(mem_freep) char *at_b = existing_ancestor(b);
	struct stat sta, stb;

	return stat(at_a, &sta) == 0 && stat(at_b, &stb) == 0 &&
	       sta.st_dev == stb.st_dev;
}

/* All that `t` needs on the file system of `dir`.  Its overlays are in its
 * home. */
static struct need
need_of(const struct target_vm *t, const char *dir)
{
	CLEANUP(mem_freep) char *home = files_home(t);
	struct need need = {0};

	if (writes_overlays(t) && same_file_system(home, dir))
		need.likely = need.most = OVERLAY_BYTES;
	for (size_t n = 0; n < t->shape->ndisks; n++) {
		CLEANUP(mem_freep) char *at = files_disk_dir(t, n);

		if (same_file_system(at, dir))
			add_disk(t, n, &need);
	}
	return need;
}

/* " more there, and the 3 vms before it in the plan 5.0 GiB" */
static char *
and_others(size_t nothers, uint64_t bytes)
{
	char text[UNITS_TEXT_SIZE];

	if (!nothers)
		return mem_strdup("");
	units_format_bytes(bytes, text);
	return nothers == 1
		   ? mem_printf(", and the vm before it in the plan %s", text)
		   : mem_printf(", and the %zu vms before it in the plan %s",
				nothers, text);
}

/* In the plan's order: of vms that do not all fit, the first ones go on. */
static int
compare_space(const struct check *c, const char *dir, struct err *err)
{
	CLEANUP(mem_freep) char *at = existing_ancestor(dir);
	CLEANUP(mem_freep) char *others = NULL;
	char need[UNITS_TEXT_SIZE], have[UNITS_TEXT_SIZE];
	struct need own = need_of(c->t, dir), ahead = {0};
	size_t nahead = 0;
	uint64_t left;

	for (size_t i = 0; i < c->t->nahead; i++) {
		struct need other = need_of(&c->t->ahead[i], dir);

		nahead += other.most > 0;
		ahead.likely += other.likely;
		ahead.most += other.most;
	}
	if (fs_free_bytes(at, &left, err) < 0)
		return -1;
	units_format_bytes(left, have);
	if (left < own.likely + ahead.likely) {
		others = and_others(nahead, ahead.likely);
		add(c, ERROR, "TargetSpaceNotEnough",
		    "'%s' has %s free; this vm needs %s more there%s", at, have,
		    units_format_bytes(own.likely, need), others);
	} else if (left < own.most + ahead.most) {
		others = and_others(nahead, ahead.most);
		add(c, WARN, "TargetSpaceTight",
		    "'%s' has %s free, enough for what the disks hold now; if "
		    "they fill up this vm needs %s more there%s",
		    at, have, units_format_bytes(own.most, need), others);
	}
	return 0;
}

/* Directories on one file system share its space. */
int
files_check_space(const struct target_vm *t, struct findings *findings,
		  struct err *err)
{
	struct check check = {t, findings}, *c = &check;
	struct files_dirs d = {0};
	int rc = 0;

	files_dirs_of(c->t, &d);
	for (size_t i = 0; rc == 0 && i < d.list.n; i++) {
		bool counted = false;

		for (size_t k = 0; k < i; k++)
			if (same_file_system(d.list.v[k], d.list.v[i]))
				counted = true;
		if (!counted)
			rc = compare_space(c, d.list.v[i], err);
	}
	files_dirs_done(&d);
	return rc;
}

/* What another put where a volume is to be shown. */
static void
check_volumes(const struct check *c)
{
	for (size_t i = 0; i < c->t->shape->ndisks; i++) {
		CLEANUP(volume_done) struct volume v = {0};
		CLEANUP(mem_freep) char *shown = NULL;

		files_volume(c->t, i, &v);
		shown = files_shown(c->t, v.path);
		if (files_whose(c->t, v.path) == FILES_ANOTHERS)
			add(c, ERROR, "TargetNameTaken",
			    "'%s' is there and was not made for this vm: move "
			    "it away, or set targetName",
			    shown);
	}
}

/* The mark, then the claim, then files of nobody. */
void
files_check_free(const struct target_vm *t, struct findings *findings)
{
	struct check check = {t, findings}, *c = &check;
	struct files_dirs d = {0};
	struct err why;

	if (target_find(t->endpoint->type)->guard(t, &why) < 0) {
		add(c, ERROR,
		    why.class == ERR_HELD ? "TargetHeld" : "TargetHandedOver",
		    "%s", why.text);
		return;
	}
	files_dirs_of(t, &d);
	for (size_t i = 0; i < d.list.n; i++)
		if (files_claimed(t, d.list.v[i], &why) == 0 &&
		    files_is_occupied(d.list.v[i]))
			add(c, ERROR, "TargetNameTaken",
			    "'%s' holds files that no run made: move them "
			    "away, or set targetName",
			    d.list.v[i]);
	files_dirs_done(&d);
	check_volumes(c);
}

void
files_check_needs(const struct target_vm *t, struct findings *findings)
{
	struct qemu_firmware fw = qemu_firmware_of(t->shape);
	struct check check = {t, findings}, *c = &check;
	struct accel_info accel;

	if (!process_in_path("qemu-img"))
		add(c, ERROR, "ProgramMissing", "'qemu-img' is not installed");
	if (fw.code && (!fs_exists(fw.code) || !fs_exists(fw.vars)))
		add(c, ERROR, "FirmwareMissing",
		    "this vm starts by UEFI, and '%s' or '%s' is not there "
		    "(package ovmf)",
		    fw.code, fw.vars);
	if (t->shape->tpm)
		add(c, WARN, "TPMNotSupported",
		    "this vm has a TPM, at this target it gets none");
	accel_probe(&accel);
	if (accel.accel == ACCEL_TCG)
		add(c, INFORMATION, "SoftwareEmulation",
		    "the vm will run in software emulation, much slower than "
		    "on hardware: %s",
		    accel.reason);
}

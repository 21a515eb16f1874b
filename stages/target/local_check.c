/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said about a local target before anything is copied. */
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
#include "stages/target/local.h"
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

static bool
check_writable(const struct check *c, const char *path)
{
	CLEANUP(mem_freep) char *at = existing_ancestor(path);
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
	local_volume(t, n, &v);
	/* what is set aside first keeps its space */
	if (!local_is_to_set_aside(t, n) && stat(v.path, &st) == 0)
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
	CLEANUP(mem_freep) char *home = local_home(t);
	struct need need = {0};

	if (writes_overlays(t) && same_file_system(home, dir))
		need.likely = need.most = OVERLAY_BYTES;
	for (size_t n = 0; n < t->shape->ndisks; n++) {
		CLEANUP(mem_freep) char *at = local_disk_dir(t, n);

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
static int
check_space(const struct check *c, struct err *err)
{
	struct local_dirs d = {0};
	int rc = 0;

	local_dirs_of(c->t, &d);
	for (size_t i = 0; rc == 0 && i < d.list.n; i++) {
		bool counted = false;

		for (size_t k = 0; k < i; k++)
			if (same_file_system(d.list.v[k], d.list.v[i]))
				counted = true;
		if (!counted)
			rc = compare_space(c, d.list.v[i], err);
	}
	local_dirs_done(&d);
	return rc;
}

/* The mark, then the claim, then files of nobody. */
static void
check_free(const struct check *c)
{
	struct local_dirs d = {0};
	struct err why;

	if (local_guard(c->t, &why) < 0) {
		add(c, ERROR,
		    why.class == ERR_HELD ? "TargetHeld" : "TargetHandedOver",
		    "%s", why.text);
		return;
	}
	local_dirs_of(c->t, &d);
	for (size_t i = 0; i < d.list.n; i++)
		if (local_claimed(c->t, d.list.v[i], &why) == 0 &&
		    local_is_occupied(d.list.v[i]))
			add(c, ERROR, "TargetNameTaken",
			    "'%s' holds files that no run made: move them "
			    "away, or set targetName",
			    d.list.v[i]);
	local_dirs_done(&d);
}

static void
check_bridges(const struct check *c)
{
	for (size_t i = 0; i < c->t->shape->nnics; i++) {
		const struct shape_nic *nic = &c->t->shape->nics[i];
		CLEANUP(mem_freep) char *path = NULL;

		if (nic->type != NETWORK_MULTUS)
			continue;
		path = mem_printf("/sys/class/net/%s/bridge", nic->name);
		if (!*nic->name || strchr(nic->name, '/') || !fs_exists(path))
			add(c, ERROR, "TargetNetworkNotFound",
			    "network '%s' means a bridge of this host, and "
			    "there is none of that name: make it, or map the "
			    "network to 'pod' or 'ignored'",
			    nic->name);
	}
}

static void
check_programs(const struct check *c)
{
	const struct shape *s = c->t->shape;
	struct qemu_firmware fw = qemu_firmware_of(s);

	if (!process_in_path("qemu-system-x86_64"))
		add(c, ERROR, "ProgramMissing",
		    "'qemu-system-x86_64' is not installed: the vm could not "
		    "be started");
	if (!process_in_path("qemu-img"))
		add(c, ERROR, "ProgramMissing", "'qemu-img' is not installed");
	if (fw.code && (!fs_exists(fw.code) || !fs_exists(fw.vars)))
		add(c, ERROR, "FirmwareMissing",
		    "this vm starts by UEFI, and '%s' or '%s' is not there "
		    "(package ovmf)",
		    fw.code, fw.vars);
	if (s->tpm)
		add(c, WARN, "TPMNotSupported",
		    "this vm has a TPM, at a local target it gets none");
}

int
local_check(const struct target_vm *t, struct findings *findings,
	    struct err *err)
{
	struct check c = {.t = t, .findings = findings};
	struct accel_info accel;

	if (local_check_names(t, err) < 0) {
		add(&c, ERROR, "TargetNameNotValid", "%s", err->text);
		return 0;
	}
	if (!check_writable(&c, t->endpoint->path))
		return 0;
	check_free(&c);
	check_bridges(&c);
	check_programs(&c);
	accel_probe(&accel);
	if (accel.accel == ACCEL_TCG)
		add(&c, INFORMATION, "SoftwareEmulation",
		    "the vm will run in software emulation, much slower than "
		    "on hardware: %s",
		    accel.reason);
	return check_space(&c, err);
}

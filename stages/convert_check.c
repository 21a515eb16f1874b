/* SPDX-License-Identifier: Apache-2.0 */
/* What conversion and boot test need, said before anything is copied. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"
#include "stages/v2v.h"

struct check {
	const struct view *v;
	struct findings *findings;
};

#define add(c, category, type, ...)                                         \
	(findings_add((c)->findings, FINDING_##category, type, __VA_ARGS__) \
	     ->vm = (c)->v->pvm->key)

static void
check_program(const struct check *c, const char *name, const char *package)
{
	if (!process_in_path(name))
		add(c, ERROR, "ProgramMissing",
		    "'%s' is not installed (package %s), and this vm is to be "
		    "converted: install it, or set skipGuestConversion: true",
		    name, package);
}

static const char *
directory_of(const char *variable, const char *fallback)
{
	const char *set = getenv(variable);

	return set && *set ? set : fallback;
}

/* Without these virt-v2v either converts to slow devices or fails when the
 * disk work has begun. */
static void
check_windows(const struct check *c)
{
	const char *drivers =
	    directory_of("VIRTIO_WIN", "/usr/share/virtio-win");
	const char *tools =
	    directory_of("VIRT_TOOLS_DATA_DIR", "/usr/share/virt-tools");
	CLEANUP(mem_freep) char *rhsrvany = fs_path(tools, "rhsrvany.exe");

	if (strcmp(c->v->vm->os_family, "windows") != 0)
		return;
	if (access(drivers, R_OK) < 0)
		add(c, ERROR, "WindowsDriversMissing",
		    "this is a Windows guest, and its virtio drivers are not "
		    "in '%s': put virtio-win there, or say where it is in "
		    "VIRTIO_WIN",
		    drivers);
	if (access(rhsrvany, R_OK) < 0)
		add(c, ERROR, "WindowsToolsMissing",
		    "this is a Windows guest, and '%s', which runs scripts at "
		    "its first boot, is not there: put it there, or say where "
		    "it is in VIRT_TOOLS_DATA_DIR",
		    rhsrvany);
}

static void
check_boot_probe(const struct check *c)
{
	const struct run_policy *p = c->v->plan->policy;
	char why[200];
	regex_t re;
	int rc;

	if (p->boot_test == BOOT_TEST_OFF)
		return;
	if (!p->boot_probe.serial && !p->boot_probe.agent &&
	    !p->boot_probe.script_name &&
	    p->boot_probe.inconclusive == INCONCLUSIVE_HOLD)
		add(c, ERROR, "BootProbeMissing",
		    "bootTest is on, and without a bootProbe every boot test "
		    "is inconclusive and holds its vm: say what the console "
		    "shall show (serial), that the guest's agent shall answer "
		    "(agent), or which script looks (script)");
	if (!p->boot_probe.serial)
		return;
	rc = regcomp(&re, p->boot_probe.serial, REG_EXTENDED | REG_NOSUB);
	if (rc == 0) {
		regfree(&re);
		return;
	}
	regerror(rc, &re, why, sizeof(why));
	add(c, ERROR, "BootProbeNotValid", "bootProbe.serial '%s': %s",
	    p->boot_probe.serial, why);
}

static void
check_accel(const struct check *c)
{
	struct accel_info accel;

	accel_probe(&accel);
	if (accel.accel == ACCEL_TCG)
		add(c, INFORMATION, "SoftwareEmulation",
		    "guest conversion and boot test will run under TCG "
		    "(software emulation) because %s; expect about 5 to 10 "
		    "times longer",
		    accel.reason);
}

void
convert_check(const struct view *v, struct findings *findings)
{
	struct check c = {.v = v, .findings = findings};
	bool tests_boot = v->plan->policy->boot_test != BOOT_TEST_OFF;

	if (v->shape->converted) {
		check_program(&c, "virt-v2v-in-place", "virt-v2v");
		check_program(&c, "qemu-img", "qemu-utils");
		check_windows(&c);
	}
	if (tests_boot && !process_in_path("qemu-system-x86_64"))
		add(&c, ERROR, "ProgramMissing",
		    "'qemu-system-x86_64' is not installed (package "
		    "qemu-system-x86), and bootTest is on");
	check_boot_probe(&c);
	if (v->shape->converted || tests_boot)
		check_accel(&c);
}

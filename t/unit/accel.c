/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the question whether guests run in hardware: what is believed, and
 * what is remembered. */
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/target/accel.h"
#include "t/tap.h"

static char *cache;

static void
write_fake_qemu(const char *body)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("#!/bin/sh\n"
				"for a; do case $a in file:*) "
				"console=${a#file:};; esac; done\n%s\n",
				body);
	CLEANUP(mem_freep) char *dir = fs_path(tap_dir(), "bin");
	CLEANUP(mem_freep) char *path = fs_path(dir, "qemu-system-x86_64");
	struct err err;

	(void)fs_mkdirs(dir, 0755, &err);
	(void)fs_write(path, text, strlen(text), 0755, &err);
}

static enum accel
probe_with(const char *body)
{
	struct accel_info info = {0};

	unlink(cache);
	write_fake_qemu(body);
	accel_probe(&info);
	tap_diag("%s: %s", accel_name(info.accel), info.reason);
	return info.accel;
}

static void
test_wish(void)
{
	struct accel_info info = {0};

	setenv("PALLETJACK_ACCEL", "kvm", 1);
	accel_probe(&info);
	is_int(info.accel, ACCEL_KVM, "who insists on KVM gets it");
	setenv("PALLETJACK_ACCEL", "tcg", 1);
	accel_probe(&info);
	is_int(info.accel, ACCEL_TCG, "who wants none gets none");
	like(info.reason, "PALLETJACK_ACCEL", "and is told why");
	unsetenv("PALLETJACK_ACCEL");
}

static void
test_tried(void)
{
	is_int(probe_with("exit 1"), ACCEL_TCG, "a QEMU that fails");
	is_int(probe_with("echo 'Linux version 6' >$console; exit"), ACCEL_TCG,
	       "a kernel that dies early");
	is_int(probe_with("echo 'Linux version 6' >$console\n"
			  "echo 'VFS: Unable to mount root fs' >>$console\n"
			  "sleep 60"),
	       ACCEL_KVM, "a kernel that came up");
}

static void
test_cache(void)
{
	struct accel_info info = {0};
	CLEANUP(mem_freep) char *other_boot = NULL;
	struct err err;

	write_fake_qemu("exit 1");
	accel_probe(&info);
	is_int(info.accel, ACCEL_KVM, "the answer is remembered");
	other_boot = mem_printf("{\"version\": 1, \"boot\": \"x\", \"accel\": "
				"\"kvm\", \"reason\": \"old\"}");
	(void)fs_write(cache, other_boot, strlen(other_boot), 0600, &err);
	accel_probe(&info);
	is_int(info.accel, ACCEL_TCG, "until the next boot");
	(void)fs_write(cache, "{", 1, 0600, &err);
	accel_probe(&info);
	is_int(info.accel, ACCEL_TCG, "and a damaged file is none");
}

/* Who can write the directory could say that KVM works. */
static void
test_planted(void)
{
	CLEANUP(mem_freep) char *dir = mem_printf("%s/palletjack", tap_dir());
	CLEANUP(mem_freep) char *aside = mem_printf("%s/aside", tap_dir());
	CLEANUP(mem_freep)
	char *lie = mem_printf("{\"version\": 1, \"boot\": \"%s\", \"accel\": "
			       "\"kvm\", \"reason\": \"planted\"}",
			       clock_boot_id());
	struct accel_info info = {0};
	struct err err;

	write_fake_qemu("exit 1");
	(void)fs_mkdirs(dir, 0700, &err);
	(void)fs_write(cache, lie, strlen(lie), 0600, &err);
	accel_probe(&info);
	is_str(info.reason, "planted", "what we wrote ourselves is believed");
	ok(chmod(dir, 0770) == 0, "others may write it");
	accel_probe(&info);
	is_int(info.accel, ACCEL_TCG, "not what they may have written");
	ok(chmod(dir, 0700) == 0 && rename(dir, aside) == 0 &&
	       symlink("aside", dir) == 0,
	   "a link in its place");
	accel_probe(&info);
	is_int(info.accel, ACCEL_TCG, "nor what a link leads to");
	ok(unlink(dir) == 0 && rename(aside, dir) == 0, "as it was");
	if (geteuid() == 0) {
		ok(chown(dir, 65534, 65534) == 0, "another's directory");
		accel_probe(&info);
		is_int(info.accel, ACCEL_TCG, "nor another");
		ok(chown(dir, 0, 0) == 0, "as it was");
	}
	unlink(cache);
}

int
main(void)
{
	CLEANUP(mem_freep)
	char *path = mem_printf("%s/bin:%s", tap_dir(), getenv("PATH"));

	setenv("PATH", path, 1);
	setenv("XDG_RUNTIME_DIR", tap_dir(), 1);
	cache = mem_printf("%s/palletjack/accel.json", tap_dir());
	test_wish();
	test_planted();
	if (access("/dev/kvm", R_OK | W_OK) == 0) {
		test_tried();
		test_cache();
	} else {
		ok(probe_with("exit 1") == ACCEL_TCG, "without KVM, software");
	}
	free(cache);
	return tap_done();
}

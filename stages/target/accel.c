/* SPDX-License-Identifier: Apache-2.0 */
/* Can guests run in hardware here?  Asked once a boot, by booting a kernel. */
#include "stages/target/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"

#define PROBE_DEADLINE_MS 20000
#define CACHE_VERSION 1

const char *
accel_name(enum accel accel)
{
	return accel == ACCEL_KVM ? "kvm" : "tcg";
}

static void answer(struct accel_info *ret, enum accel accel, const char *fmt,
		   ...) __attribute__((format(printf, 3, 4)));

static void
answer(struct accel_info *ret, enum accel accel, const char *fmt, ...)
{
	va_list ap;

	ret->accel = accel;
	va_start(ap, fmt);
	vsnprintf(ret->reason, sizeof(ret->reason), fmt, ap);
	va_end(ap);
}

/* A private directory of this user for this boot: nobody else may tell us that
 * KVM works.  A descriptor, so that what is looked at is what is used; -1 when
 * there is none to be had. */
static int
open_cache_dir(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	CLEANUP(mem_freep) char *path = NULL;
	CLEANUP(mem_closep) int dir = -1;
	struct stat st;
	int ours;

	if (runtime && *runtime)
		path = mem_printf("%s/palletjack", runtime);
	else if (geteuid() == 0)
		path = mem_strdup("/run/palletjack");
	else
		path = mem_printf("/tmp/palletjack-%u", (unsigned)geteuid());
	mkdir(path, 0700);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0 || st.st_uid != geteuid() ||
	    (st.st_mode & 022) != 0)
		return -1;
	ours = dir;
	dir = -1;
	return ours;
}

static bool
read_cache(const char *path, struct accel_info *ret)
{
	CLEANUP(buf_done) struct buf text = {0};
	const char *boot = NULL, *accel = NULL, *reason = NULL;
	int version = 0;
	struct err ignored;
	json_t *json;
	bool good;

	if (fs_read(path, 65536, true, &text, &ignored) < 0 || !text.data)
		return false;
	json = json_loadb(text.data, text.len, 0, NULL);
	good = json_unpack(json, "{s:i, s:s, s:s, s:s}", "version", &version,
			   "boot", &boot, "accel", &accel, "reason",
			   &reason) == 0 &&
	       version == CACHE_VERSION && strcmp(boot, clock_boot_id()) == 0;
	if (good)
		answer(ret, strcmp(accel, "kvm") == 0 ? ACCEL_KVM : ACCEL_TCG,
		       "%s", reason);
	json_decref(json);
	return good;
}

static void
write_cache(const char *path, const struct accel_info *info)
{
	json_t *json =
	    json_pack("{s:i, s:s, s:s, s:s}", "version", CACHE_VERSION, "boot",
		      clock_boot_id(), "accel", accel_name(info->accel),
		      "reason", info->reason);
	char *text = json_dumps(json, JSON_INDENT(2));
	struct err ignored;

	/* without it the next process asks again, no more */
	if (text)
		(void)fs_write(path, text, strlen(text), 0600, &ignored);
	free(text);
	json_decref(json);
}

/* Where distributions keep kernels one may read; the newest by name. */
static char *
find_kernel(void)
{
	static const char *const places[] = {
	    "/boot/vmlinuz-*", "/lib/modules/*/vmlinuz", "/boot/vmlinuz"};
	const char *appliance = getenv("LIBGUESTFS_PATH");
	char *found = appliance ? mem_printf("%s/kernel", appliance) : NULL;
	glob_t g;

	if (found && access(found, R_OK) != 0) {
		free(found);
		found = NULL;
	}
	for (size_t i = 0; !found && i < 3; i++) {
		if (glob(places[i], 0, NULL, &g) != 0)
			continue;
		for (size_t k = g.gl_pathc; !found && k > 0; k--)
			if (access(g.gl_pathv[k - 1], R_OK) == 0)
				found = mem_strdup(g.gl_pathv[k - 1]);
		globfree(&g);
	}
	return found;
}

/* The console of a kernel that lived long enough to look for a root: by then
 * it has switched modes, paged, scheduled and taken interrupts. */
static bool
kernel_came_up(const char *console)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct err ignored;

	return fs_read(console, 1024 * 1024, true, &text, &ignored) == 0 &&
	       text.data && strstr(text.data, "Linux version") &&
	       (strstr(text.data, "Unable to mount root fs") ||
		strstr(text.data, "No working init found") ||
		strstr(text.data, "Run /init as init process"));
}

enum kernel { KERNEL_UP, KERNEL_ENDED, KERNEL_HANGS };

static enum kernel
wait_for_kernel(const struct process *p, const char *console)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};
	int64_t until = clock_mono_ms() + PROBE_DEADLINE_MS;

	while (clock_mono_ms() < until) {
		bool ended = poll(&pfd, 1, 100) > 0;

		if (kernel_came_up(console))
			return KERNEL_UP;
		if (ended)
			return KERNEL_ENDED;
	}
	return KERNEL_HANGS;
}

static void
try_kernel(const char *kernel, const char *dir, struct accel_info *ret)
{
	CLEANUP(mem_freep) char *console = fs_path(dir, "console");
	CLEANUP(mem_freep) char *serial = mem_printf("file:%s", console);
	const char *argv[] = {"qemu-system-x86_64",
			      "-nodefaults",
			      "-no-user-config",
			      "-no-reboot",
			      "-machine",
			      "q35,accel=kvm",
			      "-cpu",
			      "host",
			      "-m",
			      "256M",
			      "-display",
			      "none",
			      "-serial",
			      serial,
			      "-kernel",
			      kernel,
			      "-append",
			      "console=ttyS0 panic=-1",
			      NULL};
	struct process_opts opts = PROCESS_OPTS_INIT;
	struct process p = {.pidfd = -1};
	struct err err;

	opts.argv = argv;
	if (process_start(&opts, &p, &err) < 0) {
		answer(ret, ACCEL_TCG, "KVM cannot be tried: %.200s", err.text);
		return;
	}
	switch (wait_for_kernel(&p, console)) {
	case KERNEL_UP:
		answer(ret, ACCEL_KVM, "the kernel '%.150s' came up with KVM",
		       kernel);
		break;
	case KERNEL_ENDED:
		answer(ret, ACCEL_TCG,
		       "/dev/kvm is there, but QEMU or the kernel '%.150s' "
		       "fails with it",
		       kernel);
		break;
	case KERNEL_HANGS:
		answer(ret, ACCEL_TCG,
		       "/dev/kvm is there, but the kernel '%.150s' hangs with "
		       "it",
		       kernel);
	}
	process_end(&p, 0);
}

/* True when a kernel was tried: only that is worth remembering. */
static bool
ask(struct accel_info *ret)
{
	CLEANUP(mem_freep) char *kernel = find_kernel();
	CLEANUP(mem_closep) int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	char dir[] = "/tmp/palletjack-kvm.XXXXXX";
	struct err ignored;

	if (kvm < 0) {
		answer(ret, ACCEL_TCG, "/dev/kvm cannot be used (%s)",
		       strerror(errno));
	} else if (!kernel) {
		answer(ret, ACCEL_TCG,
		       "there is no readable kernel in /boot to try KVM with; "
		       "PALLETJACK_ACCEL=kvm insists on it");
	} else if (!mkdtemp(dir)) {
		answer(ret, ACCEL_TCG, "KVM cannot be tried: '%s': %s", dir,
		       strerror(errno));
	} else {
		try_kernel(kernel, dir, ret);
		(void)fs_remove_tree(dir, &ignored);
		return true;
	}
	return false;
}

/* Who comes second finds the answer, or goes on without it: a second probe
 * costs time, no more. */
static void
take_turn(int dir)
{
	int64_t until = clock_mono_ms() + 2 * PROBE_DEADLINE_MS;

	while (flock(dir, LOCK_EX | LOCK_NB) < 0 && clock_mono_ms() < until)
		poll(NULL, 0, 100);
}

void
accel_probe(struct accel_info *ret)
{
	CLEANUP(mem_freep) char *cache = NULL;
	CLEANUP(mem_closep) int dir = -1;
	const char *wanted = getenv("PALLETJACK_ACCEL");

	if (wanted && (strcmp(wanted, "kvm") == 0 || !strcmp(wanted, "tcg"))) {
		answer(ret, strcmp(wanted, "kvm") == 0 ? ACCEL_KVM : ACCEL_TCG,
		       "PALLETJACK_ACCEL says so");
		return;
	}
	dir = open_cache_dir();
	if (dir < 0) {
		(void)ask(ret);
		return;
	}
	cache = mem_printf("/proc/self/fd/%d/accel.json", dir);
	take_turn(dir);
	if (!read_cache(cache, ret) && ask(ret))
		write_cache(cache, ret);
}

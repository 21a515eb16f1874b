/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the local target: whose a directory is, volumes that survive a
 * crash, and the script that must not start what was not handed over. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"
#include "stages/target/local.h"
#include "stages/target/target.h"
#include "t/tap.h"

#define MIB ((uint64_t)1024 * 1024)

static struct inv_disk inv_disks[2] = {
    {.id = "disk-0", .capacity_bytes = 2 * MIB, .allocated_bytes = MIB},
    {.id = "disk-1", .capacity_bytes = 1 * MIB}};
static struct shape_disk shape_disks[2] = {{.source = &inv_disks[0],
					    .storage_class = "",
					    .format = "raw",
					    .bus = "virtio",
					    .volume = "disk-0",
					    .boot_order = 1},
					   {.source = &inv_disks[1],
					    .storage_class = "fast",
					    .format = "qcow2",
					    .bus = "sata",
					    .volume = "disk-1"}};
static struct shape shape = {.name = "web",
			     .sockets = 1,
			     .cores = 1,
			     .threads = 1,
			     .memory_bytes = 64 * MIB,
			     .disks = shape_disks,
			     .ndisks = 2};
static struct endpoint endpoint = {.o = {.name = "here"}, .type = "local"};
static struct plan plan = {.o = {.namespace = "demo", .name = "move"}};
static struct plan_vm pvm = {.key = "web"};
static struct inv_vm vm = {.id = "vm-1", .name = "Web", .uuid = ""};
static struct target_vm mine = {.endpoint = &endpoint,
				.plan = &plan,
				.pvm = &pvm,
				.vm = &vm,
				.shape = &shape,
				.state_uuid = "uuid-mine"};
static const struct target_ops *ops;
static struct err err;

/* A new, empty target. */
static void
fresh_target(void)
{
	static int n;

	free((char *)endpoint.path);
	endpoint.path = mem_printf("%s/it's target %d", tap_dir(), ++n);
	shape.name = "web";
	err = (struct err){0};
}

static char *
in_home(const char *name)
{
	return files_path(&mine, name);
}

static void
put(const char *path, const char *text)
{
	struct err ignored;

	(void)fs_write(path, text, strlen(text), 0644, &ignored);
}

static void
test_names(void)
{
	static const char *const bad[] = {"..", "a/b", "", ".hidden", "-rf"};

	fresh_target();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		shape.name = bad[i];
		is_int(ops->claim(&mine, &err), -1, "a name that is a path");
		is_int((int)err.class, ERR_USER, "is the manifest's fault");
	}
	shape.name = "web";
	shape_disks[1].storage_class = "../../etc";
	is_int(ops->claim(&mine, &err), -1, "a storage class that escapes");
	shape_disks[1].storage_class = "fast";
	ok(!fs_exists(endpoint.path), "nothing was made");
}

static void
test_claim(void)
{
	struct target_vm other = mine;
	CLEANUP(mem_freep) char *class_dir = NULL;

	fresh_target();
	is_int(ops->guard(&mine, &err), 0, "an unclaimed place is fine");
	is_int(ops->claim(&mine, &err), 0, "claim it");
	is_int(ops->claim(&mine, &err), 0, "claim it again");
	class_dir = mem_printf("%s/fast/web/" FILES_CLAIM, endpoint.path);
	ok(fs_exists(class_dir), "the storage class's directory is claimed");
	other.state_uuid = "uuid-other";
	is_int(ops->guard(&other, &err), -1, "another state is refused");
	is_int((int)err.class, ERR_HELD, "as held");
	like(err.text, "demo/move", "by which plan");
	like(err.text, "vm 'web'", "for which vm");
	like(err.text, "uuid-mine", "with which state");
	is_int(ops->claim(&other, &err), -1, "and cannot claim it");
}

static void
test_foreign_files(void)
{
	CLEANUP(mem_freep) char *home = NULL, *file = NULL;

	fresh_target();
	home = files_home(&mine);
	file = in_home("holiday.jpg");
	(void)fs_mkdirs(home, 0755, &err);
	put(file, "picture");
	is_int(ops->claim(&mine, &err), -1, "files of nobody are not taken");
	like(err.text, "no run made", "and it says so");
	ok(fs_exists(file), "they are still there");
}

static void
test_mark(void)
{
	struct target_vm other = mine;
	enum handover state;

	fresh_target();
	is_int(ops->mark(&mine, HANDOVER_STARTED, &err), -1,
	       "no mark without a claim");
	(void)ops->claim(&mine, &err);
	is_int(ops->marked(&mine, &state, &err), 0, "no mark");
	is_int(state, HANDOVER_NONE, "is none");
	is_int(ops->mark(&mine, HANDOVER_STARTED, &err), 0, "mark it");
	is_int(ops->guard(&mine, &err), -1, "a marked one is not written");
	is_int((int)err.class, ERR_FAIL, "for good");
	like(err.text, "has been handed over", "and it says why");
	other.state_uuid = "uuid-other";
	is_int(ops->guard(&other, &err), -1, "the mark is looked at first");
	is_int((int)err.class, ERR_FAIL, "even by strangers");
	is_int(ops->mark(&mine, HANDOVER_LEFT_OFF, &err), 0, "what may have");
	(void)ops->marked(&mine, &state, &err);
	is_int(state, HANDOVER_STARTED, "run is never taken back");
	is_int(ops->mark(&mine, HANDOVER_ROLLED_BACK, &err), 0, "roll back");
	is_int(ops->mark(&mine, HANDOVER_STARTED, &err), -1, "stays so");
	is_int(ops->start(&mine, NULL, &err), -1, "and does not start");
	like(err.text, "rolled back", "because it was rolled back");
}

static void
test_damaged_claim(void)
{
	CLEANUP(mem_freep) char *claim = NULL;

	fresh_target();
	(void)ops->claim(&mine, &err);
	claim = in_home(FILES_CLAIM);
	put(claim, "{\"uuid\": ");
	is_int(ops->guard(&mine, &err), -1, "a damaged claim is no claim");
	like(err.text, "damaged", "nor is it ours");
}

static void
test_raw_volume(void)
{
	CLEANUP(mem_freep) char *id = NULL, *again = NULL, *third = NULL;
	CLEANUP(mem_freep) char *id_file = NULL;
	CLEANUP(volume_done) struct volume v = {0};
	struct stat st;
	bool fresh = false;

	fresh_target();
	is_int(ops->create_volume(&mine, 0, &id, &fresh, &err), -1,
	       "no volume without a claim");
	(void)ops->claim(&mine, &err);
	ops->volume(&mine, 0, &v);
	id_file = in_home("disk-0.raw.id");

	is_int(ops->create_volume(&mine, 0, &id, &fresh, &err), 0, "make it");
	ok(fresh, "it is fresh");
	ok(stat(v.path, &st) == 0 && st.st_size == 2 * 1024 * 1024 &&
	       st.st_blocks == 0,
	   "it has its size and takes no room");
	is_int(ops->create_volume(&mine, 0, &again, &fresh, &err), 0, "again");
	ok(!fresh, "it was there");
	is_str(again, id, "with the same id");

	unlink(id_file);
	put(v.path, "half made");
	is_int(ops->create_volume(&mine, 0, &third, &fresh, &err), 0,
	       "one without an id is made anew");
	ok(fresh && strcmp(third, id) != 0, "with another id");
	ok(stat(v.path, &st) == 0 && st.st_blocks == 0, "and is empty");

	put(v.path, "short");
	is_int(ops->create_volume(&mine, 0, &third, &fresh, &err), -1,
	       "another size is refused");
	like(err.text, "5 bytes", "it says what it found");
	like(err.text, "2097152", "and what it wanted");
}

/* The id outlives its volume: what comes instead has other contents. */
static void
test_lost_volume(void)
{
	CLEANUP(mem_freep) char *id = NULL, *other = NULL;
	CLEANUP(volume_done) struct volume v = {0};
	bool fresh = false;

	fresh_target();
	(void)ops->claim(&mine, &err);
	(void)ops->create_volume(&mine, 0, &id, &fresh, &err);
	ops->volume(&mine, 0, &v);
	unlink(v.path);
	fresh = false;
	is_int(ops->create_volume(&mine, 0, &other, &fresh, &err), 0,
	       "a lost volume is made anew");
	ok(fresh && other && strcmp(id, other) != 0, "with another id");
}

static void
test_qcow2_volume(void)
{
	CLEANUP(mem_freep) char *id = NULL, *again = NULL;
	bool fresh = false;

	fresh_target();
	(void)ops->claim(&mine, &err);
	if (!process_in_path("qemu-img")) {
		ok(true, "qcow2 volumes # SKIP qemu-img is not installed");
		return;
	}
	is_int(ops->create_volume(&mine, 1, &id, &fresh, &err), 0, "qcow2");
	ok(fresh, "is fresh");
	inv_disks[1].capacity_bytes = 3 * MIB;
	ok(ops->grow_volume(&mine, 1, 2 * MIB, &err) == 0 &&
	       ops->create_volume(&mine, 1, &again, &fresh, &err) < 0,
	   "one that is not as it was copied stays as it is");
	like(err.text, "cut short", "and is not taken for the whole disk");
	ok(ops->grow_volume(&mine, 1, MIB, &err) == 0 &&
	       ops->create_volume(&mine, 1, &again, &fresh, &err) == 0 &&
	       !fresh && strcmp(again, id) == 0,
	   "it grows with its source");
	inv_disks[1].capacity_bytes = MIB;
	(void)ops->create_volume(&mine, 1, &again, &fresh, &err);
	like(err.text, "the disk shrank", "and not with one that shrank");
}

/* A volume of another format beside it has contents of its own. */
static void
test_other_format(void)
{
	CLEANUP(mem_freep) char *raw = NULL, *qcow2 = NULL, *again = NULL;
	const char *format = shape.disks[0].format;
	bool fresh = false;

	fresh_target();
	(void)ops->claim(&mine, &err);
	if (!process_in_path("qemu-img")) {
		ok(true, "two formats # SKIP qemu-img is not installed");
		return;
	}
	(void)ops->create_volume(&mine, 0, &raw, &fresh, &err);
	shape.disks[0].format = "qcow2";
	is_int(ops->create_volume(&mine, 0, &qcow2, &fresh, &err), 0,
	       "the same disk in another format");
	ok(raw && qcow2 && strcmp(raw, qcow2) != 0, "has another id");
	shape.disks[0].format = format;
	is_int(ops->create_volume(&mine, 0, &again, &fresh, &err), 0,
	       "back to the first");
	ok(!fresh && again && strcmp(again, raw) == 0, "which kept its own");
}

/* Runs the start script with a qemu-system-x86_64 of ours first in PATH;
 * stderr to `said`; the exit status. */
static int
run_script(const char *fake, struct buf *said)
{
	CLEANUP(mem_freep) char *script = in_home(LOCAL_START);
	CLEANUP(mem_freep)
	char *path = mem_printf("PATH=%s:%s", fake, getenv("PATH"));
	const char *argv[] = {"env", path, script, NULL};
	struct err why = {0};
	int rc = process_run(argv, 20000, said, &why);

	buf_adds(said, why.text);
	return rc;
}

static void
make_fake_qemu(const char *dir)
{
	CLEANUP(mem_freep) char *path = fs_path(dir, "qemu-system-x86_64");
	static const char text[] = "#!/bin/sh\n"
				   "printf '%s\\n' \"$@\" >argv\n"
				   "flock -n running.lock true && echo free\n"
				   "exit 0\n";

	(void)fs_mkdirs(dir, 0755, &err);
	(void)fs_write(path, text, strlen(text), 0755, &err);
}

static void
test_script(void)
{
	CLEANUP(mem_freep) char *fake = mem_printf("%s/bin", tap_dir());
	CLEANUP(buf_done) struct buf said = {0}, argv = {0};
	CLEANUP(mem_freep) char *seen = NULL, *lock = NULL;
	enum handover state;
	json_t *facts = NULL;
	int fd;

	fresh_target();
	make_fake_qemu(fake);
	(void)ops->claim(&mine, &err);
	is_int(ops->create_vm(&mine, &facts, &err), 0, "define the vm");
	json_decref(facts);
	is_int(run_script(fake, &said), -1, "not handed over: no start");
	like(said.data, "finish", "it says what is missing");

	(void)ops->mark(&mine, HANDOVER_LEFT_OFF, &err);
	buf_reset(&said);
	is_int(run_script(fake, &said), 0, "left off: the operator may start");
	ok(!strstr(said.data, "free"), "QEMU inherits the lock");
	(void)ops->marked(&mine, &state, &err);
	is_int(state, HANDOVER_STARTED, "and that is remembered");
	seen = in_home("argv");
	(void)fs_read(seen, 65536, true, &argv, &err);
	like(argv.data, "it's target", "paths arrive as they are");

	lock = in_home(LOCAL_LOCK);
	fd = open(lock, O_RDWR | O_CLOEXEC);
	flock(fd, LOCK_EX);
	buf_reset(&said);
	is_int(run_script(fake, &said), -1, "running already: no start");
	like(said.data, "running already", "it says so");
	close(fd);

	(void)ops->mark(&mine, HANDOVER_ROLLED_BACK, &err);
	buf_reset(&said);
	is_int(run_script(fake, &said), -1, "rolled back: no start");
}

static void
put_script(const char *path, const char *text)
{
	(void)fs_write(path, text, strlen(text), 0755, &err);
}

static long long
size_in_home(const char *name)
{
	CLEANUP(mem_freep) char *path = in_home(name);
	struct stat st;

	return stat(path, &st) < 0 ? -1 : (long long)st.st_size;
}

/* What was said last is in the newer file, and in the older what came before;
 * the shell that keeps them ends with QEMU. */
static void
test_console(void)
{
	CLEANUP(mem_freep) char *fake = mem_printf("%s/talks", tap_dir());
	CLEANUP(mem_freep) char *qemu = fs_path(fake, "qemu-system-x86_64");
	CLEANUP(mem_freep) char *console = NULL;
	CLEANUP(buf_done) struct buf said = {0}, text = {0};
	const long long most = 16LL << 20;
	json_t *facts = NULL;

	fresh_target();
	(void)fs_mkdirs(fake, 0755, &err);
	put_script(
	    qemu,
	    "#!/bin/sh\n"
	    "for a; do case $a in file,id=console,*) c=${a##*path=};; esac; "
	    "done\n"
	    "sleep 0.2\n" /* as QEMU takes its time to open it */
	    "exec >>\"$c\"\n"
	    "head -c 20000000 /dev/zero\n"
	    "echo goodbye\n" /* what is left of the group ends with it */
	    "until test -d console.log || tail -c 9 console.log | "
	    "grep -q goodbye; do sleep 0.1; done\n");
	(void)ops->claim(&mine, &err);
	(void)ops->create_vm(&mine, &facts, &err);
	json_decref(facts);
	(void)ops->mark(&mine, HANDOVER_STARTED, &err);
	is_int(run_script(fake, &said), 0, "a guest that talks");
	console = in_home(LOCAL_CONSOLE);
	(void)fs_read(console, 32 << 20, true, &text, &err);
	if (text.len > 8)
		buf_cut(&text, text.len - 8);
	like(text.data ? text.data : "", "goodbye", "its last words are kept");
	ok(size_in_home(LOCAL_CONSOLE) <= most &&
	       size_in_home(LOCAL_CONSOLE_OLD) <= most &&
	       size_in_home(LOCAL_CONSOLE_OLD) > 0,
	   "of the rest 32 MiB at most");
	is_int(run_script(fake, &said), 0, "start it again");
	ok(size_in_home(LOCAL_CONSOLE_OLD) > 0, "the console before is kept");
	unlink(console);
	ok(mkdir(console, 0700) == 0, "a file that cannot be written");
	buf_reset(&said);
	is_int(run_script(fake, &said), 0, "does not keep the guest waiting");
}

/* The whole way with the real QEMU: no operating system, but a machine. */
static void
test_power(void)
{
	enum power_state state = POWER_STATE_UNKNOWN;
	CLEANUP(mem_freep) char *id = NULL, *id2 = NULL;
	json_t *facts = NULL;
	bool fresh;

	if (!process_in_path("qemu-system-x86_64")) {
		ok(true, "start and stop # SKIP QEMU is not installed");
		return;
	}
	fresh_target();
	(void)ops->claim(&mine, &err);
	(void)ops->create_volume(&mine, 0, &id, &fresh, &err);
	(void)ops->create_volume(&mine, 1, &id2, &fresh, &err);
	(void)ops->create_vm(&mine, &facts, &err);
	json_decref(facts);
	facts = NULL;
	is_int(ops->start(&mine, &facts, &err), -1, "no start without a mark");
	(void)ops->mark(&mine, HANDOVER_STARTED, &err);
	(void)ops->power_state(&mine, &state, &err);
	is_int(state, POWER_STATE_OFF, "it is off");
	if (!ok(ops->start(&mine, &facts, &err) == 0, "it starts"))
		tap_diag("%s", err.text);
	ok(json_object_get(facts, "process"), "its process is known");
	json_decref(facts);
	facts = NULL;
	(void)ops->power_state(&mine, &state, &err);
	is_int(state, POWER_STATE_ON, "it is on");
	is_int(ops->start(&mine, &facts, &err), 0,
	       "started once more: it runs");
	json_decref(facts);
	is_int(ops->stop(&mine, 300, &err), 0, "it stops");
	(void)ops->power_state(&mine, &state, &err);
	is_int(state, POWER_STATE_OFF, "it is off");
	is_int(ops->stop(&mine, 300, &err), 0, "stopping what is off is fine");
}

/* QEMU takes what we make of UEFI and of more disks than a board has ports. */
static void
test_start_shapes(void)
{
	static struct shape_disk many[9];
	struct shape plain = shape;

	if (!process_in_path("qemu-system-x86_64") ||
	    !fs_exists("/usr/share/OVMF/OVMF_CODE_4M.ms.fd")) {
		ok(true, "UEFI # SKIP QEMU or ovmf is not installed");
		return;
	}
	for (size_t i = 0; i < 9; i++) {
		many[i] = shape_disks[0];
		many[i].volume = mem_printf("disk-%zu", i);
		many[i].bus = "sata";
		many[i].boot_order = i == 0;
	}
	shape.disks = many;
	shape.ndisks = 9;
	for (int i = 0; i < 2; i++) {
		json_t *facts = NULL;
		bool fresh;

		shape.efi = true;
		shape.secure_boot = i == 1;
		fresh_target();
		(void)ops->claim(&mine, &err);
		for (size_t n = 0; n < shape.ndisks; n++) {
			CLEANUP(mem_freep) char *id = NULL;

			(void)ops->create_volume(&mine, n, &id, &fresh, &err);
		}
		(void)ops->create_vm(&mine, &facts, &err);
		json_decref(facts);
		facts = NULL;
		(void)ops->mark(&mine, HANDOVER_STARTED, &err);
		if (!ok(ops->start(&mine, &facts, &err) == 0,
			"UEFI, secure boot %d, nine disks", i))
			tap_diag("%s", err.text);
		json_decref(facts);
		is_int(ops->stop(&mine, 0, &err), 0, "stop");
	}
	for (size_t i = 0; i < 9; i++)
		free((char *)many[i].volume);
	shape = plain;
}

static bool
has_finding(const struct findings *f, const char *type)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].type, type) == 0)
			return true;
	return false;
}

static void
check(struct findings *f, struct target_vm *t)
{
	findings_done(f);
	f->n = 0;
	is_int(ops->check(t, f, &err), 0, "check");
}

static void
test_check(void)
{
	struct shape_nic nic = {.type = NETWORK_MULTUS,
				.name = "no-such-bridge",
				.mac = "52:54:00:00:00:01",
				.model = "virtio"};
	struct findings f = {.arena = arena_new()};
	struct arena *arena = f.arena;
	struct target_vm other = mine;
	CLEANUP(mem_freep) char *home = NULL, *file = NULL;

	fresh_target();
	check(&f, &mine);
	ok(has_finding(&f, "TargetDirectoryMissing"), "will be made");
	ok(has_finding(&f, "SoftwareEmulation"), "TCG is told");

	shape.nics = &nic;
	shape.nnics = 1;
	check(&f, &mine);
	ok(has_finding(&f, "TargetNetworkNotFound"), "no such bridge");
	shape.nnics = 0;

	inv_disks[0].capacity_bytes = (uint64_t)1 << 60;
	check(&f, &mine);
	ok(has_finding(&f, "TargetSpaceTight"), "may become too small");
	inv_disks[0].allocated_bytes = 0;
	check(&f, &mine);
	ok(has_finding(&f, "TargetSpaceNotEnough"), "is too small");
	inv_disks[0].capacity_bytes = 2 * MIB;
	inv_disks[0].allocated_bytes = MIB;

	home = files_home(&mine);
	file = in_home("holiday.jpg");
	(void)fs_mkdirs(home, 0755, &err);
	put(file, "picture");
	check(&f, &mine);
	ok(has_finding(&f, "TargetNameTaken"), "the name is taken");
	unlink(file);

	(void)ops->claim(&mine, &err);
	other.state_uuid = "uuid-other";
	check(&f, &other);
	ok(has_finding(&f, "TargetHeld"), "claimed by another");
	(void)ops->mark(&mine, HANDOVER_STARTED, &err);
	check(&f, &mine);
	ok(has_finding(&f, "TargetHandedOver"), "handed over");
	findings_done(&f);
	arena_free(arena);
}

int
main(void)
{
	setenv("PALLETJACK_ACCEL", "tcg", 1);
	ops = target_find("local");
	ok(ops != NULL, "there is a target 'local'");
	ok(target_find("nowhere") == NULL, "and none 'nowhere'");
	test_names();
	test_claim();
	test_foreign_files();
	test_mark();
	test_damaged_claim();
	test_raw_volume();
	test_lost_volume();
	test_qcow2_volume();
	test_other_format();
	test_script();
	test_console();
	test_power();
	test_start_shapes();
	test_check();
	free((char *)endpoint.path);
	return tap_done();
}

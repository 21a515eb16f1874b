/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of conversion, commit and cleanup with a virt-v2v-in-place that only
 * pretends: what is left behind when it fails, hangs or is killed.  That the
 * real one converts is the guest test's to show. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "stages/copy/ledger.h"
#include "stages/replica.h"
#include "stages/v2v.h"
#include "t/vm.h"

/* Finds --machine-readable=file:F and the XML, as the real one would. */
#define FAKE                                                               \
	"for a; do case $a in --machine-readable=file:*) m=${a#*file:};; " \
	"*.xml) x=$a;; esac; done\n"                                       \
	"say() { printf '{\"message\": \"%s\", \"timestamp\": \"t\", "     \
	"\"type\": \"%s\"}\\n' \"$2\" \"$1\" >>\"$m\"; }\n"                \
	"overlays=$(sed -n \"s/.*source file='\\(.*\\)'.*/\\1/p\" \"$x\")\n"

/* Ledgers that only know whether they are sealed. */
static bool sealed;
static struct ledger_identity identity;

int
ledger_open(const char *path, const struct ledger_identity *id,
	    struct ledger **ret, struct err *e)
{
	(void)path, (void)id, (void)e;
	*ret = (struct ledger *)&identity;
	return 0;
}

int
ledger_open_readonly(const char *path, struct ledger **ret, struct err *e)
{
	return ledger_open(path, NULL, ret, e);
}

void
ledger_close(struct ledger *l)
{
	(void)l;
}

const struct ledger_identity *
ledger_identity(const struct ledger *l)
{
	return (const struct ledger_identity *)l;
}

int
replica_newest(const struct view *v, const struct inv_disk *disk, uint32_t *ret,
	       struct err *e)
{
	(void)v, (void)disk, (void)e;
	*ret = 1;
	return 0;
}

bool
ledger_sealed(const struct ledger *l)
{
	(void)l;
	return sealed;
}

int
ledger_seal(struct ledger *l, struct err *e)
{
	(void)l, (void)e;
	sealed = true;
	return 0;
}

static void
make_ledgers(void)
{
	sealed = false;
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(mem_freep)
		char *path = place_ledger(&view, &inv_disks[i]);
		CLEANUP(mem_freep) char *dir = fs_dirname(path);

		(void)fs_mkdirs(dir, 0700, &err);
		(void)fs_write(path, "", 0, 0600, &err);
	}
}

static bool
in_scratch(const char *name)
{
	CLEANUP(mem_freep) char *scratch = place.ops->scratch(&place.vm);
	CLEANUP(mem_freep) char *path = fs_path(scratch, name);

	return fs_exists(path);
}

static bool
tmpdir_is_gone(void)
{
	const char *dir = json_string_value(work_recorded(&work, "tmpdir"));

	return dir && !fs_exists(dir);
}

/* More than a zombie, that is: who reaps orphans may be slow. */
static bool
is_alive(const char *pidfile)
{
	CLEANUP(mem_freep) char *path = fs_path(tap_dir(), pidfile);
	CLEANUP(buf_done) struct buf pid = {0}, stat = {0};
	CLEANUP(mem_freep) char *proc = NULL;

	(void)fs_read(path, 100, false, &pid, &err);
	proc = mem_printf("/proc/%d/stat",
			  pid.data ? (int)strtol(pid.data, NULL, 10) : 0);
	(void)fs_read(proc, 4096, true, &stat, &err);
	return stat.data && !strstr(stat.data, ") Z ");
}

static void
test_xml(void)
{
	struct volume overlays[2] = {{.path = (char *)"/o/a&b.qcow2"},
				     {.path = (char *)"/o/2.qcow2"}};
	CLEANUP(mem_freep) char *xml = v2v_xml(&view, overlays);

	like(xml, "<source file='/o/a&amp;b.qcow2'/>", "overlays by name");
	like(xml, "<driver name='qemu' type='qcow2'/>", "as qcow2");
	like(xml, "<target dev='sda' bus='scsi'/>", "on the source's buses");
	like(xml, "<target dev='hda' bus='ide'/>", "each with its names");
	like(xml, "<source network='VM &lt;Network&gt;'/>", "and networks");
}

static void
test_root(void)
{
	static const struct {
		const char *disk, *root;
	} cases[] = {{NULL, "first"},
		     {"sda", "first"},
		     {"/dev/sdb", "first"},
		     {"sda2", "/dev/sda2"},
		     {"/dev/vg/root", "/dev/vg/root"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CLEANUP(mem_freep) char *root = NULL;

		pvm.root_disk = cases[i].disk;
		root = v2v_root(&pvm);
		is_str(root, cases[i].root, "root");
	}
	pvm.root_disk = NULL;
}

static void
test_success(void)
{
	CLEANUP(buf_done) struct buf disk = {0};
	const json_t *facts;

	fresh_vm();
	make_ledgers();
	install("virt-v2v-in-place",
		FAKE "say message 'Opening the source'\n"
		     "say warning 'could not do it all'\n"
		     "test \"$LC_ALL\" = C && test -d \"$TMPDIR\" || exit 9\n"
		     "case $LIBGUESTFS_BACKEND_SETTINGS in *force_tcg*);; "
		     "*) exit 8;; esac\n"
		     "IFS='\n'\n"
		     "for o in $overlays; do\n"
		     "qemu-io -f qcow2 -c 'write -P 65 0 512' \"$o\" >&2 || "
		     "exit\ndone");
	if (!ok(run_stage(&stage_convert) == 0, "conversion"))
		tap_diag("%s", err.text);
	facts = work_fact(&work, "convert");
	is_int(json_integer_value(json_object_get(facts, "attempt")), 1,
	       "attempt 1");
	is_int((long long)json_array_size(json_object_get(facts, "overlays")),
	       2, "two overlays");
	is_int((long long)json_array_size(json_object_get(facts, "messages")),
	       1, "one warning is kept");
	is_int(json_integer_value(work_recorded(&work, "converting")), 1,
	       "the attempt was recorded");
	ok(tmpdir_is_gone(), "no temporary files are left");
	(void)fs_read(place.volumes[0].path, 4 * MIB, false, &disk, &err);
	ok(disk.data && disk.data[0] == 0, "the replica is as it was");

	is_int(stage_cleanup.run(&work, NULL, &err), -1,
	       "no cleanup before the commit");
	is_int(run_stage(&stage_commit), 0, "commit");
	ok(sealed, "the ledgers are sealed");
	buf_reset(&disk);
	(void)fs_read(place.volumes[0].path, 4 * MIB, false, &disk, &err);
	ok(disk.data && disk.data[0] == 65, "the disk is converted");
	ok(in_scratch("ov.1"), "the overlays are still there");
	is_int(run_stage(&stage_commit), 0, "a commit can be repeated");
	is_int(run_stage(&stage_convert), -1, "no conversion after it");
	like(err.text, "has been committed", "because it was committed");
	is_int(run_stage(&stage_cleanup), 0, "cleanup");
	ok(!in_scratch(""), "nothing is left");
	is_int(run_stage(&stage_commit), -1, "no commit without overlays");
}

static void
test_failure(void)
{
	fresh_vm();
	install("virt-v2v-in-place",
		FAKE "say message 'Inspecting'\n"
		     "say error 'inspection could not detect the source "
		     "guest. No root device found in this image'\nexit 1");
	is_int(run_stage(&stage_convert), -1, "a guest it does not know");
	is_int((int)err.class, ERR_FAIL, "is a failure for good");
	like(err.text, "No root device found", "with its own words");
	like(err.text, "skipGuestConversion", "and what to do");
	ok(tmpdir_is_gone(), "no temporary files are left");

	install("virt-v2v-in-place",
		FAKE "say error 'write: No space left on device'\nexit 1");
	is_int(run_stage(&stage_convert), -1, "a full disk");
	is_int((int)err.class, ERR_RETRY, "may be emptied");
	install("virt-v2v-in-place", "echo not JSON >&2; exit 1");
	is_int(run_stage(&stage_convert), -1, "one that says nothing");
	like(err.text, "exited with 1", "is named by its status");
}

/* An attempt is never continued: what a failed one made is thrown away, what a
 * killed one left makes room for the next one's own. */
static void
test_next_attempt(void)
{
	CLEANUP(mem_freep) char *scratch = NULL, *left = NULL;

	fresh_vm();
	install("virt-v2v-in-place", "exit 1");
	(void)run_stage(&stage_convert);
	ok(!in_scratch("ov.1"), "a failed attempt leaves nothing");
	scratch = place.ops->scratch(&place.vm);
	left = fs_path(scratch, "ov.1");
	ok(fs_mkdirs(left, 0700, &err) == 0, "a killed one does");
	work.attempt = 2;
	install("virt-v2v-in-place", "exit 0");
	is_int(run_stage(&stage_convert), 0, "the second attempt");
	ok(!in_scratch("ov.1"), "the first one's overlays are gone");
	ok(in_scratch("ov.2"), "it has its own");
}

/* qemu-nbd outlives its parent with the image open: the group is ended. */
static void
test_orphan(void)
{
	fresh_vm();
	setenv("T", tap_dir(), 1);
	install("virt-v2v-in-place",
		"sleep 300 & echo $! >\"$T/orphan\"; exit 0");
	is_int(run_stage(&stage_convert), 0, "one that leaves a child behind");
	ok(!is_alive("orphan"), "the child is ended");
}

static void
test_deadline(void)
{
	int64_t began = clock_mono_ms();

	fresh_vm();
	policy.deadlines.conversion_ms = 700;
	install("virt-v2v-in-place",
		"trap '' TERM; sleep 300 & echo $! >\"$T/child\"; "
		"echo $$ >\"$T/leader\"; sleep 300; sleep 300");
	is_int(run_stage(&stage_convert), -1, "one that hangs");
	like(err.text, "virt-v2v-in-place took longer",
	     "is waited for in vain");
	is_int((int)err.class, ERR_RETRY, "and may do better");
	ok(clock_mono_ms() - began < 15000, "but not for long");
	ok(!is_alive("leader") && !is_alive("child"), "all of it is ended");
	ok(tmpdir_is_gone(), "no temporary files are left");
	policy.deadlines.conversion_ms = 20000;
}

/* As after a crash of the run: the group recorded lives, with an overlay. */
static void
test_left_behind(void)
{
	static const char *const argv[] = {"sleep", "300", NULL};
	struct process_opts opts = PROCESS_OPTS_INIT;
	struct process p;
	json_t *tmpdir = json_string("/tmp/palletjack-v2v.left");
	CLEANUP(mem_freep) char *other = NULL;

	fresh_vm();
	mkdir("/tmp/palletjack-v2v.left", 0700);
	other = mem_printf("/tmp/palletjack-v2v.%.8s.left", view.state_uuid);
	mkdir(other, 0700);
	opts.argv = argv;
	(void)process_start(&opts, &p, &err);
	(void)work_record(&work, "tmpdir", tmpdir, &err);
	(void)work_record(&work, "v2v", process_id_to_json(&p.id), &err);
	work.attempt = 2;
	install("virt-v2v-in-place", "exit 0");
	is_int(run_stage(&stage_convert), 0, "an attempt after a crash");
	ok(!process_lives(&p.id), "ends what the last one left");
	ok(!fs_exists("/tmp/palletjack-v2v.left"), "and its directory");
	ok(!fs_exists(other), "and what another step of this state left");
	process_end(&p, 0);
}

static void
test_handed_over(void)
{
	fresh_vm();
	install("virt-v2v-in-place", "exit 0");
	(void)place.ops->mark(&place.vm, HANDOVER_STARTED, &err);
	is_int(run_stage(&stage_convert), -1, "no conversion after hand-over");
	is_int(run_stage(&stage_create_vm), -1, "no definition either");
	like(err.text, "handed over", "because of it");
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
test_check(void)
{
	struct arena *arena = arena_new();
	struct findings f = {.arena = arena};

	setenv("VIRTIO_WIN", "/nonexistent", 1);
	setenv("VIRT_TOOLS_DATA_DIR", "/nonexistent", 1);
	vm.os_family = "windows";
	policy.boot_test = BOOT_TEST_ONCE;
	convert_check(&view, &f);
	ok(has_finding(&f, "WindowsDriversMissing"), "Windows wants drivers");
	ok(has_finding(&f, "WindowsToolsMissing"), "and a helper");
	ok(has_finding(&f, "BootProbeMissing"), "a boot test wants a pattern");
	policy.boot_probe.serial = "(";
	convert_check(&view, &f);
	ok(has_finding(&f, "BootProbeNotValid"), "which is one");
	vm.os_family = "linux";
	policy.boot_test = BOOT_TEST_OFF;
	policy.boot_probe.serial = NULL;
	shape.converted = false;
	findings_done(&f);
	f.n = 0;
	convert_check(&view, &f);
	is_int((long long)f.n, 0, "raw copy mode wants nothing");
	shape.converted = true;
	findings_done(&f);
	arena_free(arena);
}

int
main(void)
{
	if (!process_in_path("qemu-img"))
		tap_skip_all("qemu-img is not installed");
	setenv("PALLETJACK_ACCEL", "tcg", 1);
	prepend_path();
	test_xml();
	test_root();
	test_success();
	test_failure();
	test_next_attempt();
	test_orphan();
	test_deadline();
	test_left_behind();
	test_handed_over();
	test_check();
	forget_vm();
	return tap_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of setting disks aside at a local target: nothing is lost, nothing is
 * overwritten, cut short at any point it goes on. */
#include <fcntl.h>
#include <unistd.h>

#include "stages/target/local.h"
#include "t/vm.h"

static char *
in_home(const char *name)
{
	return files_path(&place.vm, name);
}

static bool
there(const char *name)
{
	CLEANUP(mem_freep) char *path = in_home(name);

	return fs_exists(path);
}

static void
put(const char *name, const char *text)
{
	CLEANUP(mem_freep) char *path = in_home(name);

	ok(fs_write(path, text, strlen(text), 0600, &err) == 0, "%s", name);
}

static bool
holds(const char *name, const char *text)
{
	CLEANUP(mem_freep) char *path = in_home(name);
	CLEANUP(buf_done) struct buf b = {0};

	return fs_read(path, 1024, true, &b, &err) == 0 && b.data &&
	       strcmp(b.data, text) == 0;
}

static void
reopen(int aside)
{
	view.aside = aside;
	place_done(&place);
	(void)place_open(&view, &place, &err);
}

/* A vm that was committed and defined. */
static void
committed(void)
{
	CLEANUP(mem_freep) char *overlays = NULL;

	reopen(0);
	fresh_vm();
	reopen(1);
	put("disk-0.raw", "committed 0");
	put("disk-1.raw", "committed 1");
	put(FILES_DOMAIN, "definition");
	put(FILES_NVRAM, "variables");
	put(LOCAL_START, "script");
	overlays = in_home("overlays/ov.1");
	(void)fs_mkdirs(overlays, 0700, &err);
	put("overlays/ov.1/disk-0.qcow2", "overlay");
}

static void
test_all(void)
{
	char *id = NULL;
	bool fresh = false;

	committed();
	for (int i = 0; i < 2; i++) {
		is_int(run_stage(&stage_set_aside), 0, "set aside");
		ok(holds("disk-0.aside-1.raw", "committed 0") &&
		       holds("disk-1.aside-1.raw", "committed 1"),
		   "the disks have another name");
		ok(!there("disk-0.raw") && !there("disk-0.raw.id"),
		   "the old one is free");
		ok(holds("domain.aside-1.xml", "definition") &&
		       holds("nvram.aside-1.fd", "variables") &&
		       holds("overlays.aside-1/ov.1/disk-0.qcow2", "overlay"),
		   "and so is what belonged to them");
		ok(!there(LOCAL_START) && !there(FILES_DOMAIN),
		   "nothing starts it");
	}
	is_int(place.ops->create_volume(&place.vm, 0, &id, &fresh, &err), 0,
	       "a new volume is made");
	ok(fresh, "from nothing");
	free(id);
	is_int(run_stage(&stage_set_aside), 0, "once more");
	ok(there("disk-0.raw") && there("disk-0.raw.id") &&
	       holds("disk-0.aside-1.raw", "committed 0"),
	   "what is new stays, what is aside is not overwritten");
}

/* Killed between a disk's rename and the end of its id. */
static void
test_cut_short(void)
{
	CLEANUP(mem_freep) char *from = NULL, *to = NULL;

	committed();
	from = in_home("disk-0.raw");
	to = in_home("disk-0.aside-1.raw");
	(void)rename(from, to);
	is_int(run_stage(&stage_set_aside), 0, "cut short it goes on");
	ok(holds("disk-0.aside-1.raw", "committed 0") &&
	       holds("disk-1.aside-1.raw", "committed 1") &&
	       !there("disk-0.raw.id") && !there("disk-1.raw.id"),
	   "and ends in the same place");
}

static void
test_refused(void)
{
	committed();
	is_int(place.ops->mark(&place.vm, HANDOVER_LEFT_OFF, &err), 0,
	       "handed over");
	is_int(run_stage(&stage_set_aside), -1, "it is not set aside");
	is_int((int)err.class, ERR_FAIL, "for good");
	like(err.text, "rollback", "and the way on is said");
	ok(holds("disk-0.raw", "committed 0") && there(LOCAL_START),
	   "nothing was touched");
	committed();
	view.state_uuid = "uuid-other";
	reopen(1);
	is_int(run_stage(&stage_set_aside), -1, "nor is another's");
	is_int((int)err.class, ERR_HELD, "as held");
	view.state_uuid = "uuid-mine";
	reopen(1);
}

static void
test_removed(void)
{
	CLEANUP(mem_freep) char *home = NULL;

	committed();
	is_int(run_stage(&stage_set_aside), 0, "set aside");
	put("disk-0.aside-x.raw", "not ours");
	/* whatever number the view has by then */
	reopen(0);
	is_int(place.ops->remove(&place.vm, &err), 0, "gc --disks");
	ok(!there("disk-0.aside-1.raw") && !there("overlays.aside-1"),
	   "removes what is aside");
	ok(there("disk-0.aside-x.raw"), "and nothing that only looks like it");
	home = files_home(&place.vm);
	(void)fs_remove_tree(home, &err);
}

/* What the other state says of the source in its claim. */
static const char *
power_claimed(const struct target_vm *t)
{
	static char was[8];
	json_t *claimant = NULL;
	const char *text;

	(void)place.ops->claimant(t, &claimant, &err);
	text = json_string_value(json_object_get(
	    json_object_get(claimant, "claim"), TARGET_CLAIM_POWER));
	snprintf(was, sizeof(was), "%s", text ? text : "");
	json_decref(claimant);
	return was;
}

static void
test_power_in_claim(void)
{
	struct target_vm other;

	reopen(0);
	other = place.vm;
	other.state_uuid = "uuid-other";
	is_int(place.ops->note_power(&place.vm, "on", &err), -1,
	       "no claim, no power");
	fresh_vm();
	reopen(0);
	is_int(place.ops->claim(&place.vm, &err), 0, "claim it");
	is_str(power_claimed(&other), "", "a claim says nothing of the source");
	is_int(place.ops->note_power(&place.vm, "on", &err), 0,
	       "until it is known");
	is_str(power_claimed(&other), "on", "then who comes next knows it");
	is_int(place.ops->guard(&place.vm, &err), 0,
	       "and the claim is ours as before");
	is_int(place.ops->note_power(&other, "off", &err), -1,
	       "nobody else says so");
	is_int(place.ops->note_power(&place.vm, NULL, &err), 0, "given back");
	is_str(power_claimed(&other), "", "it is nobody's to know");
}

int
main(void)
{
	test_all();
	test_cut_short();
	test_refused();
	test_removed();
	test_power_in_claim();
	forget_vm();
	return tap_done();
}

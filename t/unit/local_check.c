/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what a local target says about its room. */
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "t/vm.h"

static struct findings found;

static bool
says(const char *type)
{
	struct target_vm *t = &place.vm;

	found.n = 0;
	is_int(place.ops->check(t, &found, &err), 0, "check");
	for (size_t i = 0; i < found.n; i++)
		if (strcmp(found.v[i].type, type) == 0)
			return true;
	return false;
}

/* How much there is room for is asked of all vms up to this one. */
static void
test_others(void)
{
	struct inv_disk huge = {.id = "disk-0",
				.capacity_bytes = (uint64_t)1 << 60};
	struct shape_disk disk = shape_disks[0];
	struct shape shapes[2] = {shape, shape};
	struct target_vm ahead[2];

	disk.source = &huge;
	for (int i = 0; i < 2; i++) {
		shapes[i].name = i ? "second" : "first";
		shapes[i].disks = &disk;
		shapes[i].ndisks = 1;
		ahead[i] = place.vm;
		ahead[i].shape = &shapes[i];
	}
	ok(!says("TargetSpaceTight"), "alone it fits");
	place.vm.ahead = ahead;
	place.vm.nahead = 2;
	if (ok(says("TargetSpaceNotEnough"), "not beside others"))
		like(found.v[found.n - 1].message,
		     "this vm needs 3.0 MiB more there, and the 2 vms before "
		     "it in the plan 2.0 EiB",
		     "the sums are told");
	huge.allocated_bytes = MIB;
	ok(says("TargetSpaceTight"), "it may: they hold little");
	huge.blank = true;
	huge.allocated_bytes = 0;
	ok(says("TargetSpaceTight") && !says("TargetSpaceNotEnough"),
	   "a blank disk holds nothing");
	place.vm.nahead = 0;
}

/* What was copied is not needed once more: it makes room for those behind. */
static void
test_resumed(void)
{
	struct inv_disk huge = {.id = "disk-0",
				.capacity_bytes = (uint64_t)1 << 60};
	struct shape_disk disk = shape_disks[0];
	struct shape other = shape;
	struct target_vm ahead = place.vm;
	CLEANUP(volume_done) struct volume v = {0};
	static char mib[MIB];
	int fd;

	disk.source = &huge;
	other.name = "first";
	other.disks = &disk;
	other.ndisks = 1;
	ahead.shape = &other;
	place.ops->volume(&place.vm, 0, &v);
	memset(mib, 1, sizeof(mib));
	fd = open(v.path, O_WRONLY | O_CLOEXEC);
	ok(fd >= 0 && write(fd, mib, MIB) == MIB && fsync(fd) == 0,
	   "a MiB was copied");
	close(fd);
	place.vm.ahead = &ahead;
	place.vm.nahead = 1;
	if (ok(says("TargetSpaceNotEnough"), "not beside the other"))
		like(found.v[found.n - 1].message,
		     "needs 2.0 MiB more there, and the vm before it in the "
		     "plan 1.0 EiB",
		     "two are left of three");
	place.vm.nahead = 0;
}

int
main(void)
{
	setenv("PALLETJACK_ACCEL", "tcg", 1);
	shape.converted = false;
	fresh_vm();
	found.arena = arena_new();
	test_others();
	test_resumed();
	findings_done(&found);
	arena_free(found.arena);
	forget_vm();
	return tap_done();
}

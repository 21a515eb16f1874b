/* SPDX-License-Identifier: Apache-2.0 */
/* Random vms of random plans, and random edits: for unit tests. */
#ifndef T_RANDOM_VM_H
#define T_RANDOM_VM_H

#include <stdint.h>

#include "stages/stage.h"

#define MOST_DISKS 4

static uint64_t dice;

static unsigned
roll(unsigned sides)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice % sides);
}

static const char *
word(void)
{
	static const char *const words[] = {"one", "two", "three", "four"};

	return words[roll(4)];
}

static struct inv_disk disks[MOST_DISKS];
static struct shape_disk shape_disks[MOST_DISKS];
static struct shape shape;
static struct endpoint source, target;
static struct run_policy policy;
static struct plan plan;
static struct plan_vm pvm;
static struct vm_hook hooks[2];
static struct inv_vm vm;
static struct view view;

static void
make_disks(void)
{
	static const char *const ids[] = {"disk-0", "disk-1", "disk-2",
					  "disk-3"};

	vm.disks = disks;
	vm.ndisks = shape.ndisks = roll(MOST_DISKS + 1);
	shape.disks = shape_disks;
	for (size_t i = 0; i < MOST_DISKS; i++) {
		disks[i] = (struct inv_disk){.id = ids[i],
					     .name = word(),
					     .capacity_bytes = 1 + roll(9)};
		shape_disks[i] = (struct shape_disk){.source = &disks[i],
						     .storage_class = word(),
						     .format = "raw",
						     .bus = "virtio",
						     .volume = ids[i]};
	}
}

static void
make_vm(void)
{
	bool fake = roll(2);

	source = (struct endpoint){.o = {.name = "s"},
				   .type = fake ? "fake" : "ova",
				   .path = "/nonexistent/s"};
	target = (struct endpoint){.o = {.name = "t"},
				   .type = fake ? "fake" : "local",
				   .path = "/nonexistent/t"};
	policy =
	    (struct run_policy){.verify = roll(3) ? VERIFY_FULL : VERIFY_NONE,
				.boot_test = (enum boot_test)roll(3),
				.boot_probe = {.serial = word()}};
	plan = (struct plan){.o = {.namespace = "t", .name = "p"},
			     .source = &source,
			     .target = &target,
			     .policy = &policy};
	shape = (struct shape){.name = word(),
			       .sockets = 1,
			       .cores = 1 + roll(4),
			       .threads = 1,
			       .memory_bytes = 1 + roll(9),
			       .converted = roll(3) > 0};
	vm = (struct inv_vm){.id = "vm-1", .name = word(), .epoch = word()};
	make_disks();
	pvm = (struct plan_vm){.key = "vm", .hooks = hooks};
	for (int step = HOOK_PRE; step <= HOOK_POST; step++)
		if (roll(2))
			hooks[pvm.nhooks++] = (struct vm_hook){
			    .step = step, .ref = {.name = word()}};
	view = (struct view){.plan = &plan,
			     .pvm = &pvm,
			     .vm = &vm,
			     .shape = &shape,
			     .state_dir = "/nonexistent/state",
			     .state_uuid = "u",
			     .round = roll(3) ? 0 : 1 + roll(3),
			     .aside = roll(4) == 0};
}

/* Changes one of the things that steps depend on, and no more than that. */
static void
edit(void)
{
	switch (roll(9)) {
	case 0:
		shape.memory_bytes += 100;
		break;
	case 1:
		shape.name = "another";
		break;
	case 2:
		vm.epoch = "another";
		break;
	case 3:
		pvm.root_disk = "sdx";
		break;
	case 4:
		pvm.target_power = POWER_OFF;
		break;
	case 5:
		policy.boot_probe.serial = "another";
		break;
	case 7:
		view.round += view.round > 0;
		break;
	case 6:
		disks[roll(MOST_DISKS)].capacity_bytes += 100;
		break;
	default:
		hooks[roll(2)].ref.name = "another";
	}
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One vm with two disks at a local target, and stand-ins for the step it is
 * worked on in: for tests of single stages. */
#ifndef T_VM_H
#define T_VM_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "stages/place.h"
#include "stages/stage.h"
#include "t/tap.h"

#define MIB ((uint64_t)1024 * 1024)

static struct inv_disk inv_disks[2] = {
    {.id = "disk-0", .capacity_bytes = 2 * MIB, .bus = "scsi"},
    {.id = "disk-1", .capacity_bytes = MIB, .bus = "ide"}};
static struct inv_nic inv_nics[1] = {{.name = "net",
				      .mac = "00:50:56:11:22:33",
				      .model = "vmxnet3",
				      .network_id = "n1",
				      .network_name = "VM <Network>"}};
static struct shape_disk shape_disks[2] = {{.source = &inv_disks[0],
					    .storage_class = "",
					    .format = "raw",
					    .bus = "virtio",
					    .volume = "disk-0",
					    .boot_order = 1},
					   {.source = &inv_disks[1],
					    .storage_class = "",
					    .format = "raw",
					    .bus = "virtio",
					    .volume = "disk-1"}};
static struct shape shape = {.name = "web",
			     .sockets = 1,
			     .cores = 1,
			     .threads = 1,
			     .memory_bytes = 64 * MIB,
			     .converted = true,
			     .disks = shape_disks,
			     .ndisks = 2};
static struct endpoint source = {.o = {.name = "there"}, .type = "ova"};
static struct endpoint target = {.o = {.name = "here"}, .type = "local"};
static struct run_policy policy = {
    .deadlines = {.conversion_ms = 20000, .boot_test_ms = 20000}};
static struct plan plan = {.o = {.namespace = "demo", .name = "move"},
			   .source = &source,
			   .target = &target,
			   .policy = &policy};
static struct plan_vm pvm = {.key = "web"};
static struct inv_vm vm = {.id = "vm-1",
			   .name = "Web",
			   .uuid = "",
			   .os_family = "linux",
			   .disks = inv_disks,
			   .ndisks = 2,
			   .nics = inv_nics,
			   .nnics = 1};
static struct view view = {.plan = &plan,
			   .pvm = &pvm,
			   .vm = &vm,
			   .shape = &shape,
			   .state_uuid = "uuid-mine"};
static struct work work = {.view = &view, .attempt = 1};
static struct place place;
static struct err err;

/* A new target with the vm's volumes, a new state, no facts. */
static void
fresh_vm(void)
{
	static int n;
	CLEANUP(mem_freep) char *log = NULL;
	char *id;
	bool made;

	free((char *)target.path);
	free((char *)view.state_dir);
	json_decref((json_t *)work.facts);
	json_decref((json_t *)work.recorded);
	place_done(&place);
	target.path = mem_printf("%s/target %d", tap_dir(), ++n);
	view.state_dir = mem_printf("%s/state %d", tap_dir(), n);
	work.facts = json_object();
	work.recorded = json_object();
	work.attempt = 1;
	err = (struct err){0};
	log = fs_path(view.state_dir, "log");
	ok(fs_mkdirs(log, 0700, &err) == 0 &&
	       place_open(&view, &place, &err) == 0 &&
	       place.ops->claim(&place.vm, &err) == 0,
	   "a target for the vm");
	for (size_t i = 0; i < shape.ndisks; i++) {
		id = NULL;
		ok(place.ops->create_volume(&place.vm, i, &id, &made, &err) ==
		       0,
		   "volume %zu", i);
		free(id);
	}
}

static void
forget_vm(void)
{
	place_done(&place);
	free((char *)target.path);
	free((char *)view.state_dir);
	json_decref((json_t *)work.facts);
	json_decref((json_t *)work.recorded);
}

/* Runs a stage as a step would: what it gives becomes a fact. */
static __attribute__((unused)) int
run_stage(const struct stage *stage)
{
	json_t *facts = NULL;
	int rc;

	work.stage = stage;
	rc = stage->run(&work, &facts, &err);

	if (rc == 0)
		json_object_set_new((json_t *)work.facts, stage->name,
				    facts ? facts : json_object());
	return rc;
}

/* An executable script of that name, first in PATH. */
static __attribute__((unused)) void
install(const char *name, const char *body)
{
	CLEANUP(mem_freep) char *dir = fs_path(tap_dir(), "bin");
	CLEANUP(mem_freep) char *path = fs_path(dir, name);
	CLEANUP(mem_freep) char *text = mem_printf("#!/bin/sh\n%s\n", body);
	struct err ignored;

	(void)fs_mkdirs(dir, 0755, &ignored);
	(void)fs_write(path, text, strlen(text), 0755, &ignored);
}

static __attribute__((unused)) void
prepend_path(void)
{
	CLEANUP(mem_freep)
	char *path = mem_printf("%s/bin:%s", tap_dir(), getenv("PATH"));

	setenv("PATH", path, 1);
}

void
work_progress(struct work *w, uint64_t done, uint64_t total)
{
	(void)w, (void)done, (void)total;
}

void
work_moved(struct work *w, const struct moved *moved)
{
	(void)w, (void)moved;
}

void
work_doing(struct work *w, const char *fmt, ...)
{
	(void)w, (void)fmt;
}

void
work_hold(struct work *w, int fd)
{
	(void)w;
	close(fd);
}

void
work_log(struct work *w, enum log_level level, const char *fmt, ...)
{
	(void)w, (void)level, (void)fmt;
}

int
work_record(struct work *w, const char *key, json_t *value, struct err *e)
{
	(void)e;
	return json_object_set_new((json_t *)w->recorded, key, value);
}

const json_t *
work_recorded(const struct work *w, const char *key)
{
	return json_object_get(w->recorded, key);
}

const json_t *
work_fact(const struct work *w, const char *step)
{
	return json_object_get(w->facts, step);
}

int
work_helper_started(void *arg, const struct process_id *id, struct err *e)
{
	(void)arg, (void)id, (void)e;
	return 0;
}

int
work_target_started(void *arg, const struct process_id *id, struct err *e)
{
	(void)arg, (void)id, (void)e;
	return 0;
}

void
work_catch_stop(struct work *w)
{
	(void)w;
}

bool
work_stopping(const struct work *w)
{
	(void)w;
	return false;
}

char *
work_log_path(const struct work *w, const char *name)
{
	return mem_printf("%s/log/%s", w->view->state_dir, name);
}

#endif

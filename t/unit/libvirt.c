/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt as palletjack asks it: which paths are ours, what its errors are
 * called, deadlines, and power, by libvirt's own test driver, which needs no
 * daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/source/source.h"
#include "t/tap.h"

#ifndef HAVE_LIBVIRT
int
main(void)
{
	tap_skip_all("this build has no libvirt");
}
#else
#include "io/libvirt.h"

static void
uris(void)
{
	static const char *const local[] = {"qemu:///system", "qemu:///session",
					    "qemu+unix:///system",
					    "test:///default"};
	static const char *const remote[] = {"qemu+ssh://host/system",
					     "qemu+ssh:///system",
					     "qemu://host/system",
					     "qemu+tls://h/system",
					     "qemu+tcp:///system",
					     "",
					     "/var/lib"};

	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
		ok(virt_is_local(local[i]), "here: %s", local[i]);
	for (size_t i = 0; i < sizeof(remote) / sizeof(*remote); i++)
		ok(!virt_is_local(remote[i]), "elsewhere: '%s'", remote[i]);
}

/* What becomes of connecting to such a URI. */
static void
refused(const char *uri, int deadline_ms, enum err_class class,
	const char *text)
{
	struct virt *v = NULL;
	struct err err = {0};

	is_int(virt_open(uri, NULL, deadline_ms, &v, &err), -1, uri);
	is_str(err_class_name(err.class), err_class_name(class), "its class");
	like(err.text, text, "and why");
	ok(!v, "nothing is open");
}

static int
silent_socket(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, 5) < 0)
		tap_diag("cannot listen on '%s'", path);
	return fd;
}

static void
connecting(void)
{
	CLEANUP(mem_freep) char *path = fs_path(tap_dir(), "s");
	CLEANUP(mem_freep)
	char *uri = mem_printf("qemu+unix:///session?socket=%s", path);
	CLEANUP(mem_closep) int fd = -1;

	refused(uri, 0, ERR_RETRY, "is its libvirtd running?");
	fd = silent_socket(path);
	refused(uri, 100, ERR_RETRY, "no answer within");
	refused("nothing:///x", 0, ERR_RETRY, "libvirt says");
}

static struct endpoint endpoint = {
    .o = {.name = "there"}, .type = "libvirt", .url = "test:///default"};

static enum power_state
power(const struct inv_vm *vm)
{
	enum power_state state = POWER_STATE_UNKNOWN;
	struct err err;

	if (source_libvirt.power_state(&endpoint, vm, &state, &err) < 0)
		tap_diag("%s", err.text);
	return state;
}

static void
domains(void)
{
	CLEANUP(inventory_freep) struct inventory *inv = inventory_new();
	struct inv_vm gone = {.name = "gone",
			      .uuid = "00000000-0000-0000-0000-000000000001"};
	enum power_state state;
	struct err err = {0};
	const struct inv_vm *vm;

	is_int(source_libvirt.inventory(&endpoint, inv, &err), 0, "listing");
	is_int((long long)inv->nvms, 1, "the driver has a domain");
	is_int((long long)inv->nnetworks, 1, "and a network");
	ok(inv->nstorages > 0, "and pools");
	vm = &inv->vms[0];
	is_str(vm->name, "test", "its name");
	is_str(vm->id, vm->uuid, "its id is its UUID");
	is_int(vm->power, POWER_STATE_ON, "it runs");
	ok(*vm->epoch, "it has an epoch");
	is_int(power(vm), POWER_STATE_ON, "which is asked again");
	is_int(source_libvirt.power_state(&endpoint, &gone, &state, &err), -1,
	       "one that is not there");
	is_str(err_class_name(err.class), "fail", "is not there later either");
	like(err.text, "domain 'gone'", "it is named");
}

/* All through one connection: the driver's world ends with it. */
static void
switching(void)
{
	struct virt *v = NULL;
	CLEANUP(virt_domains_done) struct virt_domains list = {0};
	CLEANUP(virt_state_done) struct virt_state s = {0};
	CLEANUP(mem_freep) char *xml = NULL;
	struct virt_domain *d;
	struct err err = {0};
	bool active = true;

	is_int(virt_open("test:///default", NULL, 0, &v, &err), 0, "connected");
	is_int(virt_domains(v, &list, &err), 0, "listed");
	d = list.all.v[0];
	is_int(virt_domain_state(d, &s, &err), 0, "looked at");
	ok(s.active && s.persistent && !s.saved && !s.paused && s.id == 1,
	   "runs, and is there when it does not");
	is_int(virt_domain_rename(d, "other", &err), -1,
	       "it is not renamed while it runs");
	is_int(virt_domain_shutdown(d, &err), 0, "asked to shut down");
	is_int(virt_domain_active(d, &active, &err), 0, "looked at");
	ok(!active, "which it did");
	is_int(virt_domain_destroy(d, &err), -1, "what is off is not ended");
	is_str(err_class_name(err.class), "fail", "and that is no hiccup");
	is_int(virt_domain_set_autostart(d, true, &err), 0, "autostart");
	is_int(virt_domain_start(d, false, &err), 0, "started");
	virt_state_done(&s);
	is_int(virt_domain_state(d, &s, &err), 0, "looked at");
	ok(s.active && s.autostart && s.id == 2, "runs anew");
	is_int(virt_domain_xml(d, true, &xml, &err), 0, "described");
	like(xml, "<name>test</name>", "in XML");
	virt_close(v);
}

int
main(void)
{
	uris();
	connecting();
	domains();
	switching();
	return tap_done();
}
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Image files as vms: formats by magic, settings, epochs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/process.h"
#include "stages/source/source.h"
#include "t/tap.h"

#define MIB ((size_t)1 << 20)

static const char *const formats[] = {"raw", "qcow2", "vmdk", "vhdx", "vdi"};
static char *raw_path;

static void
must_run(const char *const *argv)
{
	struct buf out = {0};
	struct err err;

	if (process_run(argv, 60000, &out, &err) < 0) {
		tap_diag("%s", err.text);
		exit(1);
	}
	buf_done(&out);
}

/* The same 4 MiB in every format, "disk.FORMAT". */
static void
make_images(void)
{
	char *data = mem_new(4 * MIB);
	struct err err;

	memset(data + MIB, 'p', MIB);
	raw_path = fs_path(tap_dir(), "disk.raw");
	if (fs_write(raw_path, data, 4 * MIB, 0644, &err) < 0)
		tap_diag("%s", err.text);
	free(data);
	for (size_t i = 1; i < sizeof(formats) / sizeof(*formats); i++) {
		char *to = mem_printf("%s/disk.%s", tap_dir(), formats[i]);

		must_run((const char *[]){"qemu-img", "convert", "-f", "raw",
					  "-O", formats[i], raw_path, to,
					  NULL});
		free(to);
	}
}

/* An endpoint with settings as "key=value" texts, NULL ends them. */
static struct inventory *
listed(struct endpoint *ep, const char *const *settings)
{
	struct inventory *inv = inventory_new();
	struct err err;

	memset(ep, 0, sizeof(*ep));
	ep->path = tap_dir();
	ep->settings = json_object();
	for (; *settings; settings++) {
		const char *equals = strchr(*settings, '=');
		char *key =
		    mem_strndup(*settings, (size_t)(equals - *settings));

		json_object_set_new(ep->settings, key, json_string(equals + 1));
		free(key);
	}
	if (source_disk.inventory(ep, inv, &err) < 0)
		tap_diag("%s", err.text);
	return inv;
}

static void
done(struct endpoint *ep, struct inventory *inv)
{
	json_decref(ep->settings);
	inventory_free(inv);
}

static void
same_disk(const struct endpoint *ep, const struct inv_vm *vm, size_t n)
{
	struct nbd_serve_opts opts = {0};
	struct nbd_server server = {.process = {.pidfd = -1}};
	const char *format = vm->disks[n].format;
	struct buf out = {0};
	struct err err;

	if (source_disk.open_disk(ep, vm, &vm->disks[n], &opts, &server, &err) <
	    0) {
		ok(false, "%s: %s", format, err.text);
		return;
	}
	ok(process_run(
	       (const char *[]){"qemu-img", "compare", "-f", "raw", "-F", "raw",
				raw_path, server.uri, NULL},
	       60000, &out, &err) == 0,
	   "%s: the same disk", format);
	buf_done(&out);
	nbd_server_stop(&server);
}

static void
reads_formats(void)
{
	struct endpoint ep;
	struct inventory *inv = listed(
	    &ep,
	    (const char *[]){"web= disk.raw, disk.qcow2,disk.vmdk ,disk.vhdx,"
			     "disk.vdi",
			     NULL});
	const struct inv_vm *vm = inv->vms;

	is_int((long long)inv->nvms, 1, "one vm");
	is_int((long long)vm->ndisks, 5, "its disks");
	for (size_t i = 0; i < vm->ndisks; i++) {
		is_str(vm->disks[i].format, formats[i], "format by magic");
		is_int((long long)vm->disks[i].capacity_bytes,
		       (long long)(4 * MIB), "capacity");
		same_disk(&ep, vm, i);
	}
	is_str(vm->disks[1].storage_name, "disk.qcow2", "storage");
	is_str(vm->disks[4].id, "disk-4", "disk id");
	is_int((long long)json_array_size(vm->concerns), 0, "no concerns");
	is_int(vm->power, POWER_STATE_OFF, "off");
	done(&ep, inv);
}

static void
settings(void)
{
	struct endpoint ep;
	struct inventory *inv = listed(
	    &ep, (const char *[]){"web=disk.raw", "db=disk.raw", "cpus=2",
				  "memory=2Gi", "db.memory=8Gi",
				  "db.firmware=efi", "db.network=LAN", NULL});

	is_int((long long)inv->nvms, 2, "settings are no vms");
	is_int(inv->vms[0].sockets, 2, "processors for all");
	is_int((long long)inv->vms[0].memory_bytes, 2ll << 30, "memory too");
	is_int((long long)inv->vms[1].memory_bytes, 8ll << 30, "its own");
	ok(!inv->vms[0].efi && inv->vms[1].efi, "firmware");
	is_int((long long)inv->vms[0].nnics, 0, "no nics");
	is_str(inv->vms[1].nics[0].network_name, "LAN", "but one asked for");
	done(&ep, inv);

	inv = listed(&ep, (const char *[]){"web=disk.raw", NULL});
	is_int((long long)inv->vms[0].memory_bytes, 1ll << 30, "the default");
	is_int(inv->vms[0].sockets, 1, "one processor");
	done(&ep, inv);
}

static void
has_concern(const struct inv_vm *vm, size_t n, const char *part)
{
	const json_t *one = json_array_get(vm->concerns, n);
	const char *text = json_string_value(json_object_get(one, "message"));

	is_str(json_string_value(json_object_get(one, "category")), "Critical",
	       "a Critical concern");
	like(text, part, part);
}

static void
concerns(void)
{
	struct endpoint ep;
	struct inventory *inv;
	char *over = fs_path(tap_dir(), "over.qcow2");
	char *fixed = fs_path(tap_dir(), "disk.vhd");
	struct err err;

	must_run((const char *[]){"qemu-img", "create", "-q", "-f", "qcow2",
				  "-b", raw_path, "-F", "raw", over, NULL});
	if (fs_write(fixed, "conectix", 8, 0644, &err) < 0)
		tap_diag("%s", err.text);
	inv = listed(&ep, (const char *[]){
			      "web=over.qcow2,gone.raw,disk.vhd,disk.raw",
			      "bad=disk.raw", "bad.cpus=two", "bad.memory=lots",
			      "bad.firmware=uefy", NULL});
	is_int((long long)inv->vms[0].ndisks, 4, "all are listed");
	has_concern(&inv->vms[0], 0, "backing file");
	has_concern(&inv->vms[0], 1, "gone.raw");
	has_concern(&inv->vms[0], 2, "qemu-img convert -f vpc");
	is_int((long long)json_array_size(inv->vms[0].concerns), 3,
	       "none about the sound one");
	has_concern(&inv->vms[1], 0, "'two'");
	has_concern(&inv->vms[1], 1, "'lots'");
	has_concern(&inv->vms[1], 2, "'uefy'");
	done(&ep, inv);
	free(over);
	free(fixed);
}

static void
epochs(void)
{
	struct endpoint ep;
	struct inventory *inv =
	    listed(&ep, (const char *[]){"web=disk.raw", NULL});
	char *epoch = NULL, *link = fs_path(tap_dir(), "later");
	struct err err;

	ok(source_disk.epoch(&ep, inv->vms, &epoch, &err) == 0 &&
	       !strcmp(epoch, inv->vms[0].epoch),
	   "an untouched image has its epoch");
	free(epoch);
	must_run((const char *[]){"touch", raw_path, NULL});
	ok(source_disk.epoch(&ep, inv->vms, &epoch, &err) == 0 &&
	       strcmp(epoch, inv->vms[0].epoch) != 0,
	   "a touched one has not");
	free(epoch);
	ok(rename(raw_path, link) == 0 &&
	       source_disk.epoch(&ep, inv->vms, &epoch, &err) < 0,
	   "nor has one that is gone");
	like(err.text, "disk.raw", "which is named");
	ok(rename(link, raw_path) == 0, "back again");
	free(link);
	done(&ep, inv);
}

static void
relative_to_the_manifest(void)
{
	struct endpoint ep;
	struct inventory *inv = listed(&ep, (const char *[]){NULL});
	char *manifest = fs_path(tap_dir(), "plan.yaml");
	struct err err;

	ep.path = NULL;
	ep.o.pos.file = manifest;
	json_object_set_new(ep.settings, "web", json_string("disk.raw"));
	ok(source_disk.inventory(&ep, inv, &err) == 0 && inv->nvms == 1 &&
	       inv->vms[0].disks[0].capacity_bytes == 4 * MIB,
	   "without a path, beside the manifest");
	free(manifest);
	done(&ep, inv);
}

int
main(void)
{
	if (!process_in_path("qemu-img") || !process_in_path("qemu-nbd"))
		tap_skip_all("qemu-img and qemu-nbd are not installed");
	make_images();
	reads_formats();
	settings();
	concerns();
	epochs();
	relative_to_the_manifest();
	free(raw_path);
	return tap_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Source `disk`: image files named in the endpoint's settings. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"
#include "manifests/digest.h"
#include "io/image.h"
#include "stages/source/source.h"

/* Settings that are no vm; "VM.cpus" holds for that vm alone. */
static const char *const common[] = {"cpus", "memory", "firmware", "network"};

#define DEFAULT_MEMORY "1Gi"
#define MOST_CPUS 4096

/* Where relative names start: the endpoint's path, else the manifest. */
static char *
base_of(const struct endpoint *ep)
{
	if (ep->path && *ep->path)
		return mem_strdup(ep->path);
	if (ep->o.pos.file && strcmp(ep->o.pos.file, "-") != 0)
		return fs_dirname(ep->o.pos.file);
	return mem_strdup(".");
}

static char *
path_of(const struct endpoint *ep, const char *name)
{
	CLEANUP(mem_freep) char *base = base_of(ep);

	return *name == '/' ? mem_strdup(name) : fs_path(base, name);
}

static bool
is_common(const char *key)
{
	for (size_t i = 0; i < sizeof(common) / sizeof(*common); i++)
		if (!strcmp(key, common[i]))
			return true;
	return false;
}

/* "web.cpus", or what was meant so: its first half is a vm, or its second a
 * setting; reading the manifest complains unless both are. */
static bool
is_override(const struct endpoint *ep, const char *key)
{
	const char *dot = strrchr(key, '.');
	CLEANUP(mem_freep) char *vm = NULL;

	if (!dot)
		return false;
	if (is_common(dot + 1))
		return true;
	vm = mem_strndup(key, (size_t)(dot - key));
	return json_object_get(ep->settings, vm) != NULL;
}

/* The vm's own setting, else the endpoint's. */
static const char *
setting_of(const struct endpoint *ep, const char *vm, const char *name,
	   const char *fallback)
{
	CLEANUP(mem_freep) char *own = mem_printf("%s.%s", vm, name);

	return endpoint_setting(ep, own, endpoint_setting(ep, name, fallback));
}

static int
file_epoch(const struct endpoint *ep, const char *name, char **ret,
	   struct err *err)
{
	CLEANUP(mem_freep) char *path = path_of(ep, name);
	CLEANUP(mem_freep) char *text = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(err, "cannot look at '%s'", path);
	text = mem_printf("%s %lld %lld.%09ld", name, (long long)st.st_size,
			  (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	digest_bytes(text, strlen(text), hex);
	*ret = mem_strdup(hex);
	return 0;
}

static const char *
file_of(const struct inv_disk *disk)
{
	return json_string_value(json_object_get(disk->locator, "file"));
}

static int
vm_epoch(const struct endpoint *ep, const struct inv_vm *vm, char **ret,
	 struct err *err)
{
	char hex[DIGEST_HEX_SIZE] = "";

	for (size_t i = 0; i < vm->ndisks; i++) {
		const char *file = file_of(&vm->disks[i]);
		CLEANUP(mem_freep) char *one = NULL;

		if (!file)
			continue;
		if (file_epoch(ep, file, &one, err) < 0)
			return -1;
		digest_chain(hex, one, strlen(one), hex);
	}
	*ret = mem_strdup(hex);
	return 0;
}

/* A block device has no size of its own in stat. */
static int
size_of(int fd, uint64_t *ret, struct err *err)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return err_sys(err, "cannot tell its size");
	*ret = (uint64_t)end;
	return 0;
}

static int
probe(const char *path, struct inv_disk *disk, struct err *err)
{
	CLEANUP(mem_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct image image;
	struct stat st;
	uint64_t size = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "cannot open '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, ERR_FAIL,
			       "it is neither a file nor a block device");
	if (size_of(fd, &size, err) < 0 ||
	    image_probe(fd, 0, size, &image, err) < 0)
		return -1;
	disk->format = image.format;
	disk->allocated_bytes = image_data_bytes(fd, size);
	return image_ask_qemu(path, image.format, 0, 0, &disk->capacity_bytes,
			      err);
}

static void
add_disk(const struct endpoint *ep, struct inventory *inv, struct inv_vm *vm,
	 const char *name, struct findings *concerns)
{
	struct inv_disk *disk = inventory_add_disk(inv, vm);
	CLEANUP(mem_freep) char *path = path_of(ep, name);
	CLEANUP(mem_freep) char *epoch = NULL;
	struct err err;

	disk->id = arena_printf(inv->arena, "disk-%zu", vm->ndisks - 1);
	disk->name = arena_strdup(inv->arena, fs_basename(name));
	disk->storage_id = disk->storage_name = disk->name;
	disk->bus = "virtio";
	disk->unit = (int)vm->ndisks - 1;
	disk->locator = inventory_keep(inv, json_pack("{s:s}", "file", name));
	inventory_add_storage(inv, disk->storage_id, disk->storage_name);
	if (probe(path, disk, &err) < 0 ||
	    file_epoch(ep, name, &epoch, &err) < 0)
		findings_add(concerns, FINDING_CRITICAL, "DiskNotReadable",
			     "%s '%s': %s", disk->id, name, err.text);
	disk->epoch = arena_strdup(inv->arena, epoch ? epoch : "");
}

static void
add_disks(const struct endpoint *ep, struct inventory *inv, struct inv_vm *vm,
	  const char *images, struct findings *concerns)
{
	CLEANUP(mem_freep) char *copy = mem_strdup(images);
	char *save = NULL;

	for (char *name = strtok_r(copy, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		size_t len;

		name += strspn(name, " \t\n");
		len = strlen(name);
		while (len && strchr(" \t\n", name[len - 1]))
			name[--len] = '\0';
		if (len)
			add_disk(ep, inv, vm, name, concerns);
	}
}

static void
bad_setting(struct findings *concerns, const char *name, const char *value,
	    const char *wanted)
{
	findings_add(concerns, FINDING_CRITICAL, "SettingsNotValid",
		     "setting '%s' is '%s', not %s", name, value, wanted);
}

static void
read_settings(const struct endpoint *ep, struct inventory *inv,
	      struct inv_vm *vm, struct findings *concerns)
{
	const char *cpus = setting_of(ep, vm->name, "cpus", "1");
	const char *memory = setting_of(ep, vm->name, "memory", DEFAULT_MEMORY);
	const char *firmware = setting_of(ep, vm->name, "firmware", "bios");
	const char *network = setting_of(ep, vm->name, "network", "");
	char *end;
	unsigned long n = strtoul(cpus, &end, 10);
	struct inv_nic *nic;

	if (*cpus < '0' || *cpus > '9' || *end || n < 1 || n > MOST_CPUS)
		bad_setting(concerns, "cpus", cpus, "a number of processors");
	else
		vm->sockets = (unsigned)n;
	if (units_parse_quantity(memory, &vm->memory_bytes) < 0)
		bad_setting(concerns, "memory", memory, "a quantity: '2Gi'");
	vm->efi = !strcmp(firmware, "efi") || !strcmp(firmware, "uefi");
	if (!vm->efi && strcmp(firmware, "bios") != 0)
		bad_setting(concerns, "firmware", firmware, "'bios' or 'efi'");
	if (!*network)
		return;
	inventory_add_network(inv, network, network);
	nic = inventory_add_nic(inv, vm);
	nic->name = "nic-0";
	nic->network_id = nic->network_name = arena_strdup(inv->arena, network);
}

static void
add_vm(const struct endpoint *ep, struct inventory *inv, const char *name,
       const char *images)
{
	struct inv_vm *vm = inventory_add_vm(inv);
	struct findings concerns = {.arena = inv->arena};
	CLEANUP(json_decrefp) json_t *list = NULL;
	CLEANUP(mem_freep) char *epoch = NULL;
	struct err err;

	vm->id = vm->name = arena_strdup(inv->arena, name);
	vm->sockets = vm->cores = vm->threads = 1;
	vm->power = POWER_STATE_OFF;
	read_settings(ep, inv, vm, &concerns);
	add_disks(ep, inv, vm, images, &concerns);
	/* a file that is not there was reported with its disk */
	if (vm_epoch(ep, vm, &epoch, &err) == 0)
		vm->epoch = arena_strdup(inv->arena, epoch);
	list = findings_to_json(&concerns);
	json_array_extend(vm->concerns, list);
	findings_done(&concerns);
}

static int
list_vms(const struct endpoint *ep, struct inventory *ret, struct err *err)
{
	const char *key;
	json_t *value;

	(void)err;
	json_object_foreach(ep->settings, key, value)
	{
		if (!is_common(key) && !is_override(ep, key) &&
		    json_is_string(value))
			add_vm(ep, ret, key, json_string_value(value));
	}
	return 0;
}

/* One that ends within a sector is not what QEMU takes it for. */
static char *
raw_disk(const struct endpoint *ep, const struct inv_disk *disk)
{
	const char *file = file_of(disk);
	CLEANUP(mem_freep) char *path = NULL;
	struct stat st;

	if (!file || strcmp(disk->format, "raw") != 0)
		return NULL;
	path = path_of(ep, file);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size != disk->capacity_bytes)
		return NULL;
	return steal(&path);
}

static int
open_disk(const struct endpoint *ep, const struct inv_vm *vm,
	  const struct inv_disk *disk, const struct nbd_serve_opts *opts,
	  struct nbd_server *ret, struct err *err)
{
	struct nbd_serve_opts how = *opts;
	const char *file = file_of(disk);
	CLEANUP(mem_freep) char *path = NULL;

	(void)vm;
	if (!file || !*disk->format)
		return err_set(err, ERR_FAIL, "%s '%s' cannot be read",
			       disk->id, disk->name);
	path = path_of(ep, file);
	how.filename = path;
	how.format = disk->format;
	how.offset = how.length = 0;
	how.writable = false;
	return nbd_serve_image(&how, ret, err);
}

const struct source_ops source_disk = {
    .type = "disk",
    .inventory = list_vms,
    .epoch = vm_epoch,
    .raw_disk = raw_disk,
    .open_disk = open_disk,
};

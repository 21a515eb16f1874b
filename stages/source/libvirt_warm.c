/* SPDX-License-Identifier: Apache-2.0 */
/* Domains that are copied while they run: a pull backup holds a point in time,
 * which QEMU serves by NBD, and a checkpoint of the same name begins a bitmap
 * of what is written from then on.
 *
 * The backup lives in QEMU: it outlasts the step that began it, and is known
 * again by its socket, which bears the point's name.  Bitmaps are in the qcow2
 * files, but reach them only when QEMU closes them in good order: after a crash
 * they are missing or broken, and then nobody knows what changed. */
#include "stages/source/libvirt.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "io/image.h"
#include "io/libvirt_backup.h"
#include "io/xml.h"

#define LOOK_EVERY_MS 500
#define OURS "palletjack-"
/* In each export: what was written since the point before. */
#define BITMAP "since"

struct running {
	const struct inv_vm *vm;
	struct virtual_host host;
	struct virt_domain *domain;
};

static void
running_done(struct running *r)
{
	virt_domain_freep(&r->domain);
	libvirt_done(&r->host);
}

static int
find(const struct endpoint *ep, const struct inv_vm *vm, struct running *ret,
     struct err *err)
{
	ret->vm = vm;
	if (libvirt_connect(ep, &ret->host, err) < 0 ||
	    libvirt_reach(&ret->host, err) < 0)
		return -1;
	return libvirt_find(&ret->host, vm, &ret->domain, err);
}

/* --- the socket --------------------------------------------------------- */

/* Where both QEMU and we come to: of a session our own place, of the system's
 * daemon QEMU's. */
static const char *
socket_dir(const struct virtual_host *h)
{
	const char *runtime =
	    h->at ? h->runtime_dir : getenv("XDG_RUNTIME_DIR");

	if (!strstr(h->ep->url, "/session"))
		return endpoint_setting(h->ep, "socketDir",
					"/var/lib/libvirt/qemu");
	return endpoint_setting(h->ep, "socketDir",
				runtime && *runtime ? runtime : "/tmp");
}

static int
socket_of(const struct virtual_host *h, const char *point, char **ret,
	  struct err *err)
{
	const struct endpoint *ep = h->ep;
	CLEANUP(mem_freep)
	char *path = mem_printf("%s/%s.sock", socket_dir(h), point);

	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_set(err, ERR_USER,
			       "'%s' is too long for a socket's name: set "
			       "settings.socketDir of Endpoint %s/%s to a "
			       "shorter directory that QEMU may write to",
			       path, ep->o.namespace, ep->o.name);
	if (strpbrk(path, "<>&'\"") != NULL)
		return err_set(err, ERR_USER,
			       "'%s' has characters that do not go into a "
			       "backup's XML; set settings.socketDir of "
			       "Endpoint %s/%s",
			       path, ep->o.namespace, ep->o.name);
	*ret = steal(&path);
	return 0;
}

/* --- the backup that runs ----------------------------------------------- */

/* Whose it is: the name of our point; "" of another's; NULL: none runs. */
static int
backup_of(struct virt_domain *d, struct xml **ret_xml, char **ret,
	  struct err *err)
{
	CLEANUP(mem_freep) char *text = NULL;
	const struct xml_node *server;
	const char *socket, *name;
	size_t len;

	*ret = NULL;
	if (virt_backup_running(d, &text, err) < 0)
		return -1;
	if (!text)
		return 0;
	if (xml_parse(text, strlen(text), ret_xml, err) < 0)
		return -1;
	server = xml_child(xml_root(*ret_xml), NULL, "server");
	socket = xml_attr(server, NULL, "socket");
	name = socket ? fs_basename(socket) : "";
	len = strlen(name);
	if (strncmp(name, OURS, strlen(OURS)) != 0 || len <= 5)
		*ret = mem_strdup("");
	else
		*ret = mem_printf("%.*s", (int)(len - 5), name);
	return 0;
}

bool
libvirt_is_of_same(const char *point, const char *other)
{
	const char *dash = strrchr(point, '-');

	return dash && strncmp(point, other, (size_t)(dash - point) + 1) == 0;
}

static int
holds(const struct endpoint *ep, const struct inv_vm *vm, const char *point,
      bool *ret, struct err *err)
{
	CLEANUP(running_done) struct running r = {0};
	CLEANUP(xml_freep) struct xml *xml = NULL;
	CLEANUP(mem_freep) char *held = NULL;
	CLEANUP(mem_freep) char *socket = NULL;

	if (find(ep, vm, &r, err) < 0 ||
	    backup_of(r.domain, &xml, &held, err) < 0 ||
	    socket_of(&r.host, point, &socket, err) < 0)
		return -1;
	*ret = false;
	if (!held || strcmp(held, point) != 0)
		return 0;
	return libvirt_is_served(&r.host, socket, ret, err);
}

static int
end_ours(struct running *r, const char *point, struct err *err)
{
	CLEANUP(xml_freep) struct xml *xml = NULL;
	CLEANUP(mem_freep) char *held = NULL;
	CLEANUP(mem_freep) char *path = NULL;

	if (backup_of(r->domain, &xml, &held, err) < 0)
		return -1;
	if (!held)
		return 0;
	if (!libvirt_is_of_same(point, held))
		return err_set(err, ERR_RETRY,
			       "a backup of '%s' is under way that is not "
			       "ours: let it end, or end it with 'virsh "
			       "domjobabort'",
			       r->vm->name);
	if (virt_backup_end(r->domain, err) < 0 ||
	    socket_of(&r->host, held, &path, err) < 0)
		return -1;
	libvirt_unlink(&r->host, path);
	return 0;
}

/* --- freezing ----------------------------------------------------------- */

static bool
keeps_any(const struct inv_vm *vm)
{
	for (size_t i = 0; i < vm->ndisks; i++)
		if (libvirt_keeps_bitmap(&vm->disks[i]))
			return true;
	return false;
}

static bool
is_moved(const struct inv_vm *vm, const char *target)
{
	for (size_t i = 0; i < vm->ndisks; i++)
		if (strcmp(vm->disks[i].name, target) == 0)
			return true;
	return false;
}

/* What the guest overwrites meanwhile is kept beside the image, where the most
 * room for it is to be expected. */
static char *
scratch_dir(const struct virtual_host *h, const struct inv_disk *disk)
{
	CLEANUP(mem_freep) char *path = libvirt_top_image(disk);
	CLEANUP(mem_freep) char *dir = path ? fs_dirname(path) : NULL;

	return mem_strdup(endpoint_setting(
	    h->ep, "scratchDir",
	    libvirt_top_is_file(h, disk) ? dir : "/var/lib/libvirt/images"));
}

static char *
scratch_name(const struct inv_disk *disk)
{
	return mem_printf(".%s.scratch", disk->name);
}

/* What the daemon removes itself, unless it or QEMU was killed.  Nothing of
 * ours is under way, and what cannot be removed does no harm. */
static void
remove_files(const struct virtual_host *h, const struct inv_vm *vm,
	     const char *like)
{
	for (size_t i = 0; i < vm->ndisks; i++) {
		CLEANUP(mem_freep) char *dir = scratch_dir(h, &vm->disks[i]);
		CLEANUP(mem_freep) char *name = scratch_name(&vm->disks[i]);

		libvirt_remove_files(h, dir, like, name);
	}
	libvirt_remove_files(h, socket_dir(h), like, ".sock");
}

/* What changed on it since then is to be known. */
static bool
asks_since(const struct inv_disk *disk, const struct source_point *point)
{
	return point->since && libvirt_keeps_bitmap(disk) &&
	       !json_object_get(point->lost, disk->id);
}

static bool
asks_any_since(const struct inv_vm *vm, const struct source_point *point)
{
	for (size_t i = 0; i < vm->ndisks; i++)
		if (asks_since(&vm->disks[i], point))
			return true;
	return false;
}

static char *
backup_xml(const struct virtual_host *h, const struct inv_vm *vm,
	   const struct domain *all, const struct source_point *point,
	   const char *socket)
{
	struct buf b = {0};

	buf_printf(&b,
		   "<domainbackup mode='pull'><server transport='unix' "
		   "socket='%s'/><disks>",
		   socket);
	for (size_t i = 0; i < vm->ndisks; i++) {
		const struct inv_disk *disk = &vm->disks[i];
		CLEANUP(mem_freep) char *dir = scratch_dir(h, disk);
		CLEANUP(mem_freep) char *name = scratch_name(disk);

		buf_printf(&b, "<disk name='%s' backup='yes' type='file'",
			   disk->name);
		if (asks_since(disk, point))
			buf_printf(&b,
				   " backupmode='incremental' "
				   "incremental='%s' exportbitmap='" BITMAP "'",
				   point->since);
		else
			buf_adds(&b, " backupmode='full'");
		buf_printf(&b, " exportname='%s'><scratch file='", disk->name);
		xml_escape(&b, dir);
		buf_printf(&b, "/%s%s'/></disk>", point->name, name);
	}
	for (size_t i = 0; i < all->disks.n; i++)
		if (!is_moved(vm, all->disks.v[i].target))
			buf_printf(&b, "<disk name='%s' backup='no'/>",
				   all->disks.v[i].target);
	buf_adds(&b, "</disks></domainbackup>");
	return buf_steal(&b);
}

static char *
checkpoint_xml(const struct inv_vm *vm, const struct domain *all,
	       const char *name)
{
	struct buf b = {0};

	buf_printf(&b, "<domaincheckpoint><name>%s</name><disks>", name);
	for (size_t i = 0; i < vm->ndisks; i++)
		buf_printf(
		    &b, "<disk name='%s' checkpoint='%s'/>", vm->disks[i].name,
		    libvirt_keeps_bitmap(&vm->disks[i]) ? "bitmap" : "no");
	for (size_t i = 0; i < all->disks.n; i++)
		if (!is_moved(vm, all->disks.v[i].target))
			buf_printf(&b, "<disk name='%s' checkpoint='no'/>",
				   all->disks.v[i].target);
	buf_adds(&b, "</disks></domaincheckpoint>");
	return buf_steal(&b);
}

static int
begin(struct running *r, const struct inv_vm *vm,
      const struct source_point *point, bool *ret_lost, struct err *err)
{
	CLEANUP(inventory_freep) struct inventory *aside = inventory_new();
	CLEANUP(domain_done) struct domain all = {0};
	CLEANUP(mem_freep) char *xml = NULL;
	CLEANUP(mem_freep) char *socket = NULL;
	CLEANUP(mem_freep) char *backup = NULL;
	CLEANUP(mem_freep) char *checkpoint = NULL;

	if (socket_of(&r->host, point->name, &socket, err) < 0 ||
	    virt_domain_xml(r->domain, false, &xml, err) < 0 ||
	    domain_parse(xml, aside, inventory_add_vm(aside), &all, err) < 0)
		return -1;
	libvirt_unlink(&r->host, socket);
	backup = backup_xml(&r->host, vm, &all, point, socket);
	if (keeps_any(vm))
		checkpoint = checkpoint_xml(vm, &all, point->name);
	return virt_backup_begin(r->domain, backup, checkpoint, ret_lost, err);
}

/* Ours but `keep`; NULL: all of them.  One whose bitmap is broken or missing
 * the daemon can do no more than forget; the bitmap goes when the domain is
 * off. */
static int
forget_checkpoints(struct running *r, const char *like, const char *keep,
		   bool off, struct err *err)
{
	CLEANUP(virt_checkpoints_done) struct virt_checkpoints all = {0};

	if (virt_checkpoints(r->domain, &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.names.n; i++) {
		const char *name = all.names.v[i];

		if (!libvirt_is_of_same(like, name) ||
		    (keep && strcmp(name, keep) == 0))
			continue;
		if ((off ||
		     virt_checkpoint_delete(r->domain, name, false, err) < 0) &&
		    virt_checkpoint_delete(r->domain, name, true, err) < 0)
			return -1;
	}
	return 0;
}

/* At most so long, for another's backup to end. */
static int
wait_for_others(struct running *r, const struct source_point *point,
		struct err *err)
{
	int64_t until = clock_mono_ms() + point->wait_ms;

	while (clock_mono_ms() < until) {
		CLEANUP(xml_freep) struct xml *xml = NULL;
		CLEANUP(mem_freep) char *held = NULL;

		if (backup_of(r->domain, &xml, &held, err) < 0)
			return -1;
		if (!held || libvirt_is_of_same(point->name, held))
			break;
		poll(NULL, 0, LOOK_EVERY_MS);
	}
	return 0;
}

/* A chain that is broken (QEMU was killed, or somebody removed a bitmap) is
 * begun anew, but not before it is on record that it was. */
static int
freeze(const struct endpoint *ep, const struct inv_vm *vm,
       const struct source_point *point, json_t **ret_lost, struct err *err)
{
	bool since = asks_any_since(vm, point);
	CLEANUP(running_done) struct running r = {0};
	bool lost = false;

	*ret_lost = NULL;
	if (find(ep, vm, &r, err) < 0 ||
	    (point->foreign == FOREIGN_WAIT &&
	     wait_for_others(&r, point, err) < 0) ||
	    end_ours(&r, point->name, err) < 0)
		return -1;
	if (since && point->foreign == FOREIGN_FULL)
		*ret_lost = libvirt_lost(r.host.at, r.domain, vm, point, NULL);
	if (*ret_lost)
		return 0;
	if (json_object_size(point->lost) > 0 && !since &&
	    forget_checkpoints(&r, point->name, NULL, false, err) < 0)
		return -1;
	if (begin(&r, vm, point, &lost, err) == 0)
		return 0;
	if (!lost || !since)
		return -1;
	*ret_lost = libvirt_lost(r.host.at, r.domain, vm, point, err->text);
	return 0;
}

/* --- reading ------------------------------------------------------------ */

static const struct xml_node *
disk_of(const struct xml *xml, const char *name)
{
	const struct xml_node *disks = xml_child(xml_root(xml), NULL, "disks");
	const struct xml_node *disk = xml_child(disks, NULL, "disk");

	for (; disk; disk = xml_next(disk, NULL, "disk")) {
		const char *is = xml_attr(disk, NULL, "name");

		if (is && strcmp(is, name) == 0)
			break;
	}
	return disk;
}

/* QEMU does, where its socket is. */
static int
serve_point(const struct virtual_host *h, const struct inv_disk *disk,
	    const char *socket, struct nbd_server *ret, struct err *err)
{
	const struct nbd_serve_opts opts = {.at = h->at};

	if (h->at)
		return nbd_forward(socket, disk->name, &opts, ret, err);
	ret->uri = mem_printf("nbd+unix:///%s?socket=%s", disk->name, socket);
	return 0;
}

static int
open_point(const struct endpoint *ep, const struct inv_vm *vm,
	   const struct inv_disk *disk, const struct source_point *point,
	   struct nbd_server *ret, struct source_changes *changes,
	   struct err *err)
{
	CLEANUP(running_done) struct running r = {0};
	CLEANUP(xml_freep) struct xml *xml = NULL;
	CLEANUP(mem_freep) char *held = NULL;
	CLEANUP(mem_freep) char *socket = NULL;
	const char *since;

	if (find(ep, vm, &r, err) < 0 ||
	    backup_of(r.domain, &xml, &held, err) < 0 ||
	    socket_of(&r.host, point->name, &socket, err) < 0)
		return -1;
	if (!held || strcmp(held, point->name) != 0)
		return err_set(err, ERR_RETRY,
			       "the backup that held the point in time ended");
	if (serve_point(&r.host, disk, socket, ret, err) < 0)
		return -1;
	if (!libvirt_keeps_bitmap(disk))
		changes->why = libvirt_no_bitmap(disk);
	since = xml_attr(disk_of(xml, disk->name), NULL, "incremental");
	if (!since || !point->since || strcmp(since, point->since) != 0)
		return 0;
	if (extents_of_context(ret->uri, "qemu:dirty-bitmap:" BITMAP,
			       changes->wait_ms, &changes->list, err) < 0)
		return -1;
	extents_tidy(&changes->list);
	changes->known = true;
	return 0;
}

static int
release(const struct endpoint *ep, const struct inv_vm *vm, const char *point,
	struct err *err)
{
	CLEANUP(running_done) struct running r = {0};
	bool active;

	if (find(ep, vm, &r, err) < 0 ||
	    virt_domain_active(r.domain, &active, err) < 0)
		return -1;
	if (active && end_ours(&r, point, err) < 0)
		return -1;
	remove_files(&r.host, vm, point);
	/* off, it holds nothing; what it knows stays */
	return active ? forget_checkpoints(&r, point, point, false, err) : 0;
}

/* --- forgetting ------------------------------------------------------- */

/* The daemon cannot touch the images of a domain that is off; we can. */
static int
forget(const struct endpoint *ep, const struct inv_vm *vm, const char *like,
       struct err *err)
{
	CLEANUP(running_done) struct running r = {0};
	bool active;

	if (find(ep, vm, &r, err) < 0 ||
	    virt_domain_active(r.domain, &active, err) < 0)
		return -1;
	if ((active && end_ours(&r, like, err) < 0) ||
	    forget_checkpoints(&r, like, NULL, !active, err) < 0)
		return -1;
	for (size_t i = 0; !active && i < vm->ndisks; i++)
		if (libvirt_remove_bitmaps(&r.host, &vm->disks[i], like, err) <
		    0)
			return -1;
	remove_files(&r.host, vm, like);
	return 0;
}

const struct source_warm libvirt_warm = {
    .holds = holds,
    .freeze = freeze,
    .open_point = open_point,
    .release = release,
    .changes = libvirt_changes,
    .forget = forget,
};

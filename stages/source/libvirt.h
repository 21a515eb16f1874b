/* SPDX-License-Identifier: Apache-2.0 */
/* Source `libvirt`, between its files.
 *
 * The epoch of a domain is made of what must change when its disks do:
 *
 * - It does not run: of every image, and of what that stands on, the name,
 *   inode, size, mtime and ctime; of a block device the boot of its machine
 *   and how much was written to the device since; where ssh does not reach the
 *   machine what the volume's pool says of its times.  One that was started
 *   and wrote nothing holds what it held, and may keep its epoch.
 * - It runs: this boot of its machine, its number at the daemon, and QEMU's
 *   process (its number and start), where its pid file can be read. */
#ifndef SOURCE_LIBVIRT_H
#define SOURCE_LIBVIRT_H

#include "io/libvirt.h"
#include "io/ssh.h"
#include "stages/source/libvirt_xml.h"
#include "stages/source/source.h"

/* One endpoint that is connected to. */
struct virtual_host {
	const struct endpoint *ep;
	struct virt *virt;
	char *name; /* of the machine */
	struct virt_names networks;

	bool is_here; /* its files are on this machine */
	/* On another, once it is reached: that, its directory for sockets, and
	 * its boot; `at` is &ssh then, and NULL before. */
	struct ssh ssh;
	const struct ssh *at;
	struct nbd_server shared; /* the connection that questions go by */
	char *runtime_dir, *boot_id;
	struct err away; /* why it is not reached */
	struct err lost; /* what ended a look at it and may not the next */
};

int libvirt_connect(const struct endpoint *ep, struct virtual_host *ret,
		    struct err *err);
void libvirt_done(struct virtual_host *h);
int libvirt_find(const struct virtual_host *h, const struct inv_vm *vm,
		 struct virt_domain **ret, struct err *err);

/* libvirt_remote.c: whose disks they are; left as it is where they are this
 * machine's, which libvirt_is_here says. */
int libvirt_place(const struct endpoint *ep, struct ssh *ret, struct err *err);
bool libvirt_is_here(const struct endpoint *ep);
/* As the daemon itself is reached. */
bool libvirt_is_by_ssh(const struct endpoint *ep);
/* Before anything of the kind below: is that machine reached?  Once. */
int libvirt_reach(struct virtual_host *h, struct err *err);
/* Runs a script there with these arguments. */
int libvirt_ask(const struct virtual_host *h, const char *script, const char *a,
		const char *b, const char *c, struct buf *out, struct err *err);
/* What an image there adds to the epoch, and its header in a file here. */
int libvirt_fetch_image(const struct virtual_host *h, const char *path,
			bool is_qcow2, struct buf *epoch, bool *ret_device,
			int *ret_fd, struct err *err);
int libvirt_ask_process(const struct virtual_host *h, const char *domain,
			struct buf *epoch, struct err *err);

/* libvirt_files.c, here or there.  Whoever holds a point and does not serve it
 * any more holds it in vain. */
int libvirt_is_served(const struct virtual_host *h, const char *socket,
		      bool *ret, struct err *err);
int libvirt_exists(const struct virtual_host *h, const char *path, bool *ret,
		   struct err *err);
void libvirt_unlink(const struct virtual_host *h, const char *path);
/* "POINT" and then `suffix`, in `dir`, of all points of a state directory. */
void libvirt_remove_files(const struct virtual_host *h, const char *dir,
			  const char *like, const char *suffix);

/* Size, storage, images and epoch of vm->disks[i], of which `from` was
 * read. */
void libvirt_look_at_disk(struct virtual_host *h, struct virt_domain *d,
			  struct inventory *inv, struct inv_disk *disk,
			  const struct domain_disk *from,
			  struct findings *concerns);
/* How the inventory wrote them down: the image, and what it stands on. */
char *libvirt_raw_disk(const struct endpoint *ep, const struct inv_disk *disk);
int libvirt_open_disk(const struct endpoint *ep, const struct inv_vm *vm,
		      const struct inv_disk *disk,
		      const struct nbd_serve_opts *opts, struct nbd_server *ret,
		      struct err *err);

/* The same, as the image that is `layer`s below the top has it. */
int libvirt_open_layer(const struct endpoint *ep, const struct inv_disk *disk,
		       size_t layer, const struct nbd_serve_opts *opts,
		       struct nbd_server *ret, struct err *err);

/* The image itself; caller frees; NULL: it was not read. */
char *libvirt_top_image(const struct inv_disk *disk);
/* Is it a file, and no block device? */
bool libvirt_top_is_file(const struct virtual_host *h,
			 const struct inv_disk *disk);
/* Only a qcow2 does. */
bool libvirt_keeps_bitmap(const struct inv_disk *disk);

/* libvirt_idle.c: a finding where the daemon of a session ends once its last
 * domain is off. */
void libvirt_idle_concern(const struct virtual_host *h, struct findings *f);

/* libvirt_warm.c */
extern const struct source_warm libvirt_warm;
/* All points of one state directory begin alike: "palletjack-1234abcd-". */
bool libvirt_is_of_same(const char *point, const char *other);

/* libvirt_lost.c: by the bitmaps of which images what changed since
 * point->since is known, of a domain that is off: those of the layers from the
 * top to *ret_layer; or *ret_why says why of none, caller frees. */
int libvirt_since(const struct ssh *at, struct virt_domain *d,
		  const struct inv_disk *disk, const struct source_point *point,
		  int *ret_layer, char **ret_why, struct err *err);
/* Why it is not known of disks that are not in point->lost ({id: why}), of a
 * domain that runs: for what the daemon said when it was asked, or, with `said`
 * NULL, because it is not to be trusted; NULL: it is. */
json_t *libvirt_lost(const struct ssh *at, struct virt_domain *d,
		     const struct inv_vm *vm, const struct source_point *point,
		     const char *said);

/* Why not of a disk that libvirt_keeps_bitmap() is false of; caller frees. */
char *libvirt_no_bitmap(const struct inv_disk *disk);

/* libvirt_off.c: struct source_warm's changes, and the bitmaps of all points
 * like that one removed. */
int libvirt_changes(const struct endpoint *ep, const struct inv_vm *vm,
		    const struct inv_disk *disk,
		    const struct source_point *point,
		    const struct nbd_serve_opts *opts,
		    struct source_changes *ret, struct err *err);
int libvirt_remove_bitmaps(const struct virtual_host *h,
			   const struct inv_disk *disk, const char *like,
			   struct err *err);

/* libvirt_same.c */
int libvirt_is_itself(const struct endpoint *ep, const struct inv_vm *vm,
		      struct err *err);

/* libvirt_power.c */
int libvirt_power_state(const struct endpoint *ep, const struct inv_vm *vm,
			enum power_state *ret, struct err *err);
int libvirt_power_off(const struct endpoint *ep, const struct inv_vm *vm,
		      enum hard_power_off hard, int64_t mono_deadline_ms,
		      struct err *err);
int libvirt_power_on(const struct endpoint *ep, const struct inv_vm *vm,
		     struct err *err);
int libvirt_settings(const struct endpoint *ep, const struct inv_vm *vm,
		     enum fence how, json_t **ret, struct err *err);
int libvirt_fence(const struct endpoint *ep, const struct inv_vm *vm,
		  enum fence how, const json_t *was, struct err *err);
int libvirt_unfence(const struct endpoint *ep, const struct inv_vm *vm,
		    enum fence how, const json_t *was, struct err *err);

#endif

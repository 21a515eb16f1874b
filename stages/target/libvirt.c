/* SPDX-License-Identifier: Apache-2.0 */
/* Target type `libvirt`: where its files are, and whose they are. */
#include "stages/target/libvirt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/redact.h"

#define DEFAULT_POOL "default"
/* What cannot be written below, for pools that are not there. */
#define NOWHERE "/dev/null"

/* --- the daemon --------------------------------------------------------- */

static bool
accepts(const struct endpoint *ep, struct err *err)
{
	if (virt_is_local(ep->url) && strncmp(ep->url, "qemu", 4) == 0)
		return true;
	err_set(err, ERR_USER,
		"'%s' is no target yet: its disks are written as files of "
		"this machine, so it must be qemu:///system or "
		"qemu:///session, and palletjack run where that daemon is",
		ep->url);
	return false;
}

static char *
secret_text(const struct endpoint *ep, const char *key)
{
	struct buf text = {0};

	if (!ep->secret || secret_value(ep->secret, key, &text) < 0)
		return NULL;
	return buf_steal(&text);
}

static int
connect_to(const struct endpoint *ep, struct virt **ret, struct err *err)
{
	CLEANUP(mem_freep) char *user = secret_text(ep, "user");
	CLEANUP(mem_freep) char *password = secret_text(ep, "password");
	struct virt_login login = {user, password};
	int rc;

	if (password)
		redact_add(password);
	rc = virt_open(ep->url, &login, 0, ret, err);
	if (password)
		explicit_bzero(password, strlen(password));
	return rc;
}

static void
close_at(struct target_at *at)
{
	virt_pool_list_done(&at->pools);
	virt_close(at->virt);
	free(at);
}

/* --- pools -------------------------------------------------------------- */

const char *
libvirt_pool_name(const struct target_vm *t, size_t n)
{
	if (n < t->shape->ndisks && *t->shape->disks[n].storage_class)
		return t->shape->disks[n].storage_class;
	return DEFAULT_POOL;
}

static const struct virt_pool *
find_pool(const struct target_at *at, const char *name)
{
	for (size_t i = 0; at && i < at->pools.all.n; i++)
		if (strcmp(at->pools.all.v[i].name, name) == 0)
			return &at->pools.all.v[i];
	return NULL;
}

static bool
is_directory(const char *path)
{
	struct stat st;

	return path && path[0] == '/' && stat(path, &st) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int
check_pool(const struct target_vm *t, const struct target_at *at, size_t n,
	   struct err *err)
{
	const char *name = libvirt_pool_name(t, n), *url = t->endpoint->url;
	const struct virt_pool *pool = find_pool(at, name);

	if (!pool)
		return err_set(err, ERR_USER,
			       "'%s' has no storage pool '%s': make it ('virsh "
			       "pool-define-as %s dir --target DIRECTORY'), or "
			       "name another as storageClass",
			       url, name, name);
	if (strcmp(pool->type, "dir") != 0 && strcmp(pool->type, "fs") != 0 &&
	    strcmp(pool->type, "netfs") != 0)
		return err_set(err, ERR_USER,
			       "pool '%s' at '%s' is of type %s, and only "
			       "those that are directories can be written yet: "
			       "dir, fs and netfs",
			       name, url, pool->type);
	if (!pool->active)
		return err_set(err, ERR_RETRY,
			       "pool '%s' at '%s' is not active: 'virsh "
			       "pool-start %s' activates it",
			       name, url, name);
	if (!is_directory(pool->path))
		return err_set(err, ERR_USER,
			       "'%s', which pool '%s' at '%s' is, is no "
			       "directory that palletjack can see",
			       pool->path ? pool->path : "", name, url);
	return 0;
}

static int
check_pools(const struct target_vm *t, const struct target_at *at,
	    struct err *err)
{
	size_t n = t->shape->ndisks ? t->shape->ndisks : 1;

	for (size_t i = 0; i < n; i++)
		if (check_pool(t, at, i, err) < 0)
			return -1;
	return 0;
}

static int
open_at(const struct target_vm *t, struct target_at **ret, struct err *err)
{
	struct target_at *at;

	if (!accepts(t->endpoint, err))
		return -1;
	at = mem_new(sizeof(*at));
	if (connect_to(t->endpoint, &at->virt, err) < 0 ||
	    virt_pool_list(at->virt, &at->pools, err) < 0 ||
	    check_pools(t, at, err) < 0) {
		close_at(at);
		return -1;
	}
	*ret = at;
	return 0;
}

bool
libvirt_is_first_of_pool(const struct target_vm *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(libvirt_pool_name(t, i), libvirt_pool_name(t, n)) ==
		    0)
			return false;
	return true;
}

/* Which volumes there are: until it looks again it lists what is gone, or not
 * yet what is new.  Nothing depends on it, so nothing is said when it fails. */
static void
refresh_pools(const struct target_vm *t)
{
	struct err ignored;

	for (size_t i = 0; i < t->shape->ndisks; i++)
		if (libvirt_is_first_of_pool(t, i))
			(void)virt_pool_refresh(
			    t->at->virt, libvirt_pool_name(t, i), &ignored);
}

/* --- the layout --------------------------------------------------------- */

static char *
disk_dir(const struct target_vm *t, size_t n)
{
	const struct virt_pool *pool =
	    find_pool(t->at, libvirt_pool_name(t, n));

	return mem_printf("%s/" LIBVIRT_HIDDEN "/%s",
			  pool && pool->path ? pool->path : NOWHERE,
			  t->shape->name);
}

static char *
home(const struct target_vm *t)
{
	return disk_dir(t, 0);
}

/* POOL/.palletjack/VM/disk-0.raw is POOL/VM-disk-0.raw to all others */
static char *
shown(const char *path)
{
	CLEANUP(mem_freep) char *dir = fs_dirname(path);
	CLEANUP(mem_freep) char *hidden = fs_dirname(dir);
	CLEANUP(mem_freep) char *pool = fs_dirname(hidden);

	return mem_printf("%s/%s-%s", pool, fs_basename(dir),
			  fs_basename(path));
}

static int
check_names(const struct target_vm *t, struct err *err)
{
	if (files_check_vm_names(t, err) < 0)
		return -1;
	return check_pools(t, t->at, err);
}

static char *
name(const struct target_vm *t, size_t n)
{
	const struct shape_disk *d = &t->shape->disks[n];

	return mem_printf("%s %s/%s-%s.%s", t->endpoint->url,
			  libvirt_pool_name(t, n), t->shape->name, d->volume,
			  d->format);
}

static const char *const made[] = {NULL};

static const struct files_layout layout = {
    .home = home,
    .disk_dir = disk_dir,
    .shown = shown,
    .check_names = check_names,
    .withdraw = libvirt_withdraw,
    .made = made,
};

/* --- whose it is -------------------------------------------------------- */

/* A domain whose home is elsewhere was made when its first disk had another
 * pool: its marks are there. */
static int
check_home(const struct target_vm *t, struct virt_domain *d, struct err *err)
{
	CLEANUP(mem_freep) char *now = home(t), *was = NULL;

	if (libvirt_claim_says(d, "home", &was, err) < 0)
		return -1;
	if (!was || strcmp(was, now) == 0)
		return 0;
	return err_set(err, ERR_FAIL,
		       "domain '%s' was made with its disks in '%s', and now "
		       "they are mapped to '%s': map them as before, or roll "
		       "it back and remove it first",
		       t->shape->name, was, now);
}

static int
check_domain(const struct target_vm *t, struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	bool ours = false, active = false;

	if (libvirt_name_is_free(t, err) < 0 ||
	    libvirt_find_target(t, &d, &ours, err) < 0 ||
	    libvirt_no_other_runs(t, d, err) < 0)
		return -1;
	if (!d)
		return 0;
	if (check_home(t, d, err) < 0 ||
	    virt_domain_active(d, &active, err) < 0)
		return -1;
	if (!active)
		return 0;
	return err_set(err, ERR_FAIL,
		       "domain '%s' runs, and it was not handed over: somebody "
		       "started it, and nothing is written to its disks; "
		       "'palletjack rollback' stops it and gives the source "
		       "back",
		       t->shape->name);
}

/* Before anything is claimed a domain that is in the way is a finding. */
static int
guard(const struct target_vm *t, struct err *err)
{
	CLEANUP(mem_freep) char *at = home(t);
	int claimed;

	if (files_guard(t, err) < 0)
		return -1;
	claimed = files_claimed(t, at, err);
	return claimed > 0 ? check_domain(t, err) : claimed;
}

static int
claim(const struct target_vm *t, struct err *err)
{
	if (files_guard(t, err) < 0 || check_domain(t, err) < 0)
		return -1;
	return files_claim(t, err);
}

/* The mark first, then the names by which the domain knows its disks: before
 * that nobody can start it. */
static int
mark(const struct target_vm *t, enum handover state, struct err *err)
{
	enum handover now = HANDOVER_NONE;

	if (state == HANDOVER_ROLLED_BACK)
		return files_mark(t, state, err);
	if (files_marked(t, &now, err) < 0 ||
	    /* what ran before is not what was copied */
	    (now == HANDOVER_NONE && check_domain(t, err) < 0) ||
	    files_may_show(t, err) < 0 || files_mark(t, state, err) < 0 ||
	    files_show(t, err) < 0)
		return -1;
	refresh_pools(t);
	return 0;
}

static int
remove_all(const struct target_vm *t, struct err *err)
{
	if (files_remove(t, err) < 0)
		return -1;
	refresh_pools(t);
	return 0;
}

const struct target_ops target_libvirt = {
    .type = "libvirt",
    .files = &layout,
    .accepts = accepts,
    .open = open_at,
    .close = close_at,
    .check = libvirt_check,
    .guard = guard,
    .claim = claim,
    .note_power = files_note_power,
    .claimant = files_claimant,
    .hold = files_hold,
    .name = name,
    .volume = files_volume,
    .create_volume = files_create_volume,
    .grow_volume = files_grow_volume,
    .volume_is = files_volume_is,
    .seal = files_seal,
    .aside = files_aside,
    .set_aside = files_set_aside,
    .scratch = files_scratch,
    .create_vm = libvirt_create_vm,
    .is_defined = libvirt_is_defined,
    .mark = mark,
    .marked = files_marked,
    .start = libvirt_start,
    .power_state = libvirt_target_power,
    .may_stop = libvirt_may_stop,
    .stop = libvirt_stop,
    .owned = files_owned,
    .undefine = files_undefine,
    .remove = remove_all,
};

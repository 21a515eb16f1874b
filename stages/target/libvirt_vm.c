/* SPDX-License-Identifier: Apache-2.0 */
/* The domain's definition. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "manifests/digest.h"
#include "stages/target/libvirt.h"
#include "stages/target/qemu.h"
#include "stages/target/xml.h"

/* What it is defined from. */
struct definition {
	char *uuid, *xml, *digest;
	enum accel accel;
};

static void
definition_done(struct definition *d)
{
	free(d->uuid);
	free(d->xml);
	free(d->digest);
}

/* --- its uuid ----------------------------------------------------------- */

static int
is_taken(const struct target_vm *t, const char *uuid, bool *ret,
	 struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;

	if (virt_domain_with(t->at->virt, uuid, &d, err) < 0)
		return -1;
	*ret = d != NULL;
	return 0;
}

/* The one it has; the one it was to get when a run was cut short; else a new
 * one, which nobody has. */
static int
uuid_of(const struct target_vm *t, char **ret, struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	CLEANUP(mem_freep) char *uuid = NULL;
	char now[VIRT_UUID_SIZE];
	bool ours = false, taken;

	if (libvirt_find_target(t, &d, &ours, err) < 0 ||
	    libvirt_recorded(t, &uuid, err) < 0 ||
	    (ours && virt_domain_uuid(d, now, err) < 0))
		return -1;
	if (ours || (uuid && !d)) {
		*ret = ours ? mem_strdup(now) : steal(&uuid);
		return 0;
	}
	free(uuid);
	uuid = qemu_uuid(t);
	if (is_taken(t, uuid, &taken, err) < 0)
		return -1;
	if (taken) {
		free(uuid);
		uuid = qemu_made_uuid(t);
		if (is_taken(t, uuid, &taken, err) < 0)
			return -1;
	}
	if (taken)
		return err_set(err, ERR_FAIL,
			       "'%s' has a domain with the uuid that vm '%s' "
			       "would get, %s, and it is not ours",
			       t->endpoint->url, t->shape->name, uuid);
	*ret = steal(&uuid);
	return 0;
}

/* --- what it is defined from -------------------------------------------- */

static char *
metadata_of(const struct target_vm *t, const char *uuid, const char *digest)
{
	CLEANUP(mem_freep)
	char *plan = mem_printf("%s/%s", t->plan->o.namespace, t->plan->o.name);
	CLEANUP(mem_freep) char *home = files_home(t);
	struct buf b = {0};

	xml_printf(&b,
		   "    <palletjack:claim xmlns:palletjack='%s' plan='%s' "
		   "vm='%s' state='%s'\n",
		   LIBVIRT_CLAIM_NS, plan, t->pvm->key, t->state_uuid);
	xml_printf(&b, "      uuid='%s' home='%s' definition='%s'/>\n", uuid,
		   home, digest);
	return buf_steal(&b);
}

/* A network of the daemon's, else a bridge of its machine. */
static int
are_networks(const struct target_vm *t, bool *ret, struct err *err)
{
	bool active;

	for (size_t i = 0; i < t->shape->nnics; i++) {
		const struct shape_nic *nic = &t->shape->nics[i];

		ret[i] = false;
		if (nic->type == NETWORK_MULTUS &&
		    virt_network_state(t->at->virt, nic->name, &ret[i], &active,
				       err) < 0)
			return -1;
	}
	return 0;
}

/* The digest is over all but itself. */
static void
write_xml(const struct target_vm *t, struct qemu_machine *m,
	  struct definition *ret)
{
	CLEANUP(mem_freep) char *without = NULL, *with = NULL, *all = NULL;
	char hex[DIGEST_HEX_SIZE];

	without = metadata_of(t, ret->uuid, "");
	m->metadata = without;
	all = qemu_domain_xml(m);
	digest_bytes(all, strlen(all), hex);
	ret->digest = mem_strdup(hex);
	with = metadata_of(t, ret->uuid, hex);
	m->metadata = with;
	ret->xml = qemu_domain_xml(m);
	m->metadata = NULL;
}

static void
shown_volume(const struct target_vm *t, size_t n, struct volume *ret)
{
	char *path;

	files_volume(t, n, ret);
	path = ret->path;
	ret->path = files_shown(t, path);
	free(path);
}

static int
definition_of(const struct target_vm *t, struct definition *ret,
	      struct err *err)
{
	size_t n = t->shape->ndisks;
	struct volume *volumes = mem_new((n + 1) * sizeof(*volumes));
	bool *networks = mem_new((t->shape->nnics + 1) * sizeof(*networks));
	struct qemu_machine m = {.shape = t->shape,
				 .volumes = volumes,
				 .libvirts_own = true,
				 .networks = networks};
	struct accel_info accel;
	int rc = uuid_of(t, &ret->uuid, err);

	if (rc == 0)
		rc = are_networks(t, networks, err);
	for (size_t i = 0; i < n; i++)
		shown_volume(t, i, &volumes[i]);
	if (rc == 0) {
		accel_probe(&accel);
		ret->accel = m.accel = accel.accel;
		m.uuid = ret->uuid;
		write_xml(t, &m, ret);
	}
	for (size_t i = 0; i < n; i++)
		volume_done(&volumes[i]);
	free(volumes);
	free(networks);
	return rc;
}

static json_t *
facts_of(const struct target_vm *t, const struct definition *d)
{
	json_t *pools = json_array();

	for (size_t i = 0; i < t->shape->ndisks; i++)
		if (libvirt_is_first_of_pool(t, i))
			json_array_append_new(
			    pools, json_string(libvirt_pool_name(t, i)));
	return json_pack("{s:s, s:s, s:o, s:s, s:s}", "uri", t->endpoint->url,
			 "domain", t->shape->name, "pools", pools, "accel",
			 accel_name(d->accel), "uuid", d->uuid);
}

/* --- defining it -------------------------------------------------------- */

/* Where the daemon keeps it.  It syncs the file, and not its name; a user who
 * may not open that directory leaves it at that. */
static int
sync_definitions(const struct target_vm *t, struct err *err)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *user = getenv("HOME");
	CLEANUP(mem_freep) char *dir = NULL;

	if (!strstr(t->endpoint->url, "/session"))
		dir = mem_strdup("/etc/libvirt/qemu");
	else if (config && *config)
		dir = mem_printf("%s/libvirt/qemu", config);
	else
		dir = mem_printf("%s/.config/libvirt/qemu", user ? user : "");
	if (fs_sync_dir(dir, err) == 0 || err->sys == ENOENT ||
	    err->sys == EACCES)
		return 0;
	return -1;
}

/* A new domain starts by no hand but somebody's; one that was there before may
 * have been told otherwise. */
static int
keep_off(const struct target_vm *t, const char *uuid, struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	CLEANUP(virt_state_done) struct virt_state s = {0};

	if (virt_domain_with(t->at->virt, uuid, &d, err) < 0)
		return -1;
	if (!d)
		return err_set(err, ERR_RETRY,
			       "domain '%s' was removed as it was defined",
			       t->shape->name);
	if (virt_domain_state(d, &s, err) < 0)
		return -1;
	return s.autostart ? virt_domain_set_autostart(d, false, err) : 0;
}

/* What it will be is written first: then the domain is known of by its uuid,
 * whatever becomes of this process. */
int
libvirt_create_vm(const struct target_vm *t, json_t **ret_facts,
		  struct err *err)
{
	CLEANUP(definition_done) struct definition d = {0};
	CLEANUP(mem_freep) char *path = files_path(t, FILES_DOMAIN);

	if (target_libvirt.guard(t, err) < 0 || files_must_own(t, err) < 0 ||
	    definition_of(t, &d, err) < 0 ||
	    fs_write(path, d.xml, strlen(d.xml), 0644, err) < 0 ||
	    virt_domain_define(t->at->virt, d.xml, err) < 0 ||
	    keep_off(t, d.uuid, err) < 0 || sync_definitions(t, err) < 0)
		return -1;
	*ret_facts = facts_of(t, &d);
	return 0;
}

int
libvirt_is_defined(const struct target_vm *t, bool *ret, json_t **ret_facts,
		   struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *domain = NULL;
	CLEANUP(virt_state_done) struct virt_state state = {0};
	CLEANUP(definition_done) struct definition d = {0};
	CLEANUP(mem_freep) char *says = NULL;
	bool ours = false;

	*ret = false;
	if (target_libvirt.guard(t, err) < 0 || files_must_own(t, err) < 0 ||
	    libvirt_find_target(t, &domain, &ours, err) < 0)
		return -1;
	if (!ours)
		return 0;
	if (definition_of(t, &d, err) < 0 ||
	    libvirt_claim_says(domain, "definition", &says, err) < 0 ||
	    virt_domain_state(domain, &state, err) < 0)
		return -1;
	if (!says || strcmp(says, d.digest) != 0 || state.autostart)
		return 0;
	if (sync_definitions(t, err) < 0)
		return -1;
	*ret = true;
	*ret_facts = facts_of(t, &d);
	return 0;
}

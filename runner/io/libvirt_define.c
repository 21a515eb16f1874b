/* SPDX-License-Identifier: Apache-2.0 */
/* Making domains and changing them, and the pools their disks lie in. */
#include "io/libvirt_define.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/libvirt_calls.h"
#include "io/libvirt_own.h"
#include "io/xml.h"

_Static_assert(VIRT_UUID_SIZE == VIR_UUID_STRING_BUFLEN, "a uuid is a uuid");

static virConnectPtr
connection(struct virt *v)
{
	return (virConnectPtr)v;
}

static virDomainPtr
domain(struct virt_domain *d)
{
	return (virDomainPtr)d;
}

/* --- pools -------------------------------------------------------------- */

static int
tell_pool(virStoragePoolPtr pool, struct virt_pool *ret, struct err *err)
{
	const char *name = vir.StoragePoolGetName(pool);
	CLEANUP(xml_freep) struct xml *doc = NULL;
	CLEANUP(mem_freep) char *xml = NULL;
	const struct xml_node *root;
	const char *type;
	int active = vir.StoragePoolIsActive(pool);

	if (active >= 0)
		xml = vir.StoragePoolGetXMLDesc(pool, 0);
	if (!xml)
		return virt_err(err, "asking for pool '%s'", name);
	if (xml_parse(xml, strlen(xml), &doc, err) < 0)
		return err_wrap(err, "pool '%s'", name);
	root = xml_root(doc);
	type = xml_attr(root, "", "type");
	ret->name = mem_strdup(name);
	ret->type = mem_strdup(type ? type : "");
	ret->path = mem_strdup(
	    xml_text(xml_child(xml_child(root, "", "target"), "", "path")));
	if (!*ret->path)
		mem_freep(&ret->path);
	ret->active = active;
	return 0;
}

/* One that goes while they are listed is none of them. */
static bool
is_gone(void)
{
	return vir.GetLastErrorCode() == VIR_ERR_NO_STORAGE_POOL;
}

int
virt_pool_list(struct virt *v, struct virt_pool_list *ret, struct err *err)
{
	virStoragePoolPtr *list;
	int n = vir.ConnectListAllStoragePools(connection(v), &list, 0);
	int rc = 0;

	if (n < 0)
		return vir.GetLastErrorCode() == VIR_ERR_NO_SUPPORT
			   ? 0
			   : virt_err(err, "listing the storage pools");
	for (int i = 0; i < n; i++) {
		struct virt_pool pool = {0};

		if (rc == 0 && tell_pool(list[i], &pool, err) == 0)
			*vec_push(&ret->all) = pool;
		else if (rc == 0 && !is_gone())
			rc = -1;
		vir.StoragePoolFree(list[i]);
	}
	free(list);
	return rc;
}

void
virt_pool_list_done(struct virt_pool_list *p)
{
	for (size_t i = 0; i < p->all.n; i++) {
		free(p->all.v[i].name);
		free(p->all.v[i].type);
		free(p->all.v[i].path);
	}
	vec_done(&p->all);
}

int
virt_pool_refresh(struct virt *v, const char *name, struct err *err)
{
	virStoragePoolPtr pool =
	    vir.StoragePoolLookupByName(connection(v), name);
	int rc = 0;

	if (!pool || vir.StoragePoolRefresh(pool, 0) < 0)
		rc = virt_err(err, "refreshing pool '%s'", name);
	if (pool)
		vir.StoragePoolFree(pool);
	return rc;
}

/* --- networks ----------------------------------------------------------- */

int
virt_network_state(struct virt *v, const char *name, bool *ret_there,
		   bool *ret_active, struct err *err)
{
	virNetworkPtr net = vir.NetworkLookupByName(connection(v), name);
	int code = net ? VIR_ERR_OK : vir.GetLastErrorCode(), active;

	*ret_there = *ret_active = false;
	if (code == VIR_ERR_NO_NETWORK || code == VIR_ERR_NO_SUPPORT)
		return 0;
	if (!net)
		return virt_err(err, "looking for network '%s'", name);
	active = vir.NetworkIsActive(net);
	vir.NetworkFree(net);
	if (active < 0)
		return virt_err(err, "asking whether network '%s' is active",
				name);
	*ret_there = true;
	*ret_active = active;
	return 0;
}

static const char *
name_of(struct virt_domain *d)
{
	const char *name = vir.DomainGetName(domain(d));

	return name ? name : "?";
}

/* --- domains ------------------------------------------------------------ */

static int
found(virDomainPtr d, struct virt_domain **ret, struct err *err,
      const char *what)
{
	*ret = (struct virt_domain *)d;
	if (d || vir.GetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return 0;
	return virt_err(err, "looking for domain '%s'", what);
}

int
virt_domain_named(struct virt *v, const char *name, struct virt_domain **ret,
		  struct err *err)
{
	return found(vir.DomainLookupByName(connection(v), name), ret, err,
		     name);
}

int
virt_domain_with(struct virt *v, const char *uuid, struct virt_domain **ret,
		 struct err *err)
{
	return found(vir.DomainLookupByUUIDString(connection(v), uuid), ret,
		     err, uuid);
}

int
virt_domain_uuid(struct virt_domain *d, char ret[VIRT_UUID_SIZE],
		 struct err *err)
{
	const char *name = name_of(d);

	if (vir.DomainGetUUIDString(domain(d), ret) < 0)
		return virt_err(err, "asking for the uuid of domain '%s'",
				name);
	return 0;
}

int
virt_domain_metadata(struct virt_domain *d, const char *ns, char **ret,
		     struct err *err)
{
	const char *name = name_of(d);
	int code;

	*ret = vir.DomainGetMetadata(domain(d), VIR_DOMAIN_METADATA_ELEMENT, ns,
				     VIR_DOMAIN_AFFECT_CURRENT);
	code = *ret ? VIR_ERR_OK : vir.GetLastErrorCode();
	if (*ret || code == VIR_ERR_NO_DOMAIN_METADATA ||
	    code == VIR_ERR_NO_DOMAIN)
		return 0;
	return virt_err(err, "reading the metadata of domain '%s'", name);
}

int
virt_domain_define(struct virt *v, const char *xml, struct err *err)
{
	virDomainPtr d = vir.DomainDefineXML(connection(v), xml);

	if (!d)
		return virt_err(err, "defining the domain");
	vir.DomainFree(d);
	return 0;
}

int
virt_domain_undefine(struct virt_domain *d, struct err *err)
{
	static const unsigned kept = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
				     VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
				     VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;
	const char *name = name_of(d);

	if (vir.DomainUndefineFlags(domain(d),
				    kept | VIR_DOMAIN_UNDEFINE_NVRAM) == 0 ||
	    vir.GetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return 0;
	return virt_err(err, "undefining domain '%s'", name);
}

int
virt_domain_set_autostart(struct virt_domain *d, bool on, struct err *err)
{
	const char *name = name_of(d);

	if (vir.DomainSetAutostart(domain(d), on) < 0)
		return virt_err(err,
				"switching the autostart of domain '%s' "
				"%s",
				name, on ? "on" : "off");
	return 0;
}

int
virt_domain_rename(struct virt_domain *d, const char *name, struct err *err)
{
	const char *was = name_of(d);

	if (vir.DomainRename(domain(d), name, 0) < 0)
		return virt_err(err, "renaming domain '%s' to '%s'", was, name);
	return 0;
}

int
virt_domain_update(struct virt_domain *d, const char *device_xml,
		   struct err *err)
{
	const char *name = name_of(d);

	if (vir.DomainUpdateDeviceFlags(domain(d), device_xml,
					VIR_DOMAIN_AFFECT_CONFIG) < 0)
		return virt_err(err, "changing a device of domain '%s'", name);
	return 0;
}

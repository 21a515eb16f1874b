/* SPDX-License-Identifier: Apache-2.0 */
/* Forklift's kinds but Plan: fields and defaults of its CRDs. */
#include "manifests/tables.h"

#include <stdlib.h>

#define SPEC(table)                                                 \
	{                                                           \
		.name = "spec", .type = FIELD_OBJECT, .sub = table, \
		.required = true, .doc = "what is asked for"        \
	}

static const char *
check_vlan(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	return *s >= '1' && *s <= '9' && !*end && n <= 4094
		   ? NULL
		   : "must be a number from 1 to 4094, quoted";
}

/* --- Provider ---------------------------------------------------------- */

static const struct field provider_spec[] = {
    {.name = "type",
     .type = FIELD_STRING,
     .required = true,
     .at = AT(struct endpoint, type),
     .condition = "ProviderTypeNotSupported",
     .doc = "`openshift`, `vsphere`, `ovirt`, `openstack`, `ova`, `ec2`, "
	    "`hyperv`, `nutanix`; this build carries out `ova`"},
    {.name = "url",
     .type = FIELD_STRING,
     .at = AT(struct endpoint, url),
     .doc = "where it is; for `ova` the NFS export, read where the annotation "
	    "`palletjack.io/path` says it is mounted"},
    {FIELD_REF("secret", struct endpoint, secret_ref), .required = true,
     .doc = "its credentials; `{}` where there are none"},
    {.name = "settings",
     .type = FIELD_MAP,
     .item = &item_string,
     .at = AT(struct endpoint, settings),
     .doc = "by type; `ova` has none"},
    {.name = NULL},
};

const struct field table_provider[] = {
    FIELDS_TOP("`" API_FORKLIFT "`", "`Provider`"),
    SPEC(provider_spec),
    {.name = NULL},
};

/* --- Host -------------------------------------------------------------- */

#define VSPHERE_ONLY .honour = NO_EFFECT, .why = "vSphere only"

static const struct field host_spec[] = {
    {.name = "id",
     .type = FIELD_STRING,
     VSPHERE_ONLY,
     .doc = "the host's identifier"},
    {.name = "name",
     .type = FIELD_STRING,
     VSPHERE_ONLY,
     .doc = "the host's name"},
    {.name = "namespace",
     .type = FIELD_STRING,
     VSPHERE_ONLY,
     .doc = "not used by vSphere"},
    {.name = "type",
     .type = FIELD_STRING,
     VSPHERE_ONLY,
     .doc = "not used by vSphere"},
    {.name = "ipAddress",
     .type = FIELD_STRING,
     .required = true,
     VSPHERE_ONLY,
     .doc = "the address to read disks from"},
    {FIELD_REF_ONLY("provider"), .required = true, VSPHERE_ONLY,
     .doc = "the vCenter it belongs to"},
    {FIELD_REF_ONLY("secret"), .required = true, VSPHERE_ONLY,
     .doc = "the host's own credentials"},
    {.name = NULL},
};

const struct field table_host[] = {
    FIELDS_TOP("`" API_FORKLIFT "`", "`Host`"),
    SPEC(host_spec),
    {.name = NULL},
};

/* --- NetworkMap and StorageMap ----------------------------------------- */

#define PLAN_DECIDES .honour = NO_EFFECT, .why = "the plan's pair counts"

static const struct field pair_fields[] = {
    {FIELD_REF_ONLY("source"), .required = true, PLAN_DECIDES,
     .doc = "where the named networks or storage are"},
    {FIELD_REF_ONLY("destination"), .required = true, PLAN_DECIDES,
     .doc = "where they lead"},
    {.name = NULL},
};

#define PAIR                                                                  \
	{                                                                     \
		.name = "provider", .type = FIELD_OBJECT, .sub = pair_fields, \
		.required = true, PLAN_DECIDES,                               \
		.doc = "the endpoints this map was written for"               \
	}

static const char *const network_types[] = {"pod", "multus", "ignored", NULL};

static const struct field network_source[] = {
    FIELDS_SOURCE_REF(struct network_row, source.),
    {.name = "vlan",
     .type = FIELD_STRING,
     .at = AT(struct network_row, vlan),
     .check = check_vlan,
     .honour = NOT_YET,
     .why = "rows are told apart by network only",
     .doc = "tells apart NICs on one virtual switch"},
    {.name = NULL},
};

static const struct field network_destination[] = {
    {.name = "type",
     .type = FIELD_WORD,
     .words = network_types,
     .required = true,
     .at = AT(struct network_row, type),
     .condition = "DestinationNetworkNotValid",
     .doc = "`pod` is user-mode networking, `multus` at `local` a bridge, at "
	    "`libvirt` a network or a bridge; `ignored` leaves the NIC out"},
    {.name = "namespace",
     .type = FIELD_STRING,
     .at = AT(struct network_row, namespace),
     .doc = "of the network, for `multus`"},
    {.name = "name",
     .type = FIELD_STRING,
     .at = AT(struct network_row, name),
     .doc = "of the network (at `local` the bridge, at `libvirt` its network, "
	    "else a bridge), for `multus`"},
    {.name = NULL},
};

static const struct field network_row_fields[] = {
    {.name = "source",
     .type = FIELD_OBJECT,
     .sub = network_source,
     .required = true,
     .pos_at = AT(struct network_row, source.pos),
     .doc = "a network of the source"},
    {.name = "destination",
     .type = FIELD_OBJECT,
     .sub = network_destination,
     .required = true,
     .doc = "what it becomes"},
    {.name = NULL},
};

static const struct field network_row_item = {.type = FIELD_OBJECT,
					      .sub = network_row_fields};

static const struct field network_map_spec[] = {
    PAIR,
    {.name = "map",
     .type = FIELD_LIST,
     .item = &network_row_item,
     .required = true,
     LIST_AT(struct network_map, rows, nrows),
     .doc = "rows; several for one source network form a pool"},
    {.name = NULL},
};

const struct field table_network_map[] = {
    FIELDS_TOP("`" API_FORKLIFT "`", "`NetworkMap`"),
    SPEC(network_map_spec),
    {.name = NULL},
};

static const char *const volume_modes[] = {"Filesystem", "Block", NULL};
static const char *const access_modes[] = {"ReadWriteOnce", "ReadWriteMany",
					   "ReadOnlyMany", NULL};
static const char *const import_products[] = {"primera3par", "ontap", NULL};
static const char *const xcopy_products[] = {
    "flashsystem", "vantara",  "ontap",	     "primera3par", "pureFlashArray",
    "powerflex",   "powermax", "powerstore", "infinibox",   NULL};

static const struct field storage_source[] = {
    FIELDS_SOURCE_REF(struct storage_row, source.),
    {.name = NULL},
};

#define CLUSTER_ONLY                                      \
	.honour = NOT_YET, .matters = matters_at_cluster, \
	.why = "no effect at local and libvirt, which have files only"

static const struct field storage_destination[] = {
    {.name = "storageClass",
     .type = FIELD_STRING,
     .required = true,
     .at = AT(struct storage_row, storage_class),
     .doc = "at `local` a subdirectory for the disks, may be empty; at "
	    "`libvirt` a storage pool, `default` when empty"},
    {.name = "volumeMode",
     .type = FIELD_WORD,
     .words = volume_modes,
     .as_text = true,
     .at = AT(struct storage_row, volume_mode),
     CLUSTER_ONLY,
     .doc = "file system or raw block device"},
    {.name = "accessMode",
     .type = FIELD_WORD,
     .words = access_modes,
     .as_text = true,
     .at = AT(struct storage_row, access_mode),
     CLUSTER_ONLY,
     .doc = "who may attach the volume"},
    {.name = NULL},
};

static const struct field import_fields[] = {
    {.name = "secretRef",
     .type = FIELD_STRING,
     .required = true,
     .doc = "the array's credentials"},
    {.name = "storageVendorProduct",
     .type = FIELD_WORD,
     .words = import_products,
     .required = true,
     .doc = "the array"},
    {.name = NULL},
};

static const struct field xcopy_fields[] = {
    {.name = "secretRef",
     .type = FIELD_STRING,
     .required = true,
     .doc = "the array's credentials"},
    {.name = "storageVendorProduct",
     .type = FIELD_WORD,
     .words = xcopy_products,
     .required = true,
     .doc = "the array"},
    {.name = "dedicatedMigrationHosts",
     .type = FIELD_LIST,
     .item = &item_string,
     .doc = "ESXi hosts that do the copying"},
    {.name = NULL},
};

static const struct field offload_fields[] = {
    {.name = "csiVolumeImport",
     .type = FIELD_OBJECT,
     .sub = import_fields,
     .doc = "the array hands over the volume"},
    {.name = "vsphereXcopyConfig",
     .type = FIELD_OBJECT,
     .sub = xcopy_fields,
     .doc = "the array copies by itself"},
    {.name = NULL},
};

static const struct field storage_row_fields[] = {
    {.name = "source",
     .type = FIELD_OBJECT,
     .sub = storage_source,
     .required = true,
     .pos_at = AT(struct storage_row, source.pos),
     .doc = "storage of the source"},
    {.name = "destination",
     .type = FIELD_OBJECT,
     .sub = storage_destination,
     .required = true,
     .doc = "what it becomes"},
    {.name = "offloadPlugin",
     .type = FIELD_OBJECT,
     .sub = offload_fields,
     .honour = NOT_YET,
     .why = "all disks go through the copy engine",
     .doc = "lets a storage array do the copy"},
    {.name = NULL},
};

static const struct field storage_row_item = {.type = FIELD_OBJECT,
					      .sub = storage_row_fields};

static const struct field storage_map_spec[] = {
    PAIR,
    {.name = "map",
     .type = FIELD_LIST,
     .item = &storage_row_item,
     .required = true,
     LIST_AT(struct storage_map, rows, nrows),
     .doc = "rows; the first that fits a disk counts"},
    {.name = NULL},
};

const struct field table_storage_map[] = {
    FIELDS_TOP("`" API_FORKLIFT "`", "`StorageMap`"),
    SPEC(storage_map_spec),
    {.name = NULL},
};

/* --- Hook -------------------------------------------------------------- */

/* One finding per Hook says that it is not carried out (honour.c). */
#define WITH_HOOK            \
	.honour = NO_EFFECT, \
	.why = "a Hook is not carried out yet: an Error where a plan uses it"

static const struct field aap_fields[] = {
    {.name = "jobTemplateId",
     .type = FIELD_INT,
     .required = true,
     .min = 1,
     .doc = "what to launch"},
    {.name = "url", .type = FIELD_STRING, .doc = "the platform's address"},
    {FIELD_REF_ONLY("tokenSecret"), .doc = "the Secret with `token`"},
    {.name = "timeout",
     .type = FIELD_INT,
     .size = sizeof(int64_t),
     .min = -1e18,
     .doc = "seconds to wait; negative is for ever"},
    {.name = NULL},
};

static const struct field hook_spec[] = {
    {.name = "image",
     .type = FIELD_STRING,
     .at = AT(struct hook, image),
     WITH_HOOK,
     .doc = "the container to run"},
    {.name = "playbook",
     .type = FIELD_STRING,
     .at = AT(struct hook, playbook),
     WITH_HOOK,
     .doc = "an Ansible playbook in base64"},
    {.name = "serviceAccount",
     .type = FIELD_STRING,
     .at = AT(struct hook, service_account),
     WITH_HOOK,
     .doc = "the account of the hook's pod"},
    {.name = "deadline",
     .type = FIELD_INT,
     .size = sizeof(int64_t),
     .at = AT(struct hook, deadline_s),
     WITH_HOOK,
     .doc = "seconds it may take; 0 is for ever"},
    {.name = "aap",
     .type = FIELD_OBJECT,
     .sub = aap_fields,
     WITH_HOOK,
     .doc = "a job of an Ansible Automation Platform instead"},
    {.name = NULL},
};

const struct field table_hook[] = {
    FIELDS_TOP("`" API_FORKLIFT "`", "`Hook`"),
    SPEC(hook_spec),
    {.name = NULL},
};

/* --- Migration --------------------------------------------------------- */

static const struct field cancel_fields[] = {
    FIELDS_SOURCE_REF(struct source_ref, ),
    {.name = NULL},
};

static const struct field cancel_item = {.type = FIELD_OBJECT,
					 .sub = cancel_fields,
					 .pos_at = AT(struct source_ref, pos)};

static const struct field vm_cutover_fields[] = {
    {.name = "id",
     .type = FIELD_STRING,
     .required = true,
     .at = AT(struct vm_cutover, id),
     .doc = "the vm's identifier at the source"},
    {.name = "cutover",
     .type = FIELD_TIME,
     .required = true,
     .at = AT(struct vm_cutover, cutover_ms),
     .doc = "its own time"},
    {.name = NULL},
};

static const struct field vm_cutover_item = {
    .type = FIELD_OBJECT,
    .sub = vm_cutover_fields,
    .pos_at = AT(struct vm_cutover, pos)};

static const struct field migration_spec[] = {
    {FIELD_REF("plan", struct migration, plan_ref), .required = true,
     .condition = "PlanNotValid", .doc = "the plan to carry out"},
    {.name = "cancel",
     .type = FIELD_LIST,
     .item = &cancel_item,
     LIST_AT(struct migration, cancel, ncancel),
     .doc = "vms to stop working on"},
    {.name = "cutover",
     .type = FIELD_TIME,
     .at = AT(struct migration, cutover_ms),
     .doc = "when the sources may be stopped"},
    {.name = "vmCutover",
     .type = FIELD_LIST,
     .item = &vm_cutover_item,
     LIST_AT(struct migration, vm_cutovers, nvm_cutovers),
     .doc = "cutover times of single vms"},
    {.name = "resumeConversion",
     .type = FIELD_BOOL,
     .honour = NO_EFFECT,
     .why = "every run resumes",
     .doc = "go on with copied disks instead of copying again"},
    {.name = NULL},
};

const struct field table_migration[] = {
    FIELDS_TOP("`" API_FORKLIFT "`", "`Migration`"),
    SPEC(migration_spec),
    {.name = NULL},
};

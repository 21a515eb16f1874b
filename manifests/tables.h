/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds we read and their tables of fields. */
#ifndef MANIFESTS_TABLES_H
#define MANIFESTS_TABLES_H

#include "manifests/field.h"

#define API_FORKLIFT "forklift.konveyor.io/v1beta1"
#define API_PALLETJACK "palletjack.io/v1alpha1"

struct kind {
	const char *name, *api_version;
	size_t size; /* of its struct, which begins with struct object */
	const struct field *table;
	const char *doc;
};

/* Ends with a kind without name. */
extern const struct kind kinds[];

const struct kind *kind_find(const char *name);
/* The field at "spec.vms[].luks" of any kind; NULL when none has it. */
const struct field *kinds_find_path(const char *path);

extern const struct field table_secret[], table_config_map[];
extern const struct field table_provider[], table_host[], table_network_map[],
    table_storage_map[], table_hook[], table_migration[], table_plan[];
extern const struct field table_endpoint[], table_script[], table_run_policy[];

extern const struct field fields_ref[], fields_metadata[];
extern const struct field item_string;

/* Rows that tables share. */
#define FIELD_REF(field_name, type_, member)                         \
	.name = field_name, .type = FIELD_OBJECT, .sub = fields_ref, \
	.at = AT(type_, member), .pos_at = AT(type_, member.pos)
#define FIELD_REF_ONLY(field_name)                                   \
	.name = field_name, .type = FIELD_OBJECT, .sub = fields_ref, \
	.at = NOWHERE
#define FIELDS_SOURCE_REF(type_, prefix)                               \
	{.name = "id",                                                 \
	 .type = FIELD_STRING,                                         \
	 .at = AT(type_, prefix id),                                   \
	 .doc = "the source's own identifier; goes before the name"},  \
	    {.name = "name",                                           \
	     .type = FIELD_STRING,                                     \
	     .at = AT(type_, prefix name),                             \
	     .doc = "its name at the source"},                         \
	    {.name = "namespace",                                      \
	     .type = FIELD_STRING,                                     \
	     .at = AT(type_, prefix namespace),                        \
	     .doc = "its namespace, where the source has namespaces"}, \
	{                                                              \
		.name = "type", .type = FIELD_STRING,                  \
		.at = AT(type_, prefix type),                          \
		.doc = "a qualifier, such as the type of a network"    \
	}
#define FIELDS_TOP(api, kind_name)                                            \
	{.name = "apiVersion",                                                \
	 .type = FIELD_STRING,                                                \
	 .required = true,                                                    \
	 .doc = api},                                                         \
	    {.name = "kind",                                                  \
	     .type = FIELD_STRING,                                            \
	     .required = true,                                                \
	     .doc = kind_name},                                               \
	    {.name = "metadata",                                              \
	     .type = FIELD_OBJECT,                                            \
	     .sub = fields_metadata,                                          \
	     .required = true,                                                \
	     .doc = "name, namespace, labels, annotations"},                  \
	{                                                                     \
		.name = "status", .type = FIELD_IGNORED, .honour = NO_EFFECT, \
		.why = "written by an operator",                              \
		.doc = "ignored: what happened is in our journals"            \
	}

/* Does the value matter here?  (honour.c) */
field_matters_fn matters_at_cluster, matters_from_vsphere, matters_from_ovirt,
    matters_from_ec2, matters_static_ips, matters_shared_disks, matters_type,
    matters_warm, matters_quiesce, matters_when_true;

#endif

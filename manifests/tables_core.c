/* SPDX-License-Identifier: Apache-2.0 */
/* What all kinds share, Kubernetes' own kinds, and the list of kinds. */
#include "manifests/tables.h"

#include <string.h>

#include "manifests/text.h"

static const char *
check_subdomain(const char *s)
{
	return text_is_subdomain(s)
		   ? NULL
		   : "must be lower-case letters, digits, '-' and '.', at "
		     "most 253 of them, beginning and ending with a letter "
		     "or digit";
}

static const char *
check_label(const char *s)
{
	return text_is_label(s)
		   ? NULL
		   : "must be lower-case letters, digits and '-', at most 63 "
		     "of them, beginning and ending with a letter or digit";
}

static const char *
check_base64(const char *s)
{
	if (text_is_encrypted(s))
		return "is encrypted (SOPS); decrypt the file before it is "
		       "given to palletjack";
	return text_base64(s, NULL) < 0 ? "is not valid base64" : NULL;
}

static const char *
check_plain(const char *s)
{
	return text_is_encrypted(s)
		   ? "is encrypted (SOPS); decrypt the file before it is "
		     "given to palletjack"
		   : NULL;
}

const struct field item_string = {.type = FIELD_STRING};
static const struct field item_base64 = {
    .type = FIELD_STRING, .secret = true, .check = check_base64};
static const struct field item_secret = {
    .type = FIELD_STRING, .secret = true, .check = check_plain};

#define SERVER_SIDE .honour = NO_EFFECT, .why = "written by a cluster"

const struct field fields_metadata[] = {
    {.name = "name",
     .type = FIELD_STRING,
     .at = AT(struct object, name),
     .check = check_subdomain,
     .doc = "required, except where generateName stands for it"},
    {.name = "generateName",
     .type = FIELD_STRING,
     .doc = "begins the name a cluster would make up; for a Migration it is "
	    "as good as a name"},
    {.name = "namespace",
     .type = FIELD_STRING,
     .at = AT(struct object, namespace),
     .check = check_label,
     .doc = "`default` when there is none"},
    {.name = "labels",
     .type = FIELD_MAP,
     .item = &item_string,
     .at = AT(struct object, labels),
     .dflt = "{}",
     .doc = "for other tools"},
    {.name = "annotations",
     .type = FIELD_MAP,
     .item = &item_string,
     .at = AT(struct object, annotations),
     .dflt = "{}",
     .doc = "`palletjack.io/run-policy`, `palletjack.io/path`; others are "
	    "ignored"},
    {.name = "uid", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = "resourceVersion", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = "generation", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = "creationTimestamp", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = "deletionTimestamp", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = "deletionGracePeriodSeconds", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = "finalizers", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = "ownerReferences", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = "managedFields", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = "selfLink", .type = FIELD_IGNORED, SERVER_SIDE},
    {.name = NULL},
};

#define UNUSED_REF \
	.honour = NO_EFFECT, .why = "only name, namespace, kind count"

const struct field fields_ref[] = {
    {.name = "kind",
     .type = FIELD_STRING,
     .at = AT(struct object_ref, kind),
     .doc = "the kind of what is named; needed for ours where both would do"},
    {.name = "namespace",
     .type = FIELD_STRING,
     .at = AT(struct object_ref, namespace),
     .doc = "that of the document when there is none"},
    {.name = "name",
     .type = FIELD_STRING,
     .at = AT(struct object_ref, name),
     .doc = "the name of what is meant"},
    {.name = "apiVersion", .type = FIELD_STRING, UNUSED_REF},
    {.name = "fieldPath", .type = FIELD_STRING, UNUSED_REF},
    {.name = "resourceVersion", .type = FIELD_STRING, UNUSED_REF},
    {.name = "uid", .type = FIELD_STRING, UNUSED_REF},
    {.name = NULL},
};

const struct field table_secret[] = {
    FIELDS_TOP("`v1`", "`Secret`"),
    {.name = "data",
     .type = FIELD_MAP,
     .item = &item_base64,
     .at = AT(struct secret, data),
     .dflt = "{}",
     .secret = true,
     .doc = "values in base64"},
    {.name = "stringData",
     .type = FIELD_MAP,
     .item = &item_secret,
     .at = AT(struct secret, string_data),
     .dflt = "{}",
     .secret = true,
     .doc = "values as they are; they win over `data`"},
    {.name = "type",
     .type = FIELD_STRING,
     .honour = NO_EFFECT,
     .why = "only the keys count",
     .doc = "what a cluster thinks it is for"},
    {.name = "immutable",
     .type = FIELD_BOOL,
     .honour = NO_EFFECT,
     .why = "a run never changes it",
     .doc = "a cluster would refuse changes"},
    {.name = NULL},
};

const struct field table_config_map[] = {
    FIELDS_TOP("`v1`", "`ConfigMap`"),
    {.name = "data",
     .type = FIELD_MAP,
     .item = &item_string,
     .at = AT(struct config_map, data),
     .dflt = "{}",
     .doc = "texts by key"},
    {.name = "binaryData",
     .type = FIELD_MAP,
     .item = &item_base64,
     .honour = NO_EFFECT,
     .why = "nothing reads it",
     .doc = "bytes by key, in base64"},
    {.name = "immutable",
     .type = FIELD_BOOL,
     .honour = NO_EFFECT,
     .why = "a run never changes it",
     .doc = "a cluster would refuse changes"},
    {.name = NULL},
};

const struct kind kinds[] = {
    {"Plan", API_FORKLIFT, sizeof(struct plan), table_plan,
     "which vms go from where to where"},
    {"Provider", API_FORKLIFT, sizeof(struct endpoint), table_provider,
     "an endpoint as Forklift knows it"},
    {"NetworkMap", API_FORKLIFT, sizeof(struct network_map), table_network_map,
     "which network of the source becomes which of the target"},
    {"StorageMap", API_FORKLIFT, sizeof(struct storage_map), table_storage_map,
     "which storage of the source becomes which of the target"},
    {"Hook", API_FORKLIFT, sizeof(struct hook), table_hook,
     "a container, a playbook or a job template to run for each vm"},
    {"Host", API_FORKLIFT, sizeof(struct object), table_host,
     "an ESXi host to read from directly"},
    {"Migration", API_FORKLIFT, sizeof(struct migration), table_migration,
     "one request to carry out a plan; a run needs none"},
    {"Endpoint", API_PALLETJACK, sizeof(struct endpoint), table_endpoint,
     "a place vms live that Forklift has no Provider for"},
    {"Script", API_PALLETJACK, sizeof(struct script), table_script,
     "Lua to be used as hook, rule or transform"},
    {"RunPolicy", API_PALLETJACK, sizeof(struct run_policy), table_run_policy,
     "how to run: limits, retries, deadlines, verification"},
    {"Secret", "v1", sizeof(struct secret), table_secret,
     "credentials of an endpoint"},
    {"ConfigMap", "v1", sizeof(struct config_map), table_config_map,
     "texts that others refer to"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct kind *
kind_find(const char *name)
{
	for (const struct kind *k = kinds; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

/* Takes one name off the path, and "[]" or a map's key behind it. */
static const struct field *
find_in(const struct field *table, const char *path)
{
	for (const struct field *f = table; f && f->name; f++) {
		size_t len = strlen(f->name);
		const struct field *inner = f->item ? f->item : f;

		if (strncmp(path, f->name, len) != 0)
			continue;
		if (!path[len])
			return f;
		if ((f->type == FIELD_ANY || f->type == FIELD_MAP) &&
		    path[len] == '.')
			return f;
		if (f->type == FIELD_LIST && !strcmp(path + len, "[]"))
			return f;
		if (f->type == FIELD_LIST && !strncmp(path + len, "[].", 3))
			return find_in(inner->sub, path + len + 3);
		if (path[len] == '.' && f->type != FIELD_LIST)
			return find_in(inner->sub, path + len + 1);
	}
	return NULL;
}

const struct field *
kinds_find_path(const char *path)
{
	for (const struct kind *k = kinds; k->name; k++) {
		const struct field *f = find_in(k->table, path);

		if (f)
			return f;
	}
	return NULL;
}

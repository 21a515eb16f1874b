/* SPDX-License-Identifier: Apache-2.0 */
/* What single objects need beyond their tables: paths made whole, rows that
 * fit together, settings that make sense. */
#include <regex.h>
#include <string.h>

#include "base/sample.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"
#include "manifests/load.h"
#include "manifests/text.h"

/* --- endpoints --------------------------------------------------------- */

static const char *const provider_types[] = {
    "openshift", "vsphere", "ovirt",   "openstack", "ova",
    "ec2",	 "hyperv",  "nutanix", NULL,
};

static void
check_provider_type(struct reader *r, const struct endpoint *ep)
{
	static const struct field type = {.words = provider_types};
	const char *nearest;

	for (size_t i = 0; provider_types[i]; i++)
		if (!strcmp(ep->type, provider_types[i]))
			return;
	nearest = field_nearest_word(&type, ep->type);
	say(r, FINDING_CRITICAL, "ProviderTypeNotSupported", &ep->o, ep->o.pos,
	    "spec.type", "'%s' is no type of Provider%s%s%s", ep->type,
	    nearest ? "; did you mean '" : "", nearest ? nearest : "",
	    nearest ? "'?" : "");
}

/* A path means the same wherever palletjack is started from, and however the
 * manifest is named: it becomes an input of what is done with it. */
static const char *
path_beside(struct reader *r, const char *file, const char *path)
{
	CLEANUP(mem_freep)
	char *dir = mem_strdup(".");
	CLEANUP(mem_freep) char *whole = NULL;

	if (strcmp(file, "-") != 0) {
		free(dir);
		dir = fs_dirname(file);
	}
	whole = fs_absolute(dir, path);
	return arena_strdup(r->arena, whole);
}

static bool
lives_in_files(const char *type)
{
	return !strcmp(type, "ova") || !strcmp(type, "disk") ||
	       !strcmp(type, "local");
}

static void
find_path(struct reader *r, struct endpoint *ep)
{
	const char *written = ep->url;
	const char *field = "spec.url";

	if (ep->is_provider) {
		field = "metadata.annotations";
		written = json_string_value(
		    json_object_get(ep->o.annotations, "palletjack.io/path"));
	}
	if (ep->is_provider && !written) {
		say(r, FINDING_ERROR, "UrlNotValid", &ep->o, ep->o.pos, field,
		    "must say where the OVA files are mounted here: add the "
		    "annotation palletjack.io/path");
		return;
	}
	if (!strncmp(written, "file://", 7))
		written += 7;
	if (written != ep->url && !ep->is_provider && written[0] != '/')
		say(r, FINDING_ERROR, "UrlNotValid", &ep->o, ep->o.pos, field,
		    "must have an absolute path after file://");
	else if (!written[0])
		say(r, FINDING_CRITICAL, "UrlNotValid", &ep->o, ep->o.pos,
		    field, "must be a path");
	else
		ep->path = path_beside(r, ep->o.pos.file, written);
}

static void
bad_setting(struct reader *r, const struct endpoint *ep, const char *key,
	    const char *wrong)
{
	CLEANUP(mem_freep) char *field = mem_printf("spec.settings.%s", key);

	say(r, FINDING_ERROR, "SettingsNotValid", &ep->o, ep->o.pos, field,
	    "%s", wrong);
}

static void
unknown_setting(struct reader *r, const struct endpoint *ep, const char *key,
		const char *nearest)
{
	say(r, r->strict ? FINDING_ERROR : FINDING_WARN, "FieldUnknown", &ep->o,
	    ep->o.pos, "spec.settings", "'%s' is no setting of type %s%s%s%s",
	    key, ep->type, nearest ? "; did you mean '" : "",
	    nearest ? nearest : "", nearest ? "'?" : "");
}

static const char *const disk_settings[] = {"cpus", "memory", "firmware",
					    "network", NULL};

static bool
is_disk_setting(const char *word)
{
	for (size_t i = 0; disk_settings[i]; i++)
		if (!strcmp(word, disk_settings[i]))
			return true;
	return false;
}

static const char *
nearest_vm(const struct endpoint *ep, const char *name)
{
	const char *key, *nearest = NULL;
	size_t best = 0, distance;
	json_t *value;

	json_object_foreach(ep->settings, key, value)
	{
		if (strrchr(key, '.') || is_disk_setting(key) ||
		    !text_is_near(name, key, &distance) ||
		    (nearest && distance >= best))
			continue;
		nearest = key;
		best = distance;
	}
	return nearest;
}

/* "VM.WHAT": source disk takes it for no vm when VM is one, or when WHAT is a
 * setting. */
static bool
check_disk_override(struct reader *r, const struct endpoint *ep,
		    const char *key)
{
	static const struct field setting = {.words = disk_settings};
	const char *dot = strrchr(key, '.'), *nearest;
	CLEANUP(mem_freep) char *vm = NULL, *meant = NULL;
	bool is_vm, is_known;

	if (!dot)
		return true;
	vm = mem_strndup(key, (size_t)(dot - key));
	is_vm = json_object_get(ep->settings, vm) != NULL;
	is_known = is_disk_setting(dot + 1);
	if (is_vm == is_known)
		return true; /* an override, or a vm with a dot */
	nearest =
	    is_vm ? field_nearest_word(&setting, dot + 1) : nearest_vm(ep, vm);
	if (nearest)
		meant = mem_printf("%s.%s", is_vm ? vm : nearest,
				   is_vm ? nearest : dot + 1);
	unknown_setting(r, ep, key, meant);
	return false;
}

/* Lists of images by vm, and what an image file cannot say about a vm. */
static void
check_disk_setting(struct reader *r, const struct endpoint *ep, const char *key,
		   const char *text)
{
	const char *dot = strrchr(key, '.');
	const char *what = dot ? dot + 1 : key;
	uint64_t bytes;

	if (!check_disk_override(r, ep, key))
		return;
	if (!strcmp(what, "cpus")) {
		if (strspn(text, "0123456789") != strlen(text) ||
		    strtol(text, NULL, 10) < 1)
			bad_setting(r, ep, key,
				    "must be a number of processors");
	} else if (!strcmp(what, "memory")) {
		if (units_parse_quantity(text, &bytes) < 0 || bytes == 0)
			bad_setting(r, ep, key,
				    "must be a quantity such as 2Gi");
	} else if (!strcmp(what, "firmware")) {
		if (strcmp(text, "bios") != 0 && strcmp(text, "efi") != 0 &&
		    strcmp(text, "uefi") != 0)
			bad_setting(r, ep, key, "must be bios or efi");
	} else if (!text[strspn(text, ", \t")]) {
		bad_setting(r, ep, key,
			    "must be a comma-separated list of disk images");
	}
}

static void
check_format(struct reader *r, const struct endpoint *ep, const char *text)
{
	if (strcmp(text, "raw") != 0 && strcmp(text, "qcow2") != 0)
		bad_setting(r, ep, "format", "must be raw or qcow2");
}

static void
check_local_setting(struct reader *r, const struct endpoint *ep,
		    const char *key, const char *text)
{
	size_t distance;

	if (!strcmp(key, "format")) {
		check_format(r, ep, text);
		return;
	}
	unknown_setting(
	    r, ep, key,
	    text_is_near(key, "format", &distance) ? "format" : NULL);
}

static void
check_libvirt_setting(struct reader *r, const struct endpoint *ep,
		      const char *key, const char *text)
{
	static const char *const words[] = {"format", "diskHost", "scratchDir",
					    "socketDir", NULL};
	static const struct field setting = {.words = words};

	if (!strcmp(key, "format"))
		check_format(r, ep, text);
	if (!strcmp(key, "diskHost") && *text && !text_is_ssh_place(text))
		bad_setting(r, ep, key,
			    "must be a machine that ssh reaches: "
			    "ssh://USER@HOST:PORT");
	for (size_t i = 0; words[i]; i++)
		if (!strcmp(key, words[i]))
			return;
	unknown_setting(r, ep, key, field_nearest_word(&setting, key));
}

/* Outside the state directory, as real endpoints are. */
static void
find_world(struct reader *r, struct endpoint *ep)
{
	const char *world = endpoint_setting(ep, "world", NULL);

	if (world && !*world)
		bad_setting(r, ep, "world", "must be a directory");
	else if (world)
		ep->path = path_beside(r, ep->o.pos.file, world);
}

static void
check_settings(struct reader *r, const struct endpoint *ep)
{
	const char *key;
	json_t *value;

	json_object_foreach(ep->settings, key, value)
	{
		const char *text = json_string_value(value);

		if (!strcmp(ep->type, "disk"))
			check_disk_setting(r, ep, key, text);
		else if (!strcmp(ep->type, "local"))
			check_local_setting(r, ep, key, text);
		else if (!strcmp(ep->type, "libvirt"))
			check_libvirt_setting(r, ep, key, text);
		else if (!strcmp(ep->type, "ova"))
			unknown_setting(r, ep, key, NULL);
	}
}

static void
check_libvirt_url(struct reader *r, const struct endpoint *ep)
{
	if (!strstr(ep->url, "://"))
		say(r, FINDING_ERROR, "UrlNotValid", &ep->o, ep->o.pos,
		    "spec.url",
		    "must be a libvirt URI: qemu:///system for the daemon of "
		    "this machine, qemu+ssh://USER@HOST/system for another's");
}

static void
finish_endpoint(struct reader *r, struct endpoint *ep)
{
	ep->is_provider = !strcmp(ep->o.kind, "Provider");
	if (!ep->settings)
		ep->settings = load_empty_json(r);
	if (!ep->url)
		ep->url = "";
	if (!ep->type) {
		ep->type = "";
		return;
	}
	if (ep->is_provider)
		check_provider_type(r, ep);
	else if (ep->secret_ref.name && strcmp(ep->type, "libvirt") != 0)
		say(r, FINDING_WARN, "NotHonoured", &ep->o, ep->secret_ref.pos,
		    "spec.secret", "is not used by type %s; remove it",
		    ep->type);
	if (!ep->is_provider || !strcmp(ep->type, "ova"))
		check_settings(r, ep);
	if (lives_in_files(ep->type))
		find_path(r, ep);
	else if (!strcmp(ep->type, "fake"))
		find_world(r, ep);
	else if (!strcmp(ep->type, "libvirt"))
		check_libvirt_url(r, ep);
}

/* --- maps -------------------------------------------------------------- */

static bool
is_named(const struct source_ref *ref)
{
	return ref->id || ref->name || ref->type;
}

/* Rows are found by id or name alone. */
static void
check_row_source(struct reader *r, const struct object *map, const char *type,
		 const char *field, const struct source_ref *source)
{
	if (is_named(source) && !source->id && !source->name)
		say(r, FINDING_WARN, type, map, source->pos, field,
		    "has neither source.id nor source.name: it matches "
		    "nothing");
}

static void
finish_network_map(struct reader *r, struct network_map *map)
{
	for (size_t i = 0; i < map->nrows; i++) {
		const struct network_row *row = &map->rows[i];
		CLEANUP(mem_freep)
		char *field = mem_printf("spec.map[%zu]", i);

		if (!row->source.pos.file)
			continue; /* no map: that was said */
		if (!is_named(&row->source))
			say(r, FINDING_CRITICAL, "SourceNetworkNotValid",
			    &map->o, row->source.pos, field,
			    "names no network: source needs an id, a name or "
			    "a type");
		check_row_source(r, &map->o, "SourceNetworkNotValid", field,
				 &row->source);
		if (row->type != NETWORK_MULTUS &&
		    (row->name || row->namespace))
			say(r, FINDING_WARN, "DestinationNetworkNotValid",
			    &map->o, row->source.pos, field,
			    "has a destination.name or destination.namespace, "
			    "which only type multus looks at");
		if (row->type == NETWORK_MULTUS &&
		    (!row->name || !row->namespace))
			say(r, FINDING_CRITICAL, "DestinationNetworkNotValid",
			    &map->o, row->source.pos, field,
			    "needs destination.name and destination.namespace "
			    "for type multus");
	}
}

static void
finish_storage_map(struct reader *r, struct storage_map *map)
{
	for (size_t i = 0; i < map->nrows; i++) {
		struct storage_row *row = &map->rows[i];
		CLEANUP(mem_freep)
		char *field = mem_printf("spec.map[%zu]", i);

		if (!row->storage_class)
			row->storage_class = "";
		if (row->source.pos.file && !is_named(&row->source))
			say(r, FINDING_CRITICAL, "SourceStorageNotValid",
			    &map->o, row->source.pos, field,
			    "names no storage: source needs an id, a name or "
			    "a type");
		check_row_source(r, &map->o, "SourceStorageNotValid", field,
				 &row->source);
	}
}

/* --- run policies ------------------------------------------------------ */

/* disks are copied in the stage cutover */
static const char *const stages[] = {
    "inventory",       "validate",	    "pre-hook", "precopy",
    "precopy-convert", "precopy-boot-test", "cutover",	"verify",
    "convert",	       "boot-test",	    "commit",	"create-vm",
    "start",	       "post-hook",	    "cleanup",	NULL,
};

static void
check_stage_name(struct reader *r, const struct run_policy *policy,
		 const char *name)
{
	static const struct field stage = {.words = stages};
	const char *nearest;

	for (size_t i = 0; stages[i]; i++)
		if (!strcmp(name, stages[i]))
			return;
	nearest = !strcmp(name, "copy") ? "cutover"
					: field_nearest_word(&stage, name);
	say(r, FINDING_ERROR, "FieldNotValid", &policy->o, policy->o.pos,
	    "spec.deadlines.stage", "names '%s', which is no stage%s%s%s", name,
	    nearest ? "; did you mean '" : "", nearest ? nearest : "",
	    nearest ? "'?" : "");
}

static void
check_pattern(struct reader *r, const struct run_policy *policy)
{
	regex_t pattern;
	char text[200];
	int failed;

	if (!policy->boot_probe.serial)
		return;
	failed = regcomp(&pattern, policy->boot_probe.serial,
			 REG_EXTENDED | REG_NOSUB);
	if (!failed) {
		regfree(&pattern);
		return;
	}
	regerror(failed, &pattern, text, sizeof(text));
	say(r, FINDING_ERROR, "FieldNotValid", &policy->o, policy->o.pos,
	    "spec.bootProbe.serial", "is no regular expression: %s", text);
}

static void
check_sample(struct reader *r, const struct run_policy *policy)
{
	struct sample_want ignored;
	struct err err;

	if (policy->verify_sample &&
	    sample_parse(policy->verify_sample, &ignored, &err) < 0)
		say(r, FINDING_ERROR, "FieldNotValid", &policy->o,
		    policy->o.pos, "spec.verifySample", "%s", err.text);
}

/* "spec.vms[*].luks" and "spec.vms[3].luks" to "spec.vms[].luks". */
static char *
with_every_entry(const char *path)
{
	struct buf text = {0};

	for (; *path; path++) {
		buf_add(&text, path, 1);
		if (*path == '[')
			path += strspn(path + 1, "0123456789*");
	}
	return buf_steal(&text);
}

/* A path that names nothing waives nothing, and its author thinks it does. */
static void
check_waived(struct reader *r, const struct run_policy *policy, size_t i)
{
	const char *path = policy->waive[i];
	CLEANUP(mem_freep) char *every = with_every_entry(path);
	const char *field =
	    arena_printf(r->findings->arena, "spec.waive[%zu]", i);

	if (!strcmp(path, "spec"))
		say(r, FINDING_ERROR, "FieldNotValid", &policy->o,
		    policy->o.pos, field,
		    "names 'spec', which would waive everything, what nobody "
		    "has thought of too: name the fields");
	else if (strcmp(every, path) != 0 && kinds_find_path(every))
		say(r, FINDING_ERROR, "FieldNotValid", &policy->o,
		    policy->o.pos, field,
		    "names '%s', which is no field; one entry or a pattern of "
		    "them cannot be named: write %s, which stands for every "
		    "entry",
		    path, every);
	else if (strncmp(path, "spec.", 5) != 0 || !kinds_find_path(path))
		say(r, FINDING_ERROR, "FieldNotValid", &policy->o,
		    policy->o.pos, field,
		    "names '%s', which is no field; write paths such as "
		    "spec.transferNetwork or spec.vms[].luks",
		    path);
}

static void
finish_run_policy(struct reader *r, struct run_policy *policy)
{
	const char *name;
	json_t *value;

	json_object_foreach(policy->deadlines.stage, name, value)
	    check_stage_name(r, policy, name);
	check_pattern(r, policy);
	finish_waves(r, policy);
	finish_bandwidth(r, policy);
	finish_window(r, policy);
	for (size_t i = 0; i < policy->nwaive; i++)
		if (policy->waive[i])
			check_waived(r, policy, i);
	if (policy->proof == PROOF_NONE && policy->verify != VERIFY_NONE)
		say(r, FINDING_ERROR, "FieldNotValid", &policy->o,
		    policy->o.pos, "spec.proof",
		    "none leaves nothing to verify with; set verify: none too");
	check_sample(r, policy);
}

/* --- secrets ----------------------------------------------------------- */

static void
finish_secret(struct reader *r, struct secret *s)
{
	if (!s->data)
		s->data = load_empty_json(r);
	if (!s->string_data)
		s->string_data = load_empty_json(r);
}

/* Other tools' annotations are theirs; one that looks like ours and is not
 * would be ignored in silence. */
static void
check_annotations(struct reader *r, const struct object *o)
{
	static const char *const known[] = {"palletjack.io/run-policy",
					    "palletjack.io/path", NULL};
	static const struct field annotation = {.words = known};
	const char *key, *nearest;
	json_t *value;

	json_object_foreach(o->annotations, key, value)
	{
		if (strncmp(key, "palletjack.io/", 14) != 0 ||
		    !strcmp(key, known[0]) || !strcmp(key, known[1]))
			continue;
		nearest = field_nearest_word(&annotation, key);
		say(r, r->strict ? FINDING_ERROR : FINDING_WARN, "FieldUnknown",
		    o, o->pos, "metadata.annotations",
		    "'%s' is no annotation of ours%s%s%s", key,
		    nearest ? "; did you mean '" : "", nearest ? nearest : "",
		    nearest ? "'?" : "");
	}
}

void
finish_object(struct reader *r, struct loaded *l)
{
	const char *kind = l->kind->name;
	void *o = l->o;

	check_annotations(r, l->o);
	if (!strcmp(kind, "Provider") || !strcmp(kind, "Endpoint"))
		finish_endpoint(r, o);
	else if (!strcmp(kind, "NetworkMap"))
		finish_network_map(r, o);
	else if (!strcmp(kind, "StorageMap"))
		finish_storage_map(r, o);
	else if (!strcmp(kind, "RunPolicy"))
		finish_run_policy(r, o);
	else if (!strcmp(kind, "Script"))
		finish_script(r, o);
	else if (!strcmp(kind, "Secret"))
		finish_secret(r, o);
}

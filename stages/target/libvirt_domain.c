/* SPDX-License-Identifier: Apache-2.0 */
/* Which domain is the vm, and whose it is. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/xml.h"
#include "stages/target/libvirt.h"

#define DOMAIN_MAX ((size_t)4 * 1024 * 1024)

int
libvirt_recorded(const struct target_vm *t, char **ret, struct err *err)
{
	CLEANUP(mem_freep) char *path = files_path(t, FILES_DOMAIN);
	CLEANUP(xml_freep) struct xml *doc = NULL;
	CLEANUP(buf_done) struct buf text = {0};
	const char *uuid;

	*ret = NULL;
	if (fs_read(path, DOMAIN_MAX, true, &text, err) < 0)
		return -1;
	if (!text.data)
		return 0;
	if (xml_parse(text.data, text.len, &doc, err) < 0)
		return err_wrap(err,
				"'%s', which says what domain the vm is; mend "
				"it by hand",
				path);
	uuid = xml_text(xml_child(xml_root(doc), "", "uuid"));
	if (*uuid)
		*ret = mem_strdup(uuid);
	return 0;
}

int
libvirt_claim_says(struct virt_domain *d, const char *attribute, char **ret,
		   struct err *err)
{
	CLEANUP(xml_freep) struct xml *doc = NULL;
	CLEANUP(mem_freep) char *text = NULL;
	const char *value;
	struct err ignored;

	*ret = NULL;
	if (virt_domain_metadata(d, LIBVIRT_CLAIM_NS, &text, err) < 0)
		return -1;
	/* what is not XML claims nothing */
	if (!text || xml_parse(text, strlen(text), &doc, &ignored) < 0)
		return 0;
	value = xml_attr(xml_root(doc), "", attribute);
	*ret = mem_strdup(value);
	return 0;
}

/* A claim that may be taken over is known by its state, and its time. */
static bool
is_of_takeover(const struct target_vm *t, const char *state)
{
	size_t len = strlen(state);

	return t->takeover && strncmp(t->takeover, state, len) == 0 &&
	       t->takeover[len] == ' ';
}

static int
is_ours(const struct target_vm *t, struct virt_domain *d, bool *ret,
	struct err *err)
{
	CLEANUP(mem_freep) char *state = NULL, *itself = NULL;
	char uuid[VIRT_UUID_SIZE];

	*ret = false;
	if (libvirt_claim_says(d, "state", &state, err) < 0 ||
	    libvirt_claim_says(d, "uuid", &itself, err) < 0 ||
	    virt_domain_uuid(d, uuid, err) < 0)
		return -1;
	*ret = state && itself && strcasecmp(itself, uuid) == 0 &&
	       (strcmp(state, t->state_uuid) == 0 || is_of_takeover(t, state));
	return 0;
}

int
libvirt_find_target(const struct target_vm *t, struct virt_domain **ret,
		    bool *ret_ours, struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	CLEANUP(mem_freep) char *uuid = NULL;

	*ret = NULL;
	*ret_ours = false;
	/* by its uuid, as it may have been renamed since */
	if (libvirt_recorded(t, &uuid, err) < 0 ||
	    (uuid && virt_domain_with(t->at->virt, uuid, &d, err) < 0))
		return -1;
	if (!d) {
		if (virt_domain_named(t->at->virt, t->shape->name, &d, err) <
			0 ||
		    (d && is_ours(t, d, ret_ours, err) < 0))
			return -1;
		*ret = *ret_ours ? steal(&d) : NULL;
		return 0;
	}
	if (is_ours(t, d, ret_ours, err) < 0)
		return -1;
	*ret = steal(&d);
	return 0;
}

static int
refuse_anothers(const struct target_vm *t, struct virt_domain *d,
		struct err *err)
{
	CLEANUP(mem_freep) char *plan = NULL, *vm = NULL, *state = NULL;
	char uuid[VIRT_UUID_SIZE];

	if (libvirt_claim_says(d, "plan", &plan, err) < 0 ||
	    libvirt_claim_says(d, "vm", &vm, err) < 0 ||
	    libvirt_claim_says(d, "state", &state, err) < 0 ||
	    virt_domain_uuid(d, uuid, err) < 0)
		return -1;
	if (plan && vm && state)
		return err_set(err, ERR_FAIL,
			       "'%s' has a domain '%s' already, made for plan "
			       "'%s', vm '%s', by state %s: it is left alone; "
			       "set targetName, or remove it with that state",
			       t->endpoint->url, t->shape->name, plan, vm,
			       state);
	return err_set(
	    err, ERR_FAIL,
	    "'%s' has a domain '%s' already%s: it is left alone; "
	    "set targetName",
	    t->endpoint->url, t->shape->name,
	    strcasecmp(uuid, t->vm->uuid) == 0 ? ", the source itself" : "");
}

int
libvirt_name_is_free(const struct target_vm *t, struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	bool ours = false;

	if (virt_domain_named(t->at->virt, t->shape->name, &d, err) < 0)
		return -1;
	if (!d)
		return 0;
	if (is_ours(t, d, &ours, err) < 0)
		return -1;
	return ours ? 0 : refuse_anothers(t, d, err);
}

/* One that somebody starts just then runs on without a definition: nothing
 * allowed it to, and its disks are about to go, or the source to come back. */
static int
end_transient(const struct target_vm *t, const char *uuid, struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;

	if (virt_domain_with(t->at->virt, uuid, &d, err) < 0)
		return -1;
	return d ? virt_domain_destroy(d, err) : 0;
}

int
libvirt_withdraw(const struct target_vm *t, struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *d = NULL;
	char uuid[VIRT_UUID_SIZE];
	bool ours = false;

	if (libvirt_find_target(t, &d, &ours, err) < 0)
		return -1;
	if (!d)
		return 0;
	if (!ours)
		return err_set(err, ERR_FAIL,
			       "domain '%s' at '%s' has lost the claim in its "
			       "metadata, and is not undefined: look at it, "
			       "and undefine it by hand",
			       t->shape->name, t->endpoint->url);
	if (virt_domain_uuid(d, uuid, err) < 0 ||
	    virt_domain_undefine(d, err) < 0)
		return -1;
	return end_transient(t, uuid, err);
}

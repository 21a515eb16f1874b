/* SPDX-License-Identifier: Apache-2.0 */
/* Looking things up in a manifest that was read. */
#include "manifests/model.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "manifests/strmap.h"
#include "manifests/text.h"

const char *
endpoint_setting(const struct endpoint *ep, const char *key,
		 const char *fallback)
{
	const char *text =
	    json_string_value(json_object_get(ep->settings, key));

	return text ? text : fallback;
}

/* What they hold is in their settings alone, or there as well. */
static bool
is_made_of_settings(const struct endpoint *ep)
{
	return strcmp(ep->type, "fake") == 0 || strcmp(ep->type, "disk") == 0;
}

char *
endpoint_place(const struct endpoint *ep)
{
	const char *where = ep->path ? ep->path : ep->url;
	CLEANUP(mem_freep)
	char *settings =
	    is_made_of_settings(ep)
		? json_dumps(ep->settings, JSON_SORT_KEYS | JSON_COMPACT)
		: NULL;
	size_t len = strlen(where);

	while (len > 1 && where[len - 1] == '/')
		len--;
	return mem_printf("%s %.*s%s%s", ep->type, (int)len, where,
			  settings ? " " : "", settings ? settings : "");
}

bool
endpoint_has_namespaces(const struct endpoint *ep)
{
	return strcmp(ep->type, "openshift") == 0 ||
	       strcmp(ep->type, "fake") == 0;
}

static bool
plan_is(const struct plan *p, const char *name)
{
	size_t n = strlen(p->o.namespace);

	if (!strchr(name, '/'))
		return !strcmp(p->o.name, name);
	return !strncmp(name, p->o.namespace, n) && name[n] == '/' &&
	       !strcmp(name + n + 1, p->o.name);
}

static char *
list_plans(const struct manifest *m)
{
	struct buf text = {0};

	for (size_t i = 0; i < m->nplans && i < 10; i++)
		buf_printf(&text, "%s%s/%s", i ? ", " : "",
			   m->plans[i]->o.namespace, m->plans[i]->o.name);
	if (m->nplans > 10)
		buf_printf(&text, " and %zu more", m->nplans - 10);
	return buf_steal(&text);
}

int
manifest_plan(const struct manifest *m, const char *name,
	      const struct plan **ret, struct err *err)
{
	CLEANUP(mem_freep) char *known = list_plans(m);
	const struct plan *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < m->nplans; i++) {
		if (name && !plan_is(m->plans[i], name))
			continue;
		found = m->plans[i];
		n++;
	}
	if (m->nplans == 0)
		return err_set(err, ERR_USER, "the manifest holds no plan");
	if (n == 0)
		return err_set(err, ERR_USER,
			       "there is no plan '%s'; the manifest holds %s",
			       name, known);
	if (n > 1)
		return err_set(err, ERR_USER,
			       "the manifest holds several plans (%s); choose "
			       "one with --plan NAMESPACE/NAME",
			       known);
	*ret = found;
	return 0;
}

bool
plan_is_warm(const struct plan *p)
{
	return p->type && strcmp(p->type, "warm") == 0;
}

const struct plan_vm *
plan_vm_find(const struct plan *p, const char *key)
{
	return p->by_key ? strmap_get(p->by_key, key) : NULL;
}

const struct vm_hook *
plan_vm_hook(const struct plan_vm *vm, enum hook_step step)
{
	for (size_t i = 0; i < vm->nhooks; i++)
		if (vm->hooks[i].step == step)
			return &vm->hooks[i];
	return NULL;
}

int
secret_value(const struct secret *s, const char *key, struct buf *ret)
{
	const json_t *plain = json_object_get(s->string_data, key);
	const json_t *encoded = json_object_get(s->data, key);

	if (plain)
		buf_add(ret, json_string_value(plain),
			json_string_length(plain));
	else if (!encoded || text_base64(json_string_value(encoded), ret) < 0)
		return -1;
	return 0;
}

/* "spec.vms[]" covers "spec.vms[3]" and all below it. */
static bool
covers(const char *pattern, const char *path)
{
	while (*pattern) {
		if (*pattern == '[' && *path == '[' && pattern[1] == ']') {
			path++;
			while (isdigit((unsigned char)*path))
				path++;
			pattern++;
		}
		if (*pattern++ != *path++)
			return false;
	}
	return *path == '\0' || *path == '.' || *path == '[';
}

bool
run_policy_waives(const struct run_policy *policy, const char *path)
{
	for (size_t i = 0; i < policy->nwaive; i++)
		if (policy->waive[i] && covers(policy->waive[i], path))
			return true;
	return false;
}

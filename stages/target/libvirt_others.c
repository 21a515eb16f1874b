/* SPDX-License-Identifier: Apache-2.0 */
/* Does anything run that may be the vm, and that is not known as its domain?
 * Somebody may have undefined it and defined it again: with another uuid, by
 * another name, on top of a snapshot, or without libvirt at all. */
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "io/xml.h"
#include "stages/target/libvirt.h"

#define DEPTH_MAX 300 /* as deep as backing files are nested, and more */

/* --- by what their disks are -------------------------------------------- */

/* A name that leads elsewhere by now may be of one that was opened before. */
static bool
is_file(const char *path, const char *other)
{
	struct stat st, st_other;

	return strcmp(path, other) == 0 ||
	       (stat(path, &st) == 0 && stat(other, &st_other) == 0 &&
		st.st_dev == st_other.st_dev && st.st_ino == st_other.st_ino);
}

static bool
is_volume(const struct target_vm *t, const char *path)
{
	for (size_t i = 0; path && i < t->shape->ndisks; i++) {
		CLEANUP(volume_done) struct volume v = {0};
		CLEANUP(mem_freep) char *shown = NULL;

		files_volume(t, i, &v);
		shown = files_shown(t, v.path);
		if (is_file(path, v.path) || is_file(path, shown))
			return true;
	}
	return false;
}

/* In a disk, in what it is backed by, and in what it is copied to. */
static bool
names_volume(const struct target_vm *t, const struct xml_node *n, int depth)
{
	if (depth > DEPTH_MAX)
		return true; /* nobody can say that it does not */
	if (xml_is(n, NULL, "source") &&
	    (is_volume(t, xml_attr(n, "", "file")) ||
	     is_volume(t, xml_attr(n, "", "dev"))))
		return true;
	n = xml_child(n, NULL, NULL);
	for (; n; n = xml_next(n, NULL, NULL))
		if (names_volume(t, n, depth + 1))
			return true;
	return false;
}

static int
uses_volume(const struct target_vm *t, struct virt_domain *d, bool *ret,
	    struct err *err)
{
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(xml_freep) struct xml *doc = NULL;
	const struct xml_node *n;

	if (virt_domain_xml(d, false, &text, err) < 0 ||
	    xml_parse(text, strlen(text), &doc, err) < 0)
		return -1;
	n = xml_child(xml_root(doc), "", "devices");
	for (n = xml_child(n, "", "disk"); n && !*ret;
	     n = xml_next(n, "", "disk"))
		*ret = names_volume(t, n, 0);
	return 0;
}

/* --- one domain --------------------------------------------------------- */

static int
refuse(const struct target_vm *t, const char *name, bool uses, struct err *err)
{
	if (!uses)
		return err_set(
		    err, ERR_FAIL,
		    "domain '%s' at '%s' runs and is not the one "
		    "that was defined here: it may be vm '%s', "
		    "defined anew; look whose it is, shut it down or "
		    "rename it, and run this again",
		    name, t->endpoint->url, t->shape->name);
	return err_set(err, ERR_FAIL,
		       "domain '%s' at '%s' runs, is not the one that was "
		       "defined here, and uses the disks of vm '%s': look "
		       "whose it is, shut it down, and run this again",
		       name, t->endpoint->url, t->shape->name);
}

static int
look_at(const struct target_vm *t, struct virt_domain *d, const char *ours,
	struct err *err)
{
	CLEANUP(virt_state_done) struct virt_state s = {0};
	char uuid[VIRT_UUID_SIZE];
	bool active = false, uses = false;

	if (virt_domain_uuid(d, uuid, err) < 0)
		return -1;
	if (ours && strcasecmp(uuid, ours) == 0)
		return 0;
	if (virt_domain_active(d, &active, err) < 0)
		return -1;
	if (!active)
		return 0;
	if (virt_domain_state(d, &s, err) < 0 ||
	    uses_volume(t, d, &uses, err) < 0)
		return -1;
	return uses || strcmp(s.name, t->shape->name) == 0
		   ? refuse(t, s.name, uses, err)
		   : 0;
}

/* One that ended while it was looked at, and was not defined, is no more. */
static int
is_gone(const struct target_vm *t, struct virt_domain *d, bool *ret,
	struct err *err)
{
	CLEANUP(virt_domain_freep) struct virt_domain *again = NULL;
	char uuid[VIRT_UUID_SIZE];

	if (virt_domain_uuid(d, uuid, err) < 0 ||
	    virt_domain_with(t->at->virt, uuid, &again, err) < 0)
		return -1;
	*ret = !again;
	return 0;
}

int
libvirt_no_other_runs(const struct target_vm *t, struct virt_domain *ours,
		      struct err *err)
{
	CLEANUP(virt_domains_done) struct virt_domains d = {0};
	char uuid[VIRT_UUID_SIZE];

	if ((ours && virt_domain_uuid(ours, uuid, err) < 0) ||
	    virt_domains(t->at->virt, &d, err) < 0)
		return -1;
	for (size_t i = 0; i < d.all.n; i++) {
		struct err ignored;
		bool gone = false;

		if (look_at(t, d.all.v[i], ours ? uuid : NULL, err) == 0)
			continue;
		if (is_gone(t, d.all.v[i], &gone, &ignored) < 0 || !gone)
			return -1;
	}
	return 0;
}

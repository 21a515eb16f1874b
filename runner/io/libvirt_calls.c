/* SPDX-License-Identifier: Apache-2.0 */
#include "io/libvirt_calls.h"

#include <dlfcn.h>
#include <string.h>

#define LIBRARY "libvirt.so.0"

struct libvirt_calls vir;

static void *
find(void *library, const char *name, struct err *err)
{
	void *found = dlsym(library, name);

	if (!found)
		(void)err_set(err, ERR_FAIL,
			      "this machine's " LIBRARY " is too old, it has "
			      "no %s; install a newer one",
			      name);
	return found;
}

/* A function's address comes as a void *, which only memcpy may make one. */
static int
find_all(void *library, struct libvirt_calls *ret, struct err *err)
{
	void *found;

#define FIND(name)                               \
	found = find(library, "vir" #name, err); \
	if (!found)                              \
		return -1;                       \
	memcpy(&ret->name, &found, sizeof(found));

	LIBVIRT_CALLS(FIND)
#undef FIND
	return 0;
}

int
libvirt_load(struct err *err)
{
	static void *library;
	struct libvirt_calls all;

	if (library)
		return 0;
	void *opened = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!opened)
		return err_set(err, ERR_FAIL,
			       "libvirt cannot be loaded: %s; install its "
			       "library (libvirt0, libvirt-libs)",
			       dlerror());
	if (find_all(opened, &all, err) < 0) {
		dlclose(opened);
		return -1;
	}
	vir = all;
	library = opened;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of targets. */
#include "stages/target/target.h"

#include <stdlib.h>
#include <string.h>

static const struct target_ops *const targets[] = {
    &target_local,
#ifdef HAVE_LIBVIRT
    &target_libvirt,
#endif
};

const struct target_ops *
target_find(const char *type)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		if (strcmp(targets[i]->type, type) == 0)
			return targets[i];
	return NULL;
}

void
volume_done(struct volume *v)
{
	free(v->path);
	v->path = NULL;
}

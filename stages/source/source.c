/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sources. */
#include "stages/source/source.h"

#include <string.h>

static const struct source_ops *const sources[] = {
    &source_ova,
    &source_disk,
#ifdef HAVE_LIBVIRT
    &source_libvirt,
#endif
};

const struct source_ops *
source_find(const char *type)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		if (!strcmp(sources[i]->type, type))
			return sources[i];
	return NULL;
}

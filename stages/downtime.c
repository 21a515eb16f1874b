/* SPDX-License-Identifier: Apache-2.0 */
/* What a cutover is believed to take, by what kind of vm it is. */
#include <string.h>

#include "stages/fake.h"
#include "stages/fake_writer.h"
#include "stages/stage.h"

/* A guest that shuts down in good order; a conversion that looks at a guest,
 * makes its initrd and its boot loader anew; one that boots, as it is tested; a
 * QEMU that is started. */
static const struct downtime believed = {
    .stop = {2000, 60000},
    .convert = {60000, 600000},
    .boot = {10000, 180000},
    .start = {500, 10000},
};

void
stages_downtime(const struct view *v, struct downtime *ret)
{
	const struct fake_writer *fw = NULL;

	*ret = believed;
	if (fake_is(v->plan->source->type))
		fw = fake_writer_of(v);
	if (fw)
		fake_writer_downtime(fw, ret);
	else if (fake_is(v->plan->source->type))
		*ret = (struct downtime){.stop = {0, 200},
					 .convert = {0, 200},
					 .boot = {0, 200},
					 .start = {0, 200}};
	if (!v->shape->converted)
		ret->convert = (struct span_ms){0, 0};
	if (v->plan->policy->boot_test == BOOT_TEST_OFF)
		ret->boot = (struct span_ms){0, 0};
	for (size_t i = 0; i < v->vm->ndisks; i++)
		if (strcmp(v->vm->disks[i].format, "raw") == 0 &&
		    !fake_is(v->plan->source->type))
			ret->reread += v->vm->disks[i].capacity_bytes;
}

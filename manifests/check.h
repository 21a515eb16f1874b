/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a plan against what its endpoints hold.  Pure: no file, no
 * network.  What needs only the manifest is checked by manifest_read. */
#ifndef MANIFESTS_CHECK_H
#define MANIFESTS_CHECK_H

#include "manifests/inventory.h"
#include "manifests/model.h"
#include "manifests/shape.h"

/* What one vm of a plan can collide with: all others of it, and those of the
 * manifest's other plans (NULL: there are none).  Made once a plan, in linear
 * time, and only read afterwards; it borrows all three. */
struct checker;
struct checker *checker_new(const struct manifest *m, const struct plan *plan,
			    const struct inventory *inv);
void checker_free(struct checker *c); /* NULL is fine */
void checker_freep(struct checker **c);
/* The names it found for the vms at the target; borrowed. */
const struct shape_names *checker_names(const struct checker *c);

/* Forklift's plan conditions (VMNotFound, DuplicateVM, VMNetworksNotMapped,
 * VMStorageNotMapped, TargetNameNotValid, InvalidDiskSizes,
 * VMMultiplePodNetworkMappings, MacConflicts, ...) and the sources' own
 * concerns, for every vm of the plan. */
void check_plan(const struct checker *shared, struct findings *findings);

/* The same for one vm of it. */
void check_plan_vm(const struct checker *shared, const struct plan_vm *pvm,
		   struct findings *findings);

#endif

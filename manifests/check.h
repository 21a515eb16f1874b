/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a plan against what its endpoints hold.  Pure: no file, no
 * network.  What needs only the manifest is checked by manifest_read. */
#ifndef MANIFESTS_CHECK_H
#define MANIFESTS_CHECK_H

#include "manifests/inventory.h"
#include "manifests/model.h"

/* Forklift's plan conditions (VMNotFound, DuplicateVM, VMNetworksNotMapped,
 * VMStorageNotMapped, TargetNameNotValid, InvalidDiskSizes,
 * VMMultiplePodNetworkMappings, MacConflicts, ...) and the sources' own
 * concerns, for every vm of the plan. */
void check_plan(const struct plan *plan, const struct inventory *inv,
		struct findings *findings);

/* The same for one vm of it. */
void check_plan_vm(const struct plan *plan, const struct plan_vm *pvm,
		   const struct inventory *inv, struct findings *findings);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ova source share. */
#ifndef SOURCE_OVA_H
#define SOURCE_OVA_H

#include "base/err.h"
#include "base/vec.h"
#include "manifests/finding.h"
#include "manifests/inventory.h"
#include "manifests/model.h"
#include "stages/source/package.h"
#include "stages/source/source.h"

/* The directory all paths of the endpoint are relative to; caller frees.
 * NULL: there is none. */
char *ova_root(const struct endpoint *ep, struct err *err);

/* All packages below the endpoint's path, relative to its root, sorted: .ova
 * at most two directories down, .ovf three, as Forklift looks for them. */
struct ova_paths {
	VEC(char *) paths;
	VEC(char *) unread; /* what below it cannot be read, and why */
};
int ova_scan(const struct endpoint *ep, struct ova_paths *ret, struct err *err);
void ova_paths_done(struct ova_paths *p);

/* Adds the vms of one package; what is wrong with them is a concern. */
void ova_add_package(struct inventory *inv, const char *root, const char *rel);

/* Of the file `rel` below root: changes when it does. */
int ova_file_epoch(const char *root, const char *rel, char **ret,
		   struct err *err);
/* Of the package and all files its disks are in. */
int ova_vm_epoch(const char *root, const struct inv_vm *vm, char **ret,
		 struct err *err);

/* Compares all files with the package's manifest (.mf). */
void ova_check_digests(const struct package *p, const struct inv_vm *vm,
		       const struct source_reader *reader,
		       struct findings *findings);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Where vms come from.  One file per endpoint type exports one
 * `const struct source_ops`; source.c lists them.  All of it runs in step
 * children: blocking, and only with the endpoint it was given. */
#ifndef STAGES_SOURCE_H
#define STAGES_SOURCE_H

#include "base/err.h"
#include "io/nbd.h"
#include "manifests/finding.h"
#include "manifests/inventory.h"
#include "manifests/model.h"

/* Who wants to hear that reading goes on, or NULL: told the bytes of the file
 * that is being read. */
struct source_reader {
	void (*told)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct source_ops {
	const char *type;

	/* Everything the endpoint has.  A vm that cannot be read (a truncated
	 * OVA) is still listed, with a Critical concern; only an endpoint that
	 * cannot be asked at all is an error. */
	int (*inventory)(const struct endpoint *ep, struct inventory *ret,
			 struct err *err);

	/* Findings that cost a look at the data: digests, chunks, readability.
	 * NULL: none. */
	int (*validate)(const struct endpoint *ep, const struct inv_vm *vm,
			const struct source_reader *reader,
			struct findings *findings, struct err *err);

	/* The vm's epoch as it is now (inv_vm.epoch); caller frees. */
	int (*epoch)(const struct endpoint *ep, const struct inv_vm *vm,
		     char **ret, struct err *err);

	/* Power.  NULL for sources that cannot run (ova, disk): they count as
	 * off. */
	int (*power_state)(const struct endpoint *ep, const struct inv_vm *vm,
			   enum power_state *ret, struct err *err);
	int (*power_off)(const struct endpoint *ep, const struct inv_vm *vm,
			 int64_t mono_deadline_ms, struct err *err);
	int (*power_on)(const struct endpoint *ep, const struct inv_vm *vm,
			struct err *err);

	/* The file that is the disk, byte for byte, so that the engine can read
	 * it itself; caller frees.  NULL, or NULL returned: open_disk. */
	char *(*raw_disk)(const struct endpoint *ep,
			  const struct inv_disk *disk);
	/* Serves one disk read-only.  `opts` carries on_start and log; the
	 * rest of it is the source's to fill in. */
	int (*open_disk)(const struct endpoint *ep, const struct inv_vm *vm,
			 const struct inv_disk *disk,
			 const struct nbd_serve_opts *opts,
			 struct nbd_server *ret, struct err *err);
};

/* NULL when no such source is built in. */
const struct source_ops *source_find(const char *type);

extern const struct source_ops source_ova, source_disk;

#endif

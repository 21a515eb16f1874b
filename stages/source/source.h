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
#include "stages/copy/extents.h"

/* Who wants to hear that reading goes on, or NULL: told the bytes of the file
 * that is being read. */
struct source_reader {
	void (*told)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

/* A point in time of a running vm: what a generation copies.  It is ours, and
 * its name is on record before it is made. */
struct source_point {
	const char *name;
	/* Of an earlier one: what changed since then is wanted; NULL: all. */
	const char *since;
	/* {disk's id: why}: of these that is not known.  Where it is known of
	 * no other, earlier ones of ours are given up, whole or not. */
	const json_t *lost;
	/* Of what others do with snapshots and backups of the vm. */
	enum foreign foreign;
	int64_t wait_ms; /* for what they do, at most */
};

/* What of a disk changed: `known` with the list, which is the caller's, or
 * nobody can say, and `why`, which is the caller's, too. */
struct source_changes {
	int64_t wait_ms; /* the caller's: for each answer; 0: 30 minutes */
	bool known;
	char *why; /* NULL: for no reason that is known here */
	struct extents list;
};

/* Copying a vm while it runs. */
struct source_warm {
	/* Is the point there, so that disks can be read as they were then? */
	int (*holds)(const struct endpoint *ep, const struct inv_vm *vm,
		     const char *point, bool *ret, struct err *err);
	/* Makes it.  What an earlier one of ours still holds is let go; what
	 * is another's (a backup, a snapshot) is an error.  Where what changed
	 * since `since` cannot be told of a disk that is not in `lost`, none is
	 * made, and *ret_lost (new reference) is of such disks: it is to be
	 * asked for again with these lost, too. */
	int (*freeze)(const struct endpoint *ep, const struct inv_vm *vm,
		      const struct source_point *point, json_t **ret_lost,
		      struct err *err);
	/* Serves a disk as it was at the point: *ret has a URI, and a process
	 * unless the source serves it by itself.  Also what changed since
	 * point->since, where that is known. */
	int (*open_point)(const struct endpoint *ep, const struct inv_vm *vm,
			  const struct inv_disk *disk,
			  const struct source_point *point,
			  struct nbd_server *ret,
			  struct source_changes *changes, struct err *err);
	/* Lets go of what holds the point; what changes from then on is known
	 * later.  Older ones of ours are forgotten. */
	int (*release)(const struct endpoint *ep, const struct inv_vm *vm,
		       const char *point, struct err *err);
	/* What changed on a disk of a vm that is off, since point->since. */
	int (*changes)(const struct endpoint *ep, const struct inv_vm *vm,
		       const struct inv_disk *disk,
		       const struct source_point *point,
		       const struct nbd_serve_opts *opts,
		       struct source_changes *ret, struct err *err);
	/* Forgets all points of the state directory that has named the point
	 * `like`; idempotent. */
	int (*forget)(const struct endpoint *ep, const struct inv_vm *vm,
		      const char *like, struct err *err);
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
	/* Asks the guest; `hard` says what becomes of one that does not go. */
	int (*power_off)(const struct endpoint *ep, const struct inv_vm *vm,
			 enum hard_power_off hard, int64_t mono_deadline_ms,
			 struct err *err);
	int (*power_on)(const struct endpoint *ep, const struct inv_vm *vm,
			struct err *err);

	/* What keeps a source from starting by itself once it was cut over:
	 * its autostart is off, and it is fenced as the policy says.  settings
	 * tells all of that as it is, for the journal, or that it cannot be
	 * fenced so; fence and unfence are given it, may find their work done
	 * or half done, and know the vm by its id, whatever it is called.
	 * NULL: nothing starts it. */
	int (*settings)(const struct endpoint *ep, const struct inv_vm *vm,
			enum fence how, json_t **ret, struct err *err);
	int (*fence)(const struct endpoint *ep, const struct inv_vm *vm,
		     enum fence how, const json_t *was, struct err *err);
	int (*unfence)(const struct endpoint *ep, const struct inv_vm *vm,
		       enum fence how, const json_t *was, struct err *err);

	/* Asked before it is given back: are its disks those that were copied?
	 * What goes by the same id may be another by now, and the err says in
	 * what, and what to do.  NULL: it cannot be. */
	int (*is_itself)(const struct endpoint *ep, const struct inv_vm *vm,
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

	/* NULL: copied only when it is off. */
	const struct source_warm *warm;
};

/* NULL when no such source is built in. */
const struct source_ops *source_find(const char *type);

extern const struct source_ops source_ova, source_disk, source_libvirt;

#endif

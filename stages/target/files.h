/* SPDX-License-Identifier: Apache-2.0 */
/* What targets share whose vms are files in directories of this machine: whose
 * they are, who works on them, the hand-over mark, volumes, setting aside.
 *
 *   HOME/                         the vm's home
 *     palletjack.json             the claim: whose this is, and
 *                                 how the source was before its stop
 *     palletjack.json.lock        held by the run that works on it
 *     handover.json               the hand-over mark, once handed over
 *     disk-0.raw  disk-0.raw.id   a volume, and what identifies its contents;
 *                                 its second line: a commit was begun
 *     overlays/                   scratch of conversion and boot test
 *     disk-0.aside-1.raw          what was committed before it was copied anew,
 *     overlays.aside-1/  ...      and what belonged to it
 *     domain.xml  nvram.fd        the definition, UEFI's variables
 *
 * Disks whose storage class lies elsewhere are in another directory of the vm,
 * with a claim and a mark of its own beside them.
 *
 * Where volumes shall lie among the files of others (a storage pool's), each
 * gets a second name there, a hard link, when the vm is handed over: until then
 * whatever looks for it there finds nothing.  What has both names is ours; what
 * has the second only is another's, and nothing touches it, whatever it is
 * called. */
#ifndef TARGET_FILES_H
#define TARGET_FILES_H

#include "base/vec.h"
#include "stages/copy/beside.h"
#include "stages/target/target.h"

#define FILES_CLAIM BESIDE_CLAIM
#define FILES_HELD FILES_CLAIM ".lock"
#define FILES_MARK BESIDE_MARK
#define FILES_DOMAIN "domain.xml"
#define FILES_NVRAM "nvram.fd"

/* How a target lays them out.  What gives a path gives one for any names; those
 * that check_names refuses are never used to write. */
struct files_layout {
	char *(*home)(const struct target_vm *t); /* caller frees */
	/* Where disk number n is. */
	char *(*disk_dir)(const struct target_vm *t, size_t n);
	/* The name under which all shall see the volume at `path`, caller
	 * frees; NULL: it has no other. */
	char *(*shown)(const char *path);
	/* Names that become paths: nothing that leaves the directory. */
	int (*check_names)(const struct target_vm *t, struct err *err);
	/* Takes away what could start the vm, which does not run, be it made by
	 * this state or by the one that is taken over; idempotent. */
	int (*withdraw)(const struct target_vm *t, struct err *err);
	/* What else is made in the home, NULL ends it. */
	const char *const *made;
};

/* Every directory that holds something of the vm, the home first. */
struct files_dirs {
	VEC(char *) list;
};
void files_dirs_of(const struct target_vm *t, struct files_dirs *ret);
void files_dirs_done(struct files_dirs *d);

const struct files_layout *files_of(const struct target_vm *t);
char *files_home(const struct target_vm *t); /* caller frees */
char *files_path(const struct target_vm *t, const char *name); /* in it */
char *files_disk_dir(const struct target_vm *t, size_t n);
char *files_scratch(const struct target_vm *t);
int files_check_names(const struct target_vm *t, struct err *err);
/* One component of a path that nobody has to quote, and no hidden file. */
bool files_is_safe_name(const char *name);
/* The names of vm and volumes alone; for check_names. */
int files_check_vm_names(const struct target_vm *t, struct err *err);

/* files_claim.c */
int files_guard(const struct target_vm *t, struct err *err);
int files_claim(const struct target_vm *t, struct err *err);
int files_note_power(const struct target_vm *t, const char *was,
		     struct err *err);
#define FILES_TAKEABLE 2
/* ERR_HELD unless `dir` bears our claim (1), none (0), or the one that may be
 * taken over (FILES_TAKEABLE). */
int files_claimed(const struct target_vm *t, const char *dir, struct err *err);
/* The first foreign claim, as struct target_ops says. */
int files_claimant(const struct target_vm *t, json_t **ret, struct err *err);
/* ERR_HELD unless all directories bear our claim. */
int files_must_own(const struct target_vm *t, struct err *err);
/* Has a directory anything but what a cut-short claim leaves? */
bool files_is_occupied(const char *dir);
int files_mark(const struct target_vm *t, enum handover state, struct err *err);
int files_marked(const struct target_vm *t, enum handover *ret,
		 struct err *err);

/* files_lock.c */
int files_hold(const struct target_vm *t, int held, int *ret_fd,
	       struct err *err);
/* Who works on the vm whose home that is, caller frees; NULL: nobody. */
char *files_holder(const char *dir);
/* Makes a takeable directory ours; `text` is our claim. */
int files_take_over(const struct target_vm *t, const char *dir,
		    const char *text, struct err *err);

/* files_volume.c */
char *files_volume_id(const struct target_vm *t, size_t n); /* a path */
void files_volume(const struct target_vm *t, size_t n, struct volume *ret);
int files_create_volume(const struct target_vm *t, size_t n, char **ret_id,
			bool *ret_fresh, struct err *err);
int files_grow_volume(const struct target_vm *t, size_t n, uint64_t was,
		      struct err *err);
int files_volume_is(const struct target_vm *t, size_t n, char **ret_id,
		    bool *ret_sealed, struct err *err);
int files_seal(const struct target_vm *t, struct err *err);

/* files_show.c */
char *files_shown(const struct target_vm *t, const char *path);
/* Whose is the file that has the name by which all would see that volume? */
enum files_whose { FILES_NOBODYS, FILES_OURS, FILES_ANOTHERS };
enum files_whose files_whose(const struct target_vm *t, const char *path);
/* ERR_FAIL when a volume is not there, or another's file has its name. */
int files_may_show(const struct target_vm *t, struct err *err);
int files_show(const struct target_vm *t, struct err *err);
int files_hide(const struct target_vm *t, const char *path, struct err *err);
/* The volume, under both names. */
int files_remove_shown(const struct target_vm *t, const char *path,
		       struct err *err);

/* files_open.c: ERR_RETRY while a volume is open in QEMU, whoever's, but for a
 * moment: what converted it, or reads it for a backup, will end. */
int files_no_disk_is_open(const struct target_vm *t, struct err *err);

/* files_aside.c */
char *files_aside(const struct target_vm *t, size_t n); /* only the name */
/* It is to be, and is not yet. */
bool files_is_to_set_aside(const struct target_vm *t, size_t n);
int files_set_aside(const struct target_vm *t, struct err *err);
/* What was ever set aside in this directory, which bears our claim. */
int files_remove_aside(const char *dir, struct err *err);

/* files_remove.c */
int files_owned(const struct target_vm *t, bool *ret, struct err *err);
int files_must_be_off(const struct target_vm *t, struct err *err);
int files_undefine(const struct target_vm *t, struct err *err);
int files_remove(const struct target_vm *t, struct err *err);

/* files_check.c: findings of the type Target... */
bool files_check_writable(const struct target_vm *t, const char *path,
			  struct findings *findings);
/* Claim, mark, files of nobody. */
void files_check_free(const struct target_vm *t, struct findings *findings);
int files_check_space(const struct target_vm *t, struct findings *findings,
		      struct err *err);
/* What is needed to make, convert and define it, but for what runs it. */
void files_check_needs(const struct target_vm *t, struct findings *findings);

#endif

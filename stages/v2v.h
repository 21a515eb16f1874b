/* SPDX-License-Identifier: Apache-2.0 */
/* virt-v2v-in-place, run on overlays, and what has to be true before. */
#ifndef STAGES_V2V_H
#define STAGES_V2V_H

#include "stages/stage.h"
#include "stages/target/accel.h"
#include "stages/target/target.h"

struct v2v_run {
	struct work *work;
	const struct volume *overlays; /* one a disk of the shape */
	const char *dir;    /* private; XML, messages, large temporary files */
	const char *tmpdir; /* private; short, because sockets live in it */
	const char *log;    /* all that it says goes there */
	int64_t mono_deadline_ms;
	enum accel accel;
};

/* Runs it to its end; *ret_messages (new reference) is an array of
 * {"type", "message"}: its warnings and notes.  Its own last error is the text
 * of ours.  The step titles go to the log as they come. */
int v2v_convert(const struct v2v_run *run, json_t **ret_messages,
		struct err *err);

/* Ends what an earlier attempt recorded and a killed run left behind. */
int v2v_end_earlier(const struct work *w, struct err *err);

/* Removes what killed attempts of this state left in /tmp, whichever step's
 * they were (convert.c).  *removed is set when there was one; it may be
 * NULL. */
int convert_remove_tmpdir(const struct work *w, bool *removed, struct err *err);

/* The libvirt XML it reads; caller frees. */
char *v2v_xml(const struct view *v, const struct volume *overlays);

/* The value of --root: a device of the guest, or "first"; caller frees. */
char *v2v_root(const struct plan_vm *pvm);

/* What is missing for conversion and boot test of this vm, said before
 * anything is copied. */
void convert_check(const struct view *v, struct findings *findings);

#endif

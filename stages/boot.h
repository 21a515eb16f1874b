/* SPDX-License-Identifier: Apache-2.0 */
/* One boot of a vm on overlays of what is given, with network cards that lead
 * nowhere: does the guest say, itself, that it is up?
 *
 * It is asked in up to three ways, and has to answer to all that the policy
 * names: a line on its console (bootProbe.serial), its agent (agent), an
 * operator's script (script, boot_script.c).  Neither yes nor no in time is no
 * verdict: never a silent pass. */
#ifndef STAGES_BOOT_H
#define STAGES_BOOT_H

#include <regex.h>

#include "base/buf.h"
#include "stages/boot_agent.h"
#include "stages/stage.h"
#include "stages/target/target.h"

enum boot_result { BOOT_PASSED, BOOT_FAILED, BOOT_INCONCLUSIVE };

/* "passed", "failed", "inconclusive"; and back: what is neither is
 * inconclusive. */
const char *boot_result_name(enum boot_result result);
enum boot_result boot_result_of(const char *name);

struct boot_verdict {
	enum boot_result result;
	char *why; /* the line that decided, what did not come; owned */
	char *console, *screen; /* files, what the guest said and showed; owned,
				   NULL: none */
	json_t *notes;		/* what the script left; or NULL */
	int64_t took_ms;
};
void boot_verdict_done(struct boot_verdict *v);

/* The same as facts: result, line, console, screen, notes, tookMs. */
json_t *boot_verdict_facts(const struct boot_verdict *v);

/* Boots overlays of that kind above `bases` and throws them away again.  0:
 * there is a verdict; errors are of the machine's, not of the guest's
 * making. */
int boot_try(struct work *w, const struct volume *bases, const char *kind,
	     struct boot_verdict *ret, struct err *err);

/* The inside, shared with boot_script.c. */

/* What became of the boot so far. */
enum boot_state {
	BOOTING,	/* nothing yet; or it answers to all that is asked */
	BOOT_IS_DOWN,	/* it says that there is no hope */
	BOOT_ENDED,	/* QEMU did */
	BOOT_TIMED_OUT, /* deadlines.bootTest */
	BOOT_TOO_LOUD,
};

struct boot {
	struct work *work;
	const char *dir;     /* where QEMU's sockets are */
	const char *console; /* the file that the guest's console is kept in */
	const struct process *qemu;
	int64_t until; /* monotonic */
	regex_t good, bad;
	bool has_good, has_bad;
	struct buf text; /* what the guest said, without NUL and CR */
	off_t at;	 /* so much of the file is read */
	size_t looked;	 /* before it all whole lines were looked at */
	bool said, answered;
	char *line; /* that decided; owned */
	struct agent agent;
	enum boot_state state;
};

/* Looks at console and QEMU after at most so long, and ends the boot where
 * that is to be seen; the state then. */
enum boot_state boot_look(struct boot *b, int64_t wait_ms);

#define BOOT_AGENT_SOCKET "agent.sock"
#define BOOT_CONSOLE_SOCKET "console.sock"

/* boot_script.c: runs the policy's script against it.  The verdict goes to
 * `ret` (result, why, notes). */
void boot_script(struct boot *b, const struct script *script,
		 struct boot_verdict *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Helper programs: started in a process group of their own, watched, ended.
 *
 * A helper gets the descriptors asked for and those of process_inherit,
 * nothing else; default signals; and the wish to die with
 * the thread that started it.  What it starts in turn may outlive it, which
 * is why the group is what gets killed and what gets written down. */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Who a process is beyond its number, which the kernel uses again. */
struct process_id {
	pid_t pid; /* of the group's leader */
	unsigned long long
	    start;	  /* clock ticks since boot, /proc/PID/stat 22 */
	pid_t session;	  /* its group's members are of no other */
	char boot_id[64]; /* of the boot and the PID namespace */
};

struct process {
	struct process_id id; /* id.pid 0: not running */
	int pidfd;	      /* -1 */
};

struct process_opts {
	const char *const *argv; /* NULL ends it; argv[0] is searched in PATH */
	const char *const *env;	 /* "NAME=value" added to ours; NULL none */
	const char *dir;	 /* working directory; NULL ours */
	int in, out, err;	 /* descriptors; -1 is /dev/null */
	bool detached;		 /* a session of its own that outlives us and
	                            inherits no lock: the started target */
	/* Runs after the fork and before the program: the moment to write
	 * down who is about to live.  -1 ends the helper unstarted. */
	int (*on_start)(void *arg, const struct process_id *id,
			struct err *err);
	void *arg;
};

#define PROCESS_OPTS_INIT                      \
	{                                      \
		.in = -1, .out = -1, .err = -1 \
	}

/* Every helper started from now on inherits this descriptor (the lock that
 * proves a vm has a writer). */
void process_inherit(int fd);

/* A program that does not exist is ERR_FAIL "... is not installed". */
int process_start(const struct process_opts *opts, struct process *ret,
		  struct err *err);

/* What process_wait gives a group that is late to end by itself. */
#define PROCESS_GRACE_MS 5000

/* Waits until it ends (what it leaves behind in its group is ended, too), at
 * most until mono_deadline_ms (clock_mono_ms; 0 is
 * no deadline); then the whole group is killed and the error says what was
 * waited for.  *ret_status is as of waitpid. */
int process_wait(struct process *p, const char *what, int64_t mono_deadline_ms,
		 int *ret_status, struct err *err);

/* SIGTERM to the group, then SIGKILL after grace_ms; returns when the leader
 * is reaped and the group is empty.  Fine on one that is not running. */
void process_end(struct process *p, int grace_ms);

/* Is this very process (same start, same boot) or anything of its group still
 * there?  And end it: SIGKILL to the group until it is gone; ERR_RETRY when
 * it will not go within deadline_ms. */
bool process_lives(const struct process_id *id);
int process_kill_group(const struct process_id *id, int deadline_ms,
		       struct err *err);
pid_t process_parent(pid_t pid); /* -1 when it is gone */
/* Fills in start and boot id of a live process; -1 when it is gone. */
int process_identify(pid_t pid, struct process_id *ret);
/* {"pid": 7, "start": 123, "boot": "..."} and back; what is not of that form
 * is -1. */
json_t *process_id_to_json(const struct process_id *id);
int process_id_from_json(const json_t *json, struct process_id *ret);

/* Runs to the end and captures; stdout to *out and stderr's last lines into
 * the error.  A status other than 0 is ERR_FAIL "NAME failed: last line";
 * ERR_RETRY, with err->sys, where that line says what may be mended (a full
 * disk, a failing one, a peer that is away), or when somebody killed it. */
int process_run(const char *const *argv, int deadline_ms, struct buf *out,
		struct err *err);

/* For a child that goes on in this program: closes all descriptors from 3 on
 * but these, and gives every signal its default. */
void process_close_others(const int *keep, size_t nkeep);
void process_reset_signals(void);

/* "exited with 3", "was killed by SIGKILL" */
char *process_status_text(int status); /* caller frees */
bool process_in_path(const char *program);

#endif

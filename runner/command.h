/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: one file a verb, one table. */
#ifndef RUNNER_COMMAND_H
#define RUNNER_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "manifests/finding.h"
#include "manifests/model.h"

#define PALLETJACK_VERSION "0.1.0"

/* What stands before the command on the command line; --state also behind. */
struct globals {
	const char *state; /* --state, or NULL */
	bool coloured;	   /* on stderr */
};

struct command {
	const char *name;
	const char *summary; /* one line of `palletjack --help` */
	const char *usage;   /* what follows the name */
	const char *help;    /* the rest of `palletjack NAME --help` */
	bool changes;	     /* more than what it prints */
	/* argv[0] is the command's name.  The exit code. */
	int (*run)(const struct globals *g, int argc, char **argv);
};

extern const struct command command_validate, command_plan, command_run,
    command_status, command_cancel, command_cutover, command_rollback,
    command_gc, command_verify, command_copy, command_journal, command_version;

/* One option of a command. */
struct option_spec {
	const char *name; /* "--plan" or "-o" */
	enum { OPTION_FLAG, OPTION_TEXT, OPTION_LIST } type;
	void *to; /* bool *, const char **, struct words * */
};

/* A growing NULL-ended list of borrowed words. */
struct words {
	const char **v;
	size_t n;
};
void words_add(struct words *w, const char *word);
void words_done(struct words *w);
/* Is it one of them?  No words at all mean every vm. */
bool words_want(const struct words *vms, const struct plan_vm *pvm);
/* ERR_USER when one of them is no vm of the plan. */
int words_check_vms(const struct words *vms, const struct plan *plan,
		    struct err *err);
/* " PATH... --plan NS/NAME --state 'DIR'": what a command is given again;
 * caller frees. */
char *words_again(const struct words *paths, const char *plan,
		  const char *state);

/* Fills options in and collects the rest in `rest`.  -1: wrong usage, said on
 * stderr.  1: --help was asked for and given. */
int options_parse(const struct command *c, const struct option_spec *specs,
		  int argc, char **argv, struct words *rest);

/* 0, or -1 when there is no such stage, said on stderr; `what` is whose name
 * it is: "run: --until".  NULL is fine. */
int options_check_stage(const char *what, const char *stage);
int options_check_stages(const char *what, const struct words *stages);

/* "palletjack: text" on stderr, redacted. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Says err; the exit code it means. */
int complain_err(const struct err *err);

/* What most commands begin with: the manifest, what was found in it, and the
 * plan that is meant. */
struct session {
	struct arena *arena;
	struct findings findings; /* printed already */
	struct manifest *manifest;
	const char *selector;	 /* -l: of the plans' labels; NULL after open */
	const struct plan *plan; /* NULL until session_plan */
};

/* Each is 0 or the exit code to end with, and why has been said: 2 unreadable,
 * or no such plan; 3 with `must_be_ready`: findings keep the plan back.
 * session_close is fine after any of them. */
int session_open(struct session *s, const struct words *paths, bool strict);
int session_plan(struct session *s, const char *name, bool must_be_ready);
void session_close(struct session *s);
/* Do findings keep back the plan (or, when it is NULL, anything)?  Findings
 * about single vms do not, nor, in a manifest of several plans, those about
 * objects that the plan does not reach. */
bool findings_block_plan(const struct findings *f, const struct manifest *m,
			 const struct plan *plan);
/* One line each, on stderr. */
void findings_print(const struct findings *f);

/* The run's exit code from its vms': the first of 130/143, 1, 8, 6, 5, 3, 4,
 * 9, 7, 0 that any earned. */
int exit_code_worse(int a, int b);
/* Of the vms that were kept back and those that were worked on. */
struct batch;
struct vm_run;
int exit_code_of_vms(const struct batch *b, const struct vm_run *worked_on,
		     size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack: moves virtual machines as its manifest says. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "command.h"
#include "io/interrupt.h"

static const struct command *const commands[] = {
    &command_validate, &command_plan,	 &command_run,	    &command_status,
    &command_cancel,   &command_cutover, &command_rollback, &command_gc,
    &command_verify,   &command_copy,	 &command_journal,  &command_version,
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

/* Named in the design, and said to be missing instead of unknown. */
static const char *const to_come[] = {
    "report",	 "gather", "logs",	 "render",
    "inventory", "init",   "thumbprint", "rules",
};

static void
print_usage(void)
{
	printf("usage: palletjack [--state DIR] [--log-level LEVEL] "
	       "[--color WHEN] COMMAND [PATH...]\n\n"
	       "Moves virtual machines as a manifest says: files, directories "
	       "or - for standard\ninput.  Killed at any moment and started "
	       "again, it goes on where it was.\n\ncommands:\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nnot in this build yet:\n ");
	for (size_t i = 0; i < sizeof(to_come) / sizeof(to_come[0]); i++)
		printf(" %s", to_come[i]);
	printf(
	    "\n\n"
	    "  --state DIR        where state is kept; behind the command, too "
	    "(default\n"
	    "                     $PALLETJACK_STATE, for root "
	    "/var/lib/palletjack, else\n"
	    "                     $XDG_STATE_HOME/palletjack)\n"
	    "  PALLETJACK_SLOTS   where limits are held over all runs "
	    "(default, "
	    "for root\n"
	    "                     /run/palletjack, else "
	    "$XDG_RUNTIME_DIR/palletjack)\n"
	    "  --log-level LEVEL  error, warning, info or debug\n"
	    "  --color WHEN       auto, always or never\n\n"
	    "'palletjack COMMAND --help' says more.  Exit codes: 0 done, 1 "
	    "internal error, 2 bad\nusage or unreadable manifest, 3 not ready, "
	    "4 held by another run, 5 failed and may\nwork later, 6 failed for "
	    "good, 7 waiting, 8 verification mismatch, 9 cancelled or\nrolled "
	    "back, 129/130/143 "
	    "interrupted with state saved.\n");
}

static const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int
refuse_command(const char *name)
{
	for (size_t i = 0; i < sizeof(to_come) / sizeof(to_come[0]); i++)
		if (strcmp(to_come[i], name) == 0) {
			complain("'%s' is not in this build yet", name);
			return 2;
		}
	complain("there is no command '%s'; see 'palletjack --help'", name);
	return 2;
}

static bool
wants_colour(const char *when)
{
	const char *no = getenv("NO_COLOR");

	if (strcmp(when, "always") == 0)
		return true;
	if (strcmp(when, "never") == 0 || (no && *no))
		return false;
	return isatty(STDERR_FILENO);
}

/* A global option's value; *i moves on past it. */
static const char *
global_value(int argc, char **argv, int *i, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len) != 0)
		return NULL;
	if (argv[*i][len] == '=')
		return argv[*i] + len + 1;
	if (argv[*i][len] == '\0' && *i + 1 < argc)
		return argv[++*i];
	return NULL;
}

/* --state also stands behind the command, where what is to be given again
 * names it.  How many words are left. */
static int
take_state(struct globals *g, int argc, char **argv)
{
	bool only_words = false;
	int left = 1;

	for (int i = 1; i < argc; i++) {
		const char *value = NULL;

		only_words = only_words || strcmp(argv[i], "--") == 0;
		if (!only_words)
			value = global_value(argc, argv, &i, "--state");
		if (value)
			g->state = value;
		else
			argv[left++] = argv[i];
	}
	argv[left] = NULL;
	return left;
}

static bool
is_colour_word(const char *when)
{
	return strcmp(when, "auto") == 0 || strcmp(when, "always") == 0 ||
	       strcmp(when, "never") == 0;
}

/* The position of the command, 0 when the program is done, -1 when the usage
 * is wrong. */
static int
parse_globals(int argc, char **argv, struct globals *g)
{
	enum log_level level = LOG_LEVEL_WARNING;
	const char *when = "auto", *value;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--help") == 0 ||
		    strcmp(argv[i], "-h") == 0) {
			print_usage();
			return 0;
		}
		if (strcmp(argv[i], "--version") == 0) {
			command_version.run(g, 1, argv);
			return 0;
		}
		if ((value = global_value(argc, argv, &i, "--state")))
			g->state = value;
		else if (global_value(argc, argv, &i, "--secrets")) {
			complain("'--secrets' is not in this build yet: "
				 "secrets are read from the manifest");
			return -1;
		} else if ((value = global_value(argc, argv, &i, "--color")) &&
			   is_colour_word(value))
			when = value;
		else if (!(value =
			       global_value(argc, argv, &i, "--log-level")) ||
			 log_parse_level(value, &level) < 0) {
			complain("'%s' is no option, or its value is wrong; "
				 "see 'palletjack --help'",
				 argv[i]);
			return -1;
		}
	}
	g->coloured = wants_colour(when);
	log_open(STDERR_FILENO, level);
	if (i < argc)
		return i;
	complain("no command; see 'palletjack --help'");
	return -1;
}

/* Whoever starts us may have closed them: the next file to be opened, a journal
 * perhaps, would be where messages go. */
static void
hold_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", O_RDWR | O_NOCTTY) != fd)
			_exit(1); /* and nowhere to say why */
}

/* The exit code.  For a command that only prints, what cannot be printed is
 * all there was to do; one that changes something may lose who reads it. */
static int
close_output(int code, bool changes)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (fflush(stdout) == 0 && !failed)
		return code;
	/* what stopped an earlier piece is forgotten by now; most often it is
	 * there still */
	if (errno == 0 && write(STDOUT_FILENO, "\n", 1) == 1)
		errno = 0;
	if (changes && errno == EPIPE)
		return code;
	complain("standard output cannot be written%s%s: what was printed "
		 "there is not whole",
		 errno ? ": " : "", errno ? strerror(errno) : "");
	return exit_code_worse(code, err_exit_code(ERR_RETRY));
}

static int
run_main(int argc, char **argv, bool *ret_changes)
{
	struct globals g = {0};
	const struct command *c;
	int at;

	at = parse_globals(argc, argv, &g);
	if (at <= 0)
		return at < 0 ? 2 : 0;
	c = command_find(argv[at]);
	if (!c)
		return refuse_command(argv[at]);
	*ret_changes = c->changes;
	/* whoever reads what it says may go; what it does goes on */
	if (c->changes)
		signal(SIGPIPE, SIG_IGN);
	argc = take_state(&g, argc - at, argv + at);
	return c->run(&g, argc, argv + at);
}

int
main(int argc, char **argv)
{
	static const struct rlimit no_core = {0, 0};
	bool changes = false;
	int code;

	hold_standard_fds();
	interrupt_begin();
	/* a core holds secrets */
	setrlimit(RLIMIT_CORE, &no_core);
	fs_files_raise();
	code = run_main(argc, argv, &changes);
	return close_output(code, changes);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* palletjack journal: check a journal's chain of checksums, or show it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "command.h"
#include "journal.h"

static int
show_record(void *arg, const json_t *record, struct err *err)
{
	(void)arg;
	(void)err;
	json_dumpf(record, stdout, JSON_COMPACT);
	printf("\n");
	return 0;
}

/* A vm's state directory stands for the journal in it. */
static char *
journal_path(const char *given)
{
	struct stat st;

	if (stat(given, &st) == 0 && S_ISDIR(st.st_mode))
		return fs_path(given, "journal");
	return mem_strdup(given);
}

static void
say_report(const char *path, const struct journal_report *r)
{
	printf("%s: %zu records, %zu bytes, all checksums hold", path,
	       r->nrecords, r->bytes);
	if (r->ncompacted)
		printf("; %zu older records are compacted into the first two",
		       r->ncompacted);
	if (r->torn)
		printf("; a torn tail follows, which the next run cuts");
	printf("\n");
}

static int
look_at(const char *given, bool show)
{
	CLEANUP(mem_freep) char *path = journal_path(given);
	struct journal_report report;
	struct err err;

	if (!fs_exists(path)) {
		complain("there is no journal '%s'", path);
		return 2;
	}
	if (journal_read(path, show ? show_record : NULL, NULL, &report, &err) <
	    0)
		return complain_err(&err);
	if (!show)
		say_report(path, &report);
	return 0;
}

static int
journal(const struct words *rest)
{
	bool show = rest->n && strcmp(rest->v[0], "show") == 0;
	int code = 0;

	if (rest->n < 2 || (!show && strcmp(rest->v[0], "check") != 0)) {
		complain("journal: say check or show, and which; see "
			 "'palletjack journal --help'");
		return 2;
	}
	for (size_t i = 1; i < rest->n; i++)
		code = exit_code_worse(code, look_at(rest->v[i], show));
	return code;
}

static int
run(const struct globals *g, int argc, char **argv)
{
	static const struct option_spec none[] = {{0}};
	struct words rest = {0};
	int rc = options_parse(&command_journal, none, argc, argv, &rest);

	(void)g;
	rc = rc ? (rc < 0 ? 2 : 0) : journal(&rest);
	words_done(&rest);
	return rc;
}

const struct command command_journal = {
    .name = "journal",
    .summary = "check a vm's journal, or show its records",
    .usage = "check|show DIR|FILE...",
    .help = "  check  read it whole and verify the chain of checksums\n"
	    "  show   print its records, one JSON object a line\n\n"
	    "DIR is a vm's state directory. Nothing is changed. A journal "
	    "that grew beyond 1 MiB\nis compacted by the run that writes it: "
	    "two records, 'open' and 'state', then stand\nfor all older "
	    "ones.\n",
    .run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* TAP for C. */
#include "t/tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"

static int ntests, nfailed;
static char dir[4096];

bool
tap_ok(bool held, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", held ? "" : "not ", ++ntests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (!held) {
		nfailed++;
		printf("# at %s:%d\n", file, line);
	}
	fflush(stdout);
	return held;
}

bool
tap_is_int(long long got, long long want, const char *file, int line,
	   const char *name)
{
	bool held = tap_ok(got == want, file, line, "%s", name);

	if (!held)
		tap_diag("got %lld, want %lld", got, want);
	return held;
}

bool
tap_is_str(const char *got, const char *want, const char *file, int line,
	   const char *name)
{
	bool same = got && want ? strcmp(got, want) == 0 : got == want;

	if (!tap_ok(same, file, line, "%s", name))
		tap_diag("got '%s', want '%s'", got ? got : "(null)",
			 want ? want : "(null)");
	return same;
}

bool
tap_like(const char *got, const char *part, const char *file, int line,
	 const char *name)
{
	bool held = got && strstr(got, part);

	if (!tap_ok(held, file, line, "%s", name))
		tap_diag("got '%s', want it to contain '%s'",
			 got ? got : "(null)", part);
	return held;
}

void
tap_diag(const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	printf("# ");
	for (const char *c = text; *c; c++)
		printf(*c == '\n' ? "\n# " : "%c", *c);
	printf("\n");
	fflush(stdout);
}

int
tap_done(void)
{
	struct err err;

	printf("1..%d\n", ntests);
	if (dir[0] && nfailed == 0)
		(void)fs_remove_tree(dir, &err);
	else if (dir[0])
		tap_diag("kept %s", dir);
	return nfailed ? 1 : 0;
}

void
tap_skip_all(const char *reason)
{
	printf("1..0 # SKIP %s\n", reason);
	exit(0);
}

const char *
tap_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	if (dir[0])
		return dir;
	snprintf(dir, sizeof(dir), "%s/palletjack-t.XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir)) {
		perror("# mkdtemp");
		exit(1);
	}
	return dir;
}

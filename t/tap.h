/* SPDX-License-Identifier: Apache-2.0 */
/* TAP for C: every check prints a line, tap_done prints the plan. */
#ifndef T_TAP_H
#define T_TAP_H

#include <stdbool.h>

/* Each returns whether it held. */
bool tap_ok(bool held, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
bool tap_is_int(long long got, long long want, const char *file, int line,
		const char *name);
bool tap_is_str(const char *got, const char *want, const char *file, int line,
		const char *name);
bool tap_like(const char *got, const char *part, const char *file, int line,
	      const char *name);
void tap_diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints the plan; the value for main to return. */
int tap_done(void);
_Noreturn void tap_skip_all(const char *reason);
/* A private directory below $TMPDIR, removed at exit when all held. */
const char *tap_dir(void);

#define ok(held, ...) tap_ok(held, __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, want, name) tap_is_int(got, want, __FILE__, __LINE__, name)
#define is_str(got, want, name) tap_is_str(got, want, __FILE__, __LINE__, name)
/* `part` occurs in `got` */
#define like(got, part, name) tap_like(got, part, __FILE__, __LINE__, name)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Errors by value: a class that decides, a text that explains. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

/* What the runner does about a failure; the text says what a person should.
 * The order means nothing; the names are written to journals, so a class may
 * be added but never renamed. */
enum err_class {
	ERR_NONE,
	ERR_RETRY,     /* may work later: network, busy server, full disk */
	ERR_FAIL,      /* this vm cannot go on as things are */
	ERR_USER,      /* the manifest or the command line is wrong */
	ERR_NOT_READY, /* findings keep this vm back */
	ERR_HELD,      /* another run, or another state directory, has it */
	ERR_MISMATCH,  /* the target does not hold what the ledger says */
	ERR_CANCELLED, /* someone asked us to stop */
	ERR_WAITING,   /* for a time or a gate: nothing is wrong */
	ERR_BUG,       /* we broke our own rules */
	ERR_AGAIN,     /* the next run mends it, this one cannot */
};

/* Lives on the caller's stack: nothing to free, setting it cannot fail.  The
 * text is for people: lower case, no full stop, names in single quotes. */
struct err {
	enum err_class class;
	int sys; /* errno, or 0 */
	char text[1000];
};

/* All return -1, so that a failing function can end in `return err_...`. */
int err_set(struct err *err, enum err_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds strerror(errno).  The class follows errno: what time or a person can
 * mend without changing the manifest (ENOSPC, EIO, ECONNREFUSED, ...) is
 * ERR_RETRY, the rest ERR_FAIL. */
int err_sys(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts "fmt: " before the text; class and errno stay. */
int err_wrap(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "retry", "fail", ... and back; an unknown name is ERR_BUG. */
const char *err_class_name(enum err_class class);
enum err_class err_class_parse(const char *name);

/* The exit code of a run that ended like this (design: exit codes). */
int err_exit_code(enum err_class class);

#endif

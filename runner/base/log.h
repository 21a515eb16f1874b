/* SPDX-License-Identifier: Apache-2.0 */
/* The log: for the person who investigates.  Lines go to one descriptor,
 * redacted; only runner/ and stage contexts log, libraries return errors. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* "error", "warning", "info", "debug"; -1 when it is none of them. */
int log_parse_level(const char *name, enum log_level *ret);
const char *log_level_name(enum log_level level);

/* Lines less important than `level` are dropped; fd -1 drops all. */
void log_open(int fd, enum log_level level);

/* Another descriptor: a child writes to its vm's log, which a person reads
 * afterwards and which says at least what is info. */
void log_redirect(int fd);

/* `where` is "vm/step" or NULL. */
void log_line(enum log_level level, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

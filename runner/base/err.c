/* SPDX-License-Identifier: Apache-2.0 */
/* Filling, wrapping and naming errors. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const struct {
	const char *name;
	int exit_code;
} classes[] = {
    [ERR_NONE] = {"none", 0},		[ERR_RETRY] = {"retry", 5},
    [ERR_FAIL] = {"fail", 6},		[ERR_USER] = {"user", 2},
    [ERR_NOT_READY] = {"not-ready", 3}, [ERR_HELD] = {"held", 4},
    [ERR_MISMATCH] = {"mismatch", 8},	[ERR_CANCELLED] = {"cancelled", 9},
    [ERR_WAITING] = {"waiting", 7},	[ERR_BUG] = {"bug", 1},
    [ERR_AGAIN] = {"again", 5},
};

#define NCLASSES (sizeof(classes) / sizeof(classes[0]))

int
err_set(struct err *err, enum err_class class, const char *fmt, ...)
{
	va_list ap;

	err->class = class;
	err->sys = 0;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	utf8_trim(err->text);
	return -1;
}

static enum err_class
class_of_errno(int sys)
{
	switch (sys) {
	case EACCES:
	case EPERM:
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case EINVAL:
	case ENAMETOOLONG:
	case ELOOP:
	case EROFS:
	case EFBIG:
		return ERR_FAIL;
	default:
		return ERR_RETRY;
	}
}

int
err_sys(struct err *err, const char *fmt, ...)
{
	int sys = errno;
	size_t used;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	utf8_trim(err->text);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		 strerror(sys));
	utf8_trim(err->text);
	err->class = class_of_errno(sys);
	err->sys = sys;
	return -1;
}

int
err_wrap(struct err *err, const char *fmt, ...)
{
	char old[sizeof(err->text)];
	size_t used;
	va_list ap;

	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	utf8_trim(err->text);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
	utf8_trim(err->text);
	return -1;
}

const char *err_class_name(enum err_class class)
{
	return classes[class].name;
}

enum err_class
err_class_parse(const char *name)
{
	for (size_t i = 0; i < NCLASSES; i++)
		if (strcmp(classes[i].name, name) == 0)
			return (enum err_class)i;
	return ERR_BUG;
}

int err_exit_code(enum err_class class)
{
	return classes[class].exit_code;
}

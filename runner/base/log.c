/* SPDX-License-Identifier: Apache-2.0 */
/* `time level vm/step message`, one write a line. */
#include "base/log.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/utf8.h"

static const char *const names[] = {"error", "warning", "info", "debug"};
static int log_fd = -1;
static enum log_level log_least = LOG_LEVEL_INFO;

int
log_parse_level(const char *name, enum log_level *ret)
{
	for (int i = 0; i <= LOG_LEVEL_DEBUG; i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

const char *
log_level_name(enum log_level level)
{
	return names[level];
}

void
log_open(int fd, enum log_level level)
{
	log_fd = fd;
	log_least = level;
}

void
log_redirect(int fd)
{
	log_fd = fd;
	if (log_least < LOG_LEVEL_INFO)
		log_least = LOG_LEVEL_INFO;
}

void
log_line(enum log_level level, const char *where, const char *fmt, ...)
{
	CLEANUP(mem_freep) char *text = NULL, *clean = NULL;
	CLEANUP(buf_done) struct buf line = {0};
	char time[CLOCK_TEXT_SIZE];
	struct err ignored;
	va_list ap;

	if (log_fd < 0 || level > log_least)
		return;
	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	clean = redact_text(text);
	utf8_plain(clean);
	buf_printf(&line, "%s %-7s %s%s%s\n",
		   clock_format(clock_wall_ms(), time), names[level],
		   where ? where : "", where ? ": " : "", clean);
	(void)fs_write_all(log_fd, line.data, line.len, &ignored);
}

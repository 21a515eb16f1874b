/* SPDX-License-Identifier: Apache-2.0 */
/* A run as lines for people, with one live line when it is a terminal. */
#include "event.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/utf8.h"

#define REDRAW_MS 200

struct terminal {
	struct printer printer;
	int fd;
	bool is_live; /* may redraw its last line */
	bool drawn;   /* a live line stands there now */
	bool coloured;
	int64_t last_draw;
};

static void
say(struct terminal *t, const struct buf *line)
{
	CLEANUP(mem_freep) char *clean = redact_text(line->data);
	struct err ignored;

	(void)fs_write_all(t->fd, clean, strlen(clean), &ignored);
}

/* Texts come from endpoints, scripts and manifests. */
static void
add_plain(struct buf *b, const char *text)
{
	CLEANUP(mem_freep) char *plain = mem_strdup(text);

	utf8_plain(plain);
	buf_adds(b, plain);
}

static void
add_clock(struct buf *b)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	char text[16];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	buf_printf(b, "%s  ", text);
}

static const char *
colour(const struct terminal *t, const char *code)
{
	return t->coloured ? code : "";
}

/* Whole lines: what stays in the scroll-back. */
static void
print_line(struct terminal *t, const struct event *e, const char *code,
	   const char *word, const char *text)
{
	CLEANUP(buf_done) struct buf line = {0};
	char elapsed[CLOCK_TEXT_SIZE];

	if (t->drawn)
		buf_adds(&line, "\r\033[K");
	t->drawn = false;
	add_clock(&line);
	add_plain(&line, e->vm);
	buf_printf(&line, "  %-18s %s%s%s", e->step ? e->step : "",
		   colour(t, code), word, colour(t, "\033[0m"));
	if (e->elapsed_ms > 0)
		buf_printf(&line, " in %s",
			   clock_format_duration(e->elapsed_ms, elapsed));
	if (text && *text) {
		buf_adds(&line, ": ");
		add_plain(&line, text);
	}
	buf_adds(&line, "\n");
	say(t, &line);
}

static void
draw_live(struct terminal *t, const struct event *e)
{
	CLEANUP(buf_done) struct buf line = {0};
	int64_t now = clock_mono_ms();

	if (!t->is_live || now - t->last_draw < REDRAW_MS)
		return;
	t->last_draw = now;
	t->drawn = true;
	buf_adds(&line, "\r\033[K          ");
	add_plain(&line, e->vm);
	buf_printf(&line, "  %-18s ", e->step);
	if (e->type == EVENT_STEP_DOING)
		add_plain(&line, e->text);
	else if (e->meter)
		meter_text(e->meter, e->total, &line);
	else if (e->total)
		meter_text(&(struct meter){.done = e->done}, e->total, &line);
	say(t, &line);
}

static void
print_again(struct terminal *t, const struct event *e)
{
	char wait[CLOCK_TEXT_SIZE];
	CLEANUP(mem_freep)
	char *text = mem_printf("%s (again in %s)", e->text,
				clock_format_duration(e->wait_ms, wait));

	print_line(t, e, "\033[33m", "failed", text);
}

static void
print_event(struct printer *p, const struct event *e)
{
	struct terminal *t = (struct terminal *)p;

	switch (e->type) {
	case EVENT_STEP_BEGUN:
		print_line(t, e, "", "...", NULL);
		break;
	case EVENT_STEP_DOING:
	case EVENT_STEP_PROGRESS:
		draw_live(t, e);
		break;
	case EVENT_STEP_DONE:
		print_line(t, e, "\033[32m", "done", e->text);
		break;
	case EVENT_STEP_FAILED:
		print_line(t, e, "\033[31m", "FAILED", e->text);
		break;
	case EVENT_STEP_AGAIN:
		print_again(t, e);
		break;
	case EVENT_VM_SKIPPED:
		print_line(t, e, "", "skipped", e->text);
		break;
	case EVENT_VM_REQUEST:
		print_line(t, e, "\033[33m", "asked", e->text);
		break;
	case EVENT_VM_WAITING:
		print_line(t, e, "\033[33m", "waiting", e->text);
		break;
	case EVENT_VM_DONE:
		print_line(t, e, "\033[32m", "MIGRATED", e->text);
		break;
	case EVENT_VM_ROLLED_BACK:
		print_line(t, e, "", "ROLLED BACK", e->text);
		break;
	case EVENT_VM_CLEANED:
		print_line(t, e, "", "CLEANED UP", e->text);
		break;
	case EVENT_VM_FAILED:
		print_line(t, e, "\033[31m", "STOPPED", e->text);
		break;
	}
}

struct printer *
status_terminal_new(int fd, int coloured)
{
	struct terminal *t = mem_new(sizeof(*t));

	t->printer.print = print_event;
	t->fd = fd;
	t->is_live = isatty(fd);
	t->coloured = coloured;
	return &t->printer;
}

void
status_terminal_free(struct printer *p)
{
	free(p);
}

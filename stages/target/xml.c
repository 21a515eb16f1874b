/* SPDX-License-Identifier: Apache-2.0 */
/* Writing XML by hand, safely: what is put in is escaped by what puts it. */
#include "stages/target/xml.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

static void
add_escaped(struct buf *b, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		switch (*c) {
		case '&':
			buf_adds(b, "&amp;");
			break;
		case '<':
			buf_adds(b, "&lt;");
			break;
		case '>':
			buf_adds(b, "&gt;");
			break;
		case '"':
			buf_adds(b, "&quot;");
			break;
		case '\'':
			buf_adds(b, "&apos;");
			break;
		case '\t':
		case '\n':
		case '\r': /* as themselves attributes would lose them */
			buf_printf(b, "&#%d;", *c);
			break;
		default:
			buf_add(b, *c < 0x20 || *c == 0x7f ? "?" : (void *)c,
				1);
		}
	}
}

void
xml_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	for (const char *c = fmt; *c; c++) {
		if (*c != '%') {
			buf_add(b, c, 1);
		} else if (strncmp(c, "%s", 2) == 0) {
			add_escaped(b, va_arg(ap, const char *));
			c += 1;
		} else if (strncmp(c, "%u", 2) == 0) {
			buf_printf(b, "%u", va_arg(ap, unsigned));
			c += 1;
		} else if (strncmp(c, "%zu", 3) == 0) {
			buf_printf(b, "%zu", va_arg(ap, size_t));
			c += 2;
		} else if (strncmp(c, "%llu", 4) == 0) {
			buf_printf(b, "%llu", va_arg(ap, unsigned long long));
			c += 3;
		} else {
			assert(!"a conversion xml_printf does not know");
		}
	}
	va_end(ap);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes are UTF-8: no surrogates, nothing overlong. */
#include "base/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How many bytes the character that begins so should have; 0: none does. */
static size_t
wanted(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

static bool
goes_on(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The bytes of the character at `text`, or 0. */
static size_t
character(const char *text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = wanted((unsigned char)*text);
	uint32_t code = (unsigned char)*text;

	if (len < 2)
		return len;
	code &= 0xffU >> (len + 1);
	for (size_t i = 1; i < len; i++) {
		if (!goes_on(text[i]))
			return 0;
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

void
utf8_clean(char *text)
{
	while (*text) {
		size_t len = character(text);

		if (!len)
			*text = '?';
		text += len ? len : 1;
	}
}

/* What a terminal would obey instead of showing it, in bytes; 0: nothing. */
static size_t
command(const unsigned char *c)
{
	if (c[0] < 0x20 || c[0] == 0x7f)
		return 1;
	if (c[0] == 0xc2 && c[1] < 0xa0)
		return 2;
	/* marks that turn the direction of the text after them */
	if (c[0] == 0xe2 && ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
			     (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)))
		return 3;
	return 0;
}

void
utf8_plain(char *text)
{
	utf8_clean(text);
	while (*text) {
		size_t len = command((unsigned char *)text);

		if (len)
			memset(text, strchr("\n\r\t", *text) ? ' ' : '?', len);
		text += len ? len : 1;
	}
}

void
utf8_trim(char *text)
{
	size_t len = strlen(text), tail = 0;

	while (tail < 3 && tail < len && goes_on(text[len - 1 - tail]))
		tail++;
	if (tail < len &&
	    wanted((unsigned char)text[len - 1 - tail]) > tail + 1)
		text[len - 1 - tail] = '\0';
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Words and bytes. */
#include "manifests/text.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "manifests/node.h"

/* How many bytes the character at s has; 0: it is not UTF-8. */
static size_t
utf8_len(const unsigned char *s, size_t left)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t from;
	} forms[] = {
	    {0x80, 0x00, 0},
	    {0xe0, 0xc0, 0x80},
	    {0xf0, 0xe0, 0x800},
	    {0xf8, 0xf0, 0x10000},
	};

	for (size_t n = 1; n <= 4; n++) {
		uint32_t c;

		if ((s[0] & forms[n - 1].mask) != forms[n - 1].lead)
			continue;
		if (n > left)
			return 0;
		c = s[0] & (unsigned char)~forms[n - 1].mask;
		for (size_t i = 1; i < n; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (s[i] & 0x3f);
		}
		if (c < forms[n - 1].from || c > 0x10ffff ||
		    (c >= 0xd800 && c <= 0xdfff))
			return 0;
		return n;
	}
	return 0;
}

static bool
is_control(unsigned char c)
{
	return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

static int
refuse(const char *file, unsigned line, unsigned column, unsigned char c,
       struct err *err)
{
	if (is_control(c))
		return err_set(err, ERR_USER,
			       "%s:%u:%u: a control character (0x%02x); is "
			       "this a text file in UTF-8?",
			       file, line, column, c);
	return err_set(err, ERR_USER, "%s:%u:%u: the byte 0x%02x is not UTF-8",
		       file, line, column, c);
}

int
text_check(const char *file, const char *text, size_t len, struct err *err)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned line = 1, column = 1;
	size_t n;

	if (len > NODE_MAX_BYTES)
		return err_set(err, ERR_USER,
			       "%s: larger than %zu MiB; split it", file,
			       NODE_MAX_BYTES >> 20);
	for (size_t i = 0; i < len; i += n) {
		n = utf8_len(s + i, len - i);
		if (!n || is_control(s[i]))
			return refuse(file, line, column, s[i], err);
		column++;
		if (s[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return 0;
}

static bool
is_name(const char *s, size_t limit, bool dots)
{
	size_t len = strlen(s);

	if (!len || len > limit)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool edge = i == 0 || i == len - 1 || s[i - 1] == '.' ||
			    s[i + 1] == '.';

		if (islower((unsigned char)s[i]) ||
		    isdigit((unsigned char)s[i]))
			continue;
		if (s[i] == '.' ? !dots || edge : s[i] != '-' || edge)
			return false;
	}
	return true;
}

bool
text_is_label(const char *s)
{
	return is_name(s, 63, false);
}

bool
text_is_subdomain(const char *s)
{
	return is_name(s, 253, true);
}

/* One row of the table per letter of a, the two before it kept: a swap looks
 * two rows back. */
size_t
text_distance(const char *a, const char *b, size_t limit)
{
	size_t na = strlen(a), nb = strlen(b);
	size_t rows[3][64] = {0};

	if (na >= 64 || nb >= 64)
		return limit + 1;
	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *row = rows[i % 3], *up = rows[(i + 2) % 3];
		const size_t *up2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[j - 1]);
			size_t best = up[j - 1] + (x != y);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && x != y &&
			    x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]) &&
			    up2[j - 2] + 1 < best)
				best = up2[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[na % 3][nb] > limit ? limit + 1 : rows[na % 3][nb];
}

bool
text_is_near(const char *a, const char *b, size_t *distance)
{
	size_t longer = strlen(a) > strlen(b) ? strlen(a) : strlen(b);
	size_t limit = longer / 3 < 3 ? (longer + 2) / 3 : 3;

	*distance = text_distance(a, b, limit);
	return *distance <= limit;
}

static int
base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

int
text_base64(const char *s, struct buf *ret)
{
	uint32_t bits = 0;
	unsigned digits = 0, padding = 0;

	for (; *s; s++) {
		int value = base64_value(*s);

		if (isspace((unsigned char)*s))
			continue;
		if (*s == '=')
			padding++;
		else if (value < 0 || padding)
			return -1;
		bits = bits << 6 | (uint32_t)(value < 0 ? 0 : value);
		if (++digits % 4 == 0 && ret) {
			char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8),
					 (char)bits};

			buf_add(ret, bytes, padding < 3 ? 3 - padding : 0);
		}
	}
	return digits % 4 || padding > 2 ? -1 : 0;
}

bool
text_is_encrypted(const char *s)
{
	return !strncmp(s, "ENC[AES256_GCM,", 15);
}

/* No option of ssh's, and nothing that a shell or ssh takes apart. */
static bool
is_word(const char *s, size_t len, const char *more)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(more, s[i]))
			return false;
	return len > 0 && *s != '-';
}

/* HOST, HOST:PORT, [ADDRESS]:PORT */
static bool
is_host(const char *s, size_t len)
{
	const char *closing = *s == '[' ? memchr(s, ']', len) : NULL;
	size_t head = closing ? (size_t)(closing + 1 - s) : 0;
	const char *colon = memchr(s + head, ':', len - head);
	size_t digits = colon ? len - (size_t)(colon + 1 - s) : 1;

	if (digits == 0 || (colon && strspn(colon + 1, "0123456789") < digits))
		return false;
	if (closing)
		return is_word(s + 1, head - 2, ".-_:%");
	return is_word(s, colon ? (size_t)(colon - s) : len, ".-_%");
}

bool
text_is_ssh_place(const char *s)
{
	const char *scheme = strstr(s, "://"), *at = scheme ? scheme + 3 : s;
	size_t len = strcspn(at, "/?"), user = 0;

	if (scheme && (scheme - s < 3 || strncmp(scheme - 3, "ssh", 3) != 0))
		return false;
	for (size_t i = 0; i < len; i++)
		if (at[i] == '@')
			user = i + 1;
	return (user == 0 || is_word(at, user - 1, ".-_+@\\%")) &&
	       is_host(at + user, len - user);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Text from elsewhere, made fit for JSON. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

/* In place: each byte that is no part of a UTF-8 character becomes '?'. */
void utf8_clean(char *text);

/* Also makes '?' of what a terminal would obey: control characters, among them
 * what begins an escape sequence, and marks that turn the direction of text.
 * Ends of lines and tabs become blanks. */
void utf8_plain(char *text);
/* Drops the last character where it was cut short. */
void utf8_trim(char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Text from elsewhere, made fit for JSON. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

/* In place: each byte that is no part of a UTF-8 character becomes '?'. */
void utf8_clean(char *text);

/* Drops the last character where it was cut short. */
void utf8_trim(char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Words and bytes: is it UTF-8, is it a name, what was meant. */
#ifndef MANIFESTS_TEXT_H
#define MANIFESTS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* UTF-8 without NUL and other control characters, of bearable size; else
 * ERR_USER with file:line:column. */
int text_check(const char *file, const char *text, size_t len, struct err *err);

/* Kubernetes' names: labels of [a-z0-9-], joined by dots in a subdomain. */
bool text_is_label(const char *s);     /* at most 63 characters */
bool text_is_subdomain(const char *s); /* at most 253 characters */

/* [ssh://][USER@]HOST[:PORT][/...][?...], HOST perhaps in brackets: may it be
 * what ssh logs in to?  It may still be refused when it is used. */
bool text_is_ssh_place(const char *s);

/* How many letters must be changed, added, dropped or swapped; case counts for
 * nothing.  More than `limit` is limit + 1. */
size_t text_distance(const char *a, const char *b, size_t limit);
/* Is `b` near enough to `a` to be what was meant? */
bool text_is_near(const char *a, const char *b, size_t *distance);

/* Base64 with padding and white space; the decoded bytes are added to `ret`
 * when it is not NULL.  -1: it is not base64. */
int text_base64(const char *s, struct buf *ret);

/* Has an encryption tool (SOPS) replaced this value? */
bool text_is_encrypted(const char *s);

#endif

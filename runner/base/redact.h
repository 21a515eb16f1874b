/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets this process has decoded, blotted out of everything it writes. */
#ifndef BASE_REDACT_H
#define BASE_REDACT_H

/* From now on `secret` is shown as "***".  Values shorter than four bytes
 * would blot out ordinary words and are not kept. */
void redact_add(const char *secret);

/* A copy of text without any known secret; caller frees. */
char *redact_text(const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes' label selectors, as kubectl's -l takes them: terms joined by
 * commas, all of which must hold. */
#ifndef RUNNER_SELECTOR_H
#define RUNNER_SELECTOR_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* Do the labels (string to string) have what is asked?  Terms are a=b, a==b,
 * a!=b, "a in (b,c)", "a notin (b,c)", a (is there), !a (is not); a label that
 * is not there differs from every value.  Anything else is ERR_USER. */
int selector_matches(const char *selector, const json_t *labels, bool *ret,
		     struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A schedule drawn: for Graphviz, for Mermaid, and as Markdown that fits a
 * pull request.  All write to standard output, in the manifest's order. */
#ifndef RUNNER_PLAN_DRAW_H
#define RUNNER_PLAN_DRAW_H

#include "batch.h"

/* "?" for what an archived plan names and the manifest does not have. */
const char *plan_end_name(const struct endpoint *ep);

void plan_draw_dot(const struct batch *b);
void plan_draw_mermaid(const struct batch *b);
/* `read` is what reading the manifest found. */
void plan_draw_markdown(const struct batch *b, const struct findings *read);

#endif

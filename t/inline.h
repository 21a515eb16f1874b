/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in for parts of palletjack in tests of thousands of runs: steps
 * and questions without children (inline.c), journals without files
 * (inline_journal.c), which are forgotten before another vm begins. */
#ifndef T_INLINE_H
#define T_INLINE_H

void inline_journal_forget(void);

#endif

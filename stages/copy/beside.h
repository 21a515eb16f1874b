/* SPDX-License-Identifier: Apache-2.0 */
/* What lies beside a disk that a plan made, and says whose it is. */
#ifndef COPY_BESIDE_H
#define COPY_BESIDE_H

#define BESIDE_CLAIM "palletjack.json" /* whose it is */
#define BESIDE_MARK "handover.json"    /* its guest may have written to it */

#endif

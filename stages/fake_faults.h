/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake endpoint's steps suffer because their settings say so. */
#ifndef STAGES_FAKE_FAULTS_H
#define STAGES_FAKE_FAULTS_H

#include "stages/stage.h"

/* ERR_USER names what is wrong with settings.faults. */
int fake_faults_check(const struct endpoint *ep, struct err *err);
/* Fails, dies or never returns, when that is asked for this step. */
int fake_suffer(struct work *w, struct err *err);
/* How long the step is to take. */
unsigned long fake_delay_ms(const struct work *w);
/* Takes so long, and says how far it is. */
void fake_take_time(struct work *w);
bool fake_stops_halfway(const struct work *w);
bool fake_loses_point(const struct work *w);
/* At this moment of a hand-over somebody may start the source, or the step's
 * process die. */
int fake_race(struct work *w, const char *moment, struct err *err);

/* Is its boot test to come to "unbootable", or to "silent"? */
bool fake_boots_like(const struct work *w, const char *kind);

#endif

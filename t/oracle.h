/* SPDX-License-Identifier: Apache-2.0 */
/* What the downtime of a fake vm with a writer can be, by who knows the writer
 * (stages/fake_writer.h) and nothing of predictions.  Seconds of its clock. */
#ifndef T_ORACLE_H
#define T_ORACLE_H

#include <stdint.h>

#include "stages/fake_writer.h"

struct oracle {
	/* The shortest downtime with the usual stop, conversion, start and
	 * copying, of all moments of a grid, from each of which generations are
	 * taken back to back, as if the one before had been the smallest there
	 * can be: shorter than what can be had.  A budget below it is
	 * infeasible: it is likelier than not that any cutover breaks it. */
	double best;
	/* The same with the stop, conversion, start and copying that this vm
	 * will really have, which nobody can know before. */
	double hindsight;
	/* What 19 of 20 draws of all that is unsure stay below, at the best
	 * moment of generations that are taken back to back from when the
	 * cutover is due, with what was really there then. */
	double sure;
};

/* What nobody can tell before a cutover. */
struct luck {
	double stop, convert, start; /* seconds */
	double copy, verify;	     /* times what it takes */
};

struct oracle_question {
	const struct fake_writer *writer;
	bool verify; /* what is copied is read back */
	/* Conversions of this vm were measured, and lie so far from each other,
	 * in logarithms; 0: they were not. */
	double measured;
	struct luck real; /* of this vm's cutover, whenever it comes */
	double last;	  /* point in time before the cutover is due */
	double due;
	double horizon; /* nobody waits beyond */
	uint64_t seed;
};

void oracle_ask(const struct oracle_question *q, struct oracle *ret);
/* Of a cutover at `now`, the last point in time being at `point`. */
double oracle_downtime(const struct oracle_question *q, double point,
		       double now, const struct luck *luck);

#endif

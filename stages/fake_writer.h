/* SPDX-License-Identifier: Apache-2.0 */
/* A fake vm whose guest writes while it is copied (settings.writer), and how
 * long everything about it takes: all drawn from the kind of writer and
 * settings.seed.  Its disks are made up; what is modelled is time and amounts.
 * Steps take their time by clock_sleep_ms, so that days pass at once where a
 * test has a clock of its own.
 *
 * Seconds count from the vm's first generation; bytes are those of all disks
 * together. */
#ifndef STAGES_FAKE_WRITER_H
#define STAGES_FAKE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "stages/stage.h"

/* Something that takes time whatever is copied. */
struct fake_span {
	double low, high; /* nine of ten lie in it: what may be believed */
	double takes;	  /* it does, with this vm */
};

struct fake_writer {
	uint64_t seed;
	double size, used;
	double full_rate, delta_rate, read_rate; /* bytes a second */
	double sigma;	/* of copying and reading, in logarithms */
	double begin_s; /* of each copy, before its first byte */
	double point_s; /* to make a point in time */
	struct fake_span stop, convert, start;
	double hot, hot_rate; /* a working set, and writes to it */
	double growth;	      /* of both, an hour */
	double *steady;	      /* see fake_writer.c */
};

bool fake_writer_is_kind(const char *kind);
/* Of a vm of this size. */
void fake_writer_draw(const char *kind, uint64_t seed, double size,
		      struct fake_writer *ret);
void fake_writer_done(struct fake_writer *fw);
/* Bytes of the blocks written between two moments, each counted once. */
double fake_writer_changed(const struct fake_writer *fw, double from,
			   double to);
/* How long that many bytes take, but for luck. */
double fake_writer_copying(const struct fake_writer *fw, double bytes);
double fake_writer_reading(const struct fake_writer *fw, double bytes);
/* By how much luck makes one of its steps ("cutover/disk-0", of a round)
 * longer: the same each time it is asked. */
double fake_writer_luck(const struct fake_writer *fw, const char *step,
			unsigned round);

/* The one of this vm, drawn once in a process; NULL: nobody writes. */
const struct fake_writer *fake_writer_of(const struct view *v);
/* How long this step takes with it. */
int64_t fake_writer_ms(const struct fake_writer *fw, const struct work *w);
/* What copying or reading back a disk gives, once its time has passed. */
json_t *fake_writer_copied(const struct fake_writer *fw, const struct work *w,
			   int64_t begun_ms);
json_t *fake_writer_read(const struct work *w, int64_t begun_ms);
void fake_writer_downtime(const struct fake_writer *fw, struct downtime *ret);
/* Sees to it that its clock runs. */
int fake_writer_begin(const struct view *v, struct err *err);

#endif

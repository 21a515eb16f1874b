/* SPDX-License-Identifier: Apache-2.0 */
/* How long a vm would be down if it were cut over now, and whether to do it.
 *
 * The downtime is: the source stops, what changed since the last point in time
 * is copied, that much is read back, the disks are converted, booted to see
 * whether they do, the target starts.  All but copying and reading back are
 * ranges, believed or measured.
 * The rest is told from the generations so far by one rule, a straight line
 * through logarithms:
 *
 *	bytes changed  by the time since the point before: mostly slower than
 *		       it, as busy blocks are written again and again;
 *	copying time   by the bytes: nearly as they grow, but a little takes as
 *		       long to begin as a lot;
 *	reading back   the same.
 *
 * A generation counts two thirds of the one after it, and less when it was much
 * longer or larger than what is asked for.  How far generations lie from the
 * line is how unsure the next one is; while there are few, an assumption stands
 * in.  Nine of ten downtimes should fall between low and high.
 *
 * The guest writes while a generation is copied: taking them back to back, each
 * has less to copy until what is written meanwhile takes as long to copy as it
 * took to write.  That is the best there is, and no patience betters it.  So:
 * cut over when high is within the budget; take another generation when that
 * leads there, or when none was as short as the last one will be; wait when it
 * may fit later; say that it cannot when even the best's low is over.  A run
 * whose last generations brought the cutover no nearer than it was before them
 * does not believe that another will: it cuts over if that fits, or waits.
 *
 * Pure: no clock, no files.  Times are wall milliseconds. */
#ifndef RUNNER_PREDICT_H
#define RUNNER_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PREDICT_GENERATIONS 32 /* more are not looked at */
#define PREDICT_MEASURED 8

/* A generation that is applied on all disks. */
struct generation_seen {
	int64_t point_ms; /* its point in time */
	int64_t ended_ms; /* copied, and read back if that is wanted before the
			     next one */
	bool whole;	  /* a full pass: what changed before it is not known */
	uint64_t changed; /* at the source, since the point before */
	uint64_t moved;
	int64_t copying_ms; /* of all disks together, without interruptions */
	uint64_t verified;
	int64_t verifying_ms;
};

/* Something that takes time whatever is copied.  All zero: does not happen. */
struct predict_part {
	int64_t low_ms, high_ms;	   /* believed, nine times in ten */
	int64_t seen_ms[PREDICT_MEASURED]; /* measured for this vm */
	size_t nseen;
};

struct predict_input {
	const struct generation_seen *generations; /* oldest first */
	size_t ngenerations;
	uint64_t size;	 /* of all disks */
	uint64_t reread; /* of the disks that every delta reads whole, as the
			    source does not track what changes */
	struct predict_part stop, convert, boot, start;
	bool verify_before;	 /* a generation is read back before the next */
	bool rehearse_before;	 /* and converted and booted */
	bool verify_delta;	 /* the last one after the stop */
	uint64_t verify_behind;	 /* of earlier ones, still to be read back */
	int64_t max_downtime_ms; /* 0: none */
	int64_t window_end_ms;	 /* 0: none */
	uint64_t generations_left; /* UINT64_MAX: no limit */
	/* Those whose points were made since then were taken one after the
	 * other, to bring the cutover nearer; 0: none was. */
	int64_t since_ms;
	int64_t now_ms;
};

struct predict_range {
	double low, likely, high;
};

/* In ms, of a cutover that begins now. */
struct prediction {
	struct predict_range downtime;
	struct predict_range stop, delta, verify, convert, boot, start;
	struct predict_range bytes; /* the last delta's */
	double dirty_rate;	    /* bytes a second, since the last point */
	double copy_rate;	    /* bytes a second, once it runs */
	double cycle_ms;	    /* a generation that begins now */
};

enum predict_verdict {
	PREDICT_CUT_OVER,
	PREDICT_ANOTHER_GENERATION, /* at once: it brings the cutover nearer */
	PREDICT_WAIT,		    /* not now; it may fit later */
	PREDICT_CANNOT,		    /* no generation makes it fit */
};

struct predict_decision {
	enum predict_verdict verdict;
	struct prediction now, best;
	size_t generations; /* from now to the best */
	size_t vain; /* of those since then: the last ones, that did not */
};

/* There is at least one generation. */
void predict_downtime(const struct predict_input *in, struct prediction *ret);

/* Adds to `why` a sentence with figures: "predicted 41.0 s to 1 min 3 s, budget
 * 30.0 s; the guest writes 12 MiB/s, copying runs at 90 MiB/s; more generations
 * do not help: best 38.0 s to 55.0 s". */
void predict_decide(const struct predict_input *in,
		    struct predict_decision *ret, struct buf *why);

/* Of parts alone, one after the other. */
void predict_parts(const struct predict_part *const *parts, size_t n,
		   struct predict_range *ret);
/* "predicted 41.0 s to 1 min 3 s, window 20.0 s: it ends before that" */
void predict_say_window(const struct predict_range *down, int64_t left_ms,
			struct buf *why);

#endif

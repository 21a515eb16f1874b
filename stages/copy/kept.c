/* SPDX-License-Identifier: Apache-2.0 */
/* Is what a ledger vouches for still there? */
#include "stages/copy/kept.h"

#include <string.h>
#include <sys/random.h>

#include "base/sample.h"
#include "base/vec.h"
#include "stages/copy/digest.h"
#include "stages/copy/extents.h"

enum { ZERO, DATA, NKINDS };

/* The blocks that can be looked at. */
struct choice {
	const struct ledger *ledger;
	const struct copy_opts *copy;
	uint8_t zero[LEDGER_DIGEST_SIZE]; /* of a whole block of zeroes */
	uint64_t n[NKINDS];
	uint32_t generation;	  /* the highest */
	uint64_t last[KEPT_LAST]; /* of it, a ring */
	uint64_t nlast;
	VEC(uint64_t) chosen;
};

static bool
is_touched(const struct copy_opts *copy, uint64_t block)
{
	uint64_t at = block * LEDGER_BLOCK_SIZE;
	struct copy_extent ignored;

	return copy->pass == COPY_CHANGED && copy->changed &&
	       extents_within(copy->changed, at, at + LEDGER_BLOCK_SIZE,
			      &ignored);
}

static bool
is_kept(const struct choice *c, uint64_t block, struct ledger_entry *ret)
{
	ledger_get(c->ledger, block, ret);
	return ret->state == LEDGER_DURABLE && !is_touched(c->copy, block);
}

static int
kind_of(const struct choice *c, const struct ledger_entry *entry)
{
	return memcmp(entry->digest, c->zero, sizeof(c->zero)) == 0 ? ZERO
								    : DATA;
}

static void
count(struct choice *c)
{
	struct ledger_entry entry;

	for (uint64_t b = 0; b < ledger_nblocks(c->ledger); b++) {
		if (!is_kept(c, b, &entry))
			continue;
		c->n[kind_of(c, &entry)]++;
		if (entry.generation > c->generation) {
			c->generation = entry.generation;
			c->nlast = 0;
		}
		if (entry.generation == c->generation)
			c->last[c->nlast++ % KEPT_LAST] = b;
	}
}

/* The copy goes through the disk from its begin to its end. */
static bool
is_of_the_last(const struct choice *c, uint64_t block,
	       const struct ledger_entry *entry)
{
	uint64_t oldest =
	    c->nlast > KEPT_LAST ? c->last[c->nlast % KEPT_LAST] : 0;

	return entry->generation == c->generation && block >= oldest;
}

static int
draw(struct choice *c, struct err *err)
{
	struct sample sample[NKINDS];
	struct ledger_entry entry;

	for (int kind = 0; kind < NKINDS; kind++) {
		uint64_t bad = c->n[kind] / KEPT_ONE_IN, seed;
		struct sample_want want = {.confidence = KEPT_CONFIDENCE,
					   .bad = bad ? bad : 1};

		if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
			return err_sys(err, "cannot draw a sample");
		sample[kind] = sample_begin(
		    c->n[kind], sample_size(&want, c->n[kind]), seed);
	}
	for (uint64_t b = 0; b < ledger_nblocks(c->ledger); b++) {
		if (is_kept(c, b, &entry) &&
		    (sample_takes(&sample[kind_of(c, &entry)]) || b == 0 ||
		     is_of_the_last(c, b, &entry)))
			*vec_push(&c->chosen) = b;
	}
	return 0;
}

static int
choose(struct choice *c, struct err *err)
{
	CLEANUP(digest_done) struct digest how = {0};

	if (digest_init(&how, ledger_identity(c->ledger)->digest, err) < 0 ||
	    digest_zeroes(&how, LEDGER_BLOCK_SIZE, c->zero, err) < 0)
		return -1;
	count(c);
	return draw(c, err);
}

int
kept_sample(const struct verify_opts *look, const struct copy_opts *copy,
	    struct verify_result *ret, struct err *err)
{
	struct choice c = {.ledger = look->ledger, .copy = copy};
	struct verify_opts opts = *look;
	int rc = choose(&c, err);

	*ret = (struct verify_result){0};
	opts.which = VERIFY_LISTED;
	opts.blocks = c.chosen.v;
	opts.nblocks = c.chosen.n;
	if (rc == 0 && c.chosen.n > 0)
		rc = copy_verify(&opts, ret, err);
	vec_done(&c.chosen);
	return rc;
}

/* A page of the ledger that changed is in memory until it is synced: all
 * 2.5 GiB of a large disk's ledger would be, if none of it was the same. */
#define MEND_AT_ONCE 1024

struct mending {
	const struct verify_opts *look;
	const struct copy_opts *copy;
	unsigned nfresh; /* blocks since the last sync */
	int rc;
	struct err err; /* of the sync that failed */
};

/* Nobody looks at this block any more. */
static void
give_up(void *arg, uint64_t block)
{
	struct mending *m = arg;

	if (m->rc < 0)
		return;
	ledger_pending(m->copy->ledger, block, m->copy->generation);
	if (++m->nfresh < MEND_AT_ONCE)
		return;
	m->nfresh = 0;
	m->rc = ledger_sync(m->copy->ledger, &m->err);
}

static int
show_progress(void *arg, const struct copy_progress *progress)
{
	const struct mending *m = arg;

	if (m->rc < 0)
		return 1; /* what for? */
	return m->look->progress ? m->look->progress(m->look->arg, progress)
				 : 0;
}

int
kept_mend(const struct verify_opts *look, const struct copy_opts *copy,
	  struct verify_result *ret, struct err *err)
{
	struct mending mending = {.look = look, .copy = copy};
	struct verify_opts opts = *look;
	int rc;

	opts.which = VERIFY_DURABLE;
	opts.differs = give_up;
	opts.progress = show_progress;
	opts.arg = &mending;
	rc = copy_verify(&opts, ret, err);
	if (mending.rc < 0)
		*err = mending.err;
	if (mending.rc < 0 ||
	    (rc < 0 && (err->class != ERR_MISMATCH || ret->nmismatched == 0)))
		return -1;
	return ledger_sync(copy->ledger, err);
}

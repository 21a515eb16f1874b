/* SPDX-License-Identifier: Apache-2.0 */
/* What a ledger vouches for is looked at before it is believed. */
#include <string.h>

#include "stages/copy/copy_image_ends.h"
#include "stages/copy/copy_ours.h"
#include "stages/copy/kept.h"

/* How one end is looked at. */
static struct verify_opts
look_at(const struct ends *ends, const struct copy_image_opts *opts,
	const struct ledger *ledger, bool source)
{
	struct verify_opts look = {
	    .target = ends->target,
	    .ledger = ledger,
	    .wait_ms = opts->wait_ms,
	    .throttle = opts->throttle,
	    .progress = opts->progress,
	    .arg = opts->arg,
	    .is_source = source,
	};

	if (source)
		look.target = (struct copy_target){.file = ends->source_file,
						   .uri = ends->source_uri};
	return look;
}

static void
count_looked(const struct ends *ends, const struct verify_result *found,
	     struct copy_image_result *ret)
{
	uint64_t bytes = found->nchecked * LEDGER_BLOCK_SIZE;

	/* the last block may be a short one */
	ret->checked_bytes += bytes < ends->size ? bytes : ends->size;
}

/* Nothing says that a device or what a server has is the one it was, nor who
 * wrote to it, or to a file, since. */
static int
check_target_kept(const struct ends *ends, const struct copy_image_opts *opts,
		  const struct copy_opts *copy, struct copy_image_result *ret,
		  struct err *err)
{
	struct verify_opts look = look_at(ends, opts, copy->ledger, false);
	struct verify_result found = {0};
	int rc = opts->recheck ? kept_mend(&look, copy, &found, err)
			       : kept_sample(&look, copy, &found, err);

	count_looked(ends, &found, ret);
	if (rc == 0)
		return 0;
	if (err->class != ERR_MISMATCH || found.nmismatched == 0)
		return err_wrap(err, "looking whether the target still has "
				     "what was copied");
	return err_set(
	    err, ERR_MISMATCH,
	    "target '%s' was written to since it was copied to, or "
	    "is another one: of %llu blocks of ledger '%s' that "
	    "were looked at %llu differ, the first is block %llu at "
	    "byte %llu; look at all of them and copy what differs "
	    "with --recheck, or remove the ledger to copy all of "
	    "it again",
	    opts->target, (unsigned long long)found.nchecked, opts->ledger,
	    (unsigned long long)found.nmismatched,
	    (unsigned long long)found.first_mismatch,
	    (unsigned long long)found.first_mismatch * LEDGER_BLOCK_SIZE);
}

/* A file's time says that it was written to; of these nothing does.  What is
 * to be brought up to date is another by intent. */
static int
check_source_kept(const struct ends *ends, const struct copy_image_opts *opts,
		  const struct copy_opts *copy, struct copy_image_result *ret,
		  struct err *err)
{
	struct verify_opts look = look_at(ends, opts, copy->ledger, true);
	struct verify_result found = {0};
	int rc;

	if (opts->pass != COPY_ALL ||
	    (!copy_image_is_uri(opts->source) && !copy_device_is(opts->source)))
		return 0;
	rc = kept_sample(&look, copy, &found, err);
	count_looked(ends, &found, ret);
	if (rc == 0)
		return 0;
	if (err->class != ERR_MISMATCH || found.nmismatched == 0)
		return err_wrap(err, "looking whether the source still has "
				     "what was copied");
	return err_set(
	    err, ERR_FAIL,
	    "source '%s' was written to, or is another one, since "
	    "ledger '%s' was begun: of %llu blocks that were looked "
	    "at %llu differ, the first is block %llu at byte %llu; "
	    "copy what changed with --compare, or remove the ledger "
	    "to copy all of it again",
	    opts->source, opts->ledger, (unsigned long long)found.nchecked,
	    (unsigned long long)found.nmismatched,
	    (unsigned long long)found.first_mismatch,
	    (unsigned long long)found.first_mismatch * LEDGER_BLOCK_SIZE);
}

/* Somebody else may have used the device since the ledger was begun. */
static int
check_device_ours(const struct ends *ends, const struct copy_image_opts *opts,
		  const struct copy_opts *copy, struct err *err)
{
	const struct copy_device *d = &ends->device;
	bool is_ours;
	bool accepted = opts->accept && strcmp(opts->accept, d->accept) == 0;

	if (!d->holds || !copy->ledger)
		return 0;
	if (copy_ours(copy, d->places, d->nplaces, &is_ours, err) < 0)
		return err_wrap(err, "looking at what block device '%s' holds",
				opts->target);
	/* nothing of the ledger is believed then */
	if (is_ours || (accepted && (opts->recheck ||
				     ledger_count_durable(copy->ledger) == 0)))
		return 0;
	return err_set(
	    err, ERR_NOT_READY,
	    "block device '%s' holds %s, which is not what was "
	    "copied to it: somebody else has used it since ledger "
	    "'%s' was begun; to overwrite that, say --accept %s%s",
	    opts->target, d->holds, opts->ledger, d->accept,
	    ledger_count_durable(copy->ledger) == 0 ? ""
	    : ledger_identity(copy->ledger)->digest == LEDGER_NO_DIGEST
		? ", with a new ledger"
		: " --recheck");
}

int
copy_image_check_kept(const struct ends *ends,
		      const struct copy_image_opts *opts,
		      const struct copy_opts *copy,
		      struct copy_image_result *ret, struct err *err)
{
	bool has_digests =
	    copy->ledger &&
	    ledger_identity(copy->ledger)->digest != LEDGER_NO_DIGEST;

	if (!has_digests && opts->recheck)
		return err_set(err, ERR_USER,
			       "--recheck: there are no digests to look at the "
			       "target with: they are in a ledger, but with "
			       "--proof none");
	if (check_device_ours(ends, opts, copy, err) < 0)
		return -1;
	if (!has_digests)
		return 0;
	if (check_source_kept(ends, opts, copy, ret, err) < 0)
		return -1;
	return check_target_kept(ends, opts, copy, ret, err);
}

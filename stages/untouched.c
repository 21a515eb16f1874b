/* SPDX-License-Identifier: Apache-2.0 */
/* Looking twice at replicas that were only to be read. */
#include "stages/untouched.h"

#include <string.h>
#include <sys/random.h>

#include "base/fs.h"
#include "base/mem.h"
#include "io/nbd.h"
#include "stages/bandwidth.h"
#include "stages/copy/copy.h"
#include "stages/copy/ledger.h"
#include "stages/replica.h"

#define WHAT_HELPS "'palletjack verify' says what differs"

void
untouched_done(struct untouched *u)
{
	vec_done(&u->stamps);
}

/* --- what every write changes ------------------------------------------- */

int
untouched_begin(const struct place *p, struct untouched *ret, struct err *err)
{
	for (size_t i = 0; i < p->vm.shape->ndisks; i++) {
		struct stat st;

		if (stat(p->volumes[i].path, &st) < 0)
			return err_sys(err, "cannot look at '%s'",
				       p->volumes[i].path);
		*vec_push(&ret->stamps) = (struct stamp){
		    st.st_dev, st.st_ino, st.st_size, st.st_mtim};
	}
	return 0;
}

static bool
is_same(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->written.tv_sec == b->written.tv_sec &&
	       a->written.tv_nsec == b->written.tv_nsec;
}

/* No writer may be there but a copy, which comes before this or after it. */
static int
check_stamps(struct work *w, const struct place *p,
	     const struct untouched *before, struct err *err)
{
	CLEANUP(untouched_done) struct untouched now = {0};
	const char *first = NULL;

	if (untouched_begin(p, &now, err) < 0)
		return -1;
	for (size_t i = 0; i < now.stamps.n; i++) {
		if (is_same(&before->stamps.v[i], &now.stamps.v[i]))
			continue;
		if (replica_doubt(w, p->vm.shape->disks[i].source, err) < 0)
			return -1;
		first = first ? first : p->volumes[i].path;
	}
	if (!first)
		return 0;
	return err_set(err, ERR_MISMATCH,
		       "'%s' was written while it was rehearsed, and by nobody "
		       "who may: " WHAT_HELPS,
		       first);
}

/* --- a sample ----------------------------------------------------------- */

static int
compare(struct work *w, const struct inv_disk *disk, const struct ledger *l,
	const struct volume *volume, const struct copy_target *target,
	uint64_t *ret_blocks, struct err *err)
{
	struct throttle throttle;
	struct verify_opts opts = {
	    .target = *target,
	    .ledger = l,
	    .wait_ms = w->view->plan->policy->deadlines.wait_ms,
	    .which = VERIFY_SAMPLED,
	    .sample_size = UNTOUCHED_SAMPLE,
	    .throttle = bandwidth_of_verify(w, &throttle),
	};
	struct verify_result result = {0};

	if (opts.sample_size > ledger_nblocks(l))
		opts.sample_size = ledger_nblocks(l);
	if (getrandom(&opts.sample_seed, sizeof(opts.sample_seed), 0) !=
	    sizeof(opts.sample_seed))
		return err_sys(err, "cannot draw a sample");
	if (copy_verify(&opts, &result, err) < 0) {
		replica_compared(w, disk, &result, err);
		return err_wrap(err,
				"'%s', which was rehearsed, is not what was "
				"copied (" WHAT_HELPS ")",
				volume->path);
	}
	*ret_blocks += result.nchecked;
	return 0;
}

static int
serve_and_compare(struct work *w, const struct inv_disk *disk,
		  const struct ledger *l, const struct volume *volume,
		  uint64_t *ret_blocks, struct err *err)
{
	struct nbd_server server = {0};
	struct copy_target target;
	int rc = place_serve(w, volume, false, &server, &target, err);

	if (rc == 0)
		rc = compare(w, disk, l, volume, &target, ret_blocks, err);
	nbd_server_stop(&server);
	return rc;
}

static int
check_sample(struct work *w, const struct place *p, size_t n,
	     uint64_t *ret_blocks, struct err *err)
{
	const struct inv_disk *disk = p->vm.shape->disks[n].source;
	CLEANUP(mem_freep) char *path = place_ledger(w->view, disk);
	struct ledger *l = NULL;
	int rc = 0;

	if (!fs_exists(path))
		return 0; /* a policy without proof */
	if (ledger_open_readonly(path, &l, err) < 0)
		return -1;
	if (ledger_identity(l)->digest != LEDGER_NO_DIGEST)
		rc = serve_and_compare(w, disk, l, &p->volumes[n], ret_blocks,
				       err);
	ledger_close(l);
	return rc;
}

int
untouched_check(struct work *w, const struct place *p,
		const struct untouched *u, uint64_t *ret_blocks,
		struct err *err)
{
	*ret_blocks = 0;
	if (check_stamps(w, p, u, err) < 0)
		return -1;
	work_doing(w, "comparing a sample of what was rehearsed");
	for (size_t i = 0; i < p->vm.shape->ndisks; i++)
		if (check_sample(w, p, i, ret_blocks, err) < 0)
			return -1;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The policy's limits as the copy engine keeps to them. */
#include "stages/bandwidth.h"

#include <sys/mman.h>

struct bandwidth *
bandwidth_new(struct err *err)
{
	void *page =
	    mmap(NULL, sizeof(struct bandwidth), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		err_sys(err, "cannot map memory to share with the steps");
		return NULL;
	}
	return page;
}

void
bandwidth_free(struct bandwidth *b)
{
	if (b)
		munmap(b, sizeof(*b));
}

static uint64_t
of_run(const void *policy, int64_t wall_ms)
{
	return run_policy_bandwidth(policy, wall_ms);
}

static uint64_t
of_endpoint(const void *policy, int64_t wall_ms)
{
	return run_policy_bandwidth_per_endpoint(policy, wall_ms);
}

static bool
is_limited(const struct work *w)
{
	return w->bandwidth &&
	       run_policy_limits_bandwidth(w->view->plan->policy);
}

/* An endpoint that is both is one endpoint. */
static struct throttle_bucket *
target_bucket(const struct work *w)
{
	const struct plan *plan = w->view->plan;

	return plan->source == plan->target ? &w->bandwidth->source
					    : &w->bandwidth->target;
}

const struct throttle *
bandwidth_of_source(const struct work *w, struct throttle *ret)
{
	const struct run_policy *policy = w->view->plan->policy;

	*ret = (struct throttle){0};
	if (!is_limited(w))
		return NULL;
	throttle_add(ret, &w->bandwidth->run, of_run, policy);
	throttle_add(ret, &w->bandwidth->source, of_endpoint, policy);
	return ret;
}

const struct throttle *
bandwidth_of_copy(const struct work *w, struct throttle *ret)
{
	if (!bandwidth_of_source(w, ret))
		return NULL;
	throttle_add(ret, target_bucket(w), of_endpoint, w->view->plan->policy);
	return ret;
}

/* Nothing of it comes from the source, nor does it bring anything nearer. */
const struct throttle *
bandwidth_of_verify(const struct work *w, struct throttle *ret)
{
	*ret = (struct throttle){0};
	if (!is_limited(w))
		return NULL;
	throttle_add(ret, target_bucket(w), of_endpoint, w->view->plan->policy);
	return ret;
}

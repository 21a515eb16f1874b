/* SPDX-License-Identifier: Apache-2.0 */
/* Deriving a vm's graph from its pipeline. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The steps of the stage before: positions from..to. */
struct span {
	size_t from, to;
};

static void
wait_for(struct step *s, size_t position)
{
	s->after = mem_resize(s->after, (s->nafter + 1) * sizeof(*s->after));
	s->after[s->nafter++] = position;
}

static void
wait_for_stage(struct graph *g, struct step *s, struct span before)
{
	for (size_t i = before.from; i < before.to; i++)
		if (!s->disk || !g->steps[i].disk ||
		    g->steps[i].disk == s->disk)
			wait_for(s, i);
}

static json_t *
inputs_of(const struct step *s, const struct view *view)
{
	json_t *inputs = json_object();

	if (s->stage->inputs)
		s->stage->inputs(view, s->disk, inputs);
	return inputs;
}

json_t *
step_inputs(const struct step *s)
{
	return inputs_of(s, s->view);
}

static void
add_step(struct graph *g, const struct view *view, const struct stage *stage,
	 size_t ndisk, const struct inv_disk *disk, struct span before)
{
	struct step *s = &g->steps[g->nsteps++];

	s->id = disk ? mem_printf("%s/%s", stage->name, disk->id)
		     : mem_strdup(stage->name);
	s->stage = stage;
	s->disk = disk;
	s->ndisk = ndisk;
	s->view = view;
	wait_for_stage(g, s, before);
}

/* What most of them depend on is made once. */
static void
add_fingerprints(struct graph *g, const struct view *view)
{
	CLEANUP(json_decrefp) json_t *replica = stages_replica(view);
	struct view seen = *view;

	seen.replica = replica;
	for (size_t i = 0; i < g->nsteps; i++) {
		json_t *inputs = inputs_of(&g->steps[i], &seen);

		digest_json(inputs, g->steps[i].fingerprint);
		json_decref(inputs);
	}
}

/* Room for all steps at once: they are many where vms are. */
static size_t
most_steps(const struct view *view, const struct stage *const *stages,
	   size_t nstages)
{
	size_t n = 0;

	for (size_t i = 0; i < nstages; i++)
		n += stages[i]->scope == STAGE_VM ? 1 : view->vm->ndisks;
	return n;
}

struct graph *
graph_of(const struct view *view)
{
	struct graph *g = mem_new(sizeof(*g));
	struct span before = {0, 0};
	const struct stage *const *stages;
	size_t nstages;

	stages = stages_of(view, &nstages);
	g->steps =
	    mem_new(most_steps(view, stages, nstages) * sizeof(*g->steps));
	for (size_t i = 0; i < nstages; i++) {
		const struct stage *stage = stages[i];
		size_t from = g->nsteps;

		if (stage->applies && !stage->applies(view))
			continue;
		if (stage->scope == STAGE_VM)
			add_step(g, view, stage, 0, NULL, before);
		else
			for (size_t d = 0; d < view->vm->ndisks; d++)
				add_step(g, view, stage, d, &view->vm->disks[d],
					 before);
		if (g->nsteps > from)
			before = (struct span){from, g->nsteps};
	}
	add_fingerprints(g, view);
	return g;
}

void
graph_free(struct graph *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->nsteps; i++) {
		free(g->steps[i].id);
		free(g->steps[i].after);
	}
	free(g->steps);
	free(g);
}

bool
step_is_rehearsal(const struct step *s)
{
	const char *name = s->stage->name;

	return strcmp(name, stage_precopy_convert.name) == 0 ||
	       strcmp(name, stage_precopy_boot_test.name) == 0;
}

bool
step_rests_on(const struct step *later, const struct step *earlier)
{
	const char *what = later->stage->name, *on = earlier->stage->name;
	bool makes =
	    earlier->stage->copied != NULL || strcmp(on, "convert") == 0;

	if (later->disk && earlier->disk && later->disk != earlier->disk)
		return false;
	/* a point in time, its copies, and letting it go */
	if (strcmp(on, stage_precopy.name) == 0 &&
	    strcmp(what, stage_precopy_release.name) == 0)
		return true;
	if (strcmp(earlier->id, stage_precopy.name) == 0)
		return strcmp(what, stage_precopy.name) == 0;
	if (step_is_rehearsal(later))
		return earlier->stage->copied != NULL ||
		       step_is_rehearsal(earlier);
	return makes && (later->stage->writes_disks ||
			 strcmp(what, stage_verify.name) == 0 ||
			 strcmp(what, stage_precopy_verify.name) == 0);
}

bool
step_reads_back(const struct step *s, bool is_cut_over)
{
	return strcmp(s->stage->name, stage_verify.name) == 0 ||
	       (!is_cut_over &&
		strcmp(s->stage->name, stage_precopy_verify.name) == 0);
}

bool
step_is_asked_by(const struct step *s, const char *name)
{
	const char *its = s->stage->name;

	return strcmp(name, its) == 0 ||
	       (strcmp(its, stage_precopy_convert.name) == 0 &&
		strcmp(name, stage_precopy_boot_test.name) == 0);
}

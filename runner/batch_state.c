/* SPDX-License-Identifier: Apache-2.0 */
/* What a vm's state directory remembers and takes in, before work. */
#include "batch_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "manifests/digest.h"

#define INVENTORY_MAX ((size_t)1024 * 1024 * 1024)

/* What the state directory remembers of the source. */

static json_t *
record_of(const struct inv_vm *vm)
{
	return json_pack("{s:i, s:[o], s:[], s:[]}", "version",
			 INVENTORY_VERSION, "vms", inv_vm_to_json(vm),
			 "networks", "storages");
}

int
batch_load_record(struct batch_vm *v, bool exact, struct err *err)
{
	const struct history *h = v->run.state->history;
	CLEANUP(mem_freep)
	char *path = fs_path(v->run.state->dir, "inventory.json");
	CLEANUP(buf_done) struct buf text = {0};
	char digest[DIGEST_HEX_SIZE];
	json_t *json;
	int rc = 0;

	if (!h->inventory_digest)
		return 0;
	if (fs_read(path, INVENTORY_MAX, false, &text, err) < 0)
		return -1;
	json = json_loadb(text.data, text.len, 0, NULL);
	digest_json(json, digest);
	if (json && (!exact || strcmp(digest, h->inventory_digest) == 0))
		rc = inventory_from_json(json, &v->recorded, err);
	json_decref(json);
	return rc;
}

static int
keep_record(struct batch_vm *v, struct err *err)
{
	const struct history *h = v->run.state->history;
	const struct inv_vm *vm = v->run.view.vm;
	CLEANUP(mem_freep)
	char *path = fs_path(v->run.state->dir, "inventory.json");
	char digest[DIGEST_HEX_SIZE], *text;
	json_t *json = record_of(vm);
	int rc;

	digest_json(json, digest);
	text = json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(json);
	if (h->inventory_digest && strcmp(h->inventory_digest, digest) == 0) {
		free(text);
		return 0;
	}
	rc = fs_write(path, text, strlen(text), 0600, err);
	free(text);
	if (rc < 0)
		return -1;
	journal_add(
	    v->run.state->journal, "bind",
	    json_pack("{s:s, s:s, s:s}", "sourceId", vm->id, "targetName",
		      v->run.view.shape->name, "inventory", digest));
	return journal_sync(v->run.state->journal, err);
}

/* What --redo asked for is asked for until it is begun, in whatever run. */
static int
keep_redo(struct batch_vm *v, struct err *err)
{
	const struct schedule *s = v->run.schedule;
	const struct history *h = v->run.state->history;

	for (size_t i = 0; i < s->nsteps; i++) {
		const char *id = s->steps[i].step->id;

		if (s->steps[i].decision == DECISION_REDO &&
		    history_step(h, id)->state != HISTORY_AGAIN)
			journal_add(v->run.state->journal, "redo",
				    json_pack("{s:s}", "step", id));
	}
	return journal_sync(v->run.state->journal, err);
}

int
batch_keep_record(struct batch_vm *v, struct err *err)
{
	if (keep_record(v, err) < 0)
		return -1;
	return keep_redo(v, err);
}

/* Requests. */

int
batch_check_cancelled(const struct batch *b, struct batch_vm *v,
		      const char *vm_dir, struct err *err)
{
	const struct history *h = v->run.state->history;
	struct standing standing;

	if (standing_read(h, vm_dir, &standing, err) < 0)
		return -1;
	due_of(b->plan, v->run.pvm, v->run.view.vm, h, &standing, &v->due);
	standing_done(&standing);
	if (!v->due.cancelled[0])
		return 0;
	return err_set(err, ERR_CANCELLED, "cancelled %s", v->due.cancelled);
}

struct hearing {
	struct findings *findings;
	const char *vm;
};

static void
note_request(void *arg, const json_t *request, const char *ignored)
{
	const struct hearing *h = arg;
	CLEANUP(mem_freep) char *text = request_text(request, ignored);

	findings_add(h->findings, ignored ? FINDING_WARN : FINDING_INFORMATION,
		     ignored ? "RequestIgnored" : "Request", "%s", text)
	    ->vm = h->vm;
}

int
batch_check_still_cancelled(const struct batch *b, struct batch_vm *v,
			    struct err *err)
{
	struct standing standing;
	bool waits = false;

	if (v->run.aim != AIM_RUN)
		return 0;
	if (standing_read(v->run.state->history, v->run.state->dir, &standing,
			  err) < 0)
		return -1;
	for (int i = 0; i < NREQUESTS; i++)
		waits |= standing.waits[i];
	standing_done(&standing);
	return waits ? 0 : batch_check_cancelled(b, v, NULL, err);
}

int
batch_take_state(struct batch *b, struct batch_vm *v, const char *dir,
		 struct err *err)
{
	struct hearing hearing = {&b->findings, v->run.pvm->key};

	state_release(v->run.state);
	v->run.state = NULL;
	if (state_take(dir, b->plan, &v->run.state, err) < 0)
		return -1;
	if (v->run.aim != AIM_RUN)
		return 0;
	if (requests_take_in(v->run.state, note_request, &hearing, err) < 0)
		return -1;
	return batch_check_cancelled(b, v, NULL, err);
}

/* The last word. */

int
batch_say_finished(struct batch_vm *v, struct err *err)
{
	if (v->run.state->history->finished)
		return 0;
	journal_add(v->run.state->journal, "stop",
		    json_pack("{s:b}", "finished", true));
	return journal_sync(v->run.state->journal, err);
}

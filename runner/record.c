/* SPDX-License-Identifier: Apache-2.0 */
/* The source's record of a vm in its state directory. */
#include "record.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "manifests/digest.h"

#define RECORD_MAX ((size_t)1024 * 1024 * 1024)

static json_t *
record_of(const struct inv_vm *vm)
{
	return json_pack("{s:i, s:[o], s:[], s:[]}", "version",
			 INVENTORY_VERSION, "vms", inv_vm_to_json(vm),
			 "networks", "storages");
}

int
record_load(const struct vm_state *state, bool exact, struct inventory **ret,
	    struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(state->dir, "inventory.json");
	CLEANUP(buf_done) struct buf text = {0};
	char digest[DIGEST_HEX_SIZE];
	json_t *json;
	int rc = 0;

	if (!state->history->inventory_digest ||
	    fs_read(path, RECORD_MAX, true, &text, err) < 0 || !text.data)
		return 0;
	json = json_loadb(text.data, text.len, 0, NULL);
	if (!json)
		return 0;
	digest_json(json, digest);
	if (!exact || strcmp(digest, state->history->inventory_digest) == 0)
		rc = inventory_from_json(json, ret, err);
	json_decref(json);
	return rc;
}

int
record_keep(struct vm_state *state, const struct view *view,
	    const struct inventory *known, struct err *err)
{
	CLEANUP(mem_freep) char *path = fs_path(state->dir, "inventory.json");
	const char *bound = state->history->inventory_digest;
	CLEANUP(mem_freep) char *text = NULL;
	char digest[DIGEST_HEX_SIZE];
	json_t *json = record_of(view->vm);

	digest_json(json, digest);
	text = json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(json);
	if (known && bound && strcmp(bound, digest) == 0)
		return 0;
	if (fs_write(path, text, strlen(text), 0600, err) < 0)
		return -1;
	if (bound && strcmp(bound, digest) == 0)
		return 0;
	journal_add(
	    state->journal, "bind",
	    json_pack("{s:s, s:s, s:s}", "sourceId", view->vm->id, "targetName",
		      view->shape->name, "inventory", digest));
	return journal_sync(state->journal, err);
}

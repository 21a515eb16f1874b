/* SPDX-License-Identifier: Apache-2.0 */
/* A plan of as many vms as the argument says (10), from YAML to what a run
 * would do, in one process: t/0004-growth.t counts its instructions.  With a
 * second argument something speaks against each of them. */
#include "batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "ask.h"
#include "link.h"
#include "t/tap.h"

#define DISKS 2

/* The program asks by a child; instructions are counted here. */
struct answer {
	const struct question *question;
	struct err *err;
};

void
answer_add(struct answer *to, json_t *piece)
{
	if (to->question->take(to->question->arg, piece, to->err) < 0)
		abort();
	json_decref(piece);
}

int
ask(const struct question *q, struct err *err)
{
	/* nobody listens */
	struct work_link link = {.socket = -1};
	struct answer to = {q, err};

	return q->ask(q->arg, &to, &link, err);
}

static const char head[] =
    "apiVersion: palletjack.io/v1alpha1\n"
    "kind: Endpoint\n"
    "metadata: {name: target, namespace: t}\n"
    "spec: {type: fake}\n"
    "---\n"
    "apiVersion: palletjack.io/v1alpha1\n"
    "kind: Script\n"
    "metadata: {name: hook, namespace: t}\n"
    "spec: {lua: 'log(\"here\")'}\n"
    "---\n"
    "apiVersion: forklift.konveyor.io/v1beta1\n"
    "kind: NetworkMap\n"
    "metadata: {name: maps, namespace: t}\n"
    "spec:\n"
    "  provider: {source: {name: source}, destination: {name: target}}\n"
    "  map: [{source: {name: fake}, destination: {type: pod}}]\n"
    "---\n"
    "apiVersion: forklift.konveyor.io/v1beta1\n"
    "kind: StorageMap\n"
    "metadata: {name: maps, namespace: t}\n"
    "spec:\n"
    "  provider: {source: {name: source}, destination: {name: target}}\n"
    "  map: [{source: {name: %s}, destination: {storageClass: fake}}]\n"
    "---\n";

static const char plan_head[] =
    "---\n"
    "apiVersion: forklift.konveyor.io/v1beta1\n"
    "kind: Plan\n"
    "metadata: {name: %s, namespace: t}\n"
    "spec:\n"
    "  provider: {source: {name: source}, destination: {name: target}}\n"
    "  map: {network: {name: maps}, storage: {name: maps}}\n"
    "  targetNamespace: t\n"
    "  vms:\n";

/* Migrations that name every vm: those of one plan to be cut over, in a time
 * that is past, those of the other to be left alone. */
static void
add_migrations(struct buf *text, unsigned nvms)
{
	static const char migration[] =
	    "---\n"
	    "apiVersion: forklift.konveyor.io/v1beta1\n"
	    "kind: Migration\n"
	    "metadata: {name: %s, namespace: t}\n"
	    "spec:\n"
	    "  plan: {name: %s}\n"
	    "  %s:\n";

	buf_printf(text, migration, "go", "p", "vmCutover");
	for (unsigned i = 1; i <= nvms; i++)
		buf_printf(text,
			   "    - {id: vm-%05u, cutover: "
			   "'2020-01-02T03:04:05Z'}\n",
			   i);
	buf_printf(text, migration, "stop", "other", "cancel");
	for (unsigned i = 1; i <= nvms; i++)
		buf_printf(text, "    - {id: vm-%05u}\n", nvms + i);
}

static char *
write_manifest(unsigned nvms, bool refused)
{
	CLEANUP(buf_done) struct buf text = {0};
	char *path = fs_path(tap_dir(), "m.yaml");
	struct err err;

	/* a disk without a place */
	buf_printf(&text, head, refused ? "none" : "fake");
	buf_printf(&text,
		   "apiVersion: palletjack.io/v1alpha1\n"
		   "kind: Endpoint\n"
		   "metadata: {name: source, namespace: t}\n"
		   "spec: {type: fake, settings: {vms: \"%u\", "
		   "disksPerVM: \"%d\"}}\n",
		   2 * nvms, DISKS);
	/* a plan beside it, of which each vm could be one of ours */
	buf_printf(&text, plan_head, "other");
	for (unsigned i = 1; i <= nvms; i++)
		buf_printf(&text, "    - id: vm-%05u\n", nvms + i);
	buf_printf(&text, plan_head, "p");
	for (unsigned i = 1; i <= nvms; i++)
		buf_printf(&text,
			   "    - name: vm-%05u\n"
			   "      hooks: [{step: PreHook, hook: "
			   "{kind: Script, name: hook}}]\n",
			   i);
	add_migrations(&text, nvms);
	if (fs_write(path, text.data, text.len, 0600, &err) < 0)
		tap_diag("%s", err.text);
	return path;
}

static size_t
count_ready(const struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->nvms; i++)
		n += b->vms[i].verdict == BATCH_READY &&
		     b->vms[i].run.schedule->ntodo > DISKS;
	return n;
}

int
main(int argc, char **argv)
{
	unsigned nvms = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10;
	bool refused = argc > 2;
	CLEANUP(mem_freep) char *path = write_manifest(nvms, refused);
	const char *const paths[] = {path};
	struct findings found = {.arena = arena_new()};
	struct batch_opts opts = {.root = tap_dir(), .read = &found};
	struct manifest_opts how = {0};
	struct manifest *m = NULL;
	const struct plan *plan = NULL;
	struct batch *b = NULL;
	struct err err = {0};

	if (ok(manifest_read(paths, 1, &how, &found, &m, &err) == 0 &&
		   manifest_plan(m, "t/p", &plan, &err) == 0,
	       "the manifest can be read")) {
		is_int(batch_open(m, plan, &opts, &b, &err), 0, "and planned");
		is_int(batch_check(b, false, &err), 0, "and checked");
		is_int((long long)count_ready(b), refused ? 0 : nvms,
		       "every vm is ready, or none");
		ok(refused ? b->findings.n >= nvms : b->findings.n == 0,
		   "and so much speaks against it");
	}
	batch_free(b);
	manifest_free(m);
	findings_done(&found);
	arena_free(found.arena);
	return tap_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a manifest from a string, for the tests of manifests/. */
#ifndef T_UNIT_MANIFEST_H
#define T_UNIT_MANIFEST_H

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "manifests/model.h"
#include "t/tap.h"

/* What one reading gave. */
struct reading {
	struct arena *arena;
	struct findings findings;
	struct manifest *m;
	struct err err;
	int failed;
	struct buf text; /* the findings, a line each */
};

static inline void
reading_done(struct reading *r)
{
	manifest_free(r->m);
	findings_done(&r->findings);
	buf_done(&r->text);
	arena_free(r->arena);
	*r = (struct reading){0};
}

static inline void
read_paths(struct reading *r, const char *const *paths, size_t n, bool strict)
{
	struct manifest_opts opts = {.strict = strict};

	*r = (struct reading){.arena = arena_new()};
	r->findings.arena = r->arena;
	r->failed =
	    manifest_read(paths, n, &opts, &r->findings, &r->m, &r->err);
	buf_adds(&r->text, "");
	for (size_t i = 0; i < r->findings.n; i++) {
		buf_printf(&r->text, "%s %s ",
			   finding_category_name(r->findings.v[i].category),
			   r->findings.v[i].type);
		finding_text(&r->findings.v[i], &r->text);
		buf_adds(&r->text, "\n");
	}
}

/* The text stands in the file m.yaml of the current directory. */
static inline void
read_text(struct reading *r, const char *text, bool strict)
{
	static const char *const path = "m.yaml";
	struct err err;

	if (fs_write(path, text, strlen(text), 0600, &err) < 0)
		tap_diag("%s", err.text);
	read_paths(r, &path, 1, strict);
}

/* Everything a plan needs but the plan. */
#define SURROUNDINGS                                                    \
	"apiVersion: palletjack.io/v1alpha1\n"                          \
	"kind: Endpoint\n"                                              \
	"metadata: {name: src}\n"                                       \
	"spec: {type: disk, url: images, settings: {web: web.raw}}\n"   \
	"---\n"                                                         \
	"apiVersion: palletjack.io/v1alpha1\n"                          \
	"kind: Endpoint\n"                                              \
	"metadata: {name: dst}\n"                                       \
	"spec: {type: local, url: /srv/vms}\n"                          \
	"---\n"                                                         \
	"apiVersion: forklift.konveyor.io/v1beta1\n"                    \
	"kind: NetworkMap\n"                                            \
	"metadata: {name: net}\n"                                       \
	"spec:\n"                                                       \
	"  provider: {source: {name: src}, destination: {name: dst}}\n" \
	"  map: []\n"                                                   \
	"---\n"                                                         \
	"apiVersion: forklift.konveyor.io/v1beta1\n"                    \
	"kind: StorageMap\n"                                            \
	"metadata: {name: sto}\n"                                       \
	"spec:\n"                                                       \
	"  provider: {source: {name: src}, destination: {name: dst}}\n" \
	"  map: []\n"                                                   \
	"---\n"

/* A plan up to its vms; 28 lines with what stands before it. */
#define PLAN_HEAD                                                       \
	SURROUNDINGS                                                    \
	"apiVersion: forklift.konveyor.io/v1beta1\n"                    \
	"kind: Plan\n"                                                  \
	"metadata: {name: web}\n"                                       \
	"spec:\n"                                                       \
	"  provider: {source: {name: src}, destination: {name: dst}}\n" \
	"  map: {network: {name: net}, storage: {name: sto}}\n"         \
	"  targetNamespace: demo\n"

#endif

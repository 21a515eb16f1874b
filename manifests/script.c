/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts: their text from the manifest or from a file beside it. */
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "manifests/load.h"

#define SCRIPT_MAX_BYTES ((size_t)1 << 20)

/* A manifest is data: it shall not make us read what lies elsewhere. */
static bool
stays_below(const char *path)
{
	if (path[0] == '/')
		return false;
	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (!strncmp(part, "..", 2) &&
		    (part[2] == '/' || part[2] == '\0'))
			return false;
	}
	return true;
}

static char *
path_of(const struct script *s, const char *file)
{
	CLEANUP(mem_freep) char *dir = NULL;

	if (!strcmp(s->o.pos.file, "-"))
		return mem_strdup(file);
	dir = fs_dirname(s->o.pos.file);
	return strcmp(dir, ".") ? fs_path(dir, file) : mem_strdup(file);
}

static void
read_script(struct reader *r, struct script *s, const char *file)
{
	CLEANUP(mem_freep) char *path = path_of(s, file);
	CLEANUP(buf_done) struct buf text = {0};
	struct err err;

	if (!stays_below(file))
		say(r, FINDING_ERROR, "ScriptNotValid", &s->o, s->o.pos,
		    "spec.file",
		    "'%s' leads out of the manifest's directory; put the "
		    "script beside the manifest",
		    file);
	else if (fs_read(path, SCRIPT_MAX_BYTES, false, &text, &err) < 0)
		say(r, FINDING_ERROR, "ScriptNotValid", &s->o, s->o.pos,
		    "spec.file", "cannot be read: %s", err.text);
	else if (text.data && strlen(text.data) != text.len)
		say(r, FINDING_ERROR, "ScriptNotValid", &s->o, s->o.pos,
		    "spec.file", "'%s' is not Lua source: it holds NUL bytes",
		    path);
	else
		s->lua = arena_strdup(r->arena, text.data ? text.data : "");
	s->chunk = arena_strdup(r->arena, path);
}

void
finish_script(struct reader *r, struct script *s)
{
	const char *file = s->chunk; /* the table put spec.file there */

	if (!!s->lua == !!file) {
		say(r, FINDING_ERROR, "ScriptNotValid", &s->o, s->o.pos, "spec",
		    "must have either lua or file");
		return;
	}
	if (file)
		read_script(r, s, file);
	else
		s->chunk = arena_printf(r->arena, "%s/%s",
					fs_basename(s->o.pos.file), s->o.name);
}

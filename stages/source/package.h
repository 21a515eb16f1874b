/* SPDX-License-Identifier: Apache-2.0 */
/* One OVF descriptor and the files that come with it: an .ova archive, read in
 * place, or an .ovf in a directory. */
#ifndef SOURCE_PACKAGE_H
#define SOURCE_PACKAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "stages/source/tar.h"

struct package {
	struct arena *arena; /* borrowed */
	const char *root;    /* the endpoint's directory */
	const char *rel;     /* the .ova or .ovf below it; borrowed */
	bool is_archive;
	int fd;			/* of the .ova or .ovf */
	struct tar tar;		/* archives only */
	const char *descriptor; /* its name in the package */
	bool is_damaged;	/* the archive ends early, or worse */
	struct err damage;
};

struct package_file {
	const char *name;
	const char *rel; /* the file that holds it, below the root */
	uint64_t offset, size;
};

/* Finds the descriptor.  A damaged archive is opened as far as its descriptor
 * can be read; else -1. */
int package_open(struct arena *arena, const char *root, const char *rel,
		 struct package *ret, struct err *err);
void package_done(struct package *p);

/* -1 with ERR_FAIL: not there, or not to be touched (a name that leads
 * outside, a link). */
int package_find(const struct package *p, const char *name,
		 struct package_file *ret, struct err *err);
bool package_has(const struct package *p, const char *name);
/* The file called as the descriptor but for its ending: ".mf", in
 * whatever case.  NULL: none. */
const char *package_beside(const struct package *p, const char *ending);

/* A descriptor of the file that holds it; caller closes; -1. */
int package_file_open(const struct package *p, const struct package_file *f,
		      struct err *err);
int package_file_read(const struct package *p, const struct package_file *f,
		      size_t limit, struct buf *ret, struct err *err);

/* Case counts for nothing: ".OVA" is one, too. */
bool package_has_ending(const char *name, const char *ending);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* XML from strangers: read from memory within limits, then walked by namespace
 * URI and local name.  No document types, hence no entities; nothing is ever
 * fetched. */
#ifndef IO_XML_H
#define IO_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define XML_LIMIT ((size_t)64 << 20) /* bytes of one document */

struct xml;	 /* a document; owns its nodes and every string they give */
struct xml_node; /* an element */

/* Not well formed, too large, or with a document type: ERR_FAIL with the
 * line. */
int xml_parse(const void *data, size_t len, struct xml **ret, struct err *err);
void xml_free(struct xml *x); /* NULL is fine */
void xml_freep(struct xml **x);

/* Below, `ns` is a namespace URI, "" for none, or NULL for any; `name` NULL is
 * any name.  A node of NULL has no children, attributes or text, so lookups
 * can be chained. */

const struct xml_node *xml_root(const struct xml *x);
bool xml_is(const struct xml_node *n, const char *ns, const char *name);
const struct xml_node *xml_child(const struct xml_node *n, const char *ns,
				 const char *name);
/* The next element beside this one. */
const struct xml_node *xml_next(const struct xml_node *n, const char *ns,
				const char *name);

const char *xml_name(const struct xml_node *n);
const char *xml_ns(const struct xml_node *n); /* "" for none */
/* Of that namespace or of none; NULL: there is no such attribute. */
const char *xml_attr(const struct xml_node *n, const char *ns,
		     const char *name);
/* All text below, without white space around it; never NULL. */
const char *xml_text(const struct xml_node *n);
unsigned xml_line(const struct xml_node *n);
/* Is this namespace declared right here? */
bool xml_declares(const struct xml_node *n, const char *ns);
/* The element as XML, with all below it; "" for NULL; caller frees. */
char *xml_source(const struct xml_node *n);

/* Adds text so that it may stand in an element or in an attribute. */
void xml_escape(struct buf *b, const char *text);

#endif

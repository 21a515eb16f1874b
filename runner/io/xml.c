/* SPDX-License-Identifier: Apache-2.0 */
/* The one home of libxml2. */
#include "io/xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"

#define OPTIONS                                                      \
	(XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | \
	 XML_PARSE_NOCDATA | XML_PARSE_COMPACT | XML_PARSE_BIG_LINES)

struct xml {
	xmlDocPtr doc; /* its _private is the arena */
	struct arena *arena;
};

static const xmlNode *
node_of(const struct xml_node *n)
{
	return (const xmlNode *)n;
}

/* Document types bring entities, and with them bombs and files of ours. */
static void
refuse_document_type(void *arg, const xmlChar *name, const xmlChar *external,
		     const xmlChar *system)
{
	xmlParserCtxtPtr ctxt = arg;

	(void)name;
	(void)external;
	(void)system;
	*(bool *)ctxt->_private = true;
	xmlStopParser(ctxt);
}

static int
bad_xml(xmlParserCtxtPtr ctxt, bool has_type, struct err *err)
{
	const xmlError *e = xmlCtxtGetLastError(ctxt);
	const char *text = e && e->message ? e->message : "unknown reason\n";

	if (has_type)
		return err_set(err, ERR_FAIL,
			       "it has a document type, which we do not read");
	return err_set(err, ERR_FAIL, "line %d: it is not XML: %.*s",
		       e ? e->line : 0, (int)strcspn(text, "\n"), text);
}

int
xml_parse(const void *data, size_t len, struct xml **ret, struct err *err)
{
	xmlParserCtxtPtr ctxt;
	xmlDocPtr doc;
	bool has_type = false;
	struct xml *x;

	if (len > XML_LIMIT)
		return err_set(err, ERR_FAIL,
			       "it is larger than %zu MiB, too large for a "
			       "description",
			       XML_LIMIT >> 20);
	ctxt = xmlNewParserCtxt();
	ctxt->_private = &has_type;
	ctxt->sax->internalSubset = refuse_document_type;
	doc = xmlCtxtReadMemory(ctxt, data, (int)len, NULL, NULL, OPTIONS);
	if (!doc || has_type) {
		bad_xml(ctxt, has_type, err);
		xmlFreeDoc(doc);
		xmlFreeParserCtxt(ctxt);
		return -1;
	}
	xmlFreeParserCtxt(ctxt);
	x = mem_new(sizeof(*x));
	x->doc = doc;
	x->arena = arena_new();
	doc->_private = x->arena;
	*ret = x;
	return 0;
}

void
xml_free(struct xml *x)
{
	if (!x)
		return;
	xmlFreeDoc(x->doc);
	arena_free(x->arena);
	free(x);
}

void
xml_freep(struct xml **x)
{
	xml_free(*x);
}

const struct xml_node *
xml_root(const struct xml *x)
{
	return (const struct xml_node *)xmlDocGetRootElement(x->doc);
}

static const char *
uri_of(const xmlNs *ns)
{
	return ns && ns->href ? (const char *)ns->href : "";
}

bool
xml_is(const struct xml_node *n, const char *ns, const char *name)
{
	const xmlNode *node = node_of(n);

	return node && node->type == XML_ELEMENT_NODE &&
	       (!ns || !strcmp(uri_of(node->ns), ns)) &&
	       (!name || !strcmp((const char *)node->name, name));
}

static const struct xml_node *
first_of(const xmlNode *node, const char *ns, const char *name)
{
	for (; node; node = node->next)
		if (xml_is((const struct xml_node *)node, ns, name))
			return (const struct xml_node *)node;
	return NULL;
}

const struct xml_node *
xml_child(const struct xml_node *n, const char *ns, const char *name)
{
	return n ? first_of(node_of(n)->children, ns, name) : NULL;
}

const struct xml_node *
xml_next(const struct xml_node *n, const char *ns, const char *name)
{
	return n ? first_of(node_of(n)->next, ns, name) : NULL;
}

const char *
xml_name(const struct xml_node *n)
{
	return (const char *)node_of(n)->name;
}

const char *
xml_ns(const struct xml_node *n)
{
	return uri_of(node_of(n)->ns);
}

/* Copies into the document's arena what libxml2 wants freed. */
static const char *
keep(const xmlNode *node, xmlChar *text)
{
	const char *from = text ? (const char *)text : "";
	size_t len;
	char *copy;

	from += strspn(from, " \t\r\n");
	len = strlen(from);
	while (len && strchr(" \t\r\n", from[len - 1]))
		len--;
	copy = arena_strndup(node->doc->_private, from, len);
	xmlFree(text);
	return copy;
}

const char *
xml_attr(const struct xml_node *n, const char *ns, const char *name)
{
	const xmlNode *node = node_of(n);

	for (const xmlAttr *a = node ? node->properties : NULL; a; a = a->next)
		if (!strcmp((const char *)a->name, name) &&
		    (!ns || !a->ns || !strcmp(uri_of(a->ns), ns)))
			return keep(node, xmlNodeListGetString(node->doc,
							       a->children, 1));
	return NULL;
}

const char *
xml_text(const struct xml_node *n)
{
	const xmlNode *node = node_of(n);

	return node ? keep(node, xmlNodeGetContent(node)) : "";
}

unsigned
xml_line(const struct xml_node *n)
{
	long line = n ? xmlGetLineNo(node_of(n)) : 0;

	return line > 0 ? (unsigned)line : 0;
}

bool
xml_declares(const struct xml_node *n, const char *ns)
{
	for (const xmlNs *d = n ? node_of(n)->nsDef : NULL; d; d = d->next)
		if (!strcmp(uri_of(d), ns))
			return true;
	return false;
}

char *
xml_source(const struct xml_node *n)
{
	xmlBufferPtr b = xmlBufferCreate();
	char *text;

	if (n)
		xmlNodeDump(b, node_of(n)->doc, (xmlNodePtr)n, 0, 0);
	text = mem_strdup(n ? (const char *)xmlBufferContent(b) : "");
	xmlBufferFree(b);
	return text;
}

void
xml_escape(struct buf *b, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			buf_adds(b, "&amp;");
		else if (*text == '<')
			buf_adds(b, "&lt;");
		else if (*text == '>')
			buf_adds(b, "&gt;");
		else if (*text == '\'')
			buf_adds(b, "&apos;");
		else if (*text == '"')
			buf_adds(b, "&quot;");
		else
			buf_add(b, text, 1);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* XML: walked by namespace, and what is refused. */
#include "io/xml.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "t/tap.h"

static struct xml *
parsed(const char *text)
{
	struct xml *x = NULL;
	struct err err = {0};

	if (xml_parse(text, strlen(text), &x, &err) < 0)
		tap_diag("%s", err.text);
	return x;
}

static void
refused(const char *text, size_t len, const char *part, const char *name)
{
	struct xml *x = NULL;
	struct err err = {0};

	ok(xml_parse(text, len, &x, &err) < 0 && err.class == ERR_FAIL, "%s",
	   name);
	like(err.text, part, "it says why");
}

static void
walks(void)
{
	struct xml *x =
	    parsed("<?xml version='1.0'?>\n"
		   "<a:root xmlns:a='urn:one' xmlns:b='urn:two' b:k='v&lt;'>\n"
		   " <b:item>wrong</b:item>\n"
		   " <a:item a:id='1' id2='2'> first <i>in</i> </a:item>\n"
		   " <!-- a comment --><item xmlns='urn:one'>&#x41;"
		   "<![CDATA[<&]]></item>\n"
		   " <none/>\n"
		   "</a:root>");
	const struct xml_node *root, *item;

	if (!ok(x != NULL, "namespaces are fine"))
		return;
	root = xml_root(x);
	ok(xml_is(root, "urn:one", "root"), "the root");
	ok(xml_declares(root, "urn:two") && !xml_declares(root, "urn:3"),
	   "what it declares");
	is_str(xml_attr(root, "urn:two", "k"), "v<", "an attribute");
	ok(!xml_attr(root, "urn:one", "k"), "not of another namespace");
	item = xml_child(root, "urn:one", "item");
	is_str(xml_text(item), "first in", "text without space around");
	is_str(xml_attr(item, "urn:one", "id2"), "2", "an attribute of none");
	is_int(xml_line(item), 4, "its line");
	item = xml_next(item, "urn:one", "item");
	is_str(xml_text(item), "A<&", "characters and CDATA");
	ok(!xml_next(item, "urn:one", "item"), "no more");
	is_str(xml_name(xml_child(root, "", NULL)), "none", "no namespace");
	is_str(xml_ns(xml_child(root, NULL, NULL)), "urn:two", "any");
	is_str(xml_text(xml_child(xml_child(NULL, NULL, "a"), NULL, "b")), "",
	       "lookups can be chained");
	xml_free(x);
}

static void
refuses(void)
{
	static const char laughs[] =
	    "<!DOCTYPE l [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;&a;'>"
	    "<!ENTITY c '&b;&b;&b;&b;&b;&b;'>]><l>&c;</l>";
	static const char file[] =
	    "<!DOCTYPE l [<!ENTITY f SYSTEM 'file:///etc/passwd'>]>"
	    "<l>&f;</l>";
	static const char external[] =
	    "<!DOCTYPE l SYSTEM 'http://127.0.0.1/x.dtd'><l/>";
	static const char cut[] = "<a>\n<b>\n</a>";
	struct buf deep = {0};

	refused(laughs, strlen(laughs), "document type", "billion laughs");
	refused(file, strlen(file), "document type", "a file of ours");
	refused(external, strlen(external), "document type", "a foreign DTD");
	refused(cut, strlen(cut), "line 3", "bad nesting");
	refused("", 0, "not XML", "nothing");
	refused("\0\0\0\0", 4, "not XML", "zeroes");
	refused("<a>&x;</a>", 10, "not XML", "an unknown entity");
	for (int i = 0; i < 100000; i++)
		buf_adds(&deep, "<a>");
	refused(deep.data, deep.len, "not XML", "endless depth");
	refused(deep.data, XML_LIMIT + 1, "larger than", "endless length");
	buf_done(&deep);
}

int
main(void)
{
	walks();
	refuses();
	return tap_done();
}

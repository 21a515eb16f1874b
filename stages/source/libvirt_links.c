/* SPDX-License-Identifier: Apache-2.0 */
/* The links of a domain's interfaces. */
#include "stages/source/libvirt_xml.h"

#include <string.h>

#include "base/mem.h"
#include "io/xml.h"

static const struct xml_node *
first_nic(const struct xml *xml)
{
	return xml_child(xml_child(xml_root(xml), "", "devices"), "",
			 "interface");
}

static bool
link_is_up(const struct xml_node *nic)
{
	const char *state = xml_attr(xml_child(nic, "", "link"), NULL, "state");

	return !state || strcmp(state, "down") != 0;
}

json_t *
domain_links_up(const char *text, struct err *err)
{
	CLEANUP(xml_freep) struct xml *xml = NULL;
	const struct xml_node *n;
	json_t *up;

	if (xml_parse(text, strlen(text), &xml, err) < 0)
		return NULL;
	up = json_array();
	n = first_nic(xml);
	for (int i = 0; n; n = xml_next(n, "", "interface"), i++)
		if (link_is_up(n))
			json_array_append_new(up, json_integer(i));
	return up;
}

/* `text` without the first `part` in it. */
static char *
without(const char *text, const char *part)
{
	const char *at = strstr(text, part);

	if (!at)
		return mem_strdup(text);
	return mem_printf("%.*s%s", (int)(at - text), text, at + strlen(part));
}

char *
domain_nic_xml(const char *text, size_t n, bool up)
{
	CLEANUP(xml_freep) struct xml *xml = NULL;
	CLEANUP(mem_freep) char *nic = NULL, *link = NULL, *rest = NULL;
	const struct xml_node *node;
	const char *end;
	struct err ignored;

	if (xml_parse(text, strlen(text), &xml, &ignored) < 0)
		return NULL;
	node = first_nic(xml);
	while (node && n--)
		node = xml_next(node, "", "interface");
	if (!node)
		return NULL;
	nic = xml_source(node);
	link = xml_source(xml_child(node, "", "link"));
	rest = *link ? without(nic, link) : mem_strdup(nic);
	/* an interface has a type, and may have nothing else */
	end = strchr(rest, '>');
	if (end[-1] == '/')
		return mem_printf("%.*s><link state=\"%s\"/></interface>",
				  (int)(end - 1 - rest), rest,
				  up ? "up" : "down");
	return mem_printf("%.*s<link state=\"%s\"/>%s", (int)(end + 1 - rest),
			  rest, up ? "up" : "down", end + 1);
}

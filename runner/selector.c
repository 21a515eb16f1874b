/* SPDX-License-Identifier: Apache-2.0 */
/* Reading label selectors term by term. */
#include "selector.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char blanks[] = " \t\n";

/* Cuts the text's blank ends off, in place. */
static char *
trimmed(char *text)
{
	size_t len;

	text += strspn(text, blanks);
	len = strlen(text);
	while (len > 0 && strchr(blanks, text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* Letters, digits and -_./, as label keys and values are written. */
static bool
is_word(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789-_./")] == '\0';
}

static bool
is_key(const char *text)
{
	return *text && is_word(text);
}

/* Is the label's value one of "(a, b)"?  -1: that is no such list. */
static int
is_in_list(char *list, const char *value)
{
	size_t len = strlen(list);
	int found = 0;
	char *rest = NULL;

	if (len < 2 || list[0] != '(' || list[len - 1] != ')')
		return -1;
	list[len - 1] = '\0';
	for (char *one = strtok_r(list + 1, ",", &rest); one;
	     one = strtok_r(NULL, ",", &rest)) {
		one = trimmed(one);
		if (!is_word(one))
			return -1;
		found |= value && strcmp(one, value) == 0;
	}
	return found;
}

/* "a in (b,c)", "a notin (b,c)".  -1: it is neither. */
static int
set_term(char *term, const json_t *labels)
{
	char *list = strchr(term, '('), *word;
	bool wanted;
	int found;

	if (!list || list == term)
		return -1;
	list = mem_strdup(list);
	*strchr(term, '(') = '\0';
	term = trimmed(term);
	word = strpbrk(term, blanks);
	found = -1;
	if (word) {
		*word++ = '\0';
		word = trimmed(word);
		wanted = strcmp(word, "in") == 0;
		if (is_key(term) && (wanted || strcmp(word, "notin") == 0))
			found = is_in_list(
			    list,
			    json_string_value(json_object_get(labels, term)));
		if (found >= 0)
			found = (found == 1) == wanted;
	}
	free(list);
	return found;
}

/* Does one term hold?  -1: it is none. */
static int
term_holds(char *term, const json_t *labels)
{
	char *mark = strchr(term, '=');
	const char *value;
	bool wanted = true;

	if (strchr(term, '('))
		return set_term(term, labels);
	if (!mark && *term == '!') {
		term = trimmed(term + 1);
		return is_key(term) ? !json_object_get(labels, term) : -1;
	}
	if (!mark)
		return is_key(term) ? json_object_get(labels, term) != NULL
				    : -1;
	if (mark > term && mark[-1] == '!') {
		wanted = false;
		mark[-1] = '\0';
	}
	*mark++ = '\0';
	if (wanted && *mark == '=')
		mark++;
	term = trimmed(term);
	mark = trimmed(mark);
	if (!is_key(term) || !is_word(mark))
		return -1;
	value = json_string_value(json_object_get(labels, term));
	return (value && strcmp(value, mark) == 0) == wanted;
}

/* The comma that ends the term, not one inside its list; or the end. */
static char *
end_of_term(char *text)
{
	bool inside = false;

	for (; *text && (inside || *text != ','); text++)
		inside = *text == '(' || (inside && *text != ')');
	return text;
}

int
selector_matches(const char *selector, const json_t *labels, bool *ret,
		 struct err *err)
{
	CLEANUP(mem_freep) char *copy = mem_strdup(selector);
	bool all = true, more = true;

	for (char *at = copy; more;) {
		char *end = end_of_term(at);
		int holds;

		more = *end == ',';
		*end = '\0';
		holds = term_holds(trimmed(at), labels);
		if (holds < 0)
			return err_set(err, ERR_USER,
				       "'%s' is no label selector: terms are "
				       "a=b, a!=b, a, !a, 'a in (b,c)' and "
				       "'a notin (b,c)', joined by commas",
				       selector);
		all = all && holds;
		at = end + 1;
	}
	*ret = all;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the vms of a plan are called at the target. */
#include "manifests/shape.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "manifests/digest.h"
#include "manifests/strmap.h"
#include "manifests/text.h"

#define NAME_SIZE 63
#define SUFFIX_SIZE 4
#define SUFFIX_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789"

struct shape_names {
	struct arena *arena;
	const struct plan *plan;
	const struct inventory *inv;
	const char **names; /* by the entry's index; NULL while undecided */
	struct strmap taken;
	struct strmap suffixed; /* ids of vms that got a suffix */
};

static bool
is_valid(const char *name)
{
	return text_is_subdomain(name) && strlen(name) <= NAME_SIZE;
}

static void
trim_end(struct buf *b)
{
	while (b->len &&
	       (b->data[b->len - 1] == '-' || b->data[b->len - 1] == '.'))
		b->data[--b->len] = '\0';
}

static void
cut_to(struct buf *b, size_t len)
{
	if (b->len > len)
		b->data[b->len = len] = '\0';
	trim_end(b);
}

/* One of the characters between two dots, in lower case; 0 drops it. */
static char
letter_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')
		return c;
	return c && strchr("_+* /\\", c) ? '-' : '\0';
}

static void
add_label(struct buf *out, const char *label, size_t len)
{
	CLEANUP(buf_done) struct buf b = {0};

	for (size_t i = 0; i < len; i++) {
		char c = letter_of(label[i]);

		if (!c || (c == '-' && (!b.len || b.data[b.len - 1] == '-')))
			continue;
		buf_add(&b, &c, 1);
	}
	cut_to(&b, NAME_SIZE);
	if (b.len && out->len)
		buf_adds(out, ".");
	if (b.len)
		buf_add(out, b.data, b.len);
}

char *
shape_valid_name(const char *name)
{
	CLEANUP(buf_done) struct buf out = {0};

	if (is_valid(name))
		return mem_strdup(name);
	for (const char *label = name;; label++) {
		size_t len = strcspn(label, ".");

		add_label(&out, label, len);
		label += len;
		if (!*label)
			break;
	}
	cut_to(&out, NAME_SIZE);
	return buf_steal(&out);
}

/* What the entry's vm is called at the source; an entry whose vm is not there
 * keeps its place by the name it was asked for, so that one vm's end renames
 * no other. */
static const char *
source_name(const struct shape_names *n, const struct plan_vm *pvm,
	    const char **ret_id)
{
	bool ambiguous;
	const struct inv_vm *vm = inventory_find(n->inv, &pvm->ref, &ambiguous);

	*ret_id = vm ? vm->id : pvm->key;
	if (vm)
		return vm->name;
	return pvm->ref.name ? pvm->ref.name : "";
}

static void
suffix_of(const struct shape_names *n, const char *id, unsigned attempt,
	  char ret[SUFFIX_SIZE + 1])
{
	CLEANUP(mem_freep)
	char *text = mem_printf("name %s/%s %s %u", n->plan->o.namespace,
				n->plan->o.name, id, attempt);
	char hex[DIGEST_HEX_SIZE];
	uint64_t number;

	digest_bytes(text, strlen(text), hex);
	hex[16] = '\0';
	number = strtoull(hex, NULL, 16);
	for (int i = 0; i < SUFFIX_SIZE; i++) {
		ret[i] = SUFFIX_LETTERS[number % (sizeof(SUFFIX_LETTERS) - 1)];
		number /= sizeof(SUFFIX_LETTERS) - 1;
	}
	ret[SUFFIX_SIZE] = '\0';
}

static bool
claim(struct shape_names *n, const struct plan_vm *pvm, const char *name)
{
	char *copy;

	if (!*name || strmap_get(&n->taken, name))
		return false;
	copy = arena_strdup(n->arena, name);
	strmap_add(&n->taken, copy, copy);
	n->names[pvm->index] = copy;
	return true;
}

static void
claim_with_suffix(struct shape_names *n, const struct plan_vm *pvm)
{
	CLEANUP(buf_done) struct buf stem = {0};
	CLEANUP(mem_freep) char *valid = NULL;
	const char *id;
	unsigned attempt = 0;

	valid = shape_valid_name(source_name(n, pvm, &id));
	/* one vm in many entries is wrong, but must not take for ever */
	if (strmap_add(&n->suffixed, id, n))
		attempt = (unsigned)pvm->index;
	buf_adds(&stem, *valid ? valid : "vm");
	cut_to(&stem, NAME_SIZE - SUFFIX_SIZE - 1);
	for (; !n->names[pvm->index]; attempt++) {
		CLEANUP(mem_freep) char *name = NULL;
		char suffix[SUFFIX_SIZE + 1];

		suffix_of(n, id, attempt, suffix);
		name = mem_printf("%s-%s", stem.data, suffix);
		(void)claim(n, pvm, name);
	}
}

/* Who asked for a name gets it, then who needs no new one, then the others, in
 * the order of the plan. */
static void
decide(struct shape_names *n, const struct plan_vm *pvm, int round)
{
	CLEANUP(mem_freep) char *valid = NULL;
	const char *id, *name;

	if (pvm->target_name) {
		/* two vms of one target name: refused when the plan was read */
		if (round == 0 && !claim(n, pvm, pvm->target_name))
			n->names[pvm->index] = pvm->target_name;
		return;
	}
	if (round == 0 || n->names[pvm->index])
		return;
	if (round == 3) {
		claim_with_suffix(n, pvm);
		return;
	}
	name = source_name(n, pvm, &id);
	if (round == 1 && !is_valid(name))
		return;
	valid = shape_valid_name(name);
	(void)claim(n, pvm, valid);
}

struct shape_names *
shape_names_new(const struct plan *plan, const struct inventory *inv)
{
	struct shape_names *n = mem_new(sizeof(*n));

	n->arena = arena_new();
	n->plan = plan;
	n->inv = inv;
	n->names = mem_new((plan->nvms + 1) * sizeof(*n->names));
	for (int round = 0; round <= 3; round++)
		for (size_t i = 0; i < plan->nvms; i++)
			decide(n, &plan->vms[i], round);
	return n;
}

void
shape_names_free(struct shape_names *names)
{
	if (!names)
		return;
	strmap_done(&names->taken);
	strmap_done(&names->suffixed);
	free(names->names);
	arena_free(names->arena);
	free(names);
}

void
shape_names_freep(struct shape_names **names)
{
	shape_names_free(*names);
}

const char *
shape_names_get(const struct shape_names *names, const struct plan_vm *pvm)
{
	return names->names[pvm->index];
}

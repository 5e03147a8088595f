// SPDX-License-Identifier: BSD-2-Clause
/* A plan is made in four passes over a file's symbols: find the names that allocate, merge those at
 * one address, drop functions that only hand over to another of them, and choose an instruction in
 * each of the rest. */
#include "plan/plan.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "base/vec.h"
#include "elf/image.h"
#include "plan/exits.h"
#include "plan/extents.h"
#include "plan/functions.h"
#include "plan/insn.h"
#include "plan/links.h"
#include "plan/site.h"

/* libmimalloc has 110, each twice with .symtab; many more are an attack on seep's time. */
#define FOUND_MAX 512
#define ALIASES_MAX 512 /* bytes */
/* Longest reallocarray that is taken for realloc with a multiplication: glibc's has 33 bytes,
 * musl's 41. */
#define MULTIPLY_MAX 64 /* bytes */

/* A symbol with an allocation function's name. */
struct found {
	uint64_t address, size_bytes;
	const struct function_name *name;
	const char *symbol; /* interned */
	unsigned rank;
};

/* A function, all its names merged. */
struct candidate {
	struct found best;
	char aliases[ALIASES_MAX];
	bool throws;
	unsigned families;
	struct function_text text;
	uint64_t offset;	/* in the file */
	struct candidate *heir; /* that counts in its place, or NULL */
};

struct builder {
	struct elf_image *image;
	const char *prefix;
	struct links *links;
	struct extents *extents; /* NULL until asked for */
	struct evidence evidence;
	struct {
		struct found *items;
		size_t n, cap;
	} found;
	struct {
		struct candidate *items;
		size_t n, cap;
	} candidates; /* sorted by address */
	struct strings *strings;
};

const char *plan_allocator_name(enum plan_allocator allocator)
{
	static const char *const names[] = {
		[PLAN_ALLOCATOR_NONE] = "none",		[PLAN_ALLOCATOR_GLIBC] = "glibc",
		[PLAN_ALLOCATOR_MUSL] = "musl",		[PLAN_ALLOCATOR_JEMALLOC] = "jemalloc",
		[PLAN_ALLOCATOR_TCMALLOC] = "tcmalloc", [PLAN_ALLOCATOR_MIMALLOC] = "mimalloc",
		[PLAN_ALLOCATOR_OTHER] = "other",
	};

	return (size_t)allocator < ARRAY_SIZE(names) ? names[allocator] : "other";
}

const char *plan_function_name(enum plan_function function)
{
	static const char *const names[] = {
		[PLAN_MALLOC] = "malloc",     [PLAN_CALLOC] = "calloc",
		[PLAN_REALLOC] = "realloc",   [PLAN_REALLOCARRAY] = "reallocarray",
		[PLAN_MEMALIGN] = "memalign", [PLAN_POSIX_MEMALIGN] = "posix_memalign",
		[PLAN_FREE] = "free",	      [PLAN_MEMALIGN_SWAPPED] = "memalign-swapped",
	};
	const char *name = (size_t)function < ARRAY_SIZE(names) ? names[function] : NULL;

	return name ? name : "unknown";
}

static int find_symbol(const struct elf_symbol *symbol, void *arg)
{
	struct builder *b = arg;
	struct found found = {.address = symbol->address, .size_bytes = symbol->size_bytes};

	evidence_add(&b->evidence, symbol->name);
	if (symbol->type != STT_FUNC)
		return 0;
	found.name = function_lookup(symbol->name, b->prefix, &found.rank);
	if (!found.name)
		return 0;
	if (b->found.n == FOUND_MAX)
		return -E2BIG;
	found.symbol = strings_intern(b->strings, symbol->name);
	return found.symbol ? vec_push(&b->found, found) : -ENOMEM;
}

/* operator new is an allocator's own only where the file brings one that is not libc's:
 * libstdc++'s, linked into a static program, calls malloc. */
static bool counts(const struct builder *b, const struct found *found)
{
	enum plan_allocator allocator = evidence_allocator(&b->evidence);

	return !found->name->is_cxx ||
	       (allocator != PLAN_ALLOCATOR_NONE && allocator != PLAN_ALLOCATOR_GLIBC &&
		allocator != PLAN_ALLOCATOR_MUSL);
}

static int by_address(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->rank > y->rank) - (x->rank < y->rank);
}

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
			return true;
	return false;
}

static void add_alias(struct candidate *c, const char *symbol)
{
	size_t n = strlen(c->aliases);

	if (!strcmp(symbol, c->best.symbol) || has_word(c->aliases, symbol) ||
	    n + strlen(symbol) + 2 > sizeof(c->aliases))
		return;
	snprintf(c->aliases + n, sizeof(c->aliases) - n, n ? " %s" : "%s", symbol);
}

static void add_aliases(struct candidate *c, const char *words)
{
	char copy[ALIASES_MAX], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((word = strsep(&rest, " ")))
		if (*word)
			add_alias(c, word);
}

static int add_candidate(struct builder *b, const struct found *found)
{
	struct candidate c = {.best = *found, .families = function_families(found->name)};
	int err;

	if (elf_image_to_offset(b->image, found->address, &c.offset))
		return 0;
	err = function_text_read(b->image, found->address, found->size_bytes, &c.text);
	if (err) /* data, or past the file: no function to probe */
		return err == -ERANGE ? 0 : err;
	if (vec_push(&b->candidates, c)) {
		function_text_done(&c.text);
		return -ENOMEM;
	}
	return 0;
}

/* One candidate an address, under its best-known name. */
static int merge(struct builder *b)
{
	if (b->found.n)
		qsort(b->found.items, b->found.n, sizeof(*b->found.items), by_address);
	for (size_t i = 0; i < b->found.n; i++) {
		const struct found *f = &b->found.items[i];
		struct candidate *last = b->candidates.n ? &b->candidates.items[b->candidates.n - 1]
							 : NULL;

		if (!counts(b, f))
			continue;
		if (!last || last->best.address != f->address) {
			int err = add_candidate(b, f);

			if (err)
				return err;
			last = b->candidates.n ? &b->candidates.items[b->candidates.n - 1] : NULL;
			if (!last || last->best.address != f->address)
				continue;
		}
		add_alias(last, f->symbol);
		last->throws |= f->name->throws;
		last->families |= function_families(f->name);
	}
	return 0;
}

/* The candidate whose entry this address is, directly or by the PLT, or NULL. */
static struct candidate *candidate_at(const struct builder *b, uint64_t address)
{
	size_t low = 0, high = b->candidates.n;

	links_of_stub(b->links, address, &address);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (b->candidates.items[middle].best.address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < b->candidates.n && b->candidates.items[low].best.address == address
		       ? &b->candidates.items[low]
		       : NULL;
}

/* reallocarray multiplies first, which overwrites an argument before any cheap instruction. Where
 * it is nothing but the multiplication and a jump to realloc, realloc's probe sees the product, and
 * a failed multiplication allocates nothing. */
static struct candidate *find_multiplied(const struct builder *b, const struct candidate *c)
{
	struct candidate *heir = NULL;
	struct insn insn;

	if (!c->text.whole || c->text.n_bytes > MULTIPLY_MAX)
		return NULL;
	for (size_t at = 0; at < c->text.n_bytes; at += insn.length) {
		uint64_t target;

		if (insn_decode(c->text.machine, c->text.bytes + at, c->text.n_bytes - at, &insn))
			return NULL;
		if (insn.kind == INSN_JMP_INDIRECT || insn.kind == INSN_CALL_INDIRECT)
			return NULL;
		target = c->text.address + at + insn.target;
		if (insn.kind != INSN_JMP || target - c->text.address < c->text.n_bytes)
			continue;
		heir = candidate_at(b, target);
		if (!heir || heir->best.name->function != PLAN_REALLOC)
			return NULL;
	}
	return heir;
}

/* Another candidate through which every call that allocates or frees goes, so that one probe is
 * enough. */
static struct candidate *find_heir(const struct builder *b, const struct candidate *c)
{
	enum plan_function function = c->best.name->function;
	struct candidate *heir;
	uint64_t target;

	if (function == PLAN_REALLOCARRAY && (heir = find_multiplied(b, c)))
		return heir;
	if (!site_find_forward(&c->text, function, false, &target)) {
		heir = candidate_at(b, target);
		if (heir && heir != c && heir->best.name->function == function)
			return heir;
	}
	/* For what throws also behind a call: its own probes would be on ret instructions, which
	 * are stepped. */
	if (c->throws && !site_find_forward(&c->text, function, true, &target)) {
		heir = candidate_at(b, target);
		if (heir && heir != c && heir->best.name->function != PLAN_FREE)
			return heir;
	}
	return NULL;
}

/* The names of what was dropped go to its heir; malloc is a better name for __libc_malloc's probe
 * than its own. */
static void bequeath_names(struct builder *b)
{
	for (size_t i = 0; i < b->candidates.n; i++) {
		struct candidate *c = &b->candidates.items[i], *heir = c->heir;
		struct found *best = heir ? &heir->best : NULL;

		if (!heir)
			continue;
		if (c->best.rank < best->rank && !c->best.name->is_cxx &&
		    c->best.name->function == best->name->function) {
			const char *old = best->symbol;

			best->symbol = c->best.symbol;
			best->rank = c->best.rank;
			add_alias(heir, old);
		} else {
			add_alias(heir, c->best.symbol);
		}
		add_aliases(heir, c->aliases);
		heir->families |= c->families;
	}
}

/* Follows heirs to the last; only a hostile file makes a circle, whose members all keep their
 * probes. */
static void drop_forwarders(struct builder *b)
{
	for (size_t i = 0; i < b->candidates.n; i++) {
		struct candidate *c = &b->candidates.items[i];
		struct candidate *last = c, *next;
		unsigned steps = 0;

		while (steps < 8 && (next = find_heir(b, last))) {
			last = next;
			steps++;
		}
		if (steps && steps < 8)
			c->heir = last;
	}
	bequeath_names(b);
}

static int find_exits(struct builder *b, const struct candidate *c, struct plan_probe *probe)
{
	size_t n = strlen(probe->reason);
	const char *why;
	int err = 0;

	if (!b->extents)
		err = extents_create(b->image, &b->extents);
	if (!err)
		err = exits_find(b->image, b->links, b->extents, c->best.address,
				 c->best.size_bytes, &probe->exits, &probe->n_exits, &why);
	if (!err)
		probe->end = PLAN_END_EXITS;
	if (err != -ENODATA)
		return err;
	probe->end = PLAN_END_RETURN;
	snprintf(probe->reason + n, sizeof(probe->reason) - n, "; exits: %s", why);
	return 0;
}

static int add_probe(struct builder *b, const struct candidate *c, struct plan *plan)
{
	struct plan_probe probe = {
		.function = c->best.name->function,
		.symbol = c->best.symbol,
		.aliases = strings_intern(b->strings, c->aliases),
		.address = c->best.address,
		.size_bytes = c->best.size_bytes,
		.families = c->families,
	};
	int err = probe.aliases ? 0 : -ENOMEM;

	site_choose(&c->text, &probe);
	probe.offset = c->offset + probe.site;
	probe.end = probe.function == PLAN_FREE ? PLAN_END_NONE : PLAN_END_RETURN;
	if (!err && c->throws)
		err = find_exits(b, c, &probe);
	if (!err)
		err = vec_push(plan, probe);
	if (err)
		free(probe.exits);
	return err;
}

static int by_offset(const void *a, const void *b)
{
	const struct plan_probe *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Functions that overlap, as only a hostile file has them, may meet in one instruction: the first
 * stays. */
static void sort_probes(struct plan *plan)
{
	size_t n = plan->n;

	if (n)
		qsort(plan->items, n, sizeof(*plan->items), by_offset);
	plan->n = 0;
	for (size_t i = 0; i < n; i++)
		if (plan->n && plan->items[plan->n - 1].offset == plan->items[i].offset)
			free(plan->items[i].exits);
		else
			plan->items[plan->n++] = plan->items[i];
}

static int build(struct builder *b, struct plan *plan, struct diag *d)
{
	int err = elf_image_each_symbol(b->image, find_symbol, b, d);

	if (err == -E2BIG)
		return diag_set(d, EBADMSG, "more than %u symbols named like allocation functions",
				FOUND_MAX);
	if (err && (err != -EBADMSG || !b->found.n))
		return err;
	plan->allocator = evidence_allocator(&b->evidence);
	/* libc.so.6 can be executed, and so has an interpreter; a static-pie program has none. */
	plan->shared_libc = plan->allocator == PLAN_ALLOCATOR_GLIBC &&
			    elf_image_type(b->image) == ET_DYN && elf_image_interpreter(b->image);
	if (evidence_is_loader(&b->evidence)) {
		plan->allocator = PLAN_ALLOCATOR_NONE;
		return 0;
	}
	err = links_create(b->image, &b->links);
	if (!err)
		err = merge(b);
	if (!err)
		drop_forwarders(b);
	for (size_t i = 0; !err && i < b->candidates.n; i++)
		if (!b->candidates.items[i].heir)
			err = add_probe(b, &b->candidates.items[i], plan);
	sort_probes(plan);
	return err == -ENOMEM ? diag_set(d, ENOMEM, "out of memory") : err;
}

int plan_create(struct elf_image *image, const char *prefix, struct plan **ret, struct diag *d)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	struct builder b = {.image = image, .prefix = prefix};
	int err = -ENOMEM;

	if (plan)
		plan->strings = b.strings = calloc(1, sizeof(*b.strings));
	if (b.strings)
		err = build(&b, plan, d);
	else
		diag_set(d, ENOMEM, "out of memory");
	for (size_t i = 0; i < b.candidates.n; i++)
		function_text_done(&b.candidates.items[i].text);
	free(b.candidates.items);
	free(b.found.items);
	links_destroy(b.links);
	extents_destroy(b.extents);
	if (err) {
		plan_destroy(plan);
		return err;
	}
	*ret = plan;
	return 0;
}

void plan_destroy(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n; i++)
		free(plan->items[i].exits);
	free(plan->items);
	if (plan->strings)
		strings_done(plan->strings);
	free(plan->strings);
	free(plan);
}

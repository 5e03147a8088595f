// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/kernel_symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "base/vec.h"
#include "symbol/kernel_modules.h"

#define FUNCTION_MOST_BYTES (1 << 20) /* beyond that an address after a symbol is not in it */
#define TRACING_MOST_FRAMES 8

/* Of the functions only: data has no part in stacks. */
struct symbol {
	uint64_t start;
	uint32_t name, module; /* places in the text; module 0: vmlinux */
	uint8_t rank;	       /* among those at one address: the least counts */
};

struct kernel_symbols {
	const char *root;
	struct {
		struct symbol *items;
		size_t n, cap;
	} symbols;
	struct {
		char *items;
		size_t n, cap;
	} text;
	struct strings names; /* of what has been named */
	struct kernel_modules modules;
	uint64_t base; /* _text */
	bool hidden;
	bool fresh; /* not to be read again for now */
};

static int add_text(struct kernel_symbols *k, const char *text, uint32_t *ret)
{
	*ret = k->text.n;
	do
		if (vec_push(&k->text, *text))
			return -ENOMEM;
	while (*text++);
	return 0;
}

static uint8_t rank_of(char type)
{
	return type == 'T' ? 0 : type == 'W' || type == 'w' ? 1 : 2;
}

/* A module's symbols stand together. */
static int module_place(struct kernel_symbols *k, const char *module, uint32_t *ret)
{
	const struct symbol *last = k->symbols.n ? &k->symbols.items[k->symbols.n - 1] : NULL;

	*ret = 0;
	if (!module)
		return 0;
	if (last && !strcmp(k->text.items + last->module, module)) {
		*ret = last->module;
		return 0;
	}
	return add_text(k, module, ret);
}

/* "ffffffff81000000 T _text", or with a module: "ffffffffc0000000 t nf_hook\t[nf_tables]". */
static int add_line(struct kernel_symbols *k, char *line)
{
	char *end, *name, *module = NULL, type;
	struct symbol symbol = {.start = strtoull(line, &end, 16)};
	int err;

	if (end == line || *end != ' ' || !end[1] || end[2] != ' ')
		return 0;
	type = end[1];
	name = end + 3;
	name[strcspn(name, "\n")] = '\0';
	end = strchr(name, '\t');
	if (end) {
		*end = '\0';
		module = strchr(end + 1, '[');
	}
	/* Padding before a function is no function. */
	if (!strchr("tTwW", type) || !strncmp(name, "__pfx_", strlen("__pfx_")))
		return 0;
	if (!module && !strcmp(name, "_text"))
		k->base = symbol.start;
	symbol.rank = rank_of(type);
	err = module_place(k, module, &symbol.module);
	if (!err)
		err = add_text(k, name, &symbol.name);
	return err ? err : vec_push(&k->symbols, symbol);
}

static int compare(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->start != y->start)
		return x->start > y->start ? 1 : -1;
	if (x->rank != y->rank)
		return (int)x->rank - (int)y->rank;
	return (x->name > y->name) - (x->name < y->name);
}

/* One an address. */
static void sort_symbols(struct kernel_symbols *k)
{
	size_t n = 0;

	qsort(k->symbols.items, k->symbols.n, sizeof(*k->symbols.items), compare);
	for (size_t i = 0; i < k->symbols.n; i++)
		if (!n || k->symbols.items[n - 1].start != k->symbols.items[i].start)
			k->symbols.items[n++] = k->symbols.items[i];
	k->symbols.n = n;
	k->hidden = n <= 1;
}

static int read_symbols(struct kernel_symbols *k)
{
	_cleanup_free_ char *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	char path[4096];
	size_t size = 0;
	int err;

	snprintf(path, sizeof(path), "%s/proc/kallsyms", k->root);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	k->symbols.n = k->text.n = 0;
	err = vec_push(&k->text, '\0'); /* place 0: no module */
	while (!err && getline(&line, &size, f) > 0)
		err = add_line(k, line);
	if (!err && ferror(f))
		err = -EIO;
	if (err)
		return err;
	sort_symbols(k);
	k->fresh = true;
	return kernel_modules_read(&k->modules, k->root, k->base);
}

int kernel_symbols_create(const char *root, struct kernel_symbols **ret, struct diag *d)
{
	struct kernel_symbols *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return diag_set(d, ENOMEM, "out of memory");
	k->root = root;
	err = read_symbols(k);
	if (err) {
		kernel_symbols_destroy(k);
		return diag_set(d, -err, "cannot read the kernel's symbols (/proc/kallsyms): %s",
				strerror(-err));
	}
	*ret = k;
	return 0;
}

void kernel_symbols_destroy(struct kernel_symbols *k)
{
	if (!k)
		return;
	free(k->symbols.items);
	free(k->text.items);
	strings_done(&k->names);
	kernel_modules_done(&k->modules);
	free(k);
}

bool kernel_symbols_hidden(const struct kernel_symbols *k)
{
	return k->hidden;
}

void kernel_symbols_renew(struct kernel_symbols *k)
{
	k->fresh = false;
}

/* The next symbol's start bounds it. */
static uint64_t end_of(const struct kernel_symbols *k, size_t i)
{
	uint64_t start = k->symbols.items[i].start, end = start + FUNCTION_MOST_BYTES;

	if (i + 1 < k->symbols.n && k->symbols.items[i + 1].start < end)
		return k->symbols.items[i + 1].start;
	return end;
}

bool kernel_symbols_find(const struct kernel_symbols *k, const char *name, uint64_t *ret_start,
			 uint64_t *ret_end)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < k->symbols.n && !k->hidden; i++) {
		const struct symbol *s = &k->symbols.items[i];
		const char *text = k->text.items + s->name;

		/* What the compiler has moved away as unlikely (.cold) allocates nothing. */
		if (s->module || strncmp(text, name, n) || (text[n] && text[n] != '.') ||
		    !strcmp(text + n, ".cold"))
			continue;
		*ret_start = s->start;
		*ret_end = end_of(k, i);
		return true;
	}
	return false;
}

/* The last symbol that begins at or before the address, if that lies in it. */
static const struct symbol *lookup(const struct kernel_symbols *k, uint64_t address)
{
	size_t low = 0, high = k->symbols.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (k->symbols.items[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || k->hidden || address >= end_of(k, low - 1))
		return NULL;
	return &k->symbols.items[low - 1];
}

static const char *module_name(const struct kernel_symbols *k, const struct symbol *s)
{
	return s->module ? k->text.items + s->module : KERNEL_ITSELF;
}

/* A return address is that of the instruction after the call, which may be another function's. */
static void name_frame(struct kernel_symbols *k, uint64_t address, struct frame *ret)
{
	const struct symbol *s = lookup(k, address - 1);
	const struct kernel_module *m;

	if (!s && !k->fresh && !k->hidden && !read_symbols(k))
		s = lookup(k, address - 1);
	*ret = (struct frame){.offset = address};
	if (!s)
		return;
	ret->function = strings_intern(&k->names, k->text.items + s->name);
	m = kernel_modules_get(&k->modules, &k->names, module_name(k, s));
	if (!m)
		return;
	ret->module = m->name;
	ret->build_id = m->build_id;
	ret->offset = address - (m->base && m->base <= address ? m->base : s->start);
}

static bool is_tracing(const char *function)
{
	static const char *const prefixes[] = {"bpf_prog_", "bpf_trace_run", "__bpf_trace_",
					       "__traceiter_", "bpf_trampoline_"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes) && function; i++)
		if (!strncmp(function, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* How many of the first frames are not the kernel's own: names of programs may be missing, those between are known. */
static size_t tracing_frames(const struct frame *frames, size_t n)
{
	for (size_t i = n < TRACING_MOST_FRAMES ? n : TRACING_MOST_FRAMES; i > 0; i--)
		if (is_tracing(frames[i - 1].function))
			return i;
	return 0;
}

int kernel_symbols_stack(struct kernel_symbols *k, const char *leaf, const uint64_t *addresses,
			 size_t n, size_t most, struct frame **ret_frames, size_t *ret_n,
			 bool *ret_cut)
{
	struct frame *frames = calloc(n + 1, sizeof(*frames));
	size_t n_tracing, n_leaf = leaf ? 1 : 0;

	if (!frames)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		name_frame(k, addresses[i], &frames[i]);
	n_tracing = tracing_frames(frames, n);
	n -= n_tracing;
	memmove(frames + n_leaf, frames + n_tracing, n * sizeof(*frames));
	if (leaf)
		frames[0] = (struct frame){.function = strings_intern(&k->names, leaf),
					   .module = "[slab]"};
	*ret_cut = n > most;
	*ret_n = n_leaf + (n > most ? most : n);
	*ret_frames = frames;
	return 0;
}

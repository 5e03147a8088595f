// SPDX-License-Identifier: BSD-2-Clause
#include "reach/name.h"

#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "process/maps.h"

const char *reach_root_kind_name(enum reach_root_kind kind)
{
	static const char *const names[] = {
		[REACH_ROOT_GLOBAL] = "global", [REACH_ROOT_DATA] = "data",
		[REACH_ROOT_STACK] = "stack",	[REACH_ROOT_REGISTER] = "register",
		[REACH_ROOT_HEAP] = "heap",	[REACH_ROOT_MAPPING] = "mapping",
	};

	return names[kind];
}

struct lookup {
	uint64_t address; /* in the file's own terms */
	struct reach_root_name *name;
	uint64_t best; /* start of the symbol that was found */
};

/* Of several that hold the address, the one that begins last. */
static int look_at_symbol(const struct elf_symbol *symbol, void *arg)
{
	struct lookup *l = arg;

	if (symbol->type != STT_OBJECT || symbol->address > l->address ||
	    l->address - symbol->address >= symbol->size_bytes)
		return 0;
	if (l->name->kind == REACH_ROOT_GLOBAL && symbol->address <= l->best)
		return 0;
	l->best = symbol->address;
	l->name->kind = REACH_ROOT_GLOBAL;
	l->name->offset = l->address - symbol->address;
	snprintf(l->name->name, sizeof(l->name->name), "%s", symbol->name);
	return 0;
}

static bool same_file(const struct mapping *a, const struct mapping *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor;
}

/* The first mapping of the file whose data m is: its own, or, of what has no place in the file (bss), that of the one before. NULL:
 * of no file. */
static const struct mapping *file_of(const struct maps *maps, const struct mapping *m)
{
	const struct mapping *first;

	if (!m->inode && !*m->path && m > maps->items && m[-1].end == m->start && !m[-1].shared)
		m--;
	if (!m->inode)
		return NULL;
	for (first = m; first > maps->items && same_file(first - 1, m) &&
			first[-1].file_offset <= first->file_offset;)
		first--;
	return first;
}

static void name_data(pid_t pid, const struct mapping *first, uint64_t address,
		      struct reach_root_name *ret)
{
	_cleanup_close_ int fd = maps_open_file(pid, first, NULL);
	struct lookup lookup = {.name = ret};
	struct elf_image *image;
	uint64_t virtual;

	ret->offset = address - first->start;
	snprintf(ret->module, sizeof(ret->module), "%s", first->path);
	/* Else it is shared memory, or data that the program has mapped. */
	if (fd < 0 || elf_image_open(fd, first->path, &image, NULL))
		return;
	ret->kind = REACH_ROOT_DATA;
	if (!elf_image_to_address(image, first->file_offset, &virtual)) {
		lookup.address = ret->offset = address - first->start + virtual;
		elf_image_each_symbol(image, look_at_symbol, &lookup, NULL);
	}
	elf_image_close(image);
}

static void name_mapping(const struct mapping *m, const struct thread_state *threads,
			 size_t n_threads, uint64_t address, struct reach_root_name *ret)
{
	uint64_t nearest = 0;

	ret->kind = !strcmp(m->path, "[heap]") ? REACH_ROOT_HEAP : REACH_ROOT_MAPPING;
	ret->offset = address - m->start;
	snprintf(ret->module, sizeof(ret->module), "%s", m->path);
	/* Stacks may lie in one mapping: the nearest stack pointer below is its thread's. */
	for (size_t i = 0; i < n_threads; i++) {
		uint64_t sp = threads[i].stack_pointer;

		if (sp < m->start || sp >= m->end || sp < nearest || sp > address + 128)
			continue;
		nearest = sp;
		ret->kind = REACH_ROOT_STACK;
		ret->tid = threads[i].tid;
	}
}

void reach_name_root(pid_t pid, const struct maps *maps, const struct thread_state *threads,
		     size_t n_threads, uint64_t address, struct reach_root_name *ret)
{
	const struct mapping *m = maps_find(maps, address);
	const struct mapping *first = m ? file_of(maps, m) : NULL;

	*ret = (struct reach_root_name){.kind = REACH_ROOT_MAPPING, .offset = address};
	if (first)
		name_data(pid, first, address, ret);
	/* Behind the data of a file there may be more than its bss. */
	if (m && !m->inode && ret->kind != REACH_ROOT_GLOBAL)
		name_mapping(m, threads, n_threads, address, ret);
}

void reach_name_register(const struct thread_state *threads, size_t n_threads, size_t n,
			 struct reach_root_name *ret)
{
	const char *name = thread_register_names[n % THREAD_REGISTERS];

	*ret = (struct reach_root_name){.kind = REACH_ROOT_REGISTER};
	if (n / THREAD_REGISTERS < n_threads)
		ret->tid = threads[n / THREAD_REGISTERS].tid;
	snprintf(ret->name, sizeof(ret->name), "%s", name ? name : "");
}

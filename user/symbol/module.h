/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_MODULE_H
#define SEEP_SYMBOL_MODULE_H
/* One ELF file's code: names and lines by virtual address, each address looked up once. Every file
 * with the same build-id is the same module, whoever maps it under whatever path; a program that
 * forges another's build-id can therefore lend its own names to it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hashmap.h"
#include "model/report.h"
#include "symbol/debuginfod.h"
#include "symbol/symtab.h"

struct debuginfo;
struct elf_image;
struct file;
struct files;
struct strings;

/* What all modules of a symbolizer share. Borrowed members outlive the set. Not thread-safe. */
struct modules {
	struct strings *pool;
	struct files *files;
	const char *debug_path;
	int no_lines;
	struct debuginfod servers;
	struct hashmap by_build_id; /* key: the interned build-id's address */
	struct module *first;	    /* all, through next */
	uint64_t clock;		    /* counts lookups, for trimming */
};

struct module {
	struct module *next;
	const char *build_id; /* hex, interned, NULL unknown */
	struct file *file;    /* the first one seen; a reference is held */
	struct hashmap frames;
	int loaded;
	struct symtab symbols;
	struct debuginfo *debug;
	uint64_t last_use;
};

/* Frames of one address, innermost first. Members module and offset are left for the caller to
 * fill. */
struct module_frames {
	size_t n;
	bool sigreturn; /* the byte after address begins what a signal handler returns to */
	struct frame items[];
};

/* The module of a file, made when it is new; remembered in file->module. Reads the ELF header only.
 * Returns NULL for a file that is not a 64-bit ELF file of this machine, that cannot be opened any
 * more, or without memory. */
struct module *modules_get(struct modules *set, struct file *file);

/* Names address (a virtual address in the file's own terms; offset: where it lies in the file); the
 * first call reads symbols and DWARF. What belongs to no known function gives one frame without a
 * name. The result lives as long as the set. Returns NULL without memory. */
const struct module_frames *module_lookup(struct modules *set, struct module *module,
					  uint64_t address, uint64_t offset);

/* Gives back symbols and DWARF of the modules longest unused until at most max_bytes are held.
 * Frames already looked up stay; the next new address of a module reads its file again. */
void modules_trim(struct modules *set, size_t max_bytes);

void modules_done(struct modules *set);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/module.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "elf/image.h"
#include "symbol/debugfile.h"
#include "symbol/debuginfo.h"
#include "symbol/demangle.h"
#include "symbol/files.h"
#include "symbol/minidebug.h"

#define PATH_MAX_BYTES 4096

static void close_image(struct elf_image **image)
{
	elf_image_close(*image);
}

static struct module *module_new(struct modules *set, struct file *file, const char *build_id)
{
	struct module *module = calloc(1, sizeof(*module));

	if (!module)
		return NULL;
	module->build_id = build_id;
	if (build_id && hashmap_put(&set->by_build_id, (uintptr_t)build_id, module)) {
		free(module);
		return NULL;
	}
	module->file = file_hold(file);
	module->next = set->first;
	set->first = module;
	return module;
}

struct module *modules_get(struct modules *set, struct file *file)
{
	_cleanup_(close_image) struct elf_image *image = NULL;
	_cleanup_close_ int fd = -1;
	const char *build_id;

	if (file->read)
		return file->module;
	file->read = true;
	fd = file_open(file);
	if (fd < 0 || elf_image_open(fd, file->path, &image, NULL))
		return NULL;
	build_id = *elf_image_build_id(image) ? strings_intern(set->pool, elf_image_build_id(image))
					      : NULL;
	if (build_id)
		file->module = hashmap_get(&set->by_build_id, (uintptr_t)build_id);
	if (!file->module)
		file->module = module_new(set, file, build_id);
	return file->module;
}

struct symbol_source {
	struct symtab *table;
	bool complete; /* a .symtab was seen */
};

static int take_symbol(const struct elf_symbol *symbol, void *arg)
{
	struct symbol_source *source = arg;

	source->complete |= !symbol->dynamic;
	return symtab_add(source->table, symbol);
}

/* Names are a help, not a result: what a corrupt table still yields is used. */
static void add_symbols(struct symbol_source *source, int fd, const char *path)
{
	_cleanup_(close_image) struct elf_image *image = NULL;

	if (!elf_image_open(fd, path, &image, NULL))
		elf_image_each_symbol(image, take_symbol, source, NULL);
}

/* .gnu_debuglink: a name, NUL, padding to 4 bytes, CRC-32. Returns the section's content, which
 * holds the name. */
static char *read_debuglink(struct elf_image *image, uint32_t *ret_crc)
{
	char *text;
	void *data;
	size_t n;

	if (elf_image_section(image, ".gnu_debuglink", &data, &n, NULL))
		return NULL;
	text = data;
	if (n < 8 || !memchr(text, '\0', n - 4)) {
		free(data);
		return NULL;
	}
	memcpy(ret_crc, text + n - 4, sizeof(*ret_crc));
	return text;
}

static int open_debugfile(struct modules *set, const struct module *module, struct elf_image *image)
{
	struct debugfile_query query = {
		.debug_path = set->debug_path,
		.path = module->file->path,
		.pid = module->file->pid,
		.build_id = module->build_id ? module->build_id : "",
	};
	_cleanup_free_ char *link = read_debuglink(image, &query.link_crc);

	query.link = link;
	return debugfile_find(&query, &set->servers);
}

/* Without the file that dwz shared parts with, half of the names would be missing: then better
 * none. */
static void load_dwarf(struct modules *set, struct module *module, int fd)
{
	_cleanup_close_ int alt_fd = -1;
	struct debugfile_query query = {
		.debug_path = set->debug_path,
		.path = module->file->path,
		.pid = module->file->pid,
	};

	if (set->no_lines || module->debug || debuginfo_open(fd, &module->debug))
		return;
	query.build_id = debuginfo_alt_build_id(module->debug);
	if (!*query.build_id)
		return;
	alt_fd = debugfile_find(&query, &set->servers);
	if (alt_fd >= 0 && !debuginfo_set_alt(module->debug, alt_fd))
		return;
	debuginfo_close(module->debug);
	module->debug = NULL;
}

static void module_load(struct modules *set, struct module *module)
{
	_cleanup_(close_image) struct elf_image *image = NULL;
	_cleanup_close_ int fd = -1, debug_fd = -1, mini_fd = -1;
	struct symbol_source source = {.table = &module->symbols};

	module->loaded = true;
	fd = file_open(module->file);
	if (fd < 0 || elf_image_open(fd, module->file->path, &image, NULL))
		return;
	elf_image_each_symbol(image, take_symbol, &source, NULL);
	load_dwarf(set, module, fd);
	if (!source.complete || (!module->debug && !set->no_lines))
		debug_fd = open_debugfile(set, module, image);
	if (debug_fd >= 0) {
		load_dwarf(set, module, debug_fd);
		if (!source.complete)
			add_symbols(&source, debug_fd, module->file->path);
	}
	if (!source.complete) {
		mini_fd = minidebug_open(image);
		if (mini_fd >= 0)
			add_symbols(&source, mini_fd, module->file->path);
	}
	symtab_finish(&module->symbols, source.complete);
}

static void module_unload(struct module *module)
{
	symtab_done(&module->symbols);
	debuginfo_close(module->debug);
	module->debug = NULL;
	module->loaded = false;
}

static size_t module_bytes(const struct module *module)
{
	return symtab_bytes(&module->symbols) + debuginfo_bytes(module->debug);
}

/* A plain name gives way to the symbol: DWARF has __libc_malloc where the symbol is malloc, and a
 * bare name where the symbol is mangled. */
static const char *function_name(struct strings *pool, const struct source_frame *source,
				 const char *symbol)
{
	if (source->linkage)
		return demangle_intern(pool, source->name);
	if (symbol)
		return demangle_intern(pool, symbol);
	return printable_intern(pool, source->name, NAME_MAX_BYTES);
}

/* x86-64's mov $__NR_rt_sigreturn, %rax; syscall, which C libraries have handlers return to. Its symbol is
 * local, and gone when the library is stripped. */
static bool is_sigreturn(const struct module *module, uint64_t offset)
{
	static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	_cleanup_close_ int fd = file_open(module->file);
	uint8_t found[sizeof(code)];

	return fd >= 0 && pread(fd, found, sizeof(found), offset) == sizeof(found) &&
	       !memcmp(found, code, sizeof(code));
}

static struct module_frames *make_frames(struct modules *set, struct module *module,
					 uint64_t address)
{
	struct source_frame sources[DEBUGINFO_FRAMES_MAX];
	const char *symbol = symtab_find(&module->symbols, address);
	size_t n = module->debug ? debuginfo_frames(module->debug, address, sources) : 0;
	struct module_frames *frames;

	if (!n) {
		sources[0] = (struct source_frame){0};
		n = 1;
	}
	frames = calloc(1, sizeof(*frames) + n * sizeof(*frames->items));
	if (!frames)
		return NULL;
	frames->n = n;
	for (size_t i = 0; i < n; i++)
		frames->items[i] = (struct frame){
			.function =
				function_name(set->pool, &sources[i], i + 1 < n ? NULL : symbol),
			.build_id = module->build_id,
			.file = printable_intern(set->pool, sources[i].file, PATH_MAX_BYTES),
			.line = sources[i].line,
			.inlined = i + 1 < n,
		};
	return frames;
}

const struct module_frames *module_lookup(struct modules *set, struct module *module,
					  uint64_t address, uint64_t offset)
{
	struct module_frames *frames = hashmap_get(&module->frames, address);

	if (frames)
		return frames;
	module->last_use = ++set->clock;
	if (!module->loaded)
		module_load(set, module);
	frames = make_frames(set, module, address);
	if (frames)
		frames->sigreturn = is_sigreturn(module, offset + 1);
	if (frames && hashmap_put(&module->frames, address, frames)) {
		free(frames);
		return NULL;
	}
	return frames;
}

void modules_trim(struct modules *set, size_t max_bytes)
{
	for (;;) {
		struct module *oldest = NULL;
		size_t held = 0;

		for (struct module *m = set->first; m; m = m->next) {
			held += module_bytes(m);
			if (m->loaded && (!oldest || m->last_use < oldest->last_use))
				oldest = m;
		}
		if (held <= max_bytes || !oldest)
			return;
		module_unload(oldest);
	}
}

void modules_done(struct modules *set)
{
	struct module *module;

	while ((module = set->first)) {
		struct module_frames *frames;
		size_t cursor = 0;

		set->first = module->next;
		while ((frames = hashmap_next(&module->frames, &cursor, NULL)))
			free(frames);
		hashmap_done(&module->frames);
		module_unload(module);
		files_put(set->files, module->file);
		free(module);
	}
	hashmap_done(&set->by_build_id);
}

// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/kernel_modules.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"

#define BUILD_ID_MOST_BYTES 64

/* "nf_tables 319488 0 - Live 0xffffffffc0a1e000" */
static int read_modules(struct kernel_modules *m)
{
	_cleanup_free_ char *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	struct kernel_base base;
	char path[4096];
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/proc/modules", m->root);
	f = fopen(path, "re");
	while (f && getline(&line, &size, f) > 0) {
		base = (struct kernel_base){0};
		if (sscanf(line, "%63s %*s %*s %*s %*s %" SCNx64, base.name, &base.base) == 2 &&
		    vec_push(&m->bases, base))
			return -ENOMEM;
	}
	return 0;
}

int kernel_modules_read(struct kernel_modules *m, const char *root, uint64_t kernel_base)
{
	int err;

	m->root = root;
	m->bases.n = 0;
	err = vec_push(&m->bases, (struct kernel_base){.name = KERNEL_ITSELF, .base = kernel_base});
	return err ? err : read_modules(m);
}

void kernel_modules_done(struct kernel_modules *m)
{
	for (size_t i = 0; i < m->known.n; i++)
		free(m->known.items[i]);
	free(m->known.items);
	free(m->bases.items);
}

static void put_hex(const unsigned char *bytes, size_t n, char *ret)
{
	for (size_t i = 0; i < n; i++)
		sprintf(ret + 2 * i, "%02x", bytes[i]);
}

/* The build-id among ELF notes of n bytes; false: none. */
static bool find_build_id(const unsigned char *notes, size_t n,
			  char ret[2 * BUILD_ID_MOST_BYTES + 1])
{
	size_t at = 0;
	Elf64_Nhdr note; /* as a 32-bit one */

	while (n - at >= sizeof(note)) {
		size_t name, desc;

		memcpy(&note, notes + at, sizeof(note));
		name = at + sizeof(note);
		if (note.n_namesz > n || note.n_descsz > n)
			return false;
		desc = name + ((note.n_namesz + 3) & ~3UL);
		at = desc + ((note.n_descsz + 3) & ~3UL);
		if (desc + note.n_descsz > n)
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    !memcmp(notes + name, "GNU", 4) && note.n_descsz &&
		    note.n_descsz <= BUILD_ID_MOST_BYTES) {
			put_hex(notes + desc, note.n_descsz, ret);
			return true;
		}
		if (at > n)
			return false;
	}
	return false;
}

static const char *read_build_id(const struct kernel_modules *m, struct strings *pool,
				 const char *name)
{
	unsigned char notes[4096];
	char path[4096], id[2 * BUILD_ID_MOST_BYTES + 1];
	_cleanup_fclose_ FILE *f = NULL;
	size_t n;

	if (!strcmp(name, KERNEL_ITSELF))
		snprintf(path, sizeof(path), "%s/sys/kernel/notes", m->root);
	else
		snprintf(path, sizeof(path), "%s/sys/module/%s/notes/.note.gnu.build-id", m->root,
			 name);
	f = fopen(path, "re");
	n = f ? fread(notes, 1, sizeof(notes), f) : 0;
	return find_build_id(notes, n, id) ? strings_intern(pool, id) : NULL;
}

static uint64_t base_of(const struct kernel_modules *m, const char *name)
{
	for (size_t i = 0; i < m->bases.n; i++)
		if (!strcmp(m->bases.items[i].name, name))
			return m->bases.items[i].base;
	return 0;
}

static void plain_name(const char *name, char ret[64])
{
	snprintf(ret, 64, "%s", name);
	/* "[nf_tables]", but what has no file keeps its brackets. */
	if (name[0] == '[' && strcmp(name, "[bpf]") != 0 && strncmp(name, "[__builtin", 10) != 0) {
		size_t n = strlen(ret);

		memmove(ret, ret + 1, n);
		ret[strcspn(ret, "]")] = '\0';
	}
}

const struct kernel_module *kernel_modules_get(struct kernel_modules *m, struct strings *pool,
					       const char *name)
{
	struct kernel_module *module;
	char plain[64];

	plain_name(name, plain);
	for (size_t i = 0; i < m->known.n; i++)
		if (!strcmp(m->known.items[i]->name, plain))
			return m->known.items[i];
	module = calloc(1, sizeof(*module));
	if (!module)
		return NULL;
	module->name = strings_intern(pool, plain);
	module->base = base_of(m, plain);
	module->build_id = plain[0] == '[' ? NULL : read_build_id(m, pool, plain);
	if (!module->name || vec_push(&m->known, module)) {
		free(module);
		return NULL;
	}
	return module;
}

// SPDX-License-Identifier: BSD-2-Clause
/* How the stacks of a process would be unwound: the table of each file that it maps, made or loaded as for a trace. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"
#include "cli/doctor.h"
#include "elf/image.h"
#include "process/maps.h"
#include "process/vdso.h"
#include "unwind/cache.h"

static bool is_vdso(const struct mapping *m)
{
	return !strcmp(m->path, "[vdso]");
}

bool target_seen_before(const struct maps *maps, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (maps->items[j].executable && maps->items[j].inode == maps->items[i].inode &&
		    !strcmp(maps->items[j].path, maps->items[i].path))
			return true;
	return false;
}

static void fill(struct stack_file *file, const struct unwind_table *table)
{
	file->n_rows = table->n_rows;
	file->n_bytes = unwind_table_bytes(table);
	file->text_bytes = table->text_bytes;
	file->covered_bytes = table->covered_bytes;
	file->unsupported_bytes = table->unsupported_bytes;
	file->n_functions = table->n_fdes;
	file->n_corrupt = table->n_bad_fdes;
}

/* Returns 0 or -errno with a diag. */
static int load(int fd, const char *directory, struct stack_file *file, struct diag *d)
{
	uint64_t begin_ns = clock_monotonic_ns();
	struct unwind_table *table;
	struct elf_image *image;
	int err = elf_image_open(fd, file->path, &image, d);

	if (err)
		return err;
	err = unwind_cache_load(directory, elf_image_build_id(image), fd, file->path, &table,
				&file->cached, d);
	elf_image_close(image);
	file->seconds = (double)(clock_monotonic_ns() - begin_ns) / NS_PER_SECOND;
	if (err)
		return err;
	fill(file, table);
	unwind_table_destroy(table);
	return 0;
}

/* Trouble with a file is the answer: file->without. Returns 0 or -ENOMEM. */
static int examine(pid_t pid, const struct mapping *m, const char *directory, struct stacks *s)
{
	struct stack_file file = {.path = strdup(m->path)};
	struct diag d = {0};
	_cleanup_close_ int fd = is_vdso(m) ? vdso_open() : maps_open_file(pid, m, &d);
	int err = fd < 0 ? fd : load(fd, directory, &file, &d);

	if (err)
		file.without = strdup(err == -ENODATA ? "no CFI"
				      : d.text[0]     ? d.text
						      : strerror(-err));
	if (!file.path || (err && !file.without) || vec_push(s, file)) {
		free(file.path);
		free(file.without);
		return -ENOMEM;
	}
	return 0;
}

int stacks_examine(pid_t pid, struct stacks *ret, struct diag *d)
{
	_cleanup_free_ char *directory = unwind_cache_directory();
	struct maps maps = {0};
	int err = maps_read(pid, &maps, d);

	for (size_t i = 0; i < maps.n && !err; i++) {
		const struct mapping *m = &maps.items[i];

		if (!m->executable || !strcmp(m->path, "[vsyscall]") ||
		    !strcmp(m->path, "[uprobes]"))
			continue;
		if (!m->inode && !is_vdso(m))
			ret->generated_bytes += m->end - m->start;
		else if (!target_seen_before(&maps, i))
			err = examine(pid, m, directory, ret);
	}
	maps_done(&maps);
	return err == -ENOMEM ? diag_set(d, ENOMEM, "out of memory") : err;
}

void stacks_done(struct stacks *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->items[i].path);
		free(s->items[i].without);
	}
	free(s->items);
	*s = (struct stacks){0};
}

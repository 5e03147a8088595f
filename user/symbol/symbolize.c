// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/symbolize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "elf/image.h"
#include "symbol/demangle.h"
#include "symbol/space.h"

#define OPEN_FILES_MAX 1024
#define LOADED_MAX_BYTES (64u << 20) /* of symbols and DWARF kept from one report to the next */

struct frames {
	struct frame *items;
	size_t n, cap;
};

int symbolizer_create(const struct symbolizer_options *options, struct symbolizer **ret,
		      struct diag *d)
{
	const char *debug_path = options && options->debug_path ? options->debug_path
								: "/usr/lib/debug";
	struct symbolizer *s = calloc(1, sizeof(*s));

	if (s)
		s->debug_path = strdup(debug_path);
	if (!s || !s->debug_path) {
		symbolizer_destroy(s);
		return diag_set(d, ENOMEM, "out of memory");
	}
	pthread_mutex_init(&s->lock, NULL);
	files_init(&s->files, OPEN_FILES_MAX);
	s->modules.pool = &s->names;
	s->modules.files = &s->files;
	s->modules.debug_path = s->debug_path;
	s->modules.no_lines = options && options->no_lines;
	s->modules.servers.wait_ns = DEBUGINFOD_WAIT_NS;
	*ret = s;
	return 0;
}

void symbolizer_destroy(struct symbolizer *s)
{
	if (!s)
		return;
	modules_done(&s->modules);
	files_put(&s->files, s->vdso);
	files_done(&s->files);
	strings_done(&s->pool);
	strings_done(&s->names);
	pthread_mutex_destroy(&s->lock);
	free(s->debug_path);
	free(s);
}

void symbolizer_trim(struct symbolizer *s)
{
	modules_trim(&s->modules, LOADED_MAX_BYTES);
}

/* The virtual address, in the file's own terms, of a file offset in a place. It is the same
 * distance for the whole place, which shows one segment. */
static int translate(struct place *place, uint64_t offset, uint64_t *ret)
{
	struct elf_image *image;
	uint64_t address;
	int fd, err;

	if (!place->translated) {
		fd = file_open(place->file);
		if (fd < 0)
			return fd;
		err = elf_image_open(fd, place->file->path, &image, NULL);
		close(fd);
		if (err)
			return err;
		err = elf_image_to_address(image, offset, &address);
		elf_image_close(image);
		if (err)
			return err;
		place->bias = address - offset;
		place->translated = true;
	}
	*ret = offset + place->bias;
	return 0;
}

/* What holds address, as of now, with a reference to its file that release_place drops. Returns false where nothing does. */
static bool take_place(struct address_space *space, uint64_t address, struct place *ret)
{
	const struct place *place;

	pthread_mutex_lock(&space->symbolizer->lock);
	place = space_find(space, address);
	if (place)
		*ret = *place;
	if (place && place->file)
		file_hold(place->file);
	pthread_mutex_unlock(&space->symbolizer->lock);
	return place;
}

/* news: what was found out about the place; it stays with it, if that is still there. */
static void release_place(struct address_space *space, uint64_t address, const struct place *taken,
			  bool news)
{
	struct place *place;

	pthread_mutex_lock(&space->symbolizer->lock);
	place = news ? space_find(space, address) : NULL;
	if (place && place->file == taken->file && place->start == taken->start) {
		place->bias = taken->bias;
		place->translated = true;
	}
	files_put(&space->symbolizer->files, taken->file);
	pthread_mutex_unlock(&space->symbolizer->lock);
}

/* Code that no file describes: named by what the process published, else by its place in the
 * mapping. */
static int add_unmapped(struct address_space *space, const struct place *place, uint64_t lookup,
			uint64_t address, struct frames *frames)
{
	struct symbolizer *s = space->symbolizer;
	struct frame frame = {.module = place->name};

	pthread_mutex_lock(&s->lock);
	frame.function =
		printable_intern(&s->pool, space_generated_name(space, lookup), NAME_MAX_BYTES);
	pthread_mutex_unlock(&s->lock);
	frame.offset = address - place->start + place->file_offset;
	return vec_push(frames, frame);
}

/* Adds the frames of an address in a place. exact: whether address is that of an instruction, not of a call's end; becomes that of the
 * address that comes next. */
static int add_placed(struct address_space *space, struct place *place, uint64_t address,
		      bool *exact, struct frames *frames)
{
	struct symbolizer *s = space->symbolizer;
	const bool after_call = !*exact;
	uint64_t lookup = address - after_call, offset, virtual;
	const struct module_frames *found;
	struct module *module = place->file ? modules_get(&s->modules, place->file) : NULL;

	*exact = false;
	offset = lookup - place->start + place->file_offset;
	if (!module || translate(place, offset, &virtual))
		return add_unmapped(space, place, lookup, address, frames);
	found = module_lookup(&s->modules, module, virtual, offset);
	if (found && found->sigreturn && after_call) {
		/* No call led here, nor to what the signal interrupted. */
		*exact = true;
		found = module_lookup(&s->modules, module, virtual + 1, offset + 1);
	}
	if (!found)
		return -ENOMEM;
	for (size_t i = 0; i < found->n; i++) {
		struct frame frame = found->items[i];

		frame.module = place->name;
		frame.offset = virtual + after_call;
		if (vec_push(frames, frame))
			return -ENOMEM;
	}
	return 0;
}

static int add_address(struct address_space *space, uint64_t address, bool *exact,
		       struct frames *frames)
{
	/* A call that never returns may be the last instruction of its function: what follows is
	 * another one. */
	const uint64_t lookup = address - !*exact;
	struct frame raw = {.offset = address};
	struct place place;
	bool translated;
	int err;

	if (!take_place(space, lookup, &place)) {
		*exact = false;
		return vec_push(frames, raw);
	}
	translated = place.translated;
	err = add_placed(space, &place, address, exact, frames);
	release_place(space, lookup, &place, place.translated && !translated);
	return err;
}

int symbolize_stack(struct symbolizer *s, struct address_space *space, const uint64_t *addresses,
		    size_t n, int leaf_is_exact, struct frame **ret_frames, size_t *ret_n)
{
	struct frames frames = {0};
	bool exact = leaf_is_exact;

	(void)s;
	for (size_t i = 0; i < n; i++) {
		int err = add_address(space, addresses[i], &exact, &frames);

		if (err) {
			free(frames.items);
			return err;
		}
	}
	*ret_frames = frames.items;
	*ret_n = frames.n;
	return 0;
}

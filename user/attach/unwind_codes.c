// SPDX-License-Identifier: BSD-2-Clause
#include "attach/unwind_codes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attach/unwind_files.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"
#include "process/maps.h"
#include "process/vdso.h"

#define MAX_MAPPINGS (WIRE_MAPPINGS / 8) /* of one process; the rest stays unknown */
#define MAX_ADDRESS (1ULL << 47)	 /* above is the kernel's: [vsyscall] */

static bool is_code(const struct mapping *m)
{
	return m->executable && m->end <= MAX_ADDRESS && strcmp(m->path, "[uprobes]");
}

static bool same_code(const struct code *a, const struct code *b)
{
	return a->start == b->start && a->end == b->end && a->file_offset == b->file_offset &&
	       a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && a->generated == b->generated;
}

bool codes_equal(const struct codes *a, const struct codes *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_code(&a->items[i], &b->items[i]))
			return false;
	return true;
}

int codes_list(const struct maps *maps, struct codes *ret)
{
	for (size_t i = 0; i < maps->n && ret->n < MAX_MAPPINGS; i++) {
		const struct mapping *m = &maps->items[i];
		struct code *last = ret->n ? &ret->items[ret->n - 1] : NULL;
		bool generated = !m->inode && strcmp(m->path, "[vdso]");

		if (!is_code(m))
			continue;
		if (generated && last && last->generated && last->end == m->start)
			last->end = m->end;
		else if (vec_push(ret, (struct code){.start = m->start,
						     .end = m->end,
						     .file_offset = generated ? 0 : m->file_offset,
						     .inode = m->inode,
						     .dev_major = m->dev_major,
						     .dev_minor = m->dev_minor,
						     .generated = generated}))
			return -ENOMEM;
	}
	return 0;
}

void codes_adopt(struct codes *codes, const struct codes *known)
{
	size_t k = 0;

	for (size_t i = 0; i < codes->n; i++) {
		struct code *code = &codes->items[i];

		while (k < known->n && known->items[k].start < code->start)
			k++;
		if (k == known->n || code->file || !same_code(code, &known->items[k]) ||
		    !known->items[k].file || unwind_file_hungry(known->items[k].file))
			continue;
		*code = known->items[k];
		code->file->refs++;
	}
}

static struct wire_mapping mapping_of(const struct code *code)
{
	const struct unwind_file *file = code->file;

	if (!file || !file->place.n_pages)
		return (struct wire_mapping){
			.start = code->start, .end = code->end, .kind = WIRE_MAPPING_GUESS};
	return (struct wire_mapping){.start = code->start,
				     .end = code->end,
				     .bias = code->start - code->address + file->base,
				     .kind = WIRE_MAPPING_CFI,
				     .segment = file->place.segment,
				     .first_page = file->place.first_page,
				     .n_pages = file->place.n_pages};
}

struct wire_mapping *codes_mappings(const struct codes *codes)
{
	struct wire_mapping *items = calloc(codes->n + 1, sizeof(*items));

	for (size_t i = 0; items && i < codes->n; i++)
		items[i] = mapping_of(&codes->items[i]);
	return items;
}

static struct stamp stamp_of(const struct stat *st)
{
	return (struct stamp){
		.device = st->st_dev,
		.inode = st->st_ino,
		.changed_ns = st->st_ctim.tv_sec * NS_PER_SECOND + st->st_ctim.tv_nsec,
		.n_bytes = st->st_size,
	};
}

bool code_unchanged(pid_t pid, const struct mapping *m, const struct code *code)
{
	_cleanup_free_ char *path = NULL;
	struct stamp now;
	struct stat st;

	if (asprintf(&path, "/proc/%d/root%s", pid, m->path) < 0) {
		path = NULL;
		return false;
	}
	if (lstat(path, &st))
		return false;
	now = stamp_of(&st);
	return !memcmp(&now, &code->stamp, sizeof(now));
}

void code_stamp(struct code *code, const struct stat *st)
{
	code->stamp = stamp_of(st);
}

int code_open(pid_t pid, const struct mapping *m)
{
	return m->inode ? maps_open_file(pid, m, NULL) : vdso_open();
}

void code_key(const struct code *code, const char *build_id, char key[CODE_KEY_SIZE])
{
	const struct stamp *s = &code->stamp;

	if (build_id[0])
		snprintf(key, CODE_KEY_SIZE, "%s", build_id);
	else
		snprintf(key, CODE_KEY_SIZE, "%" PRIx64 ":%" PRIx64 ":%" PRIx64 ":%" PRIx64,
			 s->device, s->inode, s->changed_ns, s->n_bytes);
}

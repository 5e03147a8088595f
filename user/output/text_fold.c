// SPDX-License-Identifier: BSD-2-Clause
#include "output/text_fold.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "output/escape.h"

#define OWN_SHOWN 2

/* The word at text, and what it takes on the screen. */
static size_t word_length(const char *text, size_t *ret_columns)
{
	const char *at = text;
	char unit[ESCAPE_UNIT_SIZE];

	*ret_columns = 0;
	while (*at && *at != ' ')
		*ret_columns += escape_next(&at, unit);
	return at - text;
}

static void put_word(FILE *f, const char *text, size_t n)
{
	const char *at = text;
	char unit[ESCAPE_UNIT_SIZE];

	while (at < text + n) {
		escape_next(&at, unit);
		fputs(unit, f);
	}
}

void text_put_wrapped(FILE *f, const char *text, size_t column, size_t indent, size_t width)
{
	bool first = true;

	while (*text) {
		size_t columns, n = word_length(text, &columns);

		if (!first && width && column + 1 + columns > width) {
			fprintf(f, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			putc(' ', f);
			column++;
		}
		put_word(f, text, n);
		column += columns;
		first = false;
		text += n + (text[n] == ' ');
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static bool begins_with_any(const char *text, const char *const *prefixes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strncmp(text, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* Libraries that allocate for whoever calls them. */
static bool is_runtime(const struct frame *f)
{
	static const char *const modules[] = {
		"libc.so",    "libc-",	     "libc.musl",   "ld-linux",	   "ld-musl",
		"libpthread", "libm.so",     "libstdc++",   "libc++",	   "libgcc_s",
		"[vdso]",     "libjemalloc", "libtcmalloc", "libmimalloc",
	};

	return f->module && begins_with_any(base_name(f->module), modules, ARRAY_SIZE(modules));
}

/* Below these no program is. */
static bool is_beginning(const struct frame *f)
{
	static const char *const functions[] = {
		"_start", "__libc_start", "start_thread", "clone", "__clone", "thread_start",
	};

	return f->function && begins_with_any(f->function, functions, ARRAY_SIZE(functions));
}

static bool is_again(const struct frame *frames, size_t i)
{
	return i && frames[i].function && frames[i - 1].function &&
	       !strcmp(frames[i].function, frames[i - 1].function);
}

static bool is_of(const struct frame *f, const char *exe)
{
	return exe && f->module && !strcmp(f->module, exe);
}

static void add_frames(struct text_fold *fold, const struct frame *frames, size_t from, size_t to,
		       size_t most)
{
	for (size_t i = from; i < to && fold->n < most; i++)
		if (i == from || !is_again(frames, i))
			fold->frames[fold->n++] = i;
}

void text_fold(const struct frame *frames, size_t n, const char *exe, size_t most,
	       struct text_fold *ret)
{
	size_t first = 0, end = n, own;

	ret->n = 0;
	while (end > 1 && (is_beginning(&frames[end - 1]) || is_runtime(&frames[end - 1])))
		end--;
	while (first + 1 < end && is_runtime(&frames[first]) && is_runtime(&frames[first + 1]))
		first++;
	add_frames(ret, frames, first, end, most);
	for (own = first; own < end && !is_of(&frames[own], exe); own++)
		;
	if (own == end || !ret->n || own <= ret->frames[ret->n - 1] || most <= OWN_SHOWN)
		return;
	ret->n = most - OWN_SHOWN;
	add_frames(ret, frames, own, end, most);
}

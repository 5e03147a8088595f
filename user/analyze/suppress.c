// SPDX-License-Identifier: BSD-2-Clause
#include "analyze/suppress.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "model/report.h"

#define FILE_MOST (1 << 20)
#define PATTERNS_MOST 64 /* frames of a valgrind rule; it allows 500, and nobody has that */

enum pattern_kind {
	PATTERN_ANY, /* "...": any number of frames */
	PATTERN_FUNCTION,
	PATTERN_OBJECT,
	PATTERN_SOURCE,
};

struct pattern {
	enum pattern_kind kind;
	const char *text;
};

struct rule {
	char *name;
	bool is_lsan; /* then the name is its pattern, and frames are not looked at */
	struct pattern *items;
	size_t n, cap;
};

struct suppressions {
	suppress_demangle demangle;
	void *arg;
	struct rule *items;
	size_t n, cap;
	struct {
		char **items;
		size_t n, cap;
	} texts; /* what patterns point into */
};

struct stack_frames {
	const struct frame *items; /* leaf first */
	size_t n;
};

/* A file's lines, cut to their words' ends. */
struct lines {
	char *rest;
	size_t n;
};

int suppressions_create(suppress_demangle demangle, void *arg, struct suppressions **ret)
{
	struct suppressions *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->demangle = demangle;
	s->arg = arg;
	*ret = s;
	return 0;
}

void suppressions_destroy(struct suppressions *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->items[i].items);
	for (size_t i = 0; i < s->texts.n; i++)
		free(s->texts.items[i]);
	free(s->items);
	free(s->texts.items);
	free(s);
}

/* The next line that says something, without blanks around it, or NULL. */
static char *next_line(struct lines *l)
{
	while (l->rest) {
		char *line = strsep(&l->rest, "\n"), *end = line + strlen(line);

		l->n++;
		while (isspace((unsigned char)*line))
			line++;
		while (end > line && isspace((unsigned char)end[-1]))
			*--end = '\0';
		if (*line && *line != '#')
			return line;
	}
	return NULL;
}

static int bad_line(const char *name, const struct lines *l, const char *what, struct diag *d)
{
	return diag_set_hint(
		d, EINVAL, EXIT_USAGE,
		"rules are \"leak:PATTERN\" lines, as of LeakSanitizer, or blocks in braces, as "
		"of valgrind",
		"%s: line %zu: %s", name, l->n, what);
}

static const char *after(const char *line, const char *prefix)
{
	return strncmp(line, prefix, strlen(prefix)) ? NULL : line + strlen(prefix);
}

/* Mangled names without wildcards are as stacks have them. */
static const char *function_pattern(struct suppressions *s, const char *text)
{
	const char *name = strpbrk(text, "*?") ? NULL : s->demangle(s->arg, text);

	return name ? name : text;
}

static int add_pattern(struct suppressions *s, struct rule *rule, const char *line)
{
	struct pattern p = {.kind = PATTERN_ANY};

	if (rule->n == PATTERNS_MOST)
		return -E2BIG;
	if ((p.text = after(line, "fun:")))
		p = (struct pattern){PATTERN_FUNCTION, function_pattern(s, p.text)};
	else if ((p.text = after(line, "obj:")))
		p.kind = PATTERN_OBJECT;
	else if ((p.text = after(line, "src:")))
		p.kind = PATTERN_SOURCE;
	else if (strcmp(line, "..."))
		return -EINVAL;
	return vec_push(rule, p);
}

/* Behind the opening brace of a rule, to its end. */
static int parse_valgrind(struct suppressions *s, const char *name, struct lines *l, struct diag *d)
{
	struct rule rule = {.name = next_line(l)};
	char *line = rule.name ? next_line(l) : NULL;
	bool wanted = line && !strcmp(line, "Memcheck:Leak");
	int err = 0;

	while (line && !err && (line = next_line(l)) && strcmp(line, "}"))
		if (wanted && !after(line, "match-leak-kinds:"))
			err = add_pattern(s, &rule, line);
	if (!err && line && wanted)
		err = vec_push(s, rule);
	else
		free(rule.items);
	if (err == -ENOMEM)
		return diag_set(d, ENOMEM, "out of memory");
	if (err)
		return bad_line(name, l,
				err == -E2BIG ? "too many frames"
					      : "not fun:, obj:, src:, ... or a closing brace",
				d);
	return line ? 0 : bad_line(name, l, "the rule has no end", d);
}

int suppressions_add(struct suppressions *s, const char *name, const char *text, struct diag *d)
{
	char *copy = strdup(text), *line;
	struct lines l = {.rest = copy};
	int err = copy && !vec_push(&s->texts, copy) ? 0 : -ENOMEM;

	if (err) {
		free(copy);
		return diag_set(d, ENOMEM, "out of memory");
	}
	while (!err && (line = next_line(&l))) {
		struct rule rule = {.name = (char *)after(line, "leak:"), .is_lsan = true};

		if (!strcmp(line, "{"))
			err = parse_valgrind(s, name, &l, d);
		else if (!rule.name || !*rule.name)
			err = bad_line(name, &l, "not a rule", d);
		else if (vec_push(s, rule))
			err = diag_set(d, ENOMEM, "out of memory");
	}
	return err;
}

int suppressions_load(struct suppressions *s, const char *path, struct diag *d)
{
	_cleanup_free_ char *text = malloc(FILE_MOST + 1);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got = 1;

	if (!text)
		return diag_set(d, ENOMEM, "out of memory");
	while (fd >= 0 && n <= FILE_MOST && got > 0) {
		got = read(fd, text + n, FILE_MOST + 1 - n);
		n += got > 0 ? got : 0;
	}
	if (fd < 0 || got < 0)
		return diag_set(d, errno, "%s: cannot be read: %s", path, strerror(errno));
	if (n > FILE_MOST)
		return diag_set(d, EFBIG, "%s: more than 1 MiB of suppressions", path);
	text[n] = '\0';
	return suppressions_add(s, path, text, d);
}

/* LeakSanitizer's match of the pattern in [pattern, end): '*' is any text. anchored: it begins where text does. */
static bool template_at(const char *pattern, const char *end, const char *text)
{
	const char *star = NULL, *mark = NULL;

	for (;;) {
		if (pattern < end && *pattern == '*') {
			star = ++pattern;
			mark = text;
		} else if (pattern + 1 == end && *pattern == '$' && !*text) {
			return true;
		} else if (pattern == end) {
			return true;
		} else if (*text && *pattern == *text && !(pattern + 1 == end && *pattern == '$')) {
			pattern++;
			text++;
		} else if (star && *mark) {
			pattern = star;
			text = ++mark;
		} else {
			return false;
		}
	}
}

static bool template_matches(const char *pattern, const char *text)
{
	const char *end = pattern + strlen(pattern);

	if (!text)
		return false;
	if (*pattern == '^')
		return template_at(pattern + 1, end, text);
	for (;; text++) {
		if (template_at(pattern, end, text))
			return true;
		if (!*text)
			return false;
	}
}

static bool lsan_matches(const char *pattern, const struct stack_frames *stack)
{
	for (size_t i = 0; i < stack->n; i++) {
		const struct frame *f = &stack->items[i];

		if (template_matches(pattern, f->function) || template_matches(pattern, f->file) ||
		    template_matches(pattern, f->module))
			return true;
	}
	return false;
}

static bool glob(const char *pattern, const char *text)
{
	return text && !fnmatch(pattern, text, FNM_NOESCAPE);
}

static bool source_matches(const char *pattern, const struct frame *f)
{
	char text[4096];
	const char *last = f->file ? strrchr(f->file, '/') : NULL;

	if (!f->file)
		return false;
	snprintf(text, sizeof(text), "%s:%u", f->file, f->line);
	return glob(pattern, f->file) || glob(pattern, text) ||
	       (last && (glob(pattern, last + 1) || glob(pattern, text + (last + 1 - f->file))));
}

static bool frame_matches(const struct pattern *p, const struct frame *f)
{
	switch (p->kind) {
	case PATTERN_FUNCTION:
		return glob(p->text, f->function);
	case PATTERN_OBJECT:
		return glob(p->text, f->module);
	case PATTERN_SOURCE:
		return source_matches(p->text, f);
	case PATTERN_ANY:
		break;
	}
	return false;
}

/* Whether the stack begins as the rule's items from i on say, by backtracking to the last "...". */
static bool frames_match(const struct rule *rule, size_t i, const struct stack_frames *stack)
{
	size_t frame = 0, star = SIZE_MAX, mark = 0;

	while (i < rule->n) {
		if (rule->items[i].kind == PATTERN_ANY) {
			star = ++i;
			mark = frame;
		} else if (frame < stack->n &&
			   frame_matches(&rule->items[i], &stack->items[frame])) {
			i++;
			frame++;
		} else if (star != SIZE_MAX && mark < stack->n) {
			i = star;
			frame = ++mark;
		} else {
			return false;
		}
	}
	return true;
}

/* Patterns for the frame of the allocation function itself, and for those of calls within the allocator. */
static size_t n_leading_allocators(const struct rule *rule)
{
	static const char *const names[] = {"malloc",
					    "calloc",
					    "realloc",
					    "memalign",
					    "posix_memalign",
					    "aligned_alloc",
					    "valloc",
					    "operator new",
					    "operator new[]",
					    "_Znwm",
					    "_Znam",
					    "operator new(unsigned long)",
					    "operator new[](unsigned long)"};
	size_t n = 0;

	while (n < rule->n && rule->items[n].kind == PATTERN_FUNCTION) {
		bool is_allocator = false;

		for (size_t i = 0; i < ARRAY_SIZE(names) && !is_allocator; i++)
			is_allocator = glob(rule->items[n].text, names[i]);
		if (!is_allocator)
			break;
		n++;
	}
	return n;
}

static bool valgrind_matches(const struct rule *rule, const struct stack_frames *stack)
{
	size_t most = n_leading_allocators(rule);

	for (size_t skipped = 0; skipped <= most; skipped++)
		if (frames_match(rule, skipped, stack))
			return rule->n > 0;
	return false;
}

const char *suppressions_match(const struct suppressions *s, const struct frame *frames, size_t n)
{
	const struct stack_frames stack = {frames, n};

	for (size_t i = 0; i < s->n; i++)
		if (s->items[i].is_lsan ? lsan_matches(s->items[i].name, &stack)
					: valgrind_matches(&s->items[i], &stack))
			return s->items[i].name;
	return NULL;
}

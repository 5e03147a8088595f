/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions that libc calls back (sorting, trees, walks through directories, streams, once, at exit, constructors and
 * destructors) and libc functions that allocate for their callers. --auto: constructors are noted, too, as only
 * who traces from the start can see them. */
#include <ftw.h>
#include <glob.h>
#include <dirent.h>
#include <pthread.h>
#include <search.h>

#include "stack.h"

STACK_FN int compare_and_allocate(const void *a, const void *b)
{
	stack_malloc(31);
	return *(const int *)a - *(const int *)b;
}

STACK_FN void sorts(void)
{
	int few[6] = {5, 3, 6, 1, 2, 4}, key = 3;
	size_t n = 6;

	qsort(few, n, sizeof(*few), compare_and_allocate);
	bsearch(&key, few, n, sizeof(*few), compare_and_allocate);
	lfind(&key, few, &n, sizeof(*few), compare_and_allocate);
}

STACK_FN void see_node(const void *node, VISIT visit, int depth)
{
	(void)node;
	(void)visit;
	stack_malloc(32 + (size_t)depth);
}

STACK_FN void trees(void)
{
	static int keys[] = {8, 3, 10, 1, 6, 14, 4, 7, 13};
	void *root = NULL;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		void *node = tsearch(&keys[i], &root, compare_and_allocate);

		stack_keep(node, 24, "libc");
	}
	twalk(root, see_node);
}

STACK_FN int see_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)st;
	(void)type;
	stack_malloc(33 + (size_t)ftw->level);
	return ftw->level > 0; /* the second one ends it */
}

STACK_FN int choose_entry(const struct dirent *entry)
{
	(void)entry;
	stack_malloc(34);
	return 0;
}

STACK_FN void *open_none(const char *path)
{
	(void)path;
	stack_malloc(35);
	return NULL;
}

STACK_FN int stat_none(const char *path, struct stat *st)
{
	(void)path;
	(void)st;
	stack_malloc(36);
	return -1;
}

STACK_FN void directories(void)
{
	struct dirent **list;
	glob_t found = {.gl_opendir = open_none, .gl_lstat = stat_none, .gl_stat = stat_none};

	nftw("/proc/self/task", see_file, 4, FTW_PHYS);
	scandir("/proc/self", &list, choose_entry, NULL);
	glob("/a*/b?/c", GLOB_ALTDIRFUNC | GLOB_BRACE, NULL, &found);
	glob("/{x,y*}/z", GLOB_ALTDIRFUNC | GLOB_BRACE, NULL, &found);
}

STACK_FN ssize_t read_cookie(void *cookie, char *to, size_t n_bytes)
{
	int *left = (int *)cookie;

	stack_malloc(37);
	if (--*left < 0)
		return 0;
	memset(to, 'a', n_bytes);
	return (ssize_t)n_bytes;
}

STACK_FN void streams(void)
{
	int left = 2;
	FILE *stream = fopencookie(&left, "r", (cookie_io_functions_t){.read = read_cookie});
	char *line = NULL;
	size_t n_bytes = 0;

	stack_keep(stream, 0, "libc size");
	getline(&line, &n_bytes, stream);
	stack_keep(line, n_bytes, "libc");
}

STACK_FN void copies(void)
{
	char *copy = strdup("a copy"), *text = NULL;
	int n;

	stack_keep(copy, 7, "libc");
	copy = strndup("a copy", 3);
	stack_keep(copy, 4, "libc");
	n = asprintf(&text, "%d %s", (int)getpid(), "text");
	stack_keep(text, (size_t)n + 1, "libc size");
}

STACK_FN void once(void)
{
	stack_malloc(38);
}

STACK_FN void at_exit(void)
{
	stack_malloc(39);
}

STACK_FN void on_exit_with(int status, void *arg)
{
	(void)status;
	(void)arg;
	stack_malloc(40);
}

__attribute__((constructor(101))) static void before_all(void)
{
	stack_reset("main");
}

__attribute__((constructor)) static void before_main(void)
{
	if (getenv("LEDGER_FILE"))
		stack_malloc(41);
}

__attribute__((destructor)) static void after_main(void)
{
	stack_malloc(42);
}

__attribute__((destructor(101))) static void after_all(void)
{
	stack_finish();
}

int main(int argc, char **argv)
{
	static pthread_once_t control = PTHREAD_ONCE_INIT;

	ledger_start(argc, argv);
	sorts();
	trees();
	directories();
	streams();
	copies();
	pthread_once(&control, once);
	atexit(at_exit);
	on_exit(on_exit_with, NULL);
	return 0;
}

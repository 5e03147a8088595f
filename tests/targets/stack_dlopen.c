/* SPDX-License-Identifier: BSD-2-Clause */
/* Plugins that come and go: dlclose, and another library at the same address. What is done right after dlopen is noted as fresh;
 * settled rounds give seep the time to learn of the new mapping first. */
#include <dlfcn.h>

#include "stack.h"

enum { FAST_ROUNDS = 30, SETTLED_ROUNDS = 6, SETTLE_US = 400000 };

typedef void work_fn(int depth, void (*back)(int depth));

extern void (*const stack_plugin_note)(void *p, size_t n_bytes, const char *function,
				       const char *through);
void (*const stack_plugin_note)(void *p, size_t n_bytes, const char *function,
				const char *through) = stack_note;

static work_fn *work;

static void work_again(int depth)
{
	work(depth, work_again);
	__asm__ volatile("" ::: "memory");
}

STACK_FN void *open_plugin(int number)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	void *library;

	if (n < 0)
		ledger_die("/proc/self/exe");
	path[n] = '\0';
	sprintf(strrchr(path, '/') + 1, "libstack_plugin_%d.so", number);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	work = library ? (work_fn *)dlsym(library, "stack_plugin_work") : NULL;
	if (!work)
		ledger_die(dlerror());
	return library;
}

/* Returns where the plugin was. */
STACK_FN void *round_of(int number, int settled)
{
	void *library, *where;

	stacks.fresh = 1;
	library = open_plugin(number);
	where = (void *)work;
	work(3, work_again);
	if (settled) {
		usleep(SETTLE_US);
		stacks.fresh = 0;
		work(4, work_again);
		stack_malloc(77);
	}
	stack_end_phase();
	dlclose(library);
	return where;
}

int main(int argc, char **argv)
{
	void *last = NULL, *where;
	int n_same = 0, i;

	stack_start(argc, argv);
	for (i = 0; i < FAST_ROUNDS + SETTLED_ROUNDS; i++) {
		where = round_of(1 + i % 2, i >= FAST_ROUNDS);
		n_same += where == last;
		last = where;
	}
	if (!n_same)
		ledger_die("stack_dlopen: no two libraries were at one address");
	stack_finish();
	return 0;
}

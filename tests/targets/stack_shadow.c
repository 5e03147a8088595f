/* SPDX-License-Identifier: BSD-2-Clause */
/* stack_shadow LIBRARY: calls a libstack_chain that has CFI or not; the truth is its shadow stack, and above it what backtrace()
 * says of our own frames. Where the library has .eh_frame, the two truths must agree: that tests the method. */
#include <dlfcn.h>

#include "stack.h"
#include "stack_chain.h"

enum { DEPTH = 30 };

static struct {
	void *above[STACK_MAX_FRAMES]; /* main's own callers */
	int n_above;
	int compared;
} own;

static void note(struct chain *c, void *p, size_t n_bytes, const char *function)
{
	void *frames[STACK_MAX_FRAMES], *check[STACK_MAX_FRAMES];
	int n = 0, i, n_check = backtrace(check, STACK_MAX_FRAMES);

	frames[n++] = __builtin_return_address(0);
	for (i = c->n - 1; i >= 0; i--)
		frames[n++] = c->shadow[i];
	for (i = 0; i < own.n_above; i++)
		frames[n++] = own.above[i];
	/* Without CFI it is short. */
	if (n_check > n) {
		if (n_check != n + 1 || memcmp(check + 1, frames, (size_t)n * sizeof(*frames)))
			ledger_die("stack_shadow: backtrace() and the shadow stack differ");
		own.compared++;
	}
	stack_record(p, n_bytes, function, "", frames, n);
}

static void *open_beside(const char *name)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 128);
	void *library;

	if (n < 0)
		ledger_die("/proc/self/exe");
	path[n] = '\0';
	sprintf(strrchr(path, '/') + 1, "libstack_chain_%.64s.so", name);
	library = dlopen(path, RTLD_NOW);
	if (!library)
		ledger_die(dlerror());
	return library;
}

int main(int argc, char **argv)
{
	typedef void run_fn(struct chain * c, int depth);
	static struct chain c = {.note = note};
	void *frames[STACK_MAX_FRAMES];
	run_fn *run;
	int n;

	if (argc < 2)
		ledger_die("usage: stack_shadow LIBRARY");
	run = (run_fn *)dlsym(open_beside(argv[1]), "stack_chain_run");
	stack_start(argc, argv);
	/* Our own frame differs, it has another place in main. */
	n = backtrace(frames, STACK_MAX_FRAMES);
	memcpy(own.above, frames + 1, (size_t)(n - 1) * sizeof(*frames));
	own.n_above = n - 1;
	run(&c, DEPTH);
	if (!strncmp(argv[1], "eh", 2) != !!own.compared)
		ledger_die("stack_shadow: the library's CFI is not what its name says");
	stack_finish();
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Libraries that come later: a plugin that allocates, the same in a namespace of its own with
 * its own libc (dlmopen), and one that brings its own malloc (RTLD_DEEPBIND). New probes follow
 * a new mapping with a delay, so the own malloc is used in two functions: at once (what seep has
 * not seen it must not invent) and half a second later. */
#include <dlfcn.h>
#include <time.h>

#include "ledger.h"

typedef void *allocate_fn(size_t n_bytes);

static void *open_beside(const char *name, Lmid_t space, int flags)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	void *library;

	if (n < 0)
		ledger_die("/proc/self/exe");
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, name);
	library = dlmopen(space, path, flags);
	if (!library)
		ledger_die(dlerror());
	return library;
}

static allocate_fn *function_of(void *library, const char *name)
{
	allocate_fn *fn = (allocate_fn *)dlsym(library, name);

	if (!fn)
		ledger_die(name);
	return fn;
}

SITE void zoo_plugin(void)
{
	void *library = open_beside("libzoo_plugin.so", LM_ID_BASE, RTLD_NOW);
	allocate_fn *leak = function_of(library, "zoo_plugin_leak");

	for (size_t i = 0; i < 12; i++)
		ledger_add(leak(400 + i), 400 + i, "zoo_plugin_leak");
}

SITE void zoo_plugin_in_namespace(void)
{
	void *library = open_beside("libzoo_plugin.so", LM_ID_NEWLM, RTLD_NOW);
	allocate_fn *leak = function_of(library, "zoo_plugin_leak");

	for (size_t i = 0; i < 5; i++)
		ledger_add(leak(600 + i), 600 + i, "zoo_plugin_leak");
}

SITE void zoo_plugin_own_malloc(void)
{
	void *library = open_beside("libzoo_ownmalloc.so", LM_ID_BASE, RTLD_NOW | RTLD_DEEPBIND);
	allocate_fn *early = function_of(library, "zoo_own_early"),
		    *late = function_of(library, "zoo_own_late");
	struct timespec half_second = {0, 500000000};

	for (size_t i = 0; i < 4; i++)
		ledger_add(early(800 + i), 800 + i, "zoo_own_early");
	nanosleep(&half_second, NULL);
	for (size_t i = 0; i < 9; i++)
		ledger_add(late(900 + i), 900 + i, "zoo_own_late");
}

int main(int argc, char **argv)
{
	ledger_start(argc, argv);
	zoo_plugin();
	zoo_plugin_in_namespace();
	zoo_plugin_own_malloc();
	ledger_finish();
	return 0;
}

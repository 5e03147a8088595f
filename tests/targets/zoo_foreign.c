/* SPDX-License-Identifier: BSD-2-Clause */
/* Frees that an allocator should never get: twice the same block, and addresses it did not hand
 * out. Linked with libzoo_bump, which ignores them; seep counts each as unknown and takes
 * nothing out for it. */
#include "ledger.h"

SITE void zoo_free_twice(void)
{
	for (size_t i = 0; i < 7; i++) {
		void *volatile p = zoo_malloc(80 + i);

		zoo_free(p);
		free(p);
		ledger.unknown_frees++;
	}
}

SITE void zoo_free_foreign(void)
{
	static char data[64];
	char *inside = zoo_malloc(100);
	char *volatile foreign[] = {data, inside + 16};

	free(foreign[0]);
	free(foreign[1]);
	ledger.unknown_frees += 2;
}

int main(int argc, char **argv)
{
	ledger_start(argc, argv);
	zoo_free_twice();
	zoo_free_foreign();
	ledger_finish();
	return 0;
}

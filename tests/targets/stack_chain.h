/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_TESTS_STACK_CHAIN_H
#define SEEP_TESTS_STACK_CHAIN_H
/* Between stack_shadow and the libraries that it loads, libstack_chain_*.so. */
#include <stddef.h>

struct chain {
	/* Notes a block of the function whose return address is the shadow stack's last. */
	void (*note)(struct chain *c, void *p, size_t n_bytes, const char *function);
	void *shadow[200]; /* return addresses, outermost first */
	int n;
};

/* depth: of calls, three frames each; an allocation at each. */
void stack_chain_run(struct chain *c, int depth);

#endif

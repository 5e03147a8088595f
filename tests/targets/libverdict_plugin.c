// SPDX-License-Identifier: BSD-2-Clause
/* A plugin of verdict_unseen: of what it does for its host, it forgets some; what it knows goes when it is closed. */
#include <stdlib.h>
#include <string.h>

void plugin_work(void);

static void *volatile plugin_lost;
static void *state;

static __attribute__((noipa)) void *leak_in_plugin(size_t n)
{
	return memset(malloc(n), 1, n);
}

static __attribute__((noipa)) void *churn_in_plugin(size_t n)
{
	return memset(malloc(n), 1, n);
}

static __attribute__((noipa)) void *state_of_plugin(size_t n)
{
	return memset(malloc(n), 1, n);
}

static __attribute__((constructor)) void opened(void)
{
	state = state_of_plugin(20000);
}

static __attribute__((destructor)) void closed(void)
{
	free(state);
}

/* One call for its host. */
void plugin_work(void)
{
	static unsigned n_done;

	free(churn_in_plugin(300));
	if (++n_done % 3 == 0)
		plugin_lost = leak_in_plugin(130);
}

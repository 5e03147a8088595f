/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin of stack_dlopen's, built twice. Both libraries have the same size and layout, and functions at the same places whose
 * frames differ: who unwinds one by the other's CFI goes astray. */
#include <stdlib.h>
#include <string.h>

#if PLUGIN == 1
#define ROOM 4000
#define NAME(function) function "_1"
#else
#define ROOM 600
#define NAME(function) function "_2"
#endif

extern void (*const stack_plugin_note)(void *p, size_t n_bytes, const char *function,
				       const char *through);
void stack_plugin_work(int depth, void (*back)(int depth));

static void touch(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

__attribute__((constructor)) static void plugin_loaded(void)
{
	void *p = malloc(ROOM);

	stack_plugin_note(p, ROOM, NAME("loaded"), "");
	touch(p);
}

/* back: calls this again, one less deep. */
void stack_plugin_work(int depth, void (*back)(int depth))
{
	char room[ROOM];
	void *p;

	touch(room);
	if (depth > 0)
		back(depth - 1);
	p = malloc(ROOM + 1);
	stack_plugin_note(p, ROOM + 1, NAME("work"), "");
	touch(room);
}

// SPDX-License-Identifier: BSD-2-Clause
/* A library in two versions (VERSION 1, 2), whose functions lie elsewhere in each. */
#include <stdlib.h>

#define CALL_(name, version) name##version
#define CALL(name, version) CALL_(name, version)

#if VERSION == 2
__attribute__((noipa)) void filler(volatile int *p)
{
	for (int i = 0; i < 100; i++)
		p[i] = p[i + 1] * 3 + p[i + 2];
}
#endif

__attribute__((noipa)) static void *CALL(take_in_version_, VERSION)(size_t n_bytes)
{
	void *p = malloc(n_bytes);

	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

void *take(size_t n_bytes)
{
	void *p = CALL(take_in_version_, VERSION)(n_bytes);

	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

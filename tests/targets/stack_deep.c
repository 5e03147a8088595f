/* SPDX-License-Identifier: BSD-2-Clause */
/* Recursion 1 to 200 deep, around seep's limit of 127 frames; each depth in two kinds of frame. */
#include "stack.h"

enum { MAX_DEPTH = 200 };

STACK_FN int small_frames(int depth)
{
	int got = depth > 1 ? small_frames(depth - 1) : 0;

	if (depth == 1)
		stack_malloc(24);
	return got + depth;
}

STACK_FN int large_frames(int depth)
{
	char room[2000];
	int got;

	__asm__ volatile("" : : "r"(room) : "memory");
	got = depth > 1 ? large_frames(depth - 1) : 0;
	if (depth == 1)
		stack_malloc(25);
	__asm__ volatile("" : : "r"(room) : "memory");
	return got + depth;
}

int main(int argc, char **argv)
{
	stack_start(argc, argv);
	for (int i = 1; i <= MAX_DEPTH; i++) {
		small_frames(i);
		large_frames(i);
	}
	stack_finish();
	return 0;
}

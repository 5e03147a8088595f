/* SPDX-License-Identifier: BSD-2-Clause */
/* stack.h for stack_rust.rs. */
#include "stack.h"

void stack_rust_start(int argc, char **argv);
void stack_rust_note(void *p, size_t n_bytes, const char *function, const char *through);
void stack_rust_finish(void);

void stack_rust_start(int argc, char **argv)
{
	stack_start(argc, argv);
}

/* stack_note, but the stack begins at our caller. */
void stack_rust_note(void *p, size_t n_bytes, const char *function, const char *through)
{
	void *frames[STACK_MAX_FRAMES + 1];
	int n = backtrace(frames, STACK_MAX_FRAMES + 1);

	stack_record(p, n_bytes, function, through, frames + 1, n - 1);
}

void stack_rust_finish(void)
{
	stack_finish();
}

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_BASE_VEC_H
#define SEEP_BASE_VEC_H
/* Growable arrays: `struct { T *items; size_t n, cap; } v = {0};`, any struct with these three members. */
#include <errno.h>
#include <stddef.h>

/* Makes room for one more item of size_bytes. Returns 0, or -ENOMEM with the array unchanged. */
int vec_reserve(void **items, size_t *cap, size_t n, size_t size_bytes);

/* Appends VALUE (an lvalue or compound literal). Evaluates to 0 or -ENOMEM. */
#define vec_push(v, ...)                                                                           \
	(vec_reserve((void **)&(v)->items, &(v)->cap, (v)->n, sizeof(*(v)->items))                 \
		 ? -ENOMEM                                                                         \
		 : ((v)->items[(v)->n++] = (__VA_ARGS__), 0))

#endif

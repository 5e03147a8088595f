// SPDX-License-Identifier: BSD-2-Clause
/* 512 functions with 32 call sites and a frame of 60 to 160 bytes each: 16,384 return addresses. */
#include "walk.h"

/* The empty statements differ from site to site and from function to function, so that the compiler
 * merges neither. */
#define SITE(n)                                                                                    \
	case n:                                                                                    \
		next(w, path, n_calls - 1);                                                        \
		__asm__ volatile("" : : "i"(n), "r"(room) : "memory");                             \
		break;
#define SITES(n) SITE(n) SITE(n + 1) SITE(n + 2) SITE(n + 3)

#define FUNCTION(n)                                                                                \
	static void walk_##n(struct walk *w, uint64_t path, unsigned n_calls)                      \
	{                                                                                          \
		char room[8 + 0##n % 7 * 16];                                                      \
		walk_function *next;                                                               \
                                                                                                   \
		__asm__ volatile("" : : "i"(0##n), "r"(room) : "memory");                          \
		if (!n_calls) {                                                                    \
			walk_work(w);                                                              \
			return;                                                                    \
		}                                                                                  \
		next = walk_next(w, &path);                                                        \
		switch (path >> 33 & (WALK_CALL_SITES - 1)) {                                      \
			SITES(0) SITES(4) SITES(8) SITES(12) SITES(16) SITES(20) SITES(24) SITES(28) \
		}                                                                                  \
	}
#define NAME(n) walk_##n,


#define EIGHT(what, n)                                                                             \
	what(n##0) what(n##1) what(n##2) what(n##3) what(n##4) what(n##5) what(n##6) what(n##7)
#define FUNCTIONS(n) EIGHT(FUNCTION, n)
#define NAMES(n) EIGHT(NAME, n)
/* Macros do not expand inside of themselves: the second digit needs another one. */
#define SIXTY_FOUR(what, n)                                                                        \
	what(n##0) what(n##1) what(n##2) what(n##3) what(n##4) what(n##5) what(n##6) what(n##7)
#define ALL(what)                                                                                  \
	SIXTY_FOUR(what, 0) SIXTY_FOUR(what, 1) SIXTY_FOUR(what, 2) SIXTY_FOUR(what, 3)            \
	SIXTY_FOUR(what, 4) SIXTY_FOUR(what, 5) SIXTY_FOUR(what, 6) SIXTY_FOUR(what, 7)

ALL(FUNCTIONS)

walk_function *const walk_unit_functions[WALK_UNIT_FUNCTIONS] = {ALL(NAMES)};

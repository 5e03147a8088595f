/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_BASE_CLEANUP_H
#define SEEP_BASE_CLEANUP_H
/* Locals that release themselves at the end of their scope (attribute cleanup, gcc and clang). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif

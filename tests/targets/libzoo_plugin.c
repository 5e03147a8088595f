/* SPDX-License-Identifier: BSD-2-Clause */
/* zoo_dlopen's plugin: allocates by whatever malloc it finds. */
#include <stdlib.h>

void *zoo_plugin_leak(size_t n_bytes);

void *zoo_plugin_leak(size_t n_bytes)
{
	return malloc(n_bytes);
}

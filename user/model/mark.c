// SPDX-License-Identifier: BSD-2-Clause
#include "model/mark.h"

#include <string.h>

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

bool mark_name_is_valid(const char *name)
{
	size_t n = name ? strspn(name, LETTERS_AND_DIGITS "._:-") : 0;

	return n && n <= MARK_NAME_MAX && !name[n] && strchr(LETTERS_AND_DIGITS, *name) &&
	       strcmp(name, "start") && strcmp(name, "end");
}

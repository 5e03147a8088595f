/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_SUPPRESS_H
#define SEEP_ANALYZE_SUPPRESS_H
/* Sites that the user does not want to hear of, by the files that LeakSanitizer and valgrind take.
 *
 * LeakSanitizer: a line "leak:PATTERN" matches where a function, source file or module of the stack contains PATTERN; * is any text, ^
 * and $ hold it to the beginning and the end. '#' begins a comment.
 *
 * valgrind: "{ NAME, Memcheck:Leak, frames }", one item a line: fun:GLOB, obj:GLOB, src:FILE[:LINE], or ... for any number of frames;
 * they match from the allocation function on, which seep's stacks do not have: a leading one may be left out. Rules for other errors
 * and tools are skipped. (Sources: clang.llvm.org/docs/AddressSanitizer.html, valgrind.org/docs/manual/manual-core.html.) */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

struct frame;
struct suppressions;

/* What a mangled name is called in stacks; its value is borrowed until the suppressions end. */
typedef const char *(*suppress_demangle)(void *arg, const char *symbol);

int suppressions_create(suppress_demangle demangle, void *arg, struct suppressions **ret);
void suppressions_destroy(struct suppressions *s);

/* Adds the rules of a file in either form, at most 1 MiB. Returns 0 or -errno with a diag that names file and line (EXIT_USAGE for what is
 * no rule); then some of them may have been added. */
int suppressions_load(struct suppressions *s, const char *path, struct diag *d);
/* The same of a text that ends with NUL; name: for the diag. */
int suppressions_add(struct suppressions *s, const char *name, const char *text, struct diag *d);

/* The name of the first rule that matches a stack of n frames, leaf first (of LeakSanitizer's: its pattern), or NULL. Borrowed from s. */
const char *suppressions_match(const struct suppressions *s, const struct frame *frames, size_t n);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_DEMANGLE_H
#define SEEP_SYMBOL_DEMANGLE_H
/* Names from untrusted files, made fit to be read: demangled, bounded, printable. */
#include <stdbool.h>

struct strings;

#define NAME_MAX_BYTES 1024 /* of a function name as shown; longer ones are cut and end in "..." */

/* The name of a symbol or of a DW_AT_linkage_name as its author would write it: Itanium C++, Rust
 * (legacy and v0) and D demangled without parameters and without Rust's hash; template and generic
 * arguments stay. Clone suffixes (".cold", ".constprop.0", ...) and symbol versions are dropped, so
 * that a rebuild keeps the name. What does not demangle is shown as it is. Interned in pool; NULL
 * without memory, for NULL and for an empty name. Bounded in time and memory for every input. */
const char *demangle_intern(struct strings *pool, const char *symbol);

/* Text as valid UTF-8 without control characters ('?' in their place), at most max_bytes. Interned;
 * NULL as above. */
const char *printable_intern(struct strings *pool, const char *text, unsigned max_bytes);

/* Whether symbol is in one of the mangled forms that demangle_intern knows. */
bool demangle_applies(const char *symbol);

#endif

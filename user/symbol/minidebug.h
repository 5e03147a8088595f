/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_MINIDEBUG_H
#define SEEP_SYMBOL_MINIDEBUG_H
/* MiniDebugInfo: .gnu_debugdata, an xz-compressed ELF file with the function symbols that .dynsym
 * has not (https://sourceware.org/gdb/current/onlinedocs/gdb.html/MiniDebugInfo.html). */

struct elf_image;

/* Unpacks it into an unnamed file in memory. Returns a descriptor; -ENOENT without the section,
 * -EBADMSG, -EFBIG (beyond 64 MiB unpacked), -ENOMEM, or another -errno. */
int minidebug_open(struct elf_image *image);

#endif

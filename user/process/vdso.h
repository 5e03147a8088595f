/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_VDSO_H
#define SEEP_PROCESS_VDSO_H
/* The kernel's shared object, "[vdso]" in the maps of each process. */

/* A copy of ours as a file. The kernel maps one image into every process of its own word size, so it will do for any, also
 * for one that is gone. Returns a file descriptor, or -errno. Thread-safe. */
int vdso_open(void);

#endif

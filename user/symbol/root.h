/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_ROOT_H
#define SEEP_SYMBOL_ROOT_H
/* Opening files by names that untrusted processes chose. */
#include <sys/types.h>

/* Opens a regular file for reading as process pid would by this absolute path, symbolic links
 * resolved inside its root and never out of it (/proc links not at all, the last component only
 * when it is no link). pid 0: our own root, links followed. A FIFO or device is refused and never
 * waited for. Returns a descriptor (close-on-exec), or -errno: -ESRCH (no such process), -ENOENT,
 * -ELOOP, -EINVAL (not a regular file), -ENOSYS (Linux before 5.6, pid not 0). */
int root_open(pid_t pid, const char *path);

#endif

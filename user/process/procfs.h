/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_PROCFS_H
#define SEEP_PROCESS_PROCFS_H
/* The text files of /proc/PID, whole and bounded. Nothing here keeps state; all of it is
 * thread-safe. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads /proc/PID/NAME. ret_text: malloc'ed, with a NUL after its n bytes (there may be others
 * within).
 * Returns 0; -ESRCH (no such process, or it ended meanwhile), -EACCES, -EFBIG (more than
 * max_bytes), -ENOMEM, or another -errno of open(2) or read(2). */
int procfs_read(pid_t pid, const char *name, size_t max_bytes, char **ret_text, size_t *ret_n);

/* The fields of /proc/PID/stat that seep uses; proc(5) numbers them. */
struct procfs_stat {
	char comm[64];	      /* 2, as the kernel has it: may hold spaces, parentheses, newlines */
	char state;	      /* 3 */
	pid_t parent;	      /* 4 */
	uint64_t flags;	      /* 9, PF_* */
	uint64_t n_threads;   /* 20 */
	uint64_t start_ticks; /* 22, clock ticks since boot */
};

/* Parses the NUL-terminated text of a stat file. Returns 0 or -EINVAL. */
int procfs_parse_stat(const char *text, struct procfs_stat *ret);
/* Reads and parses /proc/PID/stat. Returns 0, or the errors of both. */
int procfs_read_stat(pid_t pid, struct procfs_stat *ret);

/* Decodes, in place, each \ooo that stands for one of the characters of set: how seq_file's
 * mangle_path escapes. */
void procfs_unescape(char *text, const char *set);

#endif

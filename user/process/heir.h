/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_HEIR_H
#define SEEP_PROCESS_HEIR_H
/* A process lives on when its first thread ends before the others (pthread_exit in main), but /proc/PID then shows a zombie without
 * memory, and what the kernel ties to that thread no longer works. Another thread's id leads to the same memory. */
#include <sys/types.h>

/* The thread by whose id a process's memory is to be reached: the first one, pid itself, while it lives, else the oldest that does. It has
 * not begun to end when this is called: the tracepoint sched_process_exit is yet to come.
 * Returns its id, or -ESRCH: the process has ended, or is a kernel thread. Thread-safe. */
pid_t heir_find(pid_t pid);
/* The same for reading what /proc or process_vm_readv show of the process: pid where there is none, so that the reader's error says so. */
pid_t heir_reader(pid_t pid);

#endif

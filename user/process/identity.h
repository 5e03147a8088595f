/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_IDENTITY_H
#define SEEP_PROCESS_IDENTITY_H
/* Who a process is: pid + start time, and what /proc says about it. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "process/cgroup.h"

/* Everything is a snapshot, taken once. Strings are bounded copies; empty where unknown. */
struct identity {
	pid_t pid;
	uint64_t start_ticks;	    /* /proc/PID/stat field 22: clock ticks since boot */
	uint64_t start_boottime_ns; /* the same as CLOCK_BOOTTIME */
	uint64_t start_real_ns; /* the same as CLOCK_REALTIME, nanoseconds since 1970, as that is set now */
	char comm[64];	   /* as the kernel has it, unescaped; not NUL-terminated names are cut */
	char exe[4096];	   /* readlink of /proc/PID/exe, " (deleted)" kept */
	char cgroup[4096]; /* the v2 path, else the memory controller's v1 path, else the longest
				 * other one: the first of these that is more than "/" */
	char memory_cgroup[4096]; /* the memory controller's v1 path, "" on hosts with v2 only */
	char container[128];	  /* id from the cgroup path by FORMATS.md's rules, or "" */
	char pod_uid[CGROUP_POD_SIZE]; /* of a Kubernetes pod, from the cgroup path, or "" */
	pid_t ns_pid;		       /* in its innermost pid namespace; pid where that is ours */
	uid_t euid;		       /* in our user namespace */
	uint64_t limit_bytes;	       /* the tightest memory limit of its cgroups, 0: none */
	bool own_mount_ns;	       /* in the same mount namespace as we are */
	bool own_pid_ns;
};

/* Fills ret. Returns 0; -ESRCH (no such process), -EPERM (a kernel thread: cannot be traced), -ENODATA (a zombie, all of whose threads have ended),
 * -EACCES (/proc/PID is not ours to read), each with a diag that says what to do. Thread-safe. */
int identity_read(pid_t pid, struct identity *ret, struct diag *d);

/* Only field 22 of /proc/PID/stat. Returns 0 or -ESRCH. */
int identity_start_ticks(pid_t pid, uint64_t *ret_ticks);

/* Whether pid is still the process that identity described, and has not begun to end: the tracepoint sched_process_exit is yet to
 * come. */
bool identity_alive(const struct identity *id);

/* What is charged to the process's memory cgroup. Returns 0 or -ENOENT: nothing can be said of it. */
int identity_cgroup_usage(pid_t pid, struct cgroup_usage *ret);

/* VmRSS of the process in bytes (/proc/PID/statm). Returns 0 or -ESRCH. */
int identity_rss(pid_t pid, uint64_t *ret_bytes);

#endif

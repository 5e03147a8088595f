// SPDX-License-Identifier: BSD-2-Clause
#include "process/heir.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "process/procfs.h"

#define PF_EXITING 0x00000004 /* include/linux/sched.h */
#define PF_KTHREAD 0x00200000

static bool lives(pid_t tid)
{
	struct procfs_stat stat;

	return !procfs_read_stat(tid, &stat) && !(stat.flags & (PF_EXITING | PF_KTHREAD));
}

pid_t heir_find(pid_t pid)
{
	char path[64];
	const struct dirent *entry;
	pid_t found = -ESRCH;
	DIR *tasks;

	if (lives(pid))
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return -ESRCH;
	/* The kernel lists them by age. */
	while (found < 0 && (entry = readdir(tasks))) {
		pid_t tid = atoi(entry->d_name);

		if (tid > 0 && tid != pid && lives(tid))
			found = tid;
	}
	closedir(tasks);
	return found;
}

pid_t heir_reader(pid_t pid)
{
	pid_t heir = heir_find(pid);

	return heir > 0 ? heir : pid;
}

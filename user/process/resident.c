// SPDX-License-Identifier: BSD-2-Clause
#include "process/resident.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "process/heir.h"
#include "process/procfs.h"

#define MOST_BYTES                                                                                 \
	(512u                                                                                      \
	 << 20) /* some 700 B a mapping, of which there may be 65,530 unless the administrator wants more */

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static enum resident_kind kind_of(const char *path, uint64_t inode)
{
	if (begins(path, "[stack"))
		return RESIDENT_STACK;
	if (begins(path, "/memfd:") || begins(path, "/dev/shm/") || begins(path, "/SYSV") ||
	    begins(path, "/dev/zero"))
		return RESIDENT_SHARED;
	return inode ? RESIDENT_FILE : RESIDENT_PLAIN;
}

/* "START-END PERMISSIONS OFFSET DEVICE INODE PATH" */
static bool parse_heading(const char *line, struct resident_mapping *ret)
{
	struct resident_mapping m = {0};
	char allowed[5];
	uint64_t inode;
	int path = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64 " %n", &m.start, &m.end,
		   allowed, &inode, &path) != 4 ||
	    !path || m.end <= m.start)
		return false;
	m.kind = kind_of(line + path, inode);
	m.executable = strchr(allowed, 'x');
	*ret = m;
	return true;
}

static void parse_figure(const char *line, struct resident_mapping *m)
{
	static const struct {
		const char *name;
		size_t offset;
	} figures[] = {
		{"Rss:", offsetof(struct resident_mapping, rss_bytes)},
		{"Anonymous:", offsetof(struct resident_mapping, anonymous_bytes)},
		{"Swap:", offsetof(struct resident_mapping, swap_bytes)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		if (begins(line, figures[i].name))
			*(uint64_t *)((char *)m + figures[i].offset) =
				strtoull(line + strlen(figures[i].name), NULL, 10) << 10;
}

int resident_parse(char *text, struct resident *ret, struct diag *d)
{
	struct resident r = {0};
	char *rest = NULL;
	size_t n_lines = 0;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		struct resident_mapping m;

		n_lines++;
		/* Figures begin with a capital letter, addresses are lower case. */
		if (*line >= 'A' && *line <= 'Z' && r.n) {
			parse_figure(line, &r.items[r.n - 1]);
			continue;
		}
		if (!parse_heading(line, &m)) {
			resident_done(&r);
			return diag_set(d, EINVAL, "smaps: line %zu cannot be read", n_lines);
		}
		if (vec_push(&r, m)) {
			resident_done(&r);
			return diag_set(d, ENOMEM, "out of memory");
		}
	}
	*ret = r;
	return 0;
}

int resident_read(pid_t pid, struct resident *ret, struct diag *d)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int err = procfs_read(heir_reader(pid), "smaps", MOST_BYTES, &text, &n);

	if (err)
		return diag_set(d, -err, "/proc/%d/smaps: %s", pid, strerror(-err));
	return resident_parse(text, ret, d);
}

static struct resident_mapping *find(struct resident *r, uint64_t address)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->n && r->items[low].start <= address ? &r->items[low] : NULL;
}

/* proc(5), /proc/PID/syscall: the last two numbers are the stack pointer and the instruction's; "running" has none. */
static bool stack_pointer(pid_t pid, const char *thread, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	char name[320], *last, *before;
	size_t n;

	snprintf(name, sizeof(name), "task/%s/syscall", thread);
	if (procfs_read(pid, name, 4096, &text, &n))
		return false;
	last = strrchr(text, ' ');
	if (!last)
		return false;
	*last = '\0';
	before = strrchr(text, ' ');
	if (!before)
		return false;
	*ret = strtoull(before + 1, NULL, 16);
	return true;
}

size_t resident_find_stacks(pid_t pid, struct resident *r)
{
	char path[32];
	struct dirent *entry;
	size_t n = 0;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	while (threads && (entry = readdir(threads))) {
		struct resident_mapping *m;
		uint64_t sp;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		n++;
		if (!stack_pointer(pid, entry->d_name, &sp))
			continue;
		m = find(r, sp);
		if (m && m->kind == RESIDENT_PLAIN && !m->executable)
			m->thread_stack = true;
	}
	if (threads)
		closedir(threads);
	return n;
}

void resident_done(struct resident *r)
{
	free(r->items);
	*r = (struct resident){0};
}

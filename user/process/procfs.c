// SPDX-License-Identifier: BSD-2-Clause
#include "process/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define FIRST_READ_BYTES 4096

static int open_error(int err)
{
	switch (err) {
	case ENOENT:
		return -ESRCH;
	case EPERM:
		return -EACCES;
	default:
		return -err;
	}
}

/* Files of /proc have no size and give at most a page or so per read: read until the end. */
int procfs_read(pid_t pid, const char *name, size_t max_bytes, char **ret_text, size_t *ret_n)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	size_t n = 0, cap = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return open_error(errno);
	for (;;) {
		ssize_t got;

		if (n + 1 >= cap) {
			size_t grown = cap ? cap * 2 : FIRST_READ_BYTES;
			char *bigger = realloc(text, grown);

			if (!bigger)
				return -ENOMEM;
			text = bigger;
			cap = grown;
		}
		got = read(fd, text + n, cap - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		n += got;
		if (n > max_bytes)
			return -EFBIG;
	}
	text[n] = '\0';
	*ret_text = text;
	*ret_n = n;
	text = NULL;
	return 0;
}

static bool take_field(char **cursor, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(*cursor, &end, 10);
	if (end == *cursor || errno || (*end != ' ' && *end != '\n' && *end))
		return false;
	*cursor = end;
	return true;
}

int procfs_parse_stat(const char *text, struct procfs_stat *ret)
{
	const char *open_paren = strchr(text, '('), *close_paren = strrchr(text, ')');
	struct procfs_stat stat = {0};
	char *cursor;

	/* comm may itself hold ") R 1": only the last parenthesis ends it, since all that follows
	 * are numbers. */
	if (!open_paren || !close_paren || close_paren < open_paren)
		return -EINVAL;
	snprintf(stat.comm, sizeof(stat.comm), "%.*s", (int)(close_paren - open_paren - 1),
		 open_paren + 1);
	if (close_paren[1] != ' ' || !close_paren[2] || close_paren[3] != ' ')
		return -EINVAL;
	stat.state = close_paren[2];
	cursor = (char *)close_paren + 3;
	for (int field = 4; field <= 22; field++) {
		uint64_t value;

		if (!take_field(&cursor, &value))
			return -EINVAL;
		if (field == 4)
			stat.parent = value;
		else if (field == 9)
			stat.flags = value;
		else if (field == 20)
			stat.n_threads = value;
		else if (field == 22)
			stat.start_ticks = value;
	}
	*ret = stat;
	return 0;
}

int procfs_read_stat(pid_t pid, struct procfs_stat *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int err = procfs_read(pid, "stat", 1 << 16, &text, &n);

	return err ? err : procfs_parse_stat(text, ret);
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

void procfs_unescape(char *text, const char *set)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		if (in[0] == '\\' && is_octal(in[1]) && is_octal(in[2]) && is_octal(in[3])) {
			int c = (in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0');

			if (c && c < 128 && strchr(set, c)) {
				*out++ = c;
				in += 3;
				continue;
			}
		}
		*out++ = *in;
	}
	*out = '\0';
}

// SPDX-License-Identifier: BSD-2-Clause
#include "process/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "process/heir.h"
#include "process/procfs.h"

/* A million mappings with short names; beyond it, the process wants us to run out of memory. */
#define MAPS_MAX_BYTES (256UL << 20)

#define DELETED " (deleted)"

struct cursor {
	const char *at, *end;
};

static bool take_char(struct cursor *c, char wanted)
{
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return INT_MAX;
}

static bool take_number(struct cursor *c, int base, uint64_t max, uint64_t *ret)
{
	const char *begin = c->at;
	uint64_t value = 0;

	for (; c->at < c->end && digit_value(*c->at) < base; c->at++)
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit_value(*c->at), &value))
			return false;
	*ret = value;
	return c->at > begin && value <= max;
}

/* One character of "rwxp": set, or its negative. */
static bool take_flag(struct cursor *c, char set, char unset, bool *ret)
{
	*ret = take_char(c, set);
	return *ret || take_char(c, unset);
}

/* Returns 0, -EINVAL or -ENOMEM. */
static int take_path(struct cursor c, struct mapping *m)
{
	size_t n, n_deleted = strlen(DELETED);

	while (take_char(&c, ' '))
		;
	n = c.end - c.at;
	if (memchr(c.at, '\0', n))
		return -EINVAL;
	m->deleted = n > n_deleted && !memcmp(c.end - n_deleted, DELETED, n_deleted);
	m->path = strndup(c.at, m->deleted ? n - n_deleted : n);
	if (!m->path)
		return -ENOMEM;
	/* The newline alone is escaped, a backslash is not: a file called "a\012b" reads as if it
	 * had a newline. maps_open_file compares inodes, so such a name can be wrong but not lead
	 * to another file. */
	procfs_unescape(m->path, "\n");
	return 0;
}

/* "55d0c0de0000-55d0c0de1000 r-xp 00003000 fe:00 248030    /usr/bin/sed" */
static int parse_line(struct cursor c, struct mapping *ret)
{
	struct mapping m = {0};
	uint64_t major, minor;
	int err;

	if (!take_number(&c, 16, UINT64_MAX, &m.start) || !take_char(&c, '-') ||
	    !take_number(&c, 16, UINT64_MAX, &m.end) || !take_char(&c, ' ') || m.start >= m.end)
		return -EINVAL;
	if (!take_flag(&c, 'r', '-', &m.readable) || !take_flag(&c, 'w', '-', &m.writable) ||
	    !take_flag(&c, 'x', '-', &m.executable) || !take_flag(&c, 's', 'p', &m.shared) ||
	    !take_char(&c, ' '))
		return -EINVAL;
	if (!take_number(&c, 16, UINT64_MAX, &m.file_offset) || !take_char(&c, ' ') ||
	    !take_number(&c, 16, UINT_MAX, &major) || !take_char(&c, ':') ||
	    !take_number(&c, 16, UINT_MAX, &minor) || !take_char(&c, ' ') ||
	    !take_number(&c, 10, UINT64_MAX, &m.inode) || (c.at < c.end && *c.at != ' '))
		return -EINVAL;
	m.dev_major = major;
	m.dev_minor = minor;
	err = take_path(c, &m);
	if (!err)
		*ret = m;
	return err;
}

/* Takes ownership of m. The kernel hands maps out in pieces and finds the next one by address: a
 * mapping that grew or was merged between two pieces comes again, with the old part in front. That
 * part is cut, so that the result has no overlap. */
static int append(struct maps *maps, struct mapping m)
{
	const struct mapping *last = maps->n ? &maps->items[maps->n - 1] : NULL;

	if (last && m.end <= last->end) {
		free(m.path);
		return 0;
	}
	if (last && m.start < last->end) {
		if (m.inode)
			m.file_offset += last->end - m.start;
		m.start = last->end;
	}
	if (vec_push(maps, m)) {
		free(m.path);
		return -ENOMEM;
	}
	return 0;
}

int maps_parse(const char *text, size_t n_bytes, struct maps *ret, struct diag *d)
{
	const char *end = text + n_bytes;
	_cleanup_(maps_done) struct maps maps = {0};
	size_t line = 1;

	for (; text < end; line++) {
		const char *newline = memchr(text, '\n', end - text);
		struct cursor c = {text, newline ? newline : end};
		struct mapping m;
		int err = parse_line(c, &m);

		if (!err)
			err = append(&maps, m);
		if (err)
			return diag_set(d, -err, "maps: line %zu: %s", line,
					err == -EINVAL ? "not a mapping" : "out of memory");
		text = newline ? newline + 1 : end;
	}
	*ret = maps;
	maps = (struct maps){0};
	return 0;
}

/* By another thread where the first one has ended. */
static int read_text(pid_t pid, char **ret, size_t *ret_n)
{
	int err = procfs_read(pid, "maps", MAPS_MAX_BYTES, ret, ret_n);
	pid_t heir;

	if (err || *ret_n)
		return err;
	heir = heir_find(pid);
	if (heir < 0 || heir == pid)
		return 0;
	free(*ret);
	*ret = NULL;
	return procfs_read(heir, "maps", MAPS_MAX_BYTES, ret, ret_n);
}

int maps_read(pid_t pid, struct maps *ret, struct diag *d)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int err = read_text(pid, &text, &n);

	switch (err) {
	case 0:
		return maps_parse(text, n, ret, d);
	case -ESRCH:
		return diag_set(d, ESRCH, "process %d has ended", pid);
	case -EACCES:
		return diag_set_hint(d, EACCES, EXIT_REFUSED, "run as root, or with CAP_SYS_PTRACE",
				     "process %d: not allowed to read its mappings", pid);
	case -EFBIG:
		return diag_set(d, EFBIG, "process %d: its maps are longer than %lu bytes", pid,
				MAPS_MAX_BYTES);
	default:
		return diag_set(d, -err, "process %d: cannot read its maps: %s", pid,
				strerror(-err));
	}
}

const struct mapping *maps_find(const struct maps *maps, uint64_t address)
{
	size_t low = 0, high = maps->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct mapping *m = &maps->items[middle];

		if (address < m->start)
			high = middle;
		else if (address >= m->end)
			low = middle + 1;
		else
			return m;
	}
	return NULL;
}

void maps_done(struct maps *maps)
{
	for (size_t i = 0; i < maps->n; i++)
		free(maps->items[i].path);
	free(maps->items);
	*maps = (struct maps){0};
}

/* Whether maps would show the open file with m's device and inode. stat(2) need not show the same:
 * btrfs has a device per subvolume, overlayfs may have numbers of its own. So a page is mapped, to
 * see how the kernel calls the file. */
static bool maps_as(int fd, const struct mapping *m)
{
	long page_bytes = sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, page_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	struct maps own = {0};
	const struct mapping *shown;
	bool same;

	if (page == MAP_FAILED)
		return false;
	shown = maps_read(getpid(), &own, NULL) ? NULL : maps_find(&own, (uintptr_t)page);
	same = shown && shown->inode == m->inode && shown->dev_major == m->dev_major &&
	       shown->dev_minor == m->dev_minor;
	maps_done(&own);
	munmap(page, page_bytes);
	return same;
}

/* Opens path, if it is the regular file that m shows. First as O_PATH, which neither blocks on a
 * FIFO nor touches a device, then the very same inode for reading. */
static int open_checked(const char *path, int flags, const struct mapping *m)
{
	_cleanup_close_ int handle = open(path, O_PATH | O_CLOEXEC | flags);
	char reopen[64];
	struct stat st;
	int fd;

	if (handle < 0 || fstat(handle, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	snprintf(reopen, sizeof(reopen), "/proc/self/fd/%d", handle);
	fd = open(reopen, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (st.st_ino == m->inode && major(st.st_dev) == m->dev_major &&
	    minor(st.st_dev) == m->dev_minor)
		return fd;
	if (maps_as(fd, m))
		return fd;
	close(fd);
	return -ESTALE;
}

/* By /proc/PID of one thread, first the mapping, then its path. Returns a descriptor or -errno. */
static int open_shown(pid_t pid, const struct mapping *m)
{
	_cleanup_free_ char *path = NULL;
	char link[96];
	int fd;

	/* A magic link: it leads to the mapped file whatever its path means by now, and must be
	 * followed. The process can map another file at the same addresses meanwhile, hence the
	 * check here, too. */
	snprintf(link, sizeof(link), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, m->start,
		 m->end);
	fd = open_checked(link, 0, m);
	/* Not ours to follow without CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE, and not there when
	 * the mapping was split since. */
	if (fd >= 0 || m->path[0] != '/' || m->deleted)
		return fd;
	if (asprintf(&path, "/proc/%d/root%s", pid, m->path) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return open_checked(path, O_NOFOLLOW, m);
}

int maps_open_file(pid_t pid, const struct mapping *m, struct diag *d)
{
	struct procfs_stat stat;
	int fd;

	if (!m->inode)
		return diag_set(d, EINVAL, "process %d: no file is mapped at 0x%" PRIx64, pid,
				m->start);
	fd = open_shown(pid, m);
	if (fd < 0 && fd != -EMFILE && fd != -ENFILE) {
		pid_t heir = heir_find(pid);

		fd = heir > 0 && heir != pid ? open_shown(heir, m) : fd;
	}
	if (fd >= 0)
		return fd;
	if (procfs_read_stat(pid, &stat) == -ESRCH)
		return diag_set(d, ESRCH, "process %d has ended", pid);
	return diag_set(d, -fd, "%s: cannot be opened as process %d has it mapped: %s", m->path,
			pid,
			fd == -ESTALE	? "the path leads to another file by now"
			: fd == -EINVAL ? "not a regular file"
					: strerror(-fd));
}

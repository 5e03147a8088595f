// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/perfmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "process/identity.h"
#include "symbol/root.h"

#define FILE_MAX_BYTES (64u << 20)
#define MAX_ENTRIES (1u << 20)
#define CHUNK_BYTES (256u << 10)
#define NAME_BYTES_MAX 512
/* Entries before the one with the nearest start: how far an overlap is looked for. */
#define WALK_MAX 64

struct perfmap_entry {
	uint64_t start, end;
	uint32_t name;	/* offset into names */
	uint32_t order; /* of the line in the file */
};

/* Reads a hexadecimal number and the blanks behind it. Returns where it stopped, NULL without
 * digits, blank behind it or beyond 64 bits. */
static const char *parse_hex(const char *p, const char *end, uint64_t *ret)
{
	const char *first;
	uint64_t value = 0;

	if (end - p > 2 && p[0] == '0' && (p[1] | 0x20) == 'x')
		p += 2;
	for (first = p; p < end; p++) {
		unsigned digit = *p >= '0' && *p <= '9' ? *p - '0' : (*p | 0x20) - 'a' + 10;

		if (digit > 15)
			break;
		if (value >> 60)
			return NULL;
		value = value << 4 | digit;
	}
	if (p == first || p == end || *p != ' ')
		return NULL;
	while (p < end && *p == ' ')
		p++;
	*ret = value;
	return p;
}

static int add_name(struct perfmap *map, const char *name, size_t n, uint32_t *ret_offset)
{
	if (map->names_cap - map->names_bytes < n + 1) {
		size_t cap = map->names_cap ? map->names_cap * 2 : 65536;
		char *bigger = realloc(map->names, cap);

		if (!bigger)
			return -ENOMEM;
		map->names = bigger;
		map->names_cap = cap;
	}
	*ret_offset = map->names_bytes;
	memcpy(map->names + map->names_bytes, name, n);
	map->names[map->names_bytes + n] = '\0';
	map->names_bytes += n + 1;
	return 0;
}

static int add_line(struct perfmap *map, const char *line, const char *end)
{
	struct perfmap_entry entry = {.order = map->n};
	uint64_t size;
	const char *name = parse_hex(line, end, &entry.start);

	name = name ? parse_hex(name, end, &size) : NULL;
	if (!name || name == end || memchr(name, '\0', end - name))
		return 0;
	if (!size || __builtin_add_overflow(entry.start, size, &entry.end) || map->n >= MAX_ENTRIES)
		return 0;
	if (add_name(map, name, end - name < NAME_BYTES_MAX ? end - name : NAME_BYTES_MAX,
		     &entry.name))
		return -ENOMEM;
	return vec_push(map, entry);
}

ssize_t perfmap_add(struct perfmap *map, const char *text, size_t n_bytes)
{
	const char *line = text, *end;

	while ((end = memchr(line, '\n', text + n_bytes - line))) {
		if (add_line(map, line, end))
			return -ENOMEM;
		line = end + 1;
	}
	return line - text;
}

static void forget(struct perfmap *map)
{
	free(map->items);
	free(map->names);
	*map = (struct perfmap){.fd = map->fd};
}

void perfmap_done(struct perfmap *map)
{
	forget(map);
	cleanup_close(&map->fd);
	map->fd = -1;
}

/* The pid in the process's innermost pid namespace and its effective user, as our user namespace
 * numbers it. */
static int read_status(pid_t pid, pid_t *ret_ns_pid, uid_t *ret_uid)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned uid = 0;
	int ns_pid = 0, found = 0;
	char line[256];

	snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
	f = fopen(line, "re");
	if (!f)
		return -ESRCH;
	while (fgets(line, sizeof(line), f)) {
		char *last = strrchr(line, '\t');

		found += sscanf(line, "Uid:\t%*u\t%u", &uid) == 1;
		found += !strncmp(line, "NSpid:", 6) && last && sscanf(last, "%d", &ns_pid) == 1;
	}
	if (found != 2)
		return -ESRCH;
	*ret_ns_pid = ns_pid;
	*ret_uid = uid;
	return 0;
}

static int open_map(pid_t pid, uint64_t start_ticks)
{
	_cleanup_close_ int fd = -1;
	uint64_t ticks;
	struct stat st;
	char path[64];
	pid_t ns_pid;
	uid_t uid;
	int err;

	err = read_status(pid, &ns_pid, &uid);
	if (err)
		return err;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)ns_pid);
	fd = root_open(pid, path);
	if (fd < 0)
		return fd;
	if (identity_start_ticks(pid, &ticks) || ticks != start_ticks)
		return -ESRCH;
	if (fstat(fd, &st))
		return -errno;
	if (st.st_uid != uid && st.st_uid != 0)
		return -EPERM;
	err = fd;
	fd = -1;
	return err;
}

int perfmap_update(struct perfmap *map, pid_t pid, uint64_t start_ticks)
{
	_cleanup_free_ char *chunk = NULL;
	struct stat st;

	if (map->fd < 0) {
		int fd = open_map(pid, start_ticks);

		if (fd < 0)
			return fd;
		map->fd = fd;
	}
	if (fstat(map->fd, &st))
		return -errno;
	if ((uint64_t)st.st_size < map->read_bytes)
		forget(map);
	if ((uint64_t)st.st_size == map->read_bytes)
		return 0;
	chunk = malloc(CHUNK_BYTES);
	if (!chunk)
		return -ENOMEM;
	while (map->read_bytes < FILE_MAX_BYTES) {
		ssize_t n = pread(map->fd, chunk, CHUNK_BYTES, map->read_bytes);
		ssize_t used = n > 0 ? perfmap_add(map, chunk, n) : 0;

		if (n < 0)
			return -errno;
		if (used < 0)
			return used;
		if (!used && n < (ssize_t)CHUNK_BYTES)
			break;
		map->read_bytes += used ? used : n; /* a line longer than a chunk is none */
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct perfmap_entry *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

const char *perfmap_find(struct perfmap *map, uint64_t address)
{
	const struct perfmap_entry *best = NULL;
	size_t low = 0, high = map->n;

	if (map->n_sorted != map->n)
		qsort(map->items, map->n, sizeof(*map->items), by_start);
	map->n_sorted = map->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i > 0 && low - i < WALK_MAX; i--) {
		const struct perfmap_entry *entry = &map->items[i - 1];

		if (address < entry->end && (!best || entry->order > best->order))
			best = entry;
	}
	return best ? map->names + best->name : NULL;
}

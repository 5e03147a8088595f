// SPDX-License-Identifier: BSD-2-Clause
#include "process/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "process/procfs.h"

#define ID_DIGITS 64
#define ESCAPED_IN_MOUNTINFO " \t\n\\#"
/* Version 1 says "no limit" with the largest multiple of the page size below this. */
#define LIMIT_NONE (1ULL << 62)

/* Whether item is one of the comma-separated ones of the n characters of list. */
static bool has_item(const char *list, size_t n, const char *item)
{
	const char *end = list + n;

	while (list < end) {
		const char *comma = memchr(list, ',', end - list);
		size_t n_item = (comma ? comma : end) - list;

		if (n_item == strlen(item) && !memcmp(list, item, n_item))
			return true;
		list += n_item + 1;
	}
	return false;
}

static bool ends_with(const char *text, size_t n, const char *suffix)
{
	size_t n_suffix = strlen(suffix);

	return n >= n_suffix && !memcmp(text + n - n_suffix, suffix, n_suffix);
}

static bool starts_with(const char *text, size_t n, const char *prefix)
{
	size_t n_prefix = strlen(prefix);

	return n >= n_prefix && !memcmp(text, prefix, n_prefix);
}

/* [PREFIX{-,:}]<64 hex>[.scope]: every runtime's form. conmon is the monitor beside a container,
 * not in it. */
static bool runtime_id(const char *name, size_t n, char out[CGROUP_CONTAINER_SIZE])
{
	const char *id;

	if (ends_with(name, n, ".scope"))
		n -= strlen(".scope");
	if (n < ID_DIGITS)
		return false;
	n -= ID_DIGITS;
	id = name + n;
	for (int i = 0; i < ID_DIGITS; i++)
		if (!isxdigit((unsigned char)id[i]))
			return false;
	if (n && name[n - 1] != '-' && name[n - 1] != ':')
		return false;
	if (n && ends_with(name, n - 1, "conmon"))
		return false;
	snprintf(out, CGROUP_CONTAINER_SIZE, "%.*s", ID_DIGITS, id);
	return true;
}

/* systemd writes characters that mean something in a unit's name as \xNN. */
static void copy_unit_name(const char *name, size_t n, char out[CGROUP_CONTAINER_SIZE])
{
	size_t n_out = 0;

	for (size_t i = 0; i < n && n_out < CGROUP_CONTAINER_SIZE - 1; i++) {
		char c = name[i];
		unsigned value;

		if (c == '\\' && n - i >= 4 && name[i + 1] == 'x' &&
		    isxdigit((unsigned char)name[i + 2]) && isxdigit((unsigned char)name[i + 3]) &&
		    sscanf(name + i + 2, "%2x", &value) == 1 && value) {
			c = value;
			i += 3;
		}
		out[n_out++] = c;
	}
	out[n_out] = '\0';
}

/* The name between prefix and suffix, if the component has both and something in between. */
static bool named(const char *name, size_t n, const char *prefix, const char *suffix,
		  char out[CGROUP_CONTAINER_SIZE])
{
	size_t n_affixes = strlen(prefix) + strlen(suffix);

	if (n <= n_affixes || !starts_with(name, n, prefix) || !ends_with(name, n, suffix))
		return false;
	copy_unit_name(name + strlen(prefix), n - n_affixes, out);
	return true;
}

/* Innermost component first: a process in a container in a container belongs to the inner one. */
void cgroup_container(const char *path, char out[CGROUP_CONTAINER_SIZE])
{
	const char *end = path + strlen(path);

	out[0] = '\0';
	while (end > path) {
		const char *name = end;
		size_t n;

		while (name > path && name[-1] != '/')
			name--;
		n = end - name;
		if (runtime_id(name, n, out) || named(name, n, "lxc.payload.", "", out) ||
		    named(name, n, "machine-", ".scope", out) ||
		    named(name, n, "systemd-nspawn@", ".service", out))
			return;
		end = name > path ? name - 1 : path;
		if (n && ends_with(path, end - path, "/lxc")) {
			copy_unit_name(name, n, out);
			return;
		}
	}
}

/* "pod<uid>" (cgroupfs) or "[PREFIX-]kubepods[-CLASS]-pod<uid>.slice", with a colon and more behind
 * it in one form of containerd (systemd). in_kubepods: a component above says that this is
 * Kubernetes'; a directory "pod1" could be anyone's. */
static bool pod_component(const char *name, size_t n, bool in_kubepods, char out[CGROUP_POD_SIZE])
{
	const char *slice = memmem(name, n, ".slice", strlen(".slice")), *uid = NULL;
	size_t n_uid;

	if (slice && memmem(name, slice - name, "kubepods", strlen("kubepods"))) {
		n = slice - name;
		for (size_t i = 0; i + 4 <= n; i++)
			if (!memcmp(name + i, "-pod", 4))
				uid = name + i + 4;
	} else if (in_kubepods && starts_with(name, n, "pod")) {
		uid = name + strlen("pod");
	}
	n_uid = uid ? name + n - uid : 0;
	if (!n_uid || n_uid >= CGROUP_POD_SIZE)
		return false;
	for (size_t i = 0; i < n_uid; i++) {
		if (!isalnum((unsigned char)uid[i]) && uid[i] != '-' && uid[i] != '_')
			return false;
		out[i] = uid[i] == '_' ? '-' : uid[i];
	}
	out[n_uid] = '\0';
	return true;
}

void cgroup_pod_uid(const char *path, char out[CGROUP_POD_SIZE])
{
	bool in_kubepods = false;
	char inner[CGROUP_POD_SIZE];

	out[0] = '\0';
	for (size_t n; *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		if (pod_component(path, n, in_kubepods, inner))
			memcpy(out, inner, sizeof(inner));
		in_kubepods |= !!memmem(path, n, "kubepods", strlen("kubepods"));
	}
}

static void copy_path(char out[CGROUP_PATH_SIZE], const char *path, size_t n)
{
	snprintf(out, CGROUP_PATH_SIZE, "%.*s",
		 (int)(n < CGROUP_PATH_SIZE ? n : CGROUP_PATH_SIZE - 1), path);
}

/* "ID:CONTROLLERS:PATH", of n characters; version 2's line has the id 0 and no controllers. */
static void parse_line(const char *line, size_t n, struct cgroup *c)
{
	const char *controllers = memchr(line, ':', n), *path;
	size_t n_controllers, n_path;
	char copy[CGROUP_PATH_SIZE];

	if (!controllers)
		return;
	controllers++;
	path = memchr(controllers, ':', line + n - controllers);
	if (!path)
		return;
	n_controllers = path++ - controllers;
	n_path = line + n - path;
	if (!n_controllers)
		copy_path(c->v2, path, n_path);
	else if (has_item(controllers, n_controllers, "memory"))
		copy_path(c->memory_v1, path, n_path);
	if (n_path > strlen(c->longest))
		copy_path(c->longest, path, n_path);
	if (!c->container[0]) {
		copy_path(copy, path, n_path);
		cgroup_container(copy, c->container);
		cgroup_pod_uid(copy, c->pod_uid);
	}
}

void cgroup_parse(const char *text, struct cgroup *ret)
{
	char in_v2[CGROUP_CONTAINER_SIZE];

	*ret = (struct cgroup){0};
	while (*text) {
		size_t n = strcspn(text, "\n");

		parse_line(text, n, ret);
		text += n + (text[n] == '\n');
	}
	cgroup_container(ret->v2, in_v2);
	if (in_v2[0]) {
		memcpy(ret->container, in_v2, sizeof(in_v2));
		cgroup_pod_uid(ret->v2, ret->pod_uid);
	}
}

const char *cgroup_path(const struct cgroup *c)
{
	const char *candidates[] = {c->v2, c->memory_v1, c->longest};

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++)
		if (candidates[i][0] && strcmp(candidates[i], "/"))
			return candidates[i];
	return c->longest;
}

/* One limit file: a number of bytes, or "max". Returns UINT64_MAX when it says no limit or cannot
 * be read. */
static uint64_t read_limit(const char *directory, const char *name)
{
	_cleanup_close_ int fd = -1;
	char path[3 * CGROUP_PATH_SIZE], text[32];
	uint64_t bytes;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0 || !isdigit((unsigned char)text[0]))
		return UINT64_MAX;
	text[n] = '\0';
	errno = 0;
	bytes = strtoull(text, NULL, 10);
	return errno || bytes >= LIMIT_NONE ? UINT64_MAX : bytes;
}

/* The directory of path, a cgroup's in a hierarchy whose directory root is mounted at mount. Returns 0 or -ENOENT: it cannot be
 * seen from here. */
static int directory_of(const char *mount, const char *root, const char *path,
			char out[2 * CGROUP_PATH_SIZE])
{
	size_t n_root = strcmp(root, "/") ? strlen(root) : 0;

	if (strncmp(path, root, n_root) || (n_root && path[n_root] && path[n_root] != '/'))
		return -ENOENT;
	/* "/../x": outside of our cgroup namespace; in the file system, ".." would lead somewhere
	 * else. */
	if (strstr(path, "/../") || strlen(mount) >= CGROUP_PATH_SIZE)
		return -ENOENT;
	snprintf(out, 2 * CGROUP_PATH_SIZE, "%s%s", mount, path + n_root);
	return 0;
}

/* The tightest limit of path and its parents, below the mount whose root directory in the hierarchy
 * is root. */
static uint64_t limit_below(const char *mount, const char *root, const char *path, const char *name)
{
	char directory[2 * CGROUP_PATH_SIZE];
	uint64_t tightest = UINT64_MAX;

	if (directory_of(mount, root, path, directory))
		return UINT64_MAX;
	for (;;) {
		uint64_t bytes = read_limit(directory, name);
		char *slash = strrchr(directory + strlen(mount), '/');

		if (bytes < tightest)
			tightest = bytes;
		if (!slash)
			return tightest;
		*slash = '\0';
	}
}

struct mount {
	char *root, *point, *type, *options; /* options: of the file system */
};

/* "36 35 98:0 /root /mount/point rw,noatime shared:1 - cgroup2 source rw,options"; cuts it into
 * pieces. Returns 0 or -EINVAL. */
static int split_mount(char *line, struct mount *ret)
{
	char *fields = strstr(line, " - "), *root = line, *point, *type, *options;

	if (!fields)
		return -EINVAL;
	*fields = '\0';
	type = fields + strlen(" - ");
	options = strrchr(type, ' ');
	for (int i = 0; i < 3 && root; i++) {
		root = strchr(root, ' ');
		root = root ? root + 1 : NULL;
	}
	point = root ? strchr(root, ' ') : NULL;
	if (!point || !options)
		return -EINVAL;
	*point++ = '\0';
	point[strcspn(point, " ")] = '\0';
	procfs_unescape(root, ESCAPED_IN_MOUNTINFO);
	procfs_unescape(point, ESCAPED_IN_MOUNTINFO);
	*ret = (struct mount){root, point, type, options + 1};
	return 0;
}

static bool is_version_2(const struct mount *m)
{
	return !strncmp(m->type, "cgroup2 ", 8);
}

static uint64_t limit_by_mount(const struct mount *m, const struct cgroup *c)
{
	if (is_version_2(m) && c->v2[0])
		return limit_below(m->point, m->root, c->v2, "memory.max");
	if (!strncmp(m->type, "cgroup ", 7) && c->memory_v1[0] &&
	    has_item(m->options, strlen(m->options), "memory"))
		return limit_below(m->point, m->root, c->memory_v1, "memory.limit_in_bytes");
	return UINT64_MAX;
}

uint64_t cgroup_limit(const struct cgroup *c, const char *mountinfo)
{
	uint64_t tightest = UINT64_MAX;

	while (*mountinfo) {
		size_t n = strcspn(mountinfo, "\n");
		_cleanup_free_ char *line = strndup(mountinfo, n);
		uint64_t bytes = UINT64_MAX;
		struct mount m;

		if (line && !split_mount(line, &m))
			bytes = limit_by_mount(&m, c);
		if (bytes < tightest)
			tightest = bytes;
		mountinfo += n + (mountinfo[n] == '\n');
	}
	return tightest == UINT64_MAX ? 0 : tightest;
}

/* The figure of a line "NAME FIGURE" of memory.stat; 0 without it. */
static uint64_t read_stat(const char *directory, const char *name)
{
	char path[3 * CGROUP_PATH_SIZE], line[128];
	_cleanup_fclose_ FILE *f = NULL;
	size_t n = strlen(name);

	snprintf(path, sizeof(path), "%s/memory.stat", directory);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, n) && line[n] == ' ')
			return strtoull(line + n, NULL, 10);
	return 0;
}

static int usage_by_mount(const struct mount *m, const struct cgroup *c, struct cgroup_usage *ret)
{
	const bool v2 = is_version_2(m);
	const char *path = v2 ? c->v2 : c->memory_v1;
	char directory[2 * CGROUP_PATH_SIZE];
	uint64_t bytes;

	if (!path[0] || !strcmp(path, "/") || directory_of(m->point, m->root, path, directory))
		return -ENOENT;
	if (!v2 &&
	    (strncmp(m->type, "cgroup ", 7) || !has_item(m->options, strlen(m->options), "memory")))
		return -ENOENT;
	bytes = read_limit(directory, v2 ? "memory.current" : "memory.usage_in_bytes");
	if (bytes == UINT64_MAX)
		return -ENOENT;
	*ret = (struct cgroup_usage){bytes, read_stat(directory, v2 ? "file" : "total_cache")};
	return 0;
}

int cgroup_usage(const struct cgroup *c, const char *mountinfo, struct cgroup_usage *ret)
{
	while (*mountinfo) {
		size_t n = strcspn(mountinfo, "\n");
		_cleanup_free_ char *line = strndup(mountinfo, n);
		struct mount m;

		if (line && !split_mount(line, &m) && !usage_by_mount(&m, c, ret))
			return 0;
		mountinfo += n + (mountinfo[n] == '\n');
	}
	return -ENOENT;
}

int cgroup_pressure_path(const struct cgroup *c, const char *mountinfo, char out[CGROUP_FILE_SIZE])
{
	char directory[2 * CGROUP_PATH_SIZE];

	/* In the root of version 2 beside a hierarchy of version 1, it would be the whole host's. */
	if (!c->v2[0] || (c->memory_v1[0] && !strcmp(c->v2, "/")))
		return -ENOENT;
	while (*mountinfo) {
		size_t n = strcspn(mountinfo, "\n");
		_cleanup_free_ char *line = strndup(mountinfo, n);
		struct mount m;

		if (line && !split_mount(line, &m) && is_version_2(&m) &&
		    !directory_of(m.point, m.root, c->v2, directory)) {
			snprintf(out, CGROUP_FILE_SIZE, "%s/memory.pressure", directory);
			return 0;
		}
		mountinfo += n + (mountinfo[n] == '\n');
	}
	return -ENOENT;
}

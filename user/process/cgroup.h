/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_CGROUP_H
#define SEEP_PROCESS_CGROUP_H
/* What the cgroups of a process say: path, container, memory limit. See cgroups(7). */
#include <stddef.h>
#include <stdint.h>

#define CGROUP_PATH_SIZE 4096
#define CGROUP_CONTAINER_SIZE 128
#define CGROUP_POD_SIZE 64

/* Paths are as /proc/PID/cgroup has them, relative to the hierarchy's root as we see it; "" without
 * such a line. */
struct cgroup {
	char v2[CGROUP_PATH_SIZE];
	char memory_v1[CGROUP_PATH_SIZE];
	char longest[CGROUP_PATH_SIZE]; /* of all lines */
	char container[CGROUP_CONTAINER_SIZE];
	char pod_uid[CGROUP_POD_SIZE]; /* where container comes from a pod of Kubernetes */
};

/* Parses the text of /proc/PID/cgroup: version 1, 2, or both (hybrid). Lines that make no sense are
 * skipped.
 * container: the id or name of the innermost container in the v2 path, else the first line's that
 * has one. */
void cgroup_parse(const char *text, struct cgroup *ret);

/* The path that tells most: v2, else the memory controller's, else the longest; "/" only when
 * nothing says more, as in hybrid set-ups, where the v2 path is often just that. Lives as long as
 * c. */
const char *cgroup_path(const struct cgroup *c);

/* Writes the container id or name that the path holds, "" if none. Docker, Kubernetes (containerd,
 * CRI-O, Docker), Podman: the 64 hexadecimal digits. LXC, systemd-nspawn, libvirt: the name. */
void cgroup_container(const char *path, char out[CGROUP_CONTAINER_SIZE]);

/* out: the uid of the innermost Kubernetes pod in the path, as the API server writes it (systemd's
 * slices have underscores for its dashes), "" if none. Cgroup drivers cgroupfs and systemd. */
void cgroup_pod_uid(const char *path, char out[CGROUP_POD_SIZE]);

/* The tightest of the memory limits of its cgroups up to the root, in bytes: memory.max (v2),
 * memory.limit_in_bytes (v1). mountinfo: the text of /proc/self/mountinfo, which says where the
 * hierarchies are. 0: no limit, or none that can be seen from here. Thread-safe, as all of these
 * are. */
uint64_t cgroup_limit(const struct cgroup *c, const char *mountinfo);

/* What is charged to a process's memory cgroup and those below it: all of it, and the part that is page cache, which the kernel takes
 * back when it needs room. */
struct cgroup_usage {
	uint64_t bytes, cache_bytes;
};

/* Returns 0, or -ENOENT: it is in the root, or its cgroup cannot be seen from here. mountinfo: as for cgroup_limit. */
int cgroup_usage(const struct cgroup *c, const char *mountinfo, struct cgroup_usage *ret);

/* Where the kernel says how long its tasks wait for memory (process/pressure.h): of version 2 only. Returns 0, or -ENOENT when it
 * cannot be seen from here. */
#define CGROUP_FILE_SIZE (3 * CGROUP_PATH_SIZE)
int cgroup_pressure_path(const struct cgroup *c, const char *mountinfo, char out[CGROUP_FILE_SIZE]);

#endif

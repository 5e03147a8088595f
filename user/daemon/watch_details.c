// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/watch_details.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strings.h"
#include "process/cgroup.h"
#include "process/identity.h"
#include "process/procfs.h"

#define PROC_TEXT_MAX_BYTES (1UL << 20)

static uint64_t key_of(const struct watch_process *p)
{
	uint64_t key = hash_bytes(0, &p->pid, sizeof(p->pid));

	return hash_bytes(key, &p->start_boottime_ns, sizeof(p->start_boottime_ns));
}

static char *copy_or_null(const char *text)
{
	return *text ? strdup(text) : NULL;
}

static void clear(struct details *i)
{
	free(i->exe);
	free(i->cgroup);
	free(i->container);
	free(i->memory_cgroup);
	free(i->pressure_path);
	*i = (struct details){0};
}

static char *read_pressure_path(pid_t pid)
{
	_cleanup_free_ char *text = NULL, *mountinfo = NULL;
	_cleanup_free_ struct cgroup *c = malloc(sizeof(*c));
	char path[CGROUP_FILE_SIZE];
	size_t n;

	if (!c || procfs_read(pid, "cgroup", PROC_TEXT_MAX_BYTES, &text, &n) ||
	    procfs_read(getpid(), "mountinfo", 16 * PROC_TEXT_MAX_BYTES, &mountinfo, &n))
		return NULL;
	cgroup_parse(text, c);
	return cgroup_pressure_path(c, mountinfo, path) ? NULL : strdup(path);
}

/* A process that began after the pass, with the pid of one that has ended, is not the one. */
static bool is_same(const struct identity *id, const struct watch_process *p)
{
	uint64_t ns_per_tick = NS_PER_SECOND / sysconf(_SC_CLK_TCK);

	return id->start_ticks == p->start_boottime_ns / ns_per_tick;
}

static void read_details(const struct details_cache *c, const struct watch_process *p,
			 uint64_t cgroup_id, struct details *i)
{
	_cleanup_free_ struct identity *id = malloc(sizeof(*id));
	struct diag unused = {0};

	clear(i);
	i->pid = p->pid;
	i->start_boottime_ns = p->start_boottime_ns;
	i->program = p->program;
	i->cgroup_id = cgroup_id;
	memcpy(i->comm, p->comm, sizeof(p->comm));
	i->start_ns = clock_realtime_ns() - clock_boottime_ns() + p->start_boottime_ns;
	i->selected = selector_is_empty(c->selector);
	if (!id || identity_read(p->pid, id, &unused) || !is_same(id, p))
		return;
	i->selected = i->selected || selector_matches(c->selector, id);
	i->exe = copy_or_null(id->exe);
	i->cgroup = copy_or_null(id->cgroup);
	i->container = copy_or_null(id->container);
	i->memory_cgroup = copy_or_null(*id->memory_cgroup ? id->memory_cgroup : id->cgroup);
	i->pressure_path = read_pressure_path(p->pid);
}

const struct details *details_get(struct details_cache *c, const struct watch_process *p,
				  uint64_t cgroup_id)
{
	uint64_t key = key_of(p);
	struct details *i = hashmap_get(&c->by_key, key);

	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i || hashmap_put(&c->by_key, key, i)) {
			free(i);
			return NULL;
		}
	}
	if (i->pid != p->pid || i->start_boottime_ns != p->start_boottime_ns ||
	    i->program != p->program || i->cgroup_id != cgroup_id ||
	    memcmp(i->comm, p->comm, sizeof(p->comm)))
		read_details(c, p, cgroup_id, i);
	i->asked = true;
	return i;
}

void details_settle(struct details_cache *c)
{
	struct hashmap kept = HASHMAP_INIT;
	struct details *i;
	size_t cursor = 0;
	uint64_t key;

	while ((i = hashmap_next(&c->by_key, &cursor, &key))) {
		if (i->asked && !hashmap_put(&kept, key, i)) {
			i->asked = false;
			continue;
		}
		clear(i);
		free(i);
	}
	hashmap_done(&c->by_key);
	c->by_key = kept;
}

void details_done(struct details_cache *c)
{
	struct details *i;
	size_t cursor = 0;

	while ((i = hashmap_next(&c->by_key, &cursor, NULL))) {
		clear(i);
		free(i);
	}
	hashmap_done(&c->by_key);
}

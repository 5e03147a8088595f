/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_WATCHER_H
#define SEEP_ANALYZE_WATCHER_H
/* Which processes and cgroups of a host grow: the trend of each over the passes, and who is to be suspected. Not thread-safe. */
#include <stdbool.h>
#include <stddef.h>

#include "analyze/trend.h"
#include "model/watch.h"

struct watcher;

/* One process or cgroup as of the last pass. */
struct watcher_item {
	bool is_cgroup;
	struct watch_process process; /* of a cgroup: sums over its processes; pid 0 */
	struct watch_cgroup cgroup;   /* its own, or the one it is in; id 0: none */
	struct trend *trend;	      /* of anonymous, shared and swapped memory; borrowed */
	struct trend_estimate estimate;
	double seconds_to_limit; /* NAN: no limit known, or it does not grow */
	bool suspect;
};

/* Returns 0 or -ENOMEM. Destroy accepts NULL. */
int watcher_create(struct watcher **ret);
void watcher_destroy(struct watcher *w);

/* Takes in a pass. What has ended is forgotten; the cgroup's trend goes on. Returns 0 or -ENOMEM: what is new is left out. */
int watcher_update(struct watcher *w, const struct watch_pass *pass);

/* All items of the last pass, suspects first, worst first: confidence weighted by how soon it hurts and how fast it grows. Borrowed until the next
 * update. */
size_t watcher_items(struct watcher *w, const struct watcher_item **ret_items);

#endif

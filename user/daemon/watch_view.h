/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_WATCH_VIEW_H
#define SEEP_DAEMON_WATCH_VIEW_H
/* From a pass and its trends to what `seep watch` shows: chosen, ordered, cut, and then only named. Not thread-safe. */
#include "analyze/watcher.h"
#include "daemon/trace_options.h"
#include "daemon/watch_details.h"
#include "model/watch_report.h"
#include "process/select.h"

enum watch_sort {
	WATCH_SORT_WORST, /* as struct watcher has them */
	WATCH_SORT_GROWTH,
	WATCH_SORT_SIZE,
	WATCH_SORT_LIMIT, /* who reaches it first */
};

struct watch_view_options {
	struct pid_list pids; /* empty: all */
	bool all;	      /* also what does not grow */
	bool cgroups;	      /* no processes */
	uint64_t top;	      /* rows beside the suspects, 0: all */
	int sort;	      /* enum watch_sort */
};

/* A process given by -p. */
struct watched_pid {
	uint32_t pid;
	uint64_t start_boottime_ns;
};

struct view_rows {
	struct watch_row *items;
	size_t n, cap;
};

/* Zeroed but for the options, borrowed, and the selector. */
struct watch_view {
	const struct watch_view_options *options;
	struct selector selector;
	struct details_cache details;
	struct {
		struct watched_pid *items;
		size_t n, cap;
	} pids;
	struct view_rows processes, cgroups;
};

/* Remembers which processes the given pids are, as of the first pass. Returns 0 or -ENOMEM. */
int view_pin(struct watch_view *v, const struct watch_pass *pass);
/* How many processes of a pass are chosen: those that may be shown. */
size_t view_count(struct watch_view *v, const struct watch_pass *pass);
/* Whether there were pids given and all those processes have ended. */
bool view_is_over(const struct watch_view *v, const struct watch_pass *pass);

/* Fills ret's rows and what is said of them and of the host; borrowed until the next call. items: of the watcher, after it took in
 * pass. Returns 0 or -ENOMEM. */
int view_report(struct watch_view *v, const struct watch_pass *pass,
		const struct watcher_item *items, size_t n_items, struct watch_report *ret);

void view_done(struct watch_view *v);

#endif

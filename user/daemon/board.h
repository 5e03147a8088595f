/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_BOARD_H
#define SEEP_DAEMON_BOARD_H
/* What a trace says, kept for readers in other threads: its last report, who has ended lately, sums since it began. The trace puts up a
 * whole new view with each report; who reads takes a reference to one, which does not change any more. */
#include <stddef.h>
#include <stdint.h>

#include "daemon/reporter.h"
#include "model/metrics.h"
#include "model/report_copy.h"

#define BOARD_ENDED_MAX 16     /* processes that have ended, the last ones */
#define BOARD_ENDED_SITES 4096 /* of each of them */
#define BOARD_SITES 65536      /* of those that are traced now */

struct board;

struct board_view {
	const struct session *session; /* of the board's life */
	struct report_copy *now;       /* who is traced now; NULL: there was no report yet */
	struct report_copy *ended[BOARD_ENDED_MAX]; /* one process each, the last first */
	size_t n_ended;
	struct metrics metrics; /* with now */
	struct board_view_private *private_;
};

/* Returns 0 or -ENOMEM. */
int board_create(struct board **ret);
/* No reader holds a view, and no trace writes, by then. Accepts NULL. */
void board_destroy(struct board *b);

/* Takes reports, in one thread at a time. A text is what the watch sees, as records. */
struct report_writer board_writer(struct board *b);

/* A reference to what is up now, or NULL: the trace has not begun yet. Any thread. */
struct board_view *board_take(struct board *b);
/* Accepts NULL. Any thread. */
void board_release(struct board_view *v);

/* What the watch sees: records, a line each; malloc'ed, NULL: nothing, or no memory. Any thread. */
char *board_take_watched(struct board *b);

/* The trace's loop says that it goes round, and how long ago it did so last; 0 if never. Any thread. */
void board_touch(struct board *b);
uint64_t board_untouched_ns(struct board *b);

#endif

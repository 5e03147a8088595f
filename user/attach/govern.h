/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_GOVERN_H
#define SEEP_ATTACH_GOVERN_H
/* The law by which the cost of probes in one process is kept within its budget: counters in, orders out; no clock, no kernel, no
 * memory. governor.h carries it out.
 *
 *	EXACT     everything is recorded
 *	SAMPLED   a Poisson process over bytes: what is not taken costs its trap only
 *	WINDOWS   all is recorded for a short time, now and then, and the frees of what was for a while after; no probes between
 *	DETACHED  no probes; now and then a look whether windows would do
 *
 * It goes down when the cost of a second or so is over the budget, as far as the model says is enough; it goes up when the cost has
 * been well below for a while, and the model says that the next mode up stays within the budget. The while doubles whenever that was
 * wrong.
 *
 * Windows: time is cut into cycles of length T. In each, the window is W long and begins at a moment drawn evenly from [-W, T),
 * cut to [0, T). So each moment of a cycle is recorded with the same probability, p = W / (T + W), whatever the process does.
 *
 * But a moment in a window is a slow one: where probes take half of the time, half as much happens. So a block that was recorded stands
 * for 1/p/s, where s is what happens in a window by what happens in the mean of the cycle. With c the cost of a free's probe, frees
 * that come at a rate of f per CPU second while only they are probed need 1/f - c of the process's own time each: the rate where
 * none are probed follows, and with it s. It is measured again in each cycle.
 *
 * c is not quite what was calibrated: traps cost more on a loaded machine. By how much shows in the CPU time of a pair while all
 * probes stand and skip everything, a moment before each window, and while only those of frees do: the difference should be that of
 * the costs. While blocks are recorded it would not do, as that makes the caches cold, too: the program itself is slower then.
 *
 * So estimates are unbiased, as far as the proportions of costs are known, for all blocks whose free is seen, which is all that live shorter than the
 * following F. One that is freed later goes on counting until its address comes back: of those the estimate is an upper
 * bound, unless the frees are cheap enough to be followed all the time (frees_stay). */
#include <stdbool.h>
#include <stdint.h>

enum govern_mode {
	GOVERN_EXACT,
	GOVERN_SAMPLED,
	GOVERN_WINDOWS,
	GOVERN_DETACHED,
};

/* Of this machine, in ns. */
struct govern_costs {
	double trap_ns;	   /* a hit, without what our program does */
	double return_ns;  /* a return probe's */
	double stepped_ns; /* what a hit on a stepped instruction takes more */
	double skip_ns;	   /* of our program, where nothing is recorded */
	double pair_ns; /* an allocation and its free, all in all, when recorded: until it is measured in the process */
	bool returns_always; /* the return probe cannot be skipped */
};

/* Sums since any time. */
struct govern_sample {
	uint64_t cpu_ns; /* of the whole process, user and kernel */
	uint64_t n_entries, n_returns, n_frees, n_stepped;
	uint64_t run_ns; /* of our programs */
};

struct govern_orders {
	unsigned parts;		  /* enum cover_parts: probes that are to stand */
	uint64_t sample_interval; /* bytes, 0: all */
	double scale;		  /* of weights: 1/p with windows, else 1 */
	bool gated;		  /* allocations are recorded in windows only */
	uint64_t window_ns; /* not 0: a window of this length is to begin when parts stand; govern_opened() then */
};

/* With windows, what stands. */
enum govern_phase {
	GOVERN_CLOSED,	/* nothing */
	GOVERN_FOLLOWS, /* frees */
	GOVERN_OPENS,	/* all, or soon all, and nothing is recorded yet */
	GOVERN_SKIPS,	/* all, and nothing is recorded */
	GOVERN_OPEN,	/* all */
	GOVERN_PHASES,
};

/* Decaying sums over the last seconds, or plain ones over a cycle. */
struct govern_sums {
	double wall_ns, own_ns, cpu_ns;
	double overhead_ns; /* estimate of what our probes cost */
	double traps_ns;    /* of that, outside of our programs: calibrated, not measured */
	double skipped_ns;  /* what they would cost if nothing were recorded */
	double frees_ns;    /* of that, the frees */
	double n_entries, n_frees;
};

/* What those need that share a leader's probes: the most demanding of them counts. */
struct govern_need {
	double cycle_ns;    /* as long as this should the next cycle be */
	double frees_load;  /* cost of the frees if they were probed all the time, of the budget */
	bool restless;	    /* no mode but windows will do */
	double moving_load; /* cost of moving the probes, of the budget */
};

struct govern {
	struct govern_costs costs;
	double budget; /* overhead / own time */
	double allowed_anyway; /* overhead by wall time that is within any budget; govern_init()'s is a thousandth */
	uint64_t base_interval;
	/* It is a crowd's: what a pair takes differs from program to program, so that it says nothing of costs, and their pace only
	 * over many cycles. */
	bool many;
	/* While probes move, others wait: that has to be within the budget, too. */
	bool stops;
	enum govern_mode mode;
	struct govern_orders orders;
	uint64_t since_ns;  /* in this mode since */
	double cause_ratio; /* overhead / own time, that made it leave EXACT or a better mode */
	double ratio;	    /* overhead / own time, of late; NAN: not known yet */

	double total_overhead_ns; /* since the beginning */
	struct govern_sample last;
	uint64_t last_ns;
	struct govern_sums now; /* decaying; since the last change at most */
	double inflation;	/* of traps, by calibrated ones: a loaded machine, a cold cache */
	double exact_pair_ns; /* measured cost of an allocation with its free, when all is recorded */
	uint64_t calm_ns;     /* since when the next mode up would do; 0: it would not */
	uint64_t hold_ns;     /* how long that must last */
	uint64_t relaxed_ns; /* when it last went up; 0: never */

	/* WINDOWS */
	bool frees_stay;
	bool opened;		 /* this cycle's window has begun */
	bool skipped, skips;	 /* what comes before it has begun; goes on */
	bool measures;		 /* a first cycle that records nothing */
	enum govern_phase phase; /* since the last step */
	uint64_t cycle_ns, cycle_end_ns, open_ns, open_for_ns, close_ns, follow_until_ns;
	struct govern_sums cycle,
		phases[GOVERN_PHASES]; /* this cycle; this and those before, each half of the next */
	struct govern_need others;     /* of those that follow, in the cycle that ends */
	double moved_ns;	       /* in this cycle: how long probes moved */
	double least_cycle_ns;	       /* by that, in this cycle and those before */
	struct govern_sums paces[GOVERN_PHASES]; /* as phases, for longer: for the inflation */
	/* Of what each window's allocations stand for, by second of its cycle. */
	double n_windows, sum_rates, sum_squares, window_entries;
	/* DETACHED */
	uint64_t look_ns, look_wait_ns;
	bool looking;
	uint64_t random;
};

#define GOVERN_WINDOW_NS 200000000ULL
#define GOVERN_SKIP_NS 100000000ULL
#define GOVERN_FOLLOW_NS 600000000ULL
#define GOVERN_CYCLE_MOST_NS (120 * 1000000000ULL)

/* budget: overhead by own time, > 0. base_interval: of --sample-bytes, 0: everything. seed: any. */
void govern_init(struct govern *g, const struct govern_costs *costs, double budget,
		 uint64_t base_interval, uint64_t seed, uint64_t now_ns);
/* Takes in the counters and renews g->orders. now_ns may lag behind that of the call before, as callers read the clock before they wait for a
 * lock; that counts as no time. Returns when to call next, CLOCK_MONOTONIC ns: earlier does
 * no harm. */
uint64_t govern_step(struct govern *g, const struct govern_sample *s, uint64_t now_ns);
/* It begins sampled, as the process that it was forked from. */
void govern_inherit(struct govern *g, uint64_t sample_interval);
/* Windows of probes that are shared. The leader's law moves them; it goes into windows because another one has to, with cycles as
 * long as that one needs. ratio: its overhead / own time. */
void govern_lead(struct govern *leader, const struct govern_need *need, double ratio,
		 uint64_t now_ns);
/* What a law that left SAMPLED by itself needs. */
struct govern_need govern_wants(const struct govern *g);
/* Whether its next step ends a cycle: leader->others must be of that cycle by then. */
bool govern_cycle_ends(const struct govern *leader, uint64_t now_ns);
/* It follows from now on: the leader's windows begin. */
void govern_join(struct govern *g, const struct govern_sample *s, uint64_t now_ns);
/* Instead of govern_step() for one that follows: takes in the counters; phase: what has stood since the last step. */
void govern_follow(struct govern *g, const struct govern_sample *s, enum govern_phase phase,
		   uint64_t now_ns);
/* After that, when the leader's cycle of that length ends; adds to what all need. recorded: its window was no mere measuring. */
void govern_follow_cycle(struct govern *g, uint64_t cycle_ns, bool recorded,
			 struct govern_need *all);
/* It no longer follows, as all probes stand. */
void govern_resume(struct govern *g, uint64_t now_ns);
/* Probes were moved since the last step, and took their time for it: as the step that ordered it said they stand only now.
 * moving_ns: how long it took since the last call; of a follower 0. */
void govern_moved(struct govern *g, const struct govern_sample *s, uint64_t moving_ns,
		  uint64_t now_ns);
/* The window that was ordered began. */
void govern_opened(struct govern *g, const struct govern_sample *s, uint64_t now_ns);
/* The scale for a window of a cycle so long, by how much this process is slowed down in windows. */
double govern_scale(const struct govern *g, uint64_t cycle_ns);
/* What probes may cost in a time of wall_ns in which so much own CPU time was used. */
double govern_allowed_ns(const struct govern *g, double own_ns, double wall_ns);
/* Half of the 95% interval of what windows make of a total, by the total: windows differ, there are few of them, and how much slower
 * the process is in one is known to some degree only. 0: there were none. What the blocks of a window add as single draws is not
 * in it. */
double govern_error(const struct govern *g);
/* Share of time in which allocations are recorded, as a probability: 1 outside WINDOWS, 0 DETACHED. */
double govern_duty(const struct govern *g);

#endif

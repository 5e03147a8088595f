/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_TESTS_GOVERN_SIMULATION_H
#define SEEP_TESTS_GOVERN_SIMULATION_H
/* A process under the governor's law, in simulated time: it allocates and frees, slowed down by the probes that stand. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "attach/cover.h"
#include "attach/govern.h"

#define SIM_TICK_NS 1000000.0

struct simulation {
	double own_ns;	  /* of a pair's work without probes */
	double demand;	  /* pairs a second that it is asked for; 0: as many as it can */
	double size;	  /* bytes of each block */
	double true_cost; /* of a trap and so on, by what the law believes */
	/* What recording costs the program's own work: its caches are cold then. */
	double cold;
	/* Other programs disturb: pace and costs go by a factor that is drawn anew each SIM_DISTURBED_NS, of this deviation. */
	double disturbed;

	struct govern law;
	double now_ns, next_ns, until_ns, scale;
	uint64_t random;
	double share, factor, disturbed_until_ns; /* of the CPU; of costs */
	double cpu_ns, own_total_ns, overhead_ns, n_entries, n_returns, n_frees, run_ns;
	double n_pairs,
		estimate;   /* pairs done, and their number by the weights of those recorded */
	unsigned n_changes; /* of mode or interval */
	/* Instead of sim_live() for one tick, NULL: that. */
	void (*live)(struct simulation *s);
	void *arg;
};

static const struct govern_costs simulated_costs = {.trap_ns = 600,
						    .return_ns = 400,
						    .stepped_ns = 10000,
						    .skip_ns = 100,
						    .pair_ns = 3700};
#define SIM_RECORD_NS 1900.0
#define SIM_DISTURBED_NS 300e6

static void sim_init(struct simulation *s, double budget, uint64_t seed)
{
	s->now_ns = s->next_ns = 1e9;
	s->true_cost = s->true_cost > 0 ? s->true_cost : 1;
	s->size = s->size > 0 ? s->size : 100;
	s->random = seed * 0xd1342543de82ef95ULL | 1;
	s->share = s->factor = 1;
	govern_init(&s->law, &simulated_costs, budget, 0, seed * 0x9e3779b97f4a7c15ULL,
		    (uint64_t)s->now_ns);
}

static struct govern_sample sim_sample(const struct simulation *s)
{
	return (struct govern_sample){.cpu_ns = s->cpu_ns,
				      .n_entries = s->n_entries,
				      .n_returns = s->n_returns,
				      .n_frees = s->n_frees,
				      .run_ns = s->run_ns};
}

static bool sim_gate_open(const struct simulation *s)
{
	return !s->law.orders.gated || s->now_ns < s->until_ns;
}

/* Of mean 0 and deviation 1, evenly distributed. */
static double sim_draw(struct simulation *s)
{
	s->random = s->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return ((double)(s->random >> 11) / (1ULL << 53) - 0.5) * sqrt(12);
}

static void sim_disturb(struct simulation *s)
{
	if (!(s->disturbed > 0) || s->now_ns < s->disturbed_until_ns)
		return;
	s->disturbed_until_ns = s->now_ns + SIM_DISTURBED_NS;
	s->share = fmax(0.5 + 0.5 * s->disturbed * sim_draw(s), 0.02);
	s->factor = fmax(1 + 0.3 * s->disturbed * sim_draw(s), 0.3);
}

/* One tick of the process's life. */
static void sim_live(struct simulation *s)
{
	const struct govern_orders *o = &s->law.orders;
	const struct govern_costs *c = &simulated_costs;
	double taken = o->sample_interval ? 1 - exp(-s->size / o->sample_interval) : 1, run = 0,
	       traps = 0, returns = 0, own_ns, pair_ns, n;
	bool entries = o->parts & COVER_ALLOCATIONS, frees = o->parts & COVER_FREES;

	if (!entries || !sim_gate_open(s) || (o->gated && s->scale <= 0))
		taken = 0;
	if (entries) {
		traps += 1;
		returns = taken;
		run += c->skip_ns + taken * SIM_RECORD_NS;
	}
	if (frees) {
		traps += 1;
		run += c->skip_ns;
	}
	sim_disturb(s);
	run *= s->true_cost * s->factor;
	own_ns = s->own_ns * s->factor + (taken > 0 ? s->cold : 0);
	pair_ns = own_ns + run +
		  (traps * c->trap_ns + returns * c->return_ns) * s->true_cost * s->factor;
	n = SIM_TICK_NS * s->share / pair_ns;
	if (s->demand > 0 && n > s->demand * SIM_TICK_NS / 1e9)
		n = s->demand * SIM_TICK_NS / 1e9;
	s->n_pairs += n;
	s->estimate += entries && sim_gate_open(s) ? n * (o->gated ? s->scale : 1) : 0;
	s->cpu_ns += n * pair_ns;
	s->own_total_ns += n * s->own_ns * s->factor;
	s->overhead_ns += n * (pair_ns - s->own_ns * s->factor);
	s->n_entries += entries ? n : 0;
	s->n_frees += frees ? n : 0;
	s->n_returns += n * returns;
	s->run_ns += n * run;
	s->now_ns += SIM_TICK_NS;
}

static void sim_tick(struct simulation *s)
{
	if (s->live)
		s->live(s);
	else
		sim_live(s);
}

static void sim_govern(struct simulation *s)
{
	uint64_t interval = s->law.orders.sample_interval;
	enum govern_mode mode = s->law.mode;
	struct govern_sample sample = sim_sample(s);

	s->next_ns = govern_step(&s->law, &sample, (uint64_t)s->now_ns);
	s->n_changes += mode != s->law.mode || interval != s->law.orders.sample_interval;
	if (!s->law.orders.window_ns)
		return;
	/* Probes take their time to stand. */
	for (int i = 0; i < 10; i++)
		sim_tick(s);
	s->until_ns = s->now_ns + s->law.orders.window_ns;
	s->scale = s->law.orders.scale;
	sample = sim_sample(s);
	govern_opened(&s->law, &sample, (uint64_t)s->now_ns);
	s->next_ns = s->law.close_ns;
}

static void sim_run(struct simulation *s, double seconds)
{
	double end_ns = s->now_ns + seconds * 1e9;

	while (s->now_ns < end_ns) {
		if (s->now_ns >= s->next_ns)
			sim_govern(s);
		sim_tick(s);
	}
}

/* Overhead by own time, from here on for so long. */
static inline double sim_ratio(struct simulation *s, double seconds)
{
	double overhead_ns = s->overhead_ns, own_ns = s->own_total_ns;

	sim_run(s, seconds);
	return (s->overhead_ns - overhead_ns) / (s->own_total_ns - own_ns);
}

#endif

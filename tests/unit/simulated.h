/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TEST_SIMULATED_H
#define TEST_SIMULATED_H
/* Simulated memory of programs over time: leaks of known rate as allocators show them to the kernel, and what is no leak but
 * grows for a while. The same seed makes the same series. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum simulated_kind {
	LEAK_PAGES,  /* page by page */
	LEAK_ARENA,  /* brk by 132 KiB, all of it touched at once */
	LEAK_MMAP,   /* blocks of 1 or 64 MiB: long flat parts */
	LEAK_BURSTY, /* by requests that come in bursts */
	LEAK_NOISY,  /* beside memory that comes and goes */
	LEAK_GC,     /* a collector's saw whose floor rises */
	LEAK_WARM,   /* after a warm-up; not among the issue's */
	SIMULATED_LEAKS,
	FLAT = SIMULATED_LEAKS,
	TOUCHES,     /* a page now and then, ever more rarely */
	SAWTOOTH,    /* a cache that fills and is trimmed, every 5 s to 10 min */
	RANDOM_TRIM, /* a cache trimmed at any time and depth */
	WARM_EXP,    /* approaches its size, time constant 10 s to 5 min */
	WARM_LOG,    /* a cache that misses ever more rarely */
	WARM_LINEAR, /* fills at a constant rate to its limit */
	CHURN,	     /* around a mean */
	GC_FLAT,     /* a collector's saw */
	STEPS,	     /* loads data once or twice */
	SHRINK,
	REDIS_FORK,   /* copies of pages written while a child saves, freed at its end */
	JVM,	      /* heap grows to its size, then saws, with a full collection now and then */
	NGINX_RELOAD, /* two sets of workers for a while */
	START_DIPS,   /* loads within seconds, then constant, with a short dip now and then */
	BUILDS,	      /* the sum of up to eight short-lived processes, as of a cgroup of make's */
	SIMULATED_KINDS
};

#define SIMULATED_JOBS 8

struct simulated {
	enum simulated_kind kind;
	uint64_t random;
	double rate; /* of a leak, bytes per second; 0 of the others */
	double seconds;
	double delay; /* before anything happens; to be set after the start */
	double base, amplitude, period, phase, level, noise, churn, next, until;
	unsigned int n_cpus; /* whose part of the counter lags; 0: it is exact */
	double lag_bytes;    /* by how much */
	double shown,
		hidden[4]; /* the counter as read, and what its processors have not given to it */
	double before;
	struct {
		double bytes, start, end; /* seconds */
	} jobs[SIMULATED_JOBS];
	unsigned int n_jobs;
};

const char *simulated_name(enum simulated_kind kind);
/* rate is for leaks; the rest is drawn from the seed. */
void simulated_start(struct simulated *s, enum simulated_kind kind, uint64_t seed, double rate);
/* What the kernel's counter says this many seconds later; the first call's is the first value. */
double simulated_next(struct simulated *s, double seconds);
/* Uniform in [0, 1). */
double simulated_uniform(uint64_t *random);

#define POPULATION 200
#define POPULATION_LEAKS 20 /* the first of it, rates from 1 KB/s to 10 MB/s */
/* The 200 processes. */
void simulated_population(struct simulated population[POPULATION], uint64_t seed);
/* The same with more variety: leaks after a warm-up, half of all begin late, some caches and warm-ups are ten times as slow,
 * the flat ones load and dip, or are builds. */
void simulated_varied_population(struct simulated population[POPULATION], uint64_t seed);

#endif

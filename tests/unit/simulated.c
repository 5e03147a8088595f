// SPDX-License-Identifier: BSD-2-Clause
#include "simulated.h"

#include <math.h>

#include "base/cleanup.h"

#define KB 1e3
#define MB 1e6
#define PAGE 4096.0

static const char *const names[SIMULATED_KINDS] = {
	[LEAK_PAGES] = "leak by pages",
	[LEAK_ARENA] = "leak by arenas",
	[LEAK_MMAP] = "leak by mmap",
	[LEAK_BURSTY] = "leak in bursts",
	[LEAK_NOISY] = "leak and churn",
	[LEAK_GC] = "leak under a collector",
	[LEAK_WARM] = "leak after a warm-up",
	[FLAT] = "flat",
	[TOUCHES] = "touches",
	[SAWTOOTH] = "sawtooth",
	[RANDOM_TRIM] = "random trim",
	[WARM_EXP] = "warm-up, exponential",
	[WARM_LOG] = "warm-up, logarithm",
	[WARM_LINEAR] = "warm-up, linear",
	[CHURN] = "churn",
	[GC_FLAT] = "collector",
	[STEPS] = "steps",
	[SHRINK] = "shrinks",
	[REDIS_FORK] = "redis fork",
	[JVM] = "JVM heap",
	[NGINX_RELOAD] = "nginx reload",
	[START_DIPS] = "start and dips",
	[BUILDS] = "builds",
};

const char *simulated_name(enum simulated_kind kind)
{
	return names[kind];
}

/* splitmix64 (Steele, Lea, Flood 2014). */
double simulated_uniform(uint64_t *random)
{
	uint64_t z = *random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return ((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static double between(struct simulated *s, double low, double high)
{
	return low + (high - low) * simulated_uniform(&s->random);
}

static double log_between(struct simulated *s, double low, double high)
{
	return low * pow(high / low, simulated_uniform(&s->random));
}

static double exponential(struct simulated *s, double mean)
{
	return -mean * log(1 - simulated_uniform(&s->random));
}

static double normal(struct simulated *s)
{
	double radius = sqrt(exponential(s, 2));

	return radius * cos(2 * M_PI * simulated_uniform(&s->random));
}

static void start_leak(struct simulated *s)
{
	s->phase = between(s, 0, 64 * 1048576.0);
	switch (s->kind) {
	case LEAK_BURSTY:
		s->period = log_between(s, 0.5, 10);
		break;
	case LEAK_NOISY:
		s->amplitude = log_between(s, 50 * KB, 3 * MB);
		s->period = log_between(s, 1, 20);
		break;
	case LEAK_GC:
		s->amplitude = log_between(s, 2 * MB, 100 * MB);
		s->period = log_between(s, 2, 40);
		s->until = s->period * between(s, 0, 1);
		break;
	case LEAK_WARM:
		s->amplitude = log_between(s, 1 * MB, 100 * MB);
		s->period = log_between(s, 5, 100);
		break;
	default:
		break;
	}
}

static void start_other(struct simulated *s)
{
	s->amplitude = log_between(s, 300 * KB, 500 * MB);
	switch (s->kind) {
	case SAWTOOTH:
	case RANDOM_TRIM:
	case GC_FLAT:
		s->period = s->kind == GC_FLAT ? log_between(s, 2, 60) : log_between(s, 5, 600);
		s->level = s->amplitude * between(s, 0, 1);
		s->noise = between(s, 0, 0.15);
		s->next = s->amplitude;
		break;
	case WARM_EXP:
	case WARM_LOG:
	case WARM_LINEAR:
		s->period = log_between(s, 10, 300);
		s->phase = between(s, 0, 0.3) * s->period;
		s->noise = simulated_uniform(&s->random) < 0.5 ? 0 : 0.01;
		break;
	case CHURN:
		s->amplitude = log_between(s, 100 * KB, 50 * MB);
		s->period = log_between(s, 1, 120);
		s->churn = normal(s) * s->amplitude;
		break;
	case STEPS:
		s->period = log_between(s, 20, 400);
		s->next = exponential(s, s->period);
		break;
	case TOUCHES:
		s->next = 1;
		break;
	case SHRINK:
		s->base += s->amplitude;
		s->period = log_between(s, 30, 1000);
		break;
	case REDIS_FORK:
	case NGINX_RELOAD:
		s->period = log_between(s, 60, 600);
		s->next = s->period * between(s, 0.1, 1);
		s->until = -1;
		break;
	case START_DIPS:
		s->amplitude = log_between(s, 300 * KB, 50 * MB);
		s->period = log_between(s, 20, 400);
		s->phase = log_between(s, 1, 6);
		s->next = s->phase + exponential(s, s->period);
		break;
	case BUILDS:
		s->n_jobs = 1 + between(s, 0, SIMULATED_JOBS);
		s->period = log_between(s, 0.1, 10);
		break;
	case JVM:
		s->amplitude = log_between(s, 50 * MB, 500 * MB);
		s->period = log_between(s, 2, 20);
		s->phase = log_between(s, 10, 200);
		s->until = s->period;
		break;
	default:
		break;
	}
}

void simulated_start(struct simulated *s, enum simulated_kind kind, uint64_t seed, double rate)
{
	*s = (struct simulated){.kind = kind, .random = seed * 0x2545f4914f6cdd1dULL + kind};
	s->rate = kind < SIMULATED_LEAKS ? rate : 0;
	simulated_uniform(&s->random);
	s->base = log_between(s, 2 * MB, 500 * MB);
	/* From Linux 6.2 a processor keeps up to 32 pages or two a processor to itself, before that each thread 64. */
	s->n_cpus = simulated_uniform(&s->random) < 0.5 ? 0 : 1 + between(s, 0, 4);
	s->lag_bytes = (simulated_uniform(&s->random) < 0.5 ? 32 : 64) * PAGE;
	if (kind < SIMULATED_LEAKS)
		start_leak(s);
	else
		start_other(s);
}

/* Mean reverting: variance of amplitude squared, forgotten within period. */
static double churn(struct simulated *s, double dt)
{
	double keep = exp(-dt / s->period);

	s->churn = s->churn * keep + normal(s) * s->amplitude * sqrt(1 - keep * keep);
	return s->churn;
}

/* A part of the leak's growth of dt seconds, by requests whose number and size vary. */
static double requests(struct simulated *s, double dt)
{
	double mean = s->rate * dt;

	return fmax(0, mean * (1 + 0.3 * normal(s)));
}

static double leak(struct simulated *s, double dt)
{
	double block;

	switch (s->kind) {
	case LEAK_ARENA:
		s->level += requests(s, dt);
		return floor((s->level + s->phase) / 135168) * 135168;
	case LEAK_MMAP:
		block = s->rate < MB ? 1048576 : 64 * 1048576.0;
		s->level += requests(s, dt);
		return floor((s->level + s->phase) / block) * block;
	case LEAK_BURSTY:
		for (s->next -= dt; s->next <= 0; s->next += exponential(s, s->period))
			s->level += s->rate * exponential(s, s->period);
		return s->level;
	case LEAK_NOISY:
		s->level += requests(s, dt);
		return s->level + fabs(churn(s, dt));
	case LEAK_WARM:
		s->level += requests(s, dt);
		return s->level + s->amplitude * (1 - exp(-s->seconds / s->period));
	case LEAK_GC:
		s->level += requests(s, dt);
		s->until += dt;
		if (s->until >= s->period)
			s->until = fmod(s->until, s->period) * between(s, 0.9, 1);
		return s->level + s->amplitude * s->until / s->period;
	default:
		s->level += requests(s, dt);
		return s->level;
	}
}

static double saw(struct simulated *s, double dt)
{
	double depth = s->kind == RANDOM_TRIM ? between(s, 0.1, 1)
					      : 1 - s->noise * between(s, 0, 1);

	s->level += s->amplitude * dt / s->period * between(s, 0.7, 1.3);
	if (s->level >= s->next) {
		s->level -= s->level * depth;
		s->next = s->amplitude *
			  (s->kind == RANDOM_TRIM ? between(s, 0.4, 1.2) : between(s, 0.95, 1.05));
	}
	return s->level;
}

static double warm_up(struct simulated *s)
{
	double x = (s->seconds + s->phase) / s->period, wobble = s->noise * normal(s);

	if (s->kind == WARM_EXP)
		return s->amplitude * (1 - exp(-x)) * (1 + wobble);
	if (s->kind == WARM_LOG)
		return s->amplitude * log1p(x * 10) / 4 * (1 + wobble);
	return s->amplitude * fmin(x, 1) * (1 + (x < 1 ? 0 : wobble));
}

/* A second generation of pages while a child saves the database or old workers finish. */
static double two_generations(struct simulated *s, double dt)
{
	double lasts = s->kind == REDIS_FORK ? 0.3 * s->period : 0.15 * s->period;

	s->next -= dt;
	if (s->next <= 0 && s->until < 0)
		s->until = 0;
	if (s->until < 0)
		return 0;
	s->until += dt;
	if (s->until > lasts) {
		s->until = -1;
		s->next = s->period * between(s, 0.7, 1.3);
		return 0;
	}
	if (s->kind == NGINX_RELOAD)
		return s->amplitude * (1 - 0.3 * s->until / lasts);
	return s->amplitude * (1 - exp(-3 * s->until / lasts));
}

/* Parts arrive in the first seconds; a page comes and goes, and a dip is as deep as a tenth. */
static double start_and_dips(struct simulated *s)
{
	double loaded = fmin(ceil(s->seconds / s->phase * 3) / 3, 1) * s->amplitude;

	if (s->seconds < s->phase)
		return loaded;
	loaded += simulated_uniform(&s->random) < 0.15 ? PAGE : 0;
	if (s->seconds < s->next)
		return loaded;
	s->next = s->seconds + exponential(s, s->period);
	return loaded - log_between(s, PAGE, s->amplitude / 10);
}

/* Compilers: each grows to its size as long as it lives, another follows, sooner or later. */
static double builds(struct simulated *s)
{
	double bytes = 0;

	for (unsigned int i = 0; i < s->n_jobs; i++) {
		if (s->seconds >= s->jobs[i].end) {
			s->jobs[i].start = s->seconds + exponential(s, s->period);
			s->jobs[i].end = s->jobs[i].start + between(s, 1, 30);
			s->jobs[i].bytes = log_between(s, 1 * MB, 200 * MB);
		}
		if (s->seconds > s->jobs[i].start)
			bytes += s->jobs[i].bytes * pow((s->seconds - s->jobs[i].start) /
								(s->jobs[i].end - s->jobs[i].start),
							0.5);
	}
	return bytes;
}

static double other(struct simulated *s, double dt)
{
	double bytes = 0;

	switch (s->kind) {
	case TOUCHES:
		for (; s->next <= s->seconds; s->next += exponential(s, 2 + s->seconds / 3))
			s->level += PAGE * floor(1 + between(s, 0, 16));
		return s->level;
	case SAWTOOTH:
	case RANDOM_TRIM:
	case GC_FLAT:
		return saw(s, dt);
	case WARM_EXP:
	case WARM_LOG:
	case WARM_LINEAR:
		return warm_up(s);
	case CHURN:
		return fabs(churn(s, dt));
	case STEPS:
		for (; s->next <= s->seconds && s->level < s->amplitude / 2;
		     s->next += exponential(s, s->period))
			s->level += s->amplitude * between(s, 0.1, 0.5);
		return s->level;
	case SHRINK:
		return -s->amplitude * fmin(1, s->seconds / s->period);
	case REDIS_FORK:
	case NGINX_RELOAD:
		return two_generations(s, dt);
	case START_DIPS:
		return start_and_dips(s);
	case BUILDS:
		return builds(s);
	case JVM:
		s->until += dt;
		if (s->until >= s->period)
			s->until = 0;
		s->level = s->amplitude * (1 - exp(-s->seconds / s->phase));
		bytes = s->level * (0.6 + 0.4 * s->until / s->period);
		return fmod(s->seconds, 150) > 147 ? s->level * 0.4 : bytes;
	default:
		return 0;
	}
}

/* Growth of a second happens on one processor or another, which gives it to the counter only from lag_bytes on. */
static double counter(struct simulated *s, double bytes)
{
	double *hidden = &s->hidden[(size_t)between(s, 0, s->n_cpus ? s->n_cpus : 1)];

	if (!s->n_cpus)
		return bytes;
	*hidden += bytes - s->before;
	s->before = bytes;
	if (fabs(*hidden) >= s->lag_bytes) {
		s->shown += *hidden;
		*hidden = 0;
	}
	return s->shown;
}

double simulated_next(struct simulated *s, double seconds)
{
	double bytes = 0;

	s->delay -= seconds;
	if (s->delay <= 0) {
		s->seconds += seconds;
		bytes = s->kind < SIMULATED_LEAKS ? leak(s, seconds) : other(s, seconds);
	}
	bytes = floor((s->base + bytes) / PAGE) * PAGE;
	return fmax(0, counter(s, fmax(0, bytes)));
}

void simulated_population(struct simulated population[POPULATION], uint64_t seed)
{
	static const unsigned int others[SIMULATED_KINDS] = {
		[FLAT] = 40,	 [TOUCHES] = 20,     [SAWTOOTH] = 30,	 [RANDOM_TRIM] = 10,
		[WARM_EXP] = 15, [WARM_LOG] = 5,     [WARM_LINEAR] = 10, [CHURN] = 20,
		[GC_FLAT] = 10,	 [STEPS] = 6,	     [SHRINK] = 4,	 [REDIS_FORK] = 3,
		[JVM] = 4,	 [NGINX_RELOAD] = 3,
	};
	size_t n = 0;

	for (; n < POPULATION_LEAKS; n++)
		simulated_start(&population[n], (n + seed) % LEAK_WARM, seed * POPULATION + n,
				KB * pow(1e4, n / (POPULATION_LEAKS - 1.0)));
	for (size_t kind = SIMULATED_LEAKS; kind < SIMULATED_KINDS; kind++)
		for (size_t i = 0; i < others[kind]; i++, n++)
			simulated_start(&population[n], kind, seed * POPULATION + n, 0);
}

void simulated_varied_population(struct simulated population[POPULATION], uint64_t seed)
{
	simulated_population(population, seed);
	for (size_t i = 0; i < POPULATION; i++) {
		struct simulated *s = &population[i];
		uint64_t random = seed * 1000 + i;

		simulated_uniform(&random);
		if (s->kind == FLAT)
			simulated_start(s, i % 2 ? START_DIPS : BUILDS, seed * 1000 + i, 0);
		if (s->rate > 0 && simulated_uniform(&random) < 0.3)
			simulated_start(s, LEAK_WARM, seed * 1000 + i, s->rate);
		if (simulated_uniform(&random) < 0.5)
			s->delay = 10 * pow(1500, simulated_uniform(&random));
		if (!(s->rate > 0) && simulated_uniform(&random) < 0.2) {
			s->period *= 10;
			s->phase *= 10;
		}
	}
}

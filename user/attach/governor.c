// SPDX-License-Identifier: BSD-2-Clause
#include "attach/governor.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach/calibrate.h"
#include "attach/cover.h"
#include "attach/kernel.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/vec.h"
#include "wire.h"

#define STEP_NS (NS_PER_SECOND / 4) /* of one that is not hit yet */
#define HOST_SECONDS 30.0
#define SEEK_NS (NS_PER_SECOND / 2) /* for processes that are new */
#define SOON_NS 2000000 /* calls that began before a window closed have ended, nearly always */

/* One traced instance. */
struct subject {
	uint32_t instance;
	pid_t pid;
	struct wire_governed *record;
	struct govern law;
	struct govern_orders done; /* as carried out */
	uint64_t next_ns;
	uint64_t unit;		/* cover_unit()'s, as of the last step */
	struct subject *leader; /* whose windows it follows, NULL: its own law holds */
	bool inexact, missed_frees, ended;
	bool forgotten; /* by all but the thread */
	double overhead_rate,
		told_overhead_ns; /* hold_host()'s: ns a second; the law's sum that is in it */
};

struct governor {
	pthread_mutex_t lock; /* of all below; not held while probes are placed */
	pthread_cond_t wake;
	pthread_t thread;
	bool running, stop;
	struct kernel *kernel;
	struct cover *cover;
	struct govern_costs costs;
	struct governor_options options;
	int instances_fd;
	struct {
		struct subject **items;
		size_t n, cap;
	} subjects;
	struct hashmap by_instance;
	uint64_t seek_ns, host_ns, held_ns;
};

static clockid_t cpu_clock(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) ? -1 : clock;
}

/* Of all threads of the process, ended ones too. */
static int cpu_time(pid_t pid, uint64_t *ret_ns)
{
	struct timespec t;
	clockid_t clock = cpu_clock(pid);

	if (clock == -1 || clock_gettime(clock, &t))
		return -ESRCH;
	*ret_ns = t.tv_sec * NS_PER_SECOND + t.tv_nsec;
	return 0;
}

static int take_sample(struct subject *s, struct govern_sample *ret)
{
	const struct wire_governed *r = s->record;
	int err = cpu_time(s->pid, &ret->cpu_ns);

	ret->n_entries = __atomic_load_n(&r->n_entries, __ATOMIC_RELAXED);
	ret->n_returns = __atomic_load_n(&r->n_returns, __ATOMIC_RELAXED);
	ret->n_frees = __atomic_load_n(&r->n_frees, __ATOMIC_RELAXED);
	ret->n_stepped = __atomic_load_n(&r->n_stepped, __ATOMIC_RELAXED);
	ret->run_ns = __atomic_load_n(&r->run_ns, __ATOMIC_RELAXED);
	return err;
}

/* Caller holds the lock. */
static void add_subject(struct governor *gov, uint32_t instance, uint64_t now_ns)
{
	struct wire_governed *record = kernel_governed(gov->kernel, instance);
	struct wire_process process;
	struct subject *s;

	if (!record || bpf_map_lookup_elem(gov->instances_fd, &instance, &process) || process.ended)
		return;
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->instance = instance;
	s->pid = process.pid;
	s->record = record;
	govern_init(&s->law, &gov->costs, gov->options.budget, gov->options.base_interval,
		    now_ns ^ (uint64_t)instance << 32, now_ns);
	/* A forked one has its parent's orders already. */
	if (record->sample_interval > gov->options.base_interval)
		govern_inherit(&s->law, record->sample_interval);
	else
		record->sample_interval = gov->options.base_interval;
	s->inexact = s->law.orders.sample_interval;
	if (s->inexact)
		record->flags |= WIRE_GOVERNED_INEXACT;
	s->done = s->law.orders;
	take_sample(s, &s->law.last);
	s->next_ns = now_ns + NS_PER_SECOND / 2;
	if (hashmap_put(&gov->by_instance, instance, s) || vec_push(&gov->subjects, s)) {
		hashmap_take(&gov->by_instance, instance);
		free(s);
	}
}

static void seek(struct governor *gov, uint64_t now_ns)
{
	if (now_ns < gov->seek_ns)
		return;
	gov->seek_ns = now_ns + SEEK_NS;
	for (uint32_t i = 0; i < WIRE_GOVERNED; i++) {
		uint32_t instance = kernel_governed_at(gov->kernel, i);

		if (instance && !hashmap_get(&gov->by_instance, instance))
			add_subject(gov, instance, now_ns);
	}
}

static void store(__u64 *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
}

/* Nothing is recorded from now on. */
static void close_gate(struct subject *s)
{
	store(&s->record->until_ns, 1);
	s->record->flags |= WIRE_GOVERNED_INEXACT;
	s->inexact = true;
}

static void open_gate(struct subject *s, uint64_t sample_interval, double scale, uint64_t until_ns)
{
	close_gate(s);
	__atomic_store_n(&s->record->scale, (uint32_t)llround(scale * WIRE_WEIGHT_ONE),
			 __ATOMIC_RELEASE);
	store(&s->record->sample_interval, sample_interval);
	store(&s->record->until_ns, until_ns);
}

/* Tells the kernel side and moves the probes as the law has it. Without the lock while probes move: that takes milliseconds. Only
 * the governor's thread frees subjects, so s stays. */
static void carry_out(struct governor *gov, struct subject *s, const struct govern_orders *o)
{
	struct diag ignored = {0};
	bool move = o->parts != s->done.parts;

	if (o->gated && !o->window_ns && !(o->parts & COVER_ALLOCATIONS))
		close_gate(s);
	if (o->gated && !s->done.gated)
		close_gate(s);
	if (o->sample_interval && !o->gated) {
		s->inexact = true;
		s->record->flags |= WIRE_GOVERNED_INEXACT;
	}
	if (!o->gated)
		store(&s->record->sample_interval, o->sample_interval);
	s->missed_frees |= !(o->parts & COVER_FREES);
	s->done = *o;
	if (move) {
		struct timespec soon = {.tv_nsec = SOON_NS};

		pthread_mutex_unlock(&gov->lock);
		if (!(o->parts & COVER_ALLOCATIONS))
			nanosleep(&soon, NULL);
		/* What cannot be placed shows as probes that are not hit; the process may be gone. */
		cover_set_parts(gov->cover, s->pid, s->done.parts, &ignored);
		pthread_mutex_lock(&gov->lock);
	}
	if (!o->gated)
		store(&s->record->until_ns, 0);
}

/* Those that share the leader's probes follow it. phase: what has stood until now. */
static void lead(struct governor *gov, struct subject *leader, const struct govern_orders *o,
		 enum govern_phase phase, bool new_cycle)
{
	struct govern_sample sample;

	for (size_t i = 0; i < gov->subjects.n; i++) {
		struct subject *s = gov->subjects.items[i];

		if (s == leader || s->ended || s->forgotten || !s->unit || s->unit != leader->unit)
			continue;
		if (o->gated && (!s->leader || s->leader == leader)) {
			s->leader = leader;
			if (!take_sample(s, &sample))
				govern_follow(&s->law, &sample, phase, new_cycle,
					      leader->law.last_ns);
			carry_out(gov, s, o);
		} else if (!o->gated && s->leader == leader) {
			s->leader = NULL;
			s->next_ns = leader->law.last_ns;
			carry_out(gov, s, &s->law.orders);
		}
	}
}

/* Those who followed go by their own law again. */
static void release(struct governor *gov, struct subject *leader)
{
	lead(gov, leader, &(struct govern_orders){.parts = COVER_ALL, .scale = 1}, GOVERN_CLOSED,
	     false);
}

/* Whoever comes to share probes that are moved already follows, too. */
static void follow_leader(struct governor *gov, struct subject *s)
{
	for (size_t i = 0; i < gov->subjects.n && !s->leader; i++) {
		struct subject *leader = gov->subjects.items[i];

		if (leader == s || leader->leader || leader->ended || leader->forgotten ||
		    !leader->law.orders.gated || !s->unit || leader->unit != s->unit)
			continue;
		s->leader = leader;
		carry_out(gov, s,
			  &(struct govern_orders){.parts = leader->done.parts, .gated = true});
	}
}

static void open_windows(struct governor *gov, struct subject *leader,
			 const struct govern_orders *o)
{
	uint64_t now_ns = clock_monotonic_ns();
	struct govern_sample sample = {0};

	for (size_t i = 0; i < gov->subjects.n; i++) {
		struct subject *s = gov->subjects.items[i];
		double scale = o->scale;

		if (s == leader || s->leader != leader || take_sample(s, &sample))
			continue;
		/* One that came later is not known to be slowed down how much. */
		if (scale > 0)
			scale = s->law.phases[GOVERN_OPEN].wall_ns > 0
					? govern_scale(&s->law, leader->law.cycle_ns)
					: 0;
		govern_follow(&s->law, &sample, GOVERN_OPENS, false, now_ns);
		open_gate(s, o->sample_interval, scale, now_ns + o->window_ns);
	}
	take_sample(leader, &sample);
	open_gate(leader, o->sample_interval, o->scale, now_ns + o->window_ns);
	govern_opened(&leader->law, &sample, now_ns);
	leader->next_ns = leader->law.close_ns;
}

static void step(struct governor *gov, struct subject *s, uint64_t now_ns)
{
	uint64_t cycle_end_ns = s->law.cycle_end_ns;
	enum govern_phase phase = s->law.phase;
	struct govern_sample sample;
	struct govern_orders orders;

	if (take_sample(s, &sample)) {
		s->ended = true;
		release(gov, s);
		return;
	}
	/* Until its probes stand there is nothing to judge. */
	if (!(sample.n_entries + sample.n_frees)) {
		s->law.last = sample;
		s->law.last_ns = now_ns;
		s->next_ns = now_ns + STEP_NS;
		return;
	}
	s->unit = cover_unit(gov->cover, s->pid);
	follow_leader(gov, s);
	s->next_ns = s->leader ? UINT64_MAX : govern_step(&s->law, &sample, now_ns);
	if (s->leader)
		return;
	orders = s->law.orders;
	carry_out(gov, s, &orders);
	lead(gov, s, &orders, phase, s->law.cycle_end_ns != cycle_end_ns);
	if (orders.window_ns)
		open_windows(gov, s, &orders);
}

/* Of the last half minute or so, which is more than a cycle of windows of an expensive process. */
static void average(struct subject *s, double seconds)
{
	double rate = (s->law.total_overhead_ns - s->told_overhead_ns) / seconds;

	s->told_overhead_ns = s->law.total_overhead_ns;
	s->overhead_rate += (rate - s->overhead_rate) * (1 - exp(-seconds / HOST_SECONDS));
}

/* Together they may cost no more than the same share of the host: the one that spends most has to make do with less, for now. */
static void hold_host(struct governor *gov, uint64_t now_ns)
{
	double sum = 0, most = gov->options.budget * sysconf(_SC_NPROCESSORS_ONLN) * NS_PER_SECOND,
	       seconds = (double)(now_ns - gov->host_ns) / NS_PER_SECOND;
	struct subject *largest = NULL;

	if (seconds < 1)
		return;
	gov->host_ns = now_ns;
	for (size_t i = 0; i < gov->subjects.n; i++) {
		struct subject *s = gov->subjects.items[i];

		average(s, seconds);
		sum += s->overhead_rate;
		if (!s->ended && (!largest || s->overhead_rate > largest->overhead_rate))
			largest = s;
	}
	for (size_t i = 0; sum < 0.7 * most && i < gov->subjects.n; i++) {
		struct govern *law = &gov->subjects.items[i]->law;

		law->budget = fmin(law->budget * 1.02, gov->options.budget);
	}
	/* What was done shows in the average only after a while. */
	if (sum <= most || !largest || now_ns - gov->held_ns < HOST_SECONDS * NS_PER_SECOND)
		return;
	gov->held_ns = now_ns;
	largest->law.budget = fmax(largest->law.budget / 2, gov->options.budget / 64);
}

static void reap(struct governor *gov)
{
	for (size_t i = 0; i < gov->subjects.n; i++) {
		struct subject *s = gov->subjects.items[i];

		if (!s->forgotten)
			continue;
		if (!s->ended)
			release(gov, s);
		kernel_govern_forget(gov->kernel, s->instance);
		gov->subjects.items[i--] = gov->subjects.items[--gov->subjects.n];
		free(s);
	}
}

static uint64_t next_event(const struct governor *gov)
{
	uint64_t next_ns = gov->seek_ns;

	for (size_t i = 0; i < gov->subjects.n; i++) {
		const struct subject *s = gov->subjects.items[i];

		if (!s->ended && s->next_ns < next_ns)
			next_ns = s->next_ns;
	}
	return next_ns;
}

static void wait_until(struct governor *gov, uint64_t time_ns)
{
	struct timespec t = {time_ns / NS_PER_SECOND, time_ns % NS_PER_SECOND};

	pthread_cond_timedwait(&gov->wake, &gov->lock, &t);
}

static void *run(void *arg)
{
	struct governor *gov = arg;

	pthread_mutex_lock(&gov->lock);
	while (!gov->stop) {
		uint64_t now_ns = clock_monotonic_ns();
		bool sought = now_ns >= gov->seek_ns;

		reap(gov);
		seek(gov, now_ns);
		for (size_t i = 0; i < gov->subjects.n && !gov->stop; i++) {
			struct subject *s = gov->subjects.items[i];

			now_ns = clock_monotonic_ns();
			if (!s->ended && !s->forgotten && s->next_ns <= now_ns)
				step(gov, s, now_ns);
		}
		if (sought) {
			hold_host(gov, now_ns);
			cover_trim(gov->cover);
		}
		if (!gov->stop)
			wait_until(gov, next_event(gov));
	}
	pthread_mutex_unlock(&gov->lock);
	return NULL;
}

static int start_thread(struct governor *gov)
{
	sigset_t all, before;
	int err;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&gov->thread, NULL, run, gov);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	gov->running = !err;
	return -err;
}

int governor_create(struct kernel *k, struct cover *cover, const struct calibration *costs,
		    const struct governor_options *options, struct governor **ret, struct diag *d)
{
	const struct calibration_hit *hit = &costs->emulated;
	struct governor *gov = calloc(1, sizeof(*gov));
	struct kernel_maps maps;
	pthread_condattr_t monotonic;
	int err;

	if (!gov)
		return diag_set(d, ENOMEM, "out of memory");
	kernel_get_maps(k, &maps);
	pthread_mutex_init(&gov->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&gov->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	gov->kernel = k;
	gov->cover = cover;
	gov->options = *options;
	gov->instances_fd = maps.instances;
	gov->host_ns = clock_monotonic_ns();
	gov->costs = (struct govern_costs){
		.trap_ns = hit->floor_ns,
		.return_ns = fmax(hit->floor_with_return_ns - hit->floor_ns, 0),
		.stepped_ns = fmax(costs->stepped.floor_ns - hit->floor_ns, 0),
		.skip_ns = fmax(hit->skipped_ns - hit->floor_ns, 50),
		.pair_ns = hit->allocate_ns + hit->free_ns,
		.returns_always = kernel_link(k) != LINK_SESSION,
	};
	err = start_thread(gov);
	if (err) {
		governor_destroy(gov);
		return diag_set(d, -err, "cannot start the governor: %s", strerror(-err));
	}
	*ret = gov;
	return 0;
}

void governor_destroy(struct governor *gov)
{
	if (!gov)
		return;
	pthread_mutex_lock(&gov->lock);
	gov->stop = true;
	pthread_cond_signal(&gov->wake);
	pthread_mutex_unlock(&gov->lock);
	if (gov->running)
		pthread_join(gov->thread, NULL);
	for (size_t i = 0; i < gov->subjects.n; i++)
		free(gov->subjects.items[i]);
	free(gov->subjects.items);
	hashmap_done(&gov->by_instance);
	pthread_cond_destroy(&gov->wake);
	pthread_mutex_destroy(&gov->lock);
	free(gov);
}

bool governor_get(struct governor *gov, uint32_t instance, struct governor_state *ret)
{
	const struct subject *s;

	pthread_mutex_lock(&gov->lock);
	s = hashmap_get(&gov->by_instance, instance);
	if (s) {
		const struct govern *law = s->leader ? &s->leader->law : &s->law;

		*ret = (struct governor_state){
			.mode = law->mode,
			.sample_interval = law->orders.sample_interval,
			.duty = govern_duty(law),
			.error = fmax(govern_error(law), govern_error(&s->law)),
			.overhead_ratio = s->law.ratio,
			.cause_ratio = law->cause_ratio,
			.since_ns = law->since_ns,
			.inexact = s->inexact,
			.shared = s->leader,
			.missed_frees = s->missed_frees,
		};
	}
	pthread_mutex_unlock(&gov->lock);
	return s;
}

void governor_forget(struct governor *gov, uint32_t instance)
{
	struct subject *s;

	pthread_mutex_lock(&gov->lock);
	s = hashmap_take(&gov->by_instance, instance);
	if (s)
		s->forgotten = true;
	else
		kernel_govern_forget(gov->kernel, instance);
	pthread_mutex_unlock(&gov->lock);
}

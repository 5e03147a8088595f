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
#include "attach/crowd.h"
#include "attach/kernel.h"
#include "attach/leading.h"
#include "attach/subject.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/vec.h"
#include "wire.h"

#define STEP_NS (NS_PER_SECOND / 4) /* of one that is not hit yet */
#define HOST_SECONDS 30.0
#define SEEK_NS (NS_PER_SECOND / 2) /* for processes that are new */
#define SOON_NS 2000000 /* calls that began before a window closed have ended, nearly always */
#define WATCH_NS (10 * NS_PER_SECOND)
#define QUIET_NS (60 * NS_PER_SECOND)
#define QUIET_LOAD 0.1 /* of the thousandth of a CPU that everybody may cost */

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
	struct subjects subjects;
	struct hashmap by_instance;
	struct crowd *crowd;	/* NULL: probes are not shared, each is governed by itself */
	struct leading leading; /* with a crowd */
	uint64_t seek_ns, host_ns, held_ns;
};

/* A forked one has its parent's orders already. */
static void begin_alone(struct governor *gov, struct subject *s)
{
	struct wire_governed *record = s->record;

	if (record->sample_interval > gov->options.base_interval)
		govern_inherit(&s->law, record->sample_interval);
	else
		record->sample_interval = gov->options.base_interval;
	if (s->law.orders.sample_interval)
		subject_flag(s, WIRE_GOVERNED_INEXACT);
	s->done = s->law.orders;
	s->next_ns += NS_PER_SECOND / 2;
}

/* With the crowd's orders, before they are no longer looked at. */
static void leave_crowd(struct governor *gov, struct subject *s)
{
	const struct wire_governed *all = gov->leading.crowd.record;
	struct wire_governed *record = s->record;

	record->scale = all->scale;
	record->sample_interval = all->sample_interval;
	record->until_ns = all->until_ns;
	__atomic_fetch_and(&record->flags, ~WIRE_GOVERNED_CROWD, __ATOMIC_SEQ_CST);
	if (!leading_leads(&gov->leading) && all->sample_interval)
		govern_inherit(&s->law, all->sample_interval);
	s->done = gov->leading.crowd.done;
}

/* Caller holds the lock. */
static void add_subject(struct governor *gov, uint32_t instance, pid_t pid, uint64_t now_ns)
{
	struct wire_governed *record = kernel_governed(gov->kernel, instance);
	struct subject *s = record ? calloc(1, sizeof(*s)) : NULL;

	if (!s)
		return;
	s->instance = instance;
	s->pid = pid;
	s->record = record;
	govern_init(&s->law, &gov->costs, gov->options.budget, gov->options.base_interval,
		    now_ns ^ (uint64_t)instance << 32, now_ns);
	s->law.allowed_anyway = fmax(s->law.allowed_anyway, gov->options.allowed_anyway);
	subject_sample(s, &s->law.last);
	s->next_ns = s->hit_ns = now_ns;
	if (hashmap_put(&gov->by_instance, instance, s) || vec_push(&gov->subjects, s)) {
		hashmap_take(&gov->by_instance, instance);
		free(s);
		return;
	}
	if (gov->crowd)
		leave_crowd(gov, s);
	else
		begin_alone(gov, s);
}

static void leaves(void *arg, uint32_t instance, pid_t pid)
{
	add_subject(arg, instance, pid, clock_monotonic_ns());
}

static void seek(struct governor *gov, uint64_t now_ns)
{
	uint32_t n = kernel_governed_end(gov->kernel);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t instance = kernel_governed_at(gov->kernel, i);
		struct wire_process process;

		if (!instance || hashmap_get(&gov->by_instance, instance) ||
		    bpf_map_lookup_elem(gov->instances_fd, &instance, &process) || process.ended)
			continue;
		add_subject(gov, instance, process.pid, now_ns);
	}
}

/* Tells the kernel side and moves the process's own probes as its law has it, without the lock: that takes milliseconds. Only the
 * governor's thread frees subjects, so s stays. */
static void carry_out(struct governor *gov, struct subject *s)
{
	const struct govern_orders *o = &s->law.orders;
	const struct timespec soon = {.tv_nsec = SOON_NS};
	bool move = o->parts != s->done.parts;
	struct diag ignored = {0};

	subject_prepare(s, o);
	if (move) {
		pthread_mutex_unlock(&gov->lock);
		if (!(s->done.parts & COVER_ALLOCATIONS))
			nanosleep(&soon, NULL);
		/* What cannot be placed shows as probes that are not hit; the process may be gone. */
		cover_set_parts(gov->cover, s->pid, s->done.parts, &ignored);
		pthread_mutex_lock(&gov->lock);
	}
	subject_finish(s);
}

static void open_window(struct subject *s)
{
	const struct govern_orders o = s->law.orders;
	uint64_t now_ns = clock_monotonic_ns();
	struct govern_sample sample;

	subject_sample(s, &sample);
	subject_open_gate(s, o.sample_interval, o.scale, now_ns + o.window_ns);
	govern_opened(&s->law, &sample, now_ns);
	s->next_ns = s->law.close_ns;
}

/* One that is hardly hit any more is of the crowd again. Thousands that were busy once must not be stepped for ever. */
static void return_quiet(struct governor *gov, struct subject *s, uint64_t now_ns)
{
	if (s->law.mode != GOVERN_EXACT ||
	    s->law.now.overhead_ns > QUIET_LOAD * govern_allowed_ns(&s->law, 0, s->law.now.wall_ns))
		s->hit_ns = now_ns;
	if (now_ns - s->hit_ns < QUIET_NS || gov->leading.crowd.law.mode != GOVERN_EXACT)
		return;
	__atomic_store_n(&s->record->cpu_ns, clock_process_cpu_ns(s->pid), __ATOMIC_SEQ_CST);
	subject_flag(s, WIRE_GOVERNED_CROWD);
	hashmap_take(&gov->by_instance, s->instance);
	s->forgotten = s->returned = true;
}

static void step(struct governor *gov, struct subject *s, uint64_t now_ns)
{
	struct govern_sample sample;

	s->ended = subject_sample(s, &sample);
	if (s->ended)
		return;
	/* Until its probes stand there is nothing to judge. */
	if (!(sample.n_entries + sample.n_frees)) {
		s->law.last = sample;
		s->law.last_ns = now_ns;
		s->next_ns = now_ns + STEP_NS;
		return;
	}
	s->next_ns = govern_step(&s->law, &sample, now_ns);
	if (gov->crowd && s->law.orders.gated) {
		leading_demand(&gov->leading, s, now_ns);
		return;
	}
	carry_out(gov, s);
	if (gov->crowd)
		return_quiet(gov, s, now_ns);
	if (s->law.orders.window_ns)
		open_window(s);
}

/* Whether its law is stepped by itself; windows of probes that are shared are the crowd's. */
static bool goes_alone(const struct governor *gov, const struct subject *s)
{
	return !s->ended && !s->forgotten && !(gov->crowd && leading_leads(&gov->leading));
}

static void step_all(struct governor *gov)
{
	struct leading *l = &gov->leading;
	uint64_t now_ns = clock_monotonic_ns();

	if (gov->crowd && l->crowd.next_ns <= now_ns) {
		crowd_scan(gov->crowd, now_ns, WATCH_NS + 2 * l->crowd.law.cycle_ns, leaves, gov);
		leading_step(l, now_ns);
	}
	for (size_t i = 0; i < gov->subjects.n && !gov->stop; i++) {
		struct subject *s = gov->subjects.items[i];

		now_ns = clock_monotonic_ns();
		if (goes_alone(gov, s) && s->next_ns <= now_ns)
			step(gov, s, now_ns);
	}
}

/* Of the last half minute or so, which is more than a cycle of windows of an expensive process. */
static void average(struct subject *s, double seconds)
{
	double rate = (s->law.total_overhead_ns - s->told_overhead_ns) / seconds;

	s->told_overhead_ns = s->law.total_overhead_ns;
	s->overhead_rate += (rate - s->overhead_rate) * (1 - exp(-seconds / HOST_SECONDS));
}

/* The crowd is the last one. */
static struct subject *subject_at(struct governor *gov, size_t i)
{
	if (i < gov->subjects.n)
		return gov->subjects.items[i];
	return gov->crowd && i == gov->subjects.n ? &gov->leading.crowd : NULL;
}

/* Together they may cost no more than the same share of the host: the one that spends most has to make do with less, for now. */
static void hold_host(struct governor *gov, uint64_t now_ns)
{
	double sum = 0, most = gov->options.budget * sysconf(_SC_NPROCESSORS_ONLN) * NS_PER_SECOND,
	       seconds = (double)(now_ns - gov->host_ns) / NS_PER_SECOND;
	struct subject *largest = NULL, *s;

	if (seconds < 1)
		return;
	gov->host_ns = now_ns;
	for (size_t i = 0; (s = subject_at(gov, i)); i++) {
		average(s, seconds);
		sum += s->overhead_rate;
		if (!s->ended && (!largest || s->overhead_rate > largest->overhead_rate))
			largest = s;
	}
	for (size_t i = 0; sum < 0.7 * most && (s = subject_at(gov, i)); i++)
		s->law.budget = fmin(s->law.budget * 1.02, gov->options.budget);
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
		if (!s->returned)
			kernel_govern_forget(gov->kernel, s->instance);
		gov->subjects.items[i--] = gov->subjects.items[--gov->subjects.n];
		free(s);
	}
}

static uint64_t next_event(const struct governor *gov)
{
	uint64_t next_ns = gov->seek_ns;

	if (gov->crowd && gov->leading.crowd.next_ns < next_ns)
		next_ns = gov->leading.crowd.next_ns;
	for (size_t i = 0; i < gov->subjects.n; i++) {
		const struct subject *s = gov->subjects.items[i];

		if (goes_alone(gov, s) && s->next_ns < next_ns)
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
		bool seeks = now_ns >= gov->seek_ns;

		reap(gov);
		if (seeks) {
			gov->seek_ns = now_ns + SEEK_NS;
			if (!gov->crowd)
				seek(gov, now_ns);
		}
		step_all(gov);
		if (seeks) {
			hold_host(gov, now_ns);
			cover_trim(gov->cover);
		}
		if (!gov->stop)
			wait_until(gov, next_event(gov));
	}
	pthread_mutex_unlock(&gov->lock);
	return NULL;
}

/* With everything traced there is a crowd. */
static int start_crowd(struct governor *gov, uint64_t now_ns, struct diag *d)
{
	struct subject *s = &gov->leading.crowd;
	int err = 0;

	s->record = kernel_crowd(gov->kernel);
	if (!s->record)
		return 0;
	err = crowd_create(gov->kernel, &gov->crowd, d);
	if (err)
		return err;
	gov->leading.lock = &gov->lock;
	gov->leading.cover = gov->cover;
	gov->leading.members = gov->crowd;
	gov->leading.followers = &gov->subjects;
	govern_init(&s->law, &gov->costs, gov->options.budget, gov->options.base_interval, now_ns,
		    now_ns);
	s->law.many = true;
	s->law.stops = cover_moving_stops(gov->cover);
	s->done = s->law.orders;
	s->next_ns = now_ns;
	subject_sample(s, &s->law.last);
	s->record->sample_interval = gov->options.base_interval;
	if (gov->options.base_interval)
		crowd_flag(gov->crowd, WIRE_GOVERNED_INEXACT);
	return 0;
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
	err = start_crowd(gov, gov->host_ns, d);
	if (!err) {
		err = start_thread(gov);
		if (err)
			diag_set(d, -err, "cannot start the governor: %s", strerror(-err));
	}
	if (err) {
		governor_destroy(gov);
		return err;
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
	crowd_destroy(gov->crowd);
	pthread_cond_destroy(&gov->wake);
	pthread_mutex_destroy(&gov->lock);
	free(gov);
}

/* law: its own, or the crowd's. */
static void fill_state(const struct govern *law, const struct wire_governed *record,
		       struct governor_state *ret)
{
	unsigned flags = __atomic_load_n(&record->flags, __ATOMIC_RELAXED);

	*ret = (struct governor_state){
		.mode = law->mode,
		.sample_interval = law->orders.sample_interval,
		.duty = govern_duty(law),
		.overhead_ratio = law->ratio,
		.cause_ratio = law->cause_ratio,
		.since_ns = law->since_ns,
		.inexact = flags & WIRE_GOVERNED_INEXACT,
		.missed_frees = flags & WIRE_GOVERNED_MISSED,
		.unseen = flags & WIRE_GOVERNED_INEXACT && !record->n_entries,
	};
}

bool governor_get(struct governor *gov, uint32_t instance, struct governor_state *ret)
{
	const struct wire_governed *record;
	const struct subject *s;
	bool follows;

	pthread_mutex_lock(&gov->lock);
	s = hashmap_get(&gov->by_instance, instance);
	record = s ? s->record : gov->crowd ? kernel_governed(gov->kernel, instance) : NULL;
	if (!record && gov->crowd)
		record = gov->leading.crowd.record;
	follows = gov->crowd && (!s || leading_leads(&gov->leading));
	if (record)
		fill_state(follows ? &gov->leading.crowd.law : &s->law, record, ret);
	if (record)
		ret->error = fmax(follows ? govern_error(&gov->leading.crowd.law) : 0,
				  s ? govern_error(&s->law) : 0);
	if (record && s)
		ret->overhead_ratio = s->law.ratio;
	if (record)
		ret->shared = follows;
	pthread_mutex_unlock(&gov->lock);
	return record;
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

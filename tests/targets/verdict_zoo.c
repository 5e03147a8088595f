// SPDX-License-Identifier: BSD-2-Clause
/* Programs whose call sites are known to leak or not, for the verdicts of seep: verdict_zoo NAME [SPEED]. It works until
 * its parent ends or somebody ends it. SPEED times as fast, all times of the scenarios (a cache's five seconds) are that much
 * shorter. --list prints a line for each scenario: NAME FUNCTION=TRUTH ..., where a truth is `leak` (what is never freed
 * becomes ever more), `grows` (what replaces it is ever larger or later) or `calm`. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "verdict_calm.h"
#include "verdict_leaks.h"

#define STEP_US 10000

static const struct scenario {
	const char *name;
	void (*step)(void); /* does what is due by now */
	const char *truth;
} scenarios[] = {
	{"linear", linear, "leak_linear=leak"},
	{"linear-slow", linear_slow, "leak_linear_slow=leak"},
	{"fast", fast, "leak_fast=leak"},
	{"large", large, "leak_large=leak"},
	{"storm", storm, "leak_in_storm=leak churn_of_storm=calm"},
	{"one-in-thousand", one_in_thousand, "leak_one_in_thousand=leak"},
	{"bursts-3s", bursts_3s, "leak_bursts_3s=leak"},
	{"bursts-7s", bursts_7s, "leak_bursts_7s=leak"},
	{"poisson", poisson, "leak_poisson=leak"},
	{"accelerating", accelerating, "leak_accelerating=leak"},
	{"random-sizes", random_sizes, "leak_random_sizes=leak"},
	{"late", late, "leak_late=leak"},
	{"after-warmup", after_warmup, "leak_after_warmup=leak"},
	{"one-thread", one_thread, "leak_of_one_thread=leak churn_of_threads=calm"},
	{"list-tail", list_tail, "leak_list_tail=leak"},
	{"cycle", cycle, "leak_cycle=leak"},
	{"tree", tree, "leak_tree=leak"},
	{"error-path", error_path, "leak_error_path=leak"},
	{"exception", exception, "leak_thrown_over=leak"},
	{"strdup", string_copies, "leak_strdup=leak"},
	{"asprintf", printed, "leak_asprintf=leak"},
	{"calloc", zeroed, "leak_calloc=leak"},
	{"aligned", aligned, "leak_aligned=leak"},
	{"realloc-lost", reallocated, "leak_realloc=leak first_of_realloc=calm"},
	{"registry", registry, "leak_registry=leak"},
	{"unclosed-sessions", unclosed_sessions, "leak_unclosed_session=leak"},
	{"beside-ttl", beside_ttl, "leak_beside_ttl=leak"},
	{"wrapper", wrapper, "leak_by_wrapper=leak cache_by_wrapper=calm churn_by_wrapper=calm"},
	{"jobs", jobs, "leak_log_of_job=leak work_of_job=calm"},
	{"batches", batches, "leak_in_batches=leak"},
	{"half", half, "leak_half=leak"},
	{"unjoined", unjoined, "leak_threads=leak"},
	{"streams", streams, "leak_stream_buffer=leak"},
	{"worker", worker, "leak_of_worker=leak churn_of_worker=calm"},
	{"slow-big", slow_big, "leak_slow_big=leak"},
	{"two-sizes", two_sizes, "leak_two_sizes=leak"},
	{"vector-linear", vector_linear, "grow_vector=grows"},
	{"vector-doubling", vector_doubling, "grow_doubling=grows"},
	{"text", text, "grow_text=grows"},
	{"queue-unbounded", queue_unbounded, "grow_queue=grows"},
	{"lru-8s", lru_8s, "lru_fills_in_8s=calm"},
	{"lru-20s", lru_20s, "lru_fills_in_20s=calm"},
	{"lru-full", lru_full, "lru_full_before=calm"},
	{"ttl-3s", ttl_3s, "ttl_of_3s=calm"},
	{"ttl-15s", ttl_15s, "ttl_of_15s=calm"},
	{"random-replacement", random_replacement, "replaced_at_random=calm"},
	{"memo-few", memo_few, "memo_of_few=calm"},
	{"memo-zipf", memo_zipf, "memo_by_zipf=calm"},
	{"memo-flush", memo_flush, "memo_flushed=calm"},
	{"warm-fast", warm_fast, "warm_at_once=calm churn_when_warm=calm"},
	{"warm-slow", warm_slow, "warm_slowly=calm"},
	{"warm-log", warm_log, "warm_by_logarithm=calm"},
	{"warm-stages", warm_stages, "warm_in_stages=calm"},
	{"pool", pool, "pool_chunk=calm"},
	{"ramp", ramp, "pool_of_ramp=calm"},
	{"arena", arena, "arena_of_request=calm"},
	{"fragmentation", fragmentation, "fragment_small=calm fragment_larger=calm"},
	{"sawtooth", sawtooth, "sawtooth_of_2s=calm sawtooth_of_7s=calm"},
	{"collector", collector, "collected=calm"},
	{"batch", batch, "batch_of_20s=calm"},
	{"fork-server", fork_server, "left_to_exit=calm"},
	{"queue-waves", queue_waves, "queue_bounded=calm"},
	{"queue-fills", queue_fills, "queue_full=calm"},
	{"queue-bursts", queue_bursts, "queue_burst=calm"},
	{"sessions", sessions, "session_of_20s=calm"},
	{"long-sessions", long_sessions, "session_of_minutes=calm"},
	{"up-and-down", up_and_down, "vector_up_and_down=calm"},
	{"bounded-vector", bounded_vector, "vector_to_64k=calm"},
	{"reload", reload, "config_of_6s=calm"},
	{"log-ring", log_ring, "line_of_log=calm"},
	{"short-threads", short_threads, "thread_that_ends=calm buffer_of_thread=calm"},
	{"churn", fast_churn, "churn_fast=calm"},
	{"steady", steady, "steady_state=calm"},
	{"generations", generations, "generation=calm"},
	{"connections", connections, "connection_kept=calm"},
	{"waves", waves, "load_of_waves=calm"},
};

static double clock_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int work(const struct scenario *s, double speed)
{
	double start;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	s->step(); /* what is there before the trace begins */
	start = clock_seconds();
	printf("{\"ready\": %d}\n", (int)getpid());
	fflush(stdout);
	/* Long enough for a tracer to attach to the parent first. */
	if (s->step == worker) {
		usleep(3000000 / speed);
		if (fork())
			return waitpid(-1, NULL, 0) < 0;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	for (;; usleep(STEP_US)) {
		now = (clock_seconds() - start) * speed;
		s->step();
	}
}

int main(int argc, char **argv)
{
	double speed = argc > 2 ? atof(argv[2]) : 1;

	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (argc == 2 && !strcmp(argv[1], "--list"))
			printf("%s %s\n", scenarios[i].name, scenarios[i].truth);
		else if (argc >= 2 && !strcmp(argv[1], scenarios[i].name) && speed > 0)
			return work(&scenarios[i], speed);
	}
	if (argc == 2 && !strcmp(argv[1], "--list"))
		return 0;
	fprintf(stderr, "usage: verdict_zoo NAME [SPEED] | --list\n");
	return 2;
}

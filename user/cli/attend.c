// SPDX-License-Identifier: BSD-2-Clause
#include "cli/attend.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "collect/collector.h"
#include "collect/mappings.h"
#include "daemon/scanning.h"
#include "daemon/traced.h"
#include "daemon/tracing.h"

#define WAIT_MS 200 /* at most, between looks at the clock and the progress */

int attend_open(struct attend *a, struct diag *d)
{
	int err = signals_open(&a->signals, d);

	a->passed = err ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!err && a->passed < 0)
		err = diag_set(d, errno, "cannot wait for events: %s", strerror(errno));
	return err;
}

void attend_close(struct attend *a)
{
	signals_close(&a->signals);
	if (a->passed >= 0)
		close(a->passed);
	a->passed = -1;
}

static void on_signals(struct attend *a)
{
	struct signalfd_siginfo info;

	while (read(a->signals.fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGINT && isatty(STDERR_FILENO))
			fputc('\n', stderr);
		if (info.ssi_signo == SIGINT && !a->hurry) {
			a->hurry = true;
			continue;
		}
		a->end = info.ssi_signo == SIGINT ? "interrupted" : "terminated";
		eventfd_write(a->signals.told, 1);
		if (a->scanning)
			a->scanning->progress.stop = true;
	}
}

/* Handles what comes, for WAIT_MS at most. */
static void settle(struct attend *a, uint64_t until_ns)
{
	struct pollfd fds[] = {
		{.fd = a->signals.fd, .events = POLLIN},
		{.fd = a->passed, .events = POLLIN},
		{.fd = collector_fd(a->tracing->collector), .events = POLLIN},
		{.fd = mapping_watch_fd(a->tracing->mappings), .events = POLLIN},
	};
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t left_ms = until_ns > now_ns ? (until_ns - now_ns) / 1000000 + 1 : 0;

	poll(fds, ARRAY_SIZE(fds), left_ms < WAIT_MS ? left_ms : WAIT_MS);
	tracing_drain(a->tracing);
	on_signals(a);
}

/* A line on the terminal, taken off again by an empty one. */
static void show_progress(const struct attend *a, const char *text)
{
	if (a->shows_progress)
		fprintf(stderr, "\r\033[K%s", text);
}

bool attend_until(struct attend *a, uint64_t time_ns, const char *doing)
{
	uint64_t now_ns = clock_monotonic_ns();
	char text[80];

	while (now_ns < time_ns && !a->end && !(doing && a->hurry) &&
	       tracing_is_traced(a->tracing, a->pid)) {
		if (doing) {
			snprintf(text, sizeof(text), "%s, %.0f s to go", doing,
				 (double)(time_ns - now_ns) / NS_PER_SECOND);
			show_progress(a, text);
		}
		settle(a, time_ns);
		now_ns = clock_monotonic_ns();
	}
	show_progress(a, "");
	return now_ns >= time_ns;
}

struct pass {
	const struct attend *attend;
	const struct attend_passes *passes;
	int err;
	struct diag d;
};

static void *run_pass(void *arg)
{
	struct pass *p = arg;

	p->err = p->passes->pass(p->passes->arg, &p->d);
	eventfd_write(p->attend->passed, 1);
	return NULL;
}

static int one_pass(struct attend *a, const struct attend_passes *passes, unsigned number,
		    struct diag *d)
{
	struct pass p = {.attend = a, .passes = passes};
	eventfd_t n_passed;
	pthread_t thread;
	char text[80];
	int err = pthread_create(&thread, NULL, run_pass, &p);

	if (err)
		return diag_set(d, err, "cannot start a thread: %s", strerror(err));
	while (eventfd_read(a->passed, &n_passed)) {
		snprintf(text, sizeof(text), "scanning, pass %u: %.0f MiB", number,
			 (double)a->scanning->progress.n_bytes / (1 << 20));
		show_progress(a, text);
		settle(a, UINT64_MAX);
	}
	show_progress(a, "");
	pthread_join(thread, NULL);
	if (p.err)
		*d = p.d;
	return p.err;
}

/* The process as an instance of the trace, 0: it is not traced any more. */
static uint32_t current_instance(const struct attend *a)
{
	const struct traced *p;
	uint32_t instance = 0;

	pthread_mutex_lock(&a->tracing->lock);
	p = hashmap_get(&a->tracing->by_pid, a->pid);
	if (p)
		instance = p->instance;
	pthread_mutex_unlock(&a->tracing->lock);
	return instance;
}

int attend_passes(struct attend *a, const struct attend_passes *passes, struct diag *d)
{
	bool done = false;
	int err = 0;

	for (unsigned i = 1; !done && !err; i++) {
		uint32_t instance = current_instance(a);

		if (!instance)
			return diag_set(d, ESRCH, "process %d ended before it was scanned", a->pid);
		err = scanning_prepare(a->scanning, instance, passes->stop, d);
		if (!err)
			err = one_pass(a, passes, i, d);
		scanning_resume(a->scanning);
		if (!err && a->end)
			err = -ECANCELED;
		done = passes->once || a->scanning->settled;
		if (!err && !done)
			attend_until(a, clock_monotonic_ns() + passes->pause_ns, NULL);
	}
	return err;
}

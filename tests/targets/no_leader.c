// SPDX-License-Identifier: BSD-2-Clause
/* The first thread ends, and others go on.
 *
 * After "go", workers allocate and free in zoo_before; then the first thread ends, and they go on in zoo_after: a line says so. After
 * "late" they do in zoo_late: another line. After "stop" they stop, and the ledger comes. --gone: the first thread has ended before
 * the ready line. --relay: each thread ends soon and hands over to a new one. --exec: instead of the end, a thread that is not the first
 * executes this program anew, which begins with zoo_after. */
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "ledger.h"

enum { WORKERS = 3, ROUND = 5, RELAY_ROUNDS = 20 };

static volatile int phase; /* index of the site; negative: the end */
static volatile bool first_may_end;
static int n_working;
static bool relay, gone, execs;

SITE void zoo_before(void)
{
	zoo_malloc(40);
}

SITE void zoo_after(void)
{
	zoo_malloc(120);
}

SITE void zoo_late(void)
{
	zoo_malloc(200);
}

SITE void allocate(int site)
{
	static void (*const sites[])(void) = {zoo_before, zoo_after, zoo_late};
	void *block = zoo_malloc(333);

	sites[site]();
	zoo_free(block);
}

static void pause_ms(long ms)
{
	const struct timespec time = {.tv_nsec = ms * 1000000};

	nanosleep(&time, NULL);
}

/* Stops only between two rounds, when its ledger is complete. */
static void *work(void *arg)
{
	for (int n = 0; phase >= 0; n++) {
		pthread_t next;

		if (relay && n == RELAY_ROUNDS && !pthread_create(&next, NULL, work, arg)) {
			pthread_detach(next);
			return NULL;
		}
		for (int i = 0; i < ROUND; i++) {
			int site = phase;

			if (site >= 0)
				allocate(site);
		}
		pause_ms(5);
	}
	__atomic_sub_fetch(&n_working, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Until /proc says that it has no memory any more. */
static void await_first_end(void)
{
	char text[64] = "1";

	while (text[0] != '0') {
		int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
			ledger_die("no_leader: statm");
		close(fd);
		pause_ms(1);
	}
}

static void tell(void)
{
	static const char line[] = "{\"phase\":true}\n";

	ledger_write(1, line, strlen(line));
}

static void start_workers(void)
{
	pthread_t worker;

	n_working = WORKERS;
	for (int i = 0; i < WORKERS; i++) {
		if (pthread_create(&worker, NULL, work, NULL))
			ledger_die("no_leader: thread");
		pthread_detach(worker);
	}
}

/* In a new thread, if they are to be relayed. */
static void *hand_over(void *(*next)(void *), void *arg)
{
	pthread_t thread;

	if (!relay)
		return next(arg);
	if (pthread_create(&thread, NULL, next, arg))
		ledger_die("no_leader: thread");
	pthread_detach(thread);
	return NULL;
}

static void *stop(void *arg)
{
	ledger_wait_for("stop");
	phase = -1;
	while (__atomic_load_n(&n_working, __ATOMIC_SEQ_CST))
		pause_ms(1);
	ledger_finish();
	exit(0);
	return arg;
}

static void *be_late(void *arg)
{
	ledger_wait_for("late");
	phase = 2;
	tell();
	return hand_over(stop, arg);
}

/* What there is to do, in a thread that outlives the first one. */
static void *conduct(void *arg)
{
	char *const again[] = {(char *)"no_leader", (char *)"--execed", NULL};

	if (gone)
		await_first_end();
	ledger_start(0, NULL);
	start_workers();
	pause_ms(100);
	if (execs) {
		execv("/proc/self/exe", again);
		ledger_die("no_leader: exec");
	}
	phase = 1;
	first_may_end = true;
	await_first_end();
	tell();
	return hand_over(be_late, arg);
}

int main(int argc, char **argv)
{
	pthread_t conductor;
	bool execed = false;

	for (int i = 1; i < argc; i++) {
		gone |= !strcmp(argv[i], "--gone");
		relay |= !strcmp(argv[i], "--relay");
		execs |= !strcmp(argv[i], "--exec");
		execed |= !strcmp(argv[i], "--execed");
	}
	if (execed) {
		ledger_reset("main");
		phase = 1;
		start_workers();
		tell();
		be_late(NULL);
	}
	if (pthread_create(&conductor, NULL, conduct, NULL))
		ledger_die("no_leader: thread");
	while (!gone && !first_may_end)
		pause_ms(1);
	pthread_exit(NULL);
}

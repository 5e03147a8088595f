/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VERDICT_RUN_H
#define VERDICT_RUN_H
/* How programs of scenarios run: PROGRAM NAME [SPEED], until their parent ends or somebody ends them; --list prints what is known
 * of each: NAME FUNCTION=TRUTH ... */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "verdict_zoo.h"

#define STEP_US 10000

struct scenario {
	const char *name;
	void (*step)(void); /* does what is due by now */
	const char *truth;
};

static double clock_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int scenario_work(const struct scenario *s, bool in_child, double speed)
{
	double start;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	s->step(); /* what is there before the trace begins */
	start = clock_seconds();
	printf("{\"ready\": %d}\n", (int)getpid());
	fflush(stdout);
	/* Long enough for a tracer to attach to the parent first. */
	if (in_child) {
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

/* in_child: the step of the one that works in a child of the process that is traced, or NULL. Returns the program's exit code; does not
 * return while a scenario works. */
static int scenarios_run(const struct scenario *scenarios, size_t n, void (*in_child)(void),
			 int argc, char **argv)
{
	double speed = argc > 2 ? atof(argv[2]) : 1;
	const bool list = argc == 2 && !strcmp(argv[1], "--list");

	for (size_t i = 0; i < n; i++) {
		if (list)
			printf("%s %s\n", scenarios[i].name, scenarios[i].truth);
		else if (argc >= 2 && !strcmp(argv[1], scenarios[i].name) && speed > 0)
			return scenario_work(&scenarios[i], scenarios[i].step == in_child, speed);
	}
	if (list)
		return 0;
	fprintf(stderr, "usage: %s NAME [SPEED] | --list\n", argv[0]);
	return 2;
}

#endif

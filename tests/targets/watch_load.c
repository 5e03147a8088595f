// SPDX-License-Identifier: BSD-2-Clause
/* Memory that grows, or not, by a law that is known:  watch_load MODE BYTES_PER_SECOND [PERIOD_SECONDS]
 *
 * Of one mapping the pages between two borders are held; both move with time t:
 *	leak	[0, rate * t]
 *	saw	[0, rate * (t mod period)]
 *	warm	[0, rate * period * (1 - e^(-t / period))]	like a cache that fills
 *	churn	[rate * (t - period), rate * t]			what is taken is given back a period later
 *	flat	[0, rate]					BYTES_PER_SECOND is the size
 * Prints "ready" with nothing held yet, then goes on until its standard input ends or its parent does. */
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SPAN_BYTES (1ULL << 36)
#define TICK_MS 50

enum mode { LEAK, SAW, WARM, CHURN, FLAT, N_MODES };

static const char *const modes[N_MODES] = {"leak", "saw", "warm", "churn", "flat"};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void borders(enum mode mode, double rate, double period, double t, double *low, double *high)
{
	*low = mode == CHURN ? rate * fmax(t - period, 0) : 0;
	switch (mode) {
	case SAW:
		*high = rate * fmod(t, period);
		break;
	case WARM:
		*high = rate * period * (1 - exp(-t / period));
		break;
	case FLAT:
		*high = rate;
		break;
	default:
		*high = rate * t;
	}
}

static uint64_t pages(double bytes, uint64_t page)
{
	return (uint64_t)fmin(bytes, SPAN_BYTES) / page * page;
}

/* The pages [from, to) are held; gives back and touches what [low, high) differs. */
static void hold(char *memory, uint64_t page, uint64_t *from, uint64_t *to, uint64_t low,
		 uint64_t high)
{
	if (low > *from)
		madvise(memory + *from, low - *from, MADV_DONTNEED);
	if (high < *to)
		madvise(memory + high, *to - high, MADV_DONTNEED);
	for (uint64_t at = low > *to ? low : *to; at < high; at += page)
		memory[at] = 1;
	*from = low;
	*to = high;
}

int main(int argc, char **argv)
{
	double rate = argc > 2 ? atof(argv[2]) : 0, period = argc > 3 ? atof(argv[3]) : 10;
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	uint64_t page = sysconf(_SC_PAGESIZE), from = 0, to = 0;
	enum mode mode = LEAK;
	double start = now();
	char *memory;

	while (mode < N_MODES && (argc < 3 || strcmp(argv[1], modes[mode])))
		mode++;
	if (mode == N_MODES || !(rate > 0) || !(period > 0)) {
		fprintf(stderr,
			"usage: watch_load leak|saw|warm|churn|flat BYTES_PER_SECOND [PERIOD]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memory = mmap(NULL, SPAN_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		perror("watch_load: mmap");
		return 1;
	}
	/* Pages, not huge pages: else memory would come in steps of 2 MiB. */
	madvise(memory, SPAN_BYTES, MADV_NOHUGEPAGE);
	puts("ready");
	fflush(stdout);
	while (!poll(&input, 1, TICK_MS)) {
		double low, high;

		borders(mode, rate, period, now() - start, &low, &high);
		hold(memory, page, &from, &to, pages(low, page), pages(high, page));
	}
	return 0;
}

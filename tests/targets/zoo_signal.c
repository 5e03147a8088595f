/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocation in signal handlers: on the thread's stack, on an alternate stack, and handlers that
 * jump out of a malloc they interrupted. The allocator is libzoo_bump, which is safe there. */
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "ledger.h"

enum { N_SIGNALS = 2000, N_JUMPS = 500, PERIOD_US = 150 };

extern __thread volatile int bump_inside;

static volatile unsigned n_signals, n_inside, n_jumps;
static volatile sig_atomic_t jumping;
static sigjmp_buf out;

/* Two blocks a signal, one of them kept. */
SITE void zoo_handler_leak(void)
{
	zoo_malloc(48);
	zoo_free(zoo_malloc(96));
}

static void on_timer(int signal)
{
	int saved_errno = errno;

	(void)signal;
	if (jumping) {
		/* Only from inside malloc, whose block the program then never got: else the
		 * ledger would be torn. */
		if (bump_inside && n_jumps < N_JUMPS) {
			n_jumps++;
			siglongjmp(out, 1);
		}
	} else if (n_signals < N_SIGNALS) {
		n_signals++;
		n_inside += bump_inside > 0;
		zoo_handler_leak();
	}
	errno = saved_errno;
}

static void start_timer(int flags)
{
	struct sigaction action = {0};
	struct itimerval period = {{0, PERIOD_US}, {0, PERIOD_US}};

	action.sa_handler = on_timer;
	action.sa_flags = SA_RESTART | flags;
	n_signals = 0;
	if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &period, NULL))
		ledger_die("timer");
}

static void stop_timer(void)
{
	struct itimerval never = {{0, 0}, {0, 0}};

	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
}

SITE void zoo_interrupted(void)
{
	zoo_free(zoo_malloc(24));
	zoo_free(zoo_realloc(zoo_calloc(2, 9), 40));
}

SITE void zoo_jumped_out_of(void)
{
	zoo_free(zoo_malloc(32));
}

SITE void zoo_after_jump(void)
{
	zoo_malloc(64);
}

static void run_jumps(void)
{
	jumping = 1;
	start_timer(0);
	if (sigsetjmp(out, 1)) {
		bump_inside = 0;
		jumping = 0;
		zoo_after_jump();
		jumping = 1;
	}
	while (n_jumps < N_JUMPS)
		zoo_jumped_out_of();
	stop_timer();
}

int main(int argc, char **argv)
{
	static char alternate[1 << 16];
	stack_t stack = {0};

	ledger_start(argc, argv);
	start_timer(0);
	while (n_signals < N_SIGNALS)
		zoo_interrupted();
	stop_timer();

	stack.ss_sp = alternate;
	stack.ss_size = sizeof(alternate);
	if (sigaltstack(&stack, NULL))
		ledger_die("sigaltstack");
	start_timer(SA_ONSTACK);
	while (n_signals < N_SIGNALS)
		zoo_interrupted();
	stop_timer();

	run_jumps();
	ledger_note("handlers_inside_malloc", n_inside);
	ledger_note("jumps", n_jumps);
	ledger_finish();
	return 0;
}

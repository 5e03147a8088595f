/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocations in signal handlers, at every place that a signal can interrupt: a system call, a fault (on a stack of its own), another
 * handler, and any instruction at all of a computation, in prologues, in libc's and the vdso's code and between, as a timer or single steps
 * have it. What is interrupted never allocates. */
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#include "stack.h"

enum { TIMER_HITS = 150, ALTERNATE_BYTES = 1 << 17, TRAP_FLAG = 0x100 };

static volatile sig_atomic_t hits;
static sigjmp_buf after_fault;
static int *volatile nowhere;

STACK_FN void on_user(int signal)
{
	stack_malloc(50);
	if (signal == SIGUSR1)
		raise(SIGUSR2);
	stack_malloc(51);
}

STACK_FN void on_fault(int signal)
{
	(void)signal;
	stack_malloc(52);
	siglongjmp(after_fault, 1);
}

STACK_FN void on_timer(int signal)
{
	(void)signal;
	stack_malloc(53);
	hits = hits + 1;
}

STACK_FN void handle(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	if (sigaction(signal, &action, NULL))
		ledger_die("sigaction");
}

STACK_FN int raise_deep(int depth)
{
	int got = depth > 0 ? raise_deep(depth - 1) : raise(SIGUSR1);

	return got + depth;
}

STACK_FN int fault_deep(int depth)
{
	int got = depth > 0 ? fault_deep(depth - 1) : *nowhere;

	return got + depth;
}

STACK_FN void faults(void)
{
	volatile int depth;

	for (depth = 0; depth < 12; depth++) {
		if (!sigsetjmp(after_fault, 1))
			fault_deep(depth);
		stack_malloc(54);
	}
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

STACK_FN unsigned long fibonacci(unsigned n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

STACK_FN unsigned long ackermann(unsigned m, unsigned n, long a, long b, long c, long d, long e)
{
	if (!m)
		return n + 1;
	if (!n)
		return ackermann(m - 1, 1, e, d, c, b, a);
	return ackermann(m - 1, (unsigned)ackermann(m, n - 1, a, b, c, d, e), b, c, d, e, a);
}

STACK_FN unsigned long compute(void)
{
	static char text[4096];
	int few[32];
	struct timespec now;
	unsigned long sum = fibonacci(12) + ackermann(2, 6, 1, 2, 3, 4, 5);

	for (int i = 0; i < 32; i++)
		few[i] = (i * 37) % 32;
	qsort(few, 32, sizeof(*few), compare);
	memset(text, 'x', sizeof(text) - 1);
	sum += strlen(text) + (unsigned long)few[3];
	for (int i = 0; i < 20; i++)
		clock_gettime(CLOCK_MONOTONIC, &now);
	return sum + (unsigned long)now.tv_nsec;
}

#ifdef __x86_64__
/* The processor's trap flag: a SIGTRAP after each instruction, but not within the handler. Compilers give no CFI for their way of
 * setting flags, so the handler clears it. */
static volatile sig_atomic_t stepping;

STACK_FN void on_step(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	if (!stepping) {
		((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	stack_malloc(55);
}

STACK_FN void start_steps(void)
{
	struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

	if (sigaction(SIGTRAP, &action, NULL))
		ledger_die("sigaction");
	stepping = 1;
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | TRAP_FLAG);
}

STACK_FN unsigned long compute_a_little(void)
{
	char text[100];
	int few[] = {3, 1, 2, 5, 4};
	struct timespec now;
	unsigned long sum = fibonacci(4) + ackermann(1, 3, 1, 2, 3, 4, 5);

	qsort(few, 5, sizeof(*few), compare);
	memset(text, 'x', ledger_opaque(sizeof(text)) - 1);
	text[sizeof(text) - 1] = '\0';
	sum += strlen(text);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return sum + (unsigned long)few[3];
}

/* Every instruction: of calls through the PLT, prologues and epilogues, libc's hand-written code, the vdso. Not of lazy binding,
 * whose CFA is in rbx: seep says so and stops there. */
STACK_FN unsigned long compute_by_steps(void)
{
	unsigned long sum = compute_a_little();

	start_steps();
	sum += compute_a_little();
	stepping = 0;
	return sum;
}
#endif

/* Until the timer has interrupted it often. */
STACK_FN unsigned long compute_under_fire(void)
{
	struct itimerval every = {{0, 700}, {0, 700}}, never = {{0, 0}, {0, 0}};
	unsigned long sum = compute(); /* binds what is bound lazily */

	hits = 0;
	setitimer(ITIMER_REAL, &every, NULL);
	while (hits < TIMER_HITS)
		sum += compute();
	setitimer(ITIMER_REAL, &never, NULL);
	return sum;
}

int main(int argc, char **argv)
{
	stack_t alternate = {.ss_sp = stack_map(ALTERNATE_BYTES), .ss_size = ALTERNATE_BYTES};

	stack_start(argc, argv);
	if (sigaltstack(&alternate, NULL))
		ledger_die("sigaltstack");
	handle(SIGUSR1, on_user, 0);
	handle(SIGUSR2, on_user, 0);
	for (int depth = 0; depth < 12; depth++)
		raise_deep(depth);
	handle(SIGUSR2, on_user, SA_ONSTACK);
	raise_deep(3);
	handle(SIGSEGV, on_fault, SA_ONSTACK);
	faults();
	handle(SIGALRM, on_timer, 0);
	compute_under_fire();
	handle(SIGALRM, on_timer, SA_ONSTACK);
	compute_under_fire();
#ifdef __x86_64__
	compute_by_steps();
#endif
	stack_finish();
	return 0;
}

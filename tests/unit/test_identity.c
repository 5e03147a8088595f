// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "process/identity.h"
#include "process/maps.h"
#include "process/procfs.h"

/* A child that has run its set-up and waits to be killed. */
static pid_t start_child(void (*set_up)(void))
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (set_up)
			set_up();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_parse_stat(void **state)
{
	static const char numbers[] =
		"12 0 0 0 -1 4194560 1 2 3 4 5 6 7 8 -20 0 3 0 98765 1000 18446744073709551615";
	static const char *const names[] = {"sh",	 "a b", "x) R 1", "((",
					    "new\nline", "",	")",	  ") Z 1 1 1 1"};
	struct procfs_stat stat = {.state = '?'};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(text, sizeof(text), "1 (%s) S %s\n", names[i], numbers);
		assert_int_equal(procfs_parse_stat(text, &stat), 0);
		assert_string_equal(stat.comm, names[i]);
		assert_true(stat.state == 'S' && stat.parent == 12 && stat.flags == 4194560);
		assert_true(stat.n_threads == 3 && stat.start_ticks == 98765);
	}
}

static void test_hostile_stat(void **state)
{
	static const char *const texts[] = {
		"",
		"1",
		"1 (a",
		"1 a)",
		")(",
		"1 (a)",
		"1 (a) ",
		"1 (a) S",
		"1 (a) S 1 2 3",
		"1 (a) S 1 0 0 0 -1 4194560 1 2 3 4 5 6 7 8 -20 0 3 0 x",
		"1 (a) S 1 0 0 0 -1 4194560 1 2 3 4 5 6 7 8 -20 0 3 0 99999999999999999999",
		"1 (a)S 1 0 0 0 -1 4194560 1 2 3 4 5 6 7 8 -20 0 3 0 1",
	};
	struct procfs_stat stat = {.state = '?'};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(procfs_parse_stat(texts[i], &stat), -EINVAL);
	assert_int_equal(stat.state, '?');
}

static void take_odd_name(void)
{
	prctl(PR_SET_NAME, ") R 1\n (x");
}

static void test_live_child(void **state)
{
	uint64_t before_ns = clock_realtime_ns(), ticks, rss_bytes;
	pid_t pid = start_child(take_odd_name);
	struct identity id;
	struct diag d = {0};
	char exe[4096];
	ssize_t n;

	(void)state;
	assert_int_equal(identity_read(pid, &id, &d), 0);
	assert_int_equal(id.pid, pid);
	assert_string_equal(id.comm, ") R 1\n (x");
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n] = '\0';
	assert_string_equal(id.exe, exe);
	assert_true(id.cgroup[0] == '/');
	assert_int_equal(id.euid, geteuid());
	assert_true(id.own_mount_ns && id.own_pid_ns);
	assert_true(id.start_real_ns + 20000000 >= before_ns &&
		    id.start_real_ns <= clock_realtime_ns() + 20000000);
	assert_int_equal(identity_start_ticks(pid, &ticks), 0);
	assert_true(ticks == id.start_ticks);
	assert_int_equal(identity_rss(pid, &rss_bytes), 0);
	assert_true(rss_bytes > 100000 && rss_bytes < 1UL << 30);
	assert_true(identity_alive(&id));
	id.start_ticks++;
	assert_false(identity_alive(&id));
	id.start_ticks--;

	kill(pid, SIGKILL);
	waitid(P_PID, pid, NULL, WEXITED | WNOWAIT);
	assert_false(identity_alive(&id));
	assert_int_equal(identity_read(pid, &id, &d), -ENODATA);
	assert_non_null(strstr(d.text, "zombie"));
	waitpid(pid, NULL, 0);
	assert_false(identity_alive(&id));
	assert_int_equal(identity_read(pid, &id, &d), -ESRCH);
	assert_int_equal(identity_start_ticks(pid, &ticks), -ESRCH);
	assert_int_equal(identity_rss(pid, &rss_bytes), -ESRCH);
}

static void leave_mount_namespace(void)
{
	if (unshare(CLONE_NEWNS))
		_exit(1);
}

static void test_other_namespace(void **state)
{
	struct identity id;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	pid = start_child(leave_mount_namespace);
	assert_int_equal(identity_read(pid, &id, NULL), 0);
	assert_false(id.own_mount_ns);
	assert_true(id.own_pid_ns);
	end_child(pid);
}

static void *wait_forever(void *arg)
{
	pid_t *tid = arg;

	__atomic_store_n(tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return NULL;
}

static void test_thread_is_no_process(void **state)
{
	struct identity id;
	struct diag d = {0};
	pthread_t thread;
	pid_t tid = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, wait_forever, &tid), 0);
	while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST))
		usleep(1000);
	assert_int_equal(identity_read(tid, &id, &d), -ESRCH);
	assert_non_null(strstr(d.text, "thread of process"));
	pthread_cancel(thread);
	pthread_join(thread, NULL);
}

static void *outlive_main(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void end_main_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, outlive_main, NULL);
}

static void test_main_thread_ended(void **state)
{
	struct identity id;
	struct maps maps = {0};
	struct procfs_stat stat;
	uint64_t rss_bytes;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		usleep(100000);
		end_main_thread();
		syscall(SYS_exit, 0);
	}
	assert_int_equal(identity_read(pid, &id, NULL), 0);
	do {
		usleep(10000);
		assert_int_equal(procfs_read_stat(pid, &stat), 0);
	} while (stat.state != 'Z');
	assert_true(identity_alive(&id));
	assert_int_equal(identity_read(pid, &id, NULL), 0);
	assert_true(id.exe[0] && id.own_mount_ns);
	assert_int_equal(identity_rss(pid, &rss_bytes), 0);
	assert_true(rss_bytes > 0);
	assert_int_equal(maps_read(pid, &maps, NULL), 0);
	assert_true(maps.n > 0);
	maps_done(&maps);
	end_child(pid);
}

static char state_of(pid_t tid)
{
	struct procfs_stat stat;

	assert_int_equal(procfs_read_stat(tid, &stat), 0);
	return stat.state;
}

static pid_t other_thread(pid_t pid)
{
	char path[64];

	/* The next id, unless somebody else began meanwhile. */
	for (pid_t tid = pid + 1; tid < pid + 10000; tid++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, tid);
		if (!access(path, F_OK))
			return tid;
	}
	return 0;
}

/* All threads have ended, and one of them is still there besides the first: for a moment whenever a process with threads is killed, and here
 * for as long as its tracer does not look. Nothing will be heard of it any more. */
static void test_all_threads_ended(void **state)
{
	pid_t pid = start_child(end_main_thread), tid = other_thread(pid);
	struct identity id;
	struct diag d = {0};

	(void)state;
	assert_true(tid > 0);
	if (ptrace(PTRACE_SEIZE, tid, 0, 0)) {
		end_child(pid);
		skip();
	}
	assert_int_equal(identity_read(pid, &id, NULL), 0);
	assert_true(identity_alive(&id));
	kill(pid, SIGKILL);
	while (state_of(pid) != 'Z' || state_of(tid) != 'Z')
		usleep(1000);
	assert_false(identity_alive(&id));
	assert_int_equal(identity_read(pid, &id, &d), -ENODATA);
	waitpid(tid, NULL, __WALL);
	waitpid(pid, NULL, 0);
}

static void test_kernel_thread(void **state)
{
	struct procfs_stat stat;
	struct identity id;
	struct diag d = {0};

	(void)state;
	/* Its pid is 2 by construction, unless we are in a pid namespace of our own. */
	if (procfs_read_stat(2, &stat) || strcmp(stat.comm, "kthreadd"))
		skip();
	assert_int_equal(identity_read(2, &id, &d), -EPERM);
	assert_int_equal(d.exit_code, EXIT_REFUSED);
	assert_non_null(strstr(d.text, "kthreadd"));
}

static void lose_privileges_and_look(void)
{
	struct identity id;
	struct diag d = {0};

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		_exit(1);
	if (identity_read(getppid(), &id, &d) != -EACCES || d.exit_code != EXIT_REFUSED ||
	    !d.hint[0])
		_exit(2);
}

static void test_not_ours(void **state)
{
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	pid = start_child(
		lose_privileges_and_look); /* it reports readiness only if all was as expected */
	end_child(pid);
}

static void test_no_such_process(void **state)
{
	struct identity id;
	struct diag d = {0};

	(void)state;
	assert_int_equal(identity_read(0x7ffffff0, &id, &d), -ESRCH);
	assert_int_equal(identity_read(0, &id, &d), -ESRCH);
	assert_int_equal(identity_read(-1, &id, &d), -ESRCH);
	assert_string_equal(d.text, "no process has the pid -1");
}

static void test_unescape(void **state)
{
	char text[] = "a\\040b\\012c\\777\\04\\134\\000";

	(void)state;
	procfs_unescape(text, " \\");
	assert_string_equal(text, "a b\\012c\\777\\04\\\\000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_stat),
		cmocka_unit_test(test_hostile_stat),
		cmocka_unit_test(test_live_child),
		cmocka_unit_test(test_other_namespace),
		cmocka_unit_test(test_thread_is_no_process),
		cmocka_unit_test(test_main_thread_ended),
		cmocka_unit_test(test_all_threads_ended),
		cmocka_unit_test(test_kernel_thread),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_no_such_process),
		cmocka_unit_test(test_unescape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

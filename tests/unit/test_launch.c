// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "process/launch.h"
#include "process/maps.h"
#include "process/procfs.h"

#define PATIENCE_MS 60000
#define MAX_EVENTS 4096

enum kind {
	EXECED,
	MAPPED,
	FORKED,
	ENDED,
	N_KINDS,
};

/* What the hooks were called with, in order. */
struct record {
	pthread_mutex_t lock;
	size_t n, n_of[N_KINDS];
	struct event {
		enum kind kind;
		pid_t pid, parent;
		bool shares_memory;
		int status;
	} events[MAX_EVENTS];
	/* What to look for at each mapped: a library, and the file that its constructor writes. */
	const char *library, *marker;
	bool saw_library, too_late;
	size_t n_endings, n_ending_threads; /* of on_ending; the latter of its last call */
	pid_t ending_pid;
};

static char directory[] = "/tmp/test_launch.XXXXXX";

static void record(struct record *r, struct event e)
{
	pthread_mutex_lock(&r->lock);
	if (r->n < MAX_EVENTS)
		r->events[r->n++] = e;
	r->n_of[e.kind]++;
	pthread_mutex_unlock(&r->lock);
}

static void on_mapped(void *arg, pid_t pid)
{
	struct record *r = arg;
	struct maps maps = {0};

	record(r, (struct event){.kind = MAPPED, .pid = pid});
	if (!r->library || r->saw_library || maps_read(pid, &maps, NULL))
		return;
	for (size_t i = 0; i < maps.n; i++)
		if (maps.items[i].executable && strstr(maps.items[i].path, r->library))
			r->saw_library = true;
	if (r->saw_library)
		r->too_late = !access(r->marker, F_OK);
	maps_done(&maps);
}

static void on_execed(void *arg, pid_t pid)
{
	record(arg, (struct event){.kind = EXECED, .pid = pid});
}

static void on_forked(void *arg, pid_t parent, pid_t child, bool shares_memory)
{
	record(arg, (struct event){.kind = FORKED,
				   .pid = child,
				   .parent = parent,
				   .shares_memory = shares_memory});
}

static void on_ended(void *arg, pid_t pid, int status)
{
	record(arg, (struct event){.kind = ENDED, .pid = pid, .status = status});
}

/* Of the process's end: how many threads, and whether the last one's memory can be read. */
static void on_ending(void *arg, pid_t pid, const struct launch_thread *threads, size_t n)
{
	struct record *r = arg;
	struct maps maps = {0};

	assert_true(n > 0);
	assert_int_equal(maps_read(threads[n - 1].tid, &maps, NULL), 0);
	assert_true(maps.n > 0 && maps_find(&maps, threads[n - 1].registers.rsp));
	maps_done(&maps);
	pthread_mutex_lock(&r->lock);
	r->n_endings++;
	r->ending_pid = pid;
	r->n_ending_threads = n;
	pthread_mutex_unlock(&r->lock);
}

static const struct launch_hooks plain_hooks = {on_mapped, on_execed, on_forked, on_ended, NULL};
static const struct launch_hooks ending_hooks = {on_mapped, on_execed, on_forked, on_ended,
						 on_ending};
static const struct launch_hooks *hooks = &plain_hooks;

static struct record *new_record(void)
{
	struct record *r = calloc(1, sizeof(*r));

	pthread_mutex_init(&r->lock, NULL);
	return r;
}

static struct launch *start(char *const argv[], bool follow, struct record *r)
{
	struct launch *l = NULL;
	struct diag d = {0};

	if (launch_create(argv, follow, hooks, r, &l, &d))
		fail_msg("%s", d.text);
	assert_int_equal(launch_go(l), 0);
	return l;
}

static int wait_for(struct launch *l)
{
	struct pollfd p = {launch_eventfd(l), POLLIN, 0};
	int status = -1;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(launch_status(l, &status, NULL), 0);
	return status;
}

/* Runs it to its end. Returns the wait status. */
static int run(char *const argv[], bool follow, struct record *r)
{
	struct launch *l = start(argv, follow, r);
	int status = wait_for(l);

	launch_destroy(l);
	return status;
}

static int run_shell(const char *script, bool follow, struct record *r)
{
	return run((char *[]){"sh", "-c", (char *)script, NULL}, follow, r);
}

static const char *in_directory(const char *name)
{
	static char paths[4][128];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

/* Compiles a program or library out of source text into the directory. */
static char *build(const char *name, const char *flags, const char *source)
{
	char command[512], file[160];
	FILE *f;

	snprintf(file, sizeof(file), "%s/%s.c", directory, name);
	f = fopen(file, "w");
	assert_non_null(f);
	fputs(source, f);
	fclose(f);
	snprintf(command, sizeof(command), "cc -D_GNU_SOURCE -o %s/%s %s %s", directory, name, file,
		 flags);
	assert_int_equal(system(command), 0);
	return (char *)in_directory(name);
}

static char state_of(pid_t pid)
{
	struct procfs_stat stat;

	return procfs_read_stat(pid, &stat) ? '?' : stat.state;
}

static int tracer_of(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	size_t n;

	if (procfs_read(pid, "status", 1 << 16, &text, &n))
		return -1;
	line = strstr(text, "TracerPid:");
	return line ? atoi(line + strlen("TracerPid:")) : -1;
}

/* Waits until CONDITION holds; fails if it does not come true. */
#define EVENTUALLY(condition)                                                                      \
	do {                                                                                       \
		int left_ms = PATIENCE_MS;                                                         \
		while (!(condition) && left_ms-- > 0)                                              \
			usleep(1000);                                                              \
		assert_true(left_ms > 0);                                                          \
	} while (0)

static size_t count_of(struct record *r, enum kind kind)
{
	size_t n;

	pthread_mutex_lock(&r->lock);
	n = r->n_of[kind];
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* Every process is forked, then exec'ed or not, then ended, each once; parents are known. */
static void assert_consistent(const struct record *r, pid_t command)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct event *e = &r->events[i];
		bool born = e->pid == command, parent_known = e->parent == command;
		size_t n_ends = 0;

		for (size_t j = 0; j < r->n; j++) {
			const struct event *other = &r->events[j];

			if (j < i && other->kind == FORKED) {
				born |= other->pid == e->pid;
				parent_known |= other->pid == e->parent;
			}
			n_ends += other->kind == ENDED && other->pid == e->pid;
		}
		assert_true(e->kind == FORKED ? !born && parent_known : born);
		assert_int_equal(n_ends, 1);
		if (e->kind == EXECED)
			assert_true(i + 1 < r->n && r->events[i + 1].kind == MAPPED &&
				    r->events[i + 1].pid == e->pid);
	}
}

static void test_true(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	struct launch *l = start((char *[]){"/bin/true", NULL}, true, r);
	pid_t pid = launch_pid(l);

	(void)state;
	assert_int_equal(wait_for(l), 0);
	assert_int_equal(launch_signal(l, SIGTERM), -ESRCH);
	launch_destroy(l);
	assert_consistent(r, pid);
	assert_int_equal(r->events[0].kind, EXECED);
	assert_true(r->n_of[EXECED] == 1 && r->n_of[FORKED] == 0 && r->n_of[ENDED] == 1);
	assert_true(r->n_of[MAPPED] >= 2); /* exec, libc */
	assert_int_equal(r->events[r->n - 1].kind, ENDED);
}

static void test_nothing_before_go(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	const char *marker = in_directory("too_early");
	struct launch *l = NULL;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(launch_create((char *[]){"touch", (char *)marker, NULL}, true, hooks, r,
				       &l, NULL),
			 0);
	pid = launch_pid(l);
	usleep(50000);
	assert_int_equal(launch_status(l, &status, NULL), -EAGAIN);
	launch_destroy(l);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(access(marker, F_OK), -1);
	assert_int_equal(r->n_of[EXECED], 0);
	launch_destroy(NULL);
	assert_int_equal(launch_create((char *[]){NULL}, true, hooks, r, &l, NULL), -EINVAL);
}

/* The library's file must be reported before its constructor has run. */
static void test_library_before_its_constructor(void **state)
{
	(void)state;
	build("libmark.so", "-shared -fPIC",
	      "#include <fcntl.h>\n#include <stdlib.h>\n"
	      "__attribute__((constructor)) static void begin(void) { creat(getenv(\"MARKER\"), 0600); }\n"
	      "int answer(void) { return 42; }\n");
	build("marked", "", "int main(void) { return 42; }\n");
	for (int follow = 0; follow < 2; follow++) {
		_cleanup_free_ struct record *r = new_record();
		const char *marker = in_directory(follow ? "marker1" : "marker0");
		char *program = (char *)in_directory("marked");
		int status;

		setenv("MARKER", marker, 1);
		setenv("LD_PRELOAD", in_directory("libmark.so"), 1);
		r->library = "/libmark.so";
		r->marker = marker;
		status = run((char *[]){program, NULL}, follow, r);
		unsetenv("LD_PRELOAD");
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
		assert_int_equal(access(marker, F_OK), 0);
		assert_true(r->saw_library);
		assert_false(r->too_late);
	}
}

static void test_static_program(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	char *program = build("static", "-static", "int main(void) { return 6; }\n");
	int status = run((char *[]){program, NULL}, true, r);

	(void)state;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 6);
	assert_int_equal(r->n_of[MAPPED], 1);
}

static void test_pipeline(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	struct launch *l = start(
		(char *[]){"sh", "-c", "/bin/true; true | cat; exec /bin/echo hi >/dev/null", NULL},
		true, r);
	pid_t pid = launch_pid(l);

	(void)state;
	assert_int_equal(wait_for(l), 0);
	launch_destroy(l);
	assert_consistent(r, pid);
	assert_int_equal(r->n_of[FORKED], 3); /* true, both sides of the pipe */
	assert_int_equal(r->n_of[EXECED], 4); /* sh, true, cat, echo */
	assert_int_equal(r->n_of[ENDED], 4);
}

static void test_many_forks(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	struct launch *l = start((char *[]){"sh", "-c",
					    "for i in $(seq 200); do /bin/true & done; wait", NULL},
				 true, r);
	pid_t pid = launch_pid(l);

	(void)state;
	assert_int_equal(wait_for(l), 0);
	launch_destroy(l);
	assert_int_equal(r->n_of[FORKED], 201); /* and seq's */
	assert_int_equal(r->n_of[EXECED], 202);
	assert_int_equal(r->n_of[ENDED], 202);
	assert_consistent(r, pid);
}

static void test_no_follow(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	int status = run_shell("/bin/true; /bin/true | cat; exec sh -c 'exit 3'", false, r);

	(void)state;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_int_equal(r->n_of[EXECED], 2);
	assert_int_equal(r->n_of[FORKED], 0);
	assert_int_equal(r->n_of[ENDED], 1);
}

static void test_failed_execution(void **state)
{
	struct {
		char *name;
		int err;
		const char *text;
	} cases[] = {
		{"no-such-command-ls2", -ENOENT, "no-such-command-ls2: command not found"},
		{"/no/such/file", -ENOENT, "/no/such/file: command not found"},
		{directory, -EACCES, "permission denied"},
		{(char *)in_directory("orphan.script"), -ENOENT, "interpreter"},
	};
	FILE *f = fopen(cases[3].name, "w");

	(void)state;
	fputs("#!/no/such/interpreter\n", f);
	fclose(f);
	chmod(cases[3].name, 0700);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ struct record *r = new_record();
		struct launch *l = start((char *[]){cases[i].name, NULL}, true, r);
		struct pollfd p = {launch_eventfd(l), POLLIN, 0};
		struct diag d = {0};
		int status;

		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		assert_int_equal(launch_status(l, &status, &d), cases[i].err);
		assert_non_null(strstr(d.text, cases[i].text));
		assert_int_equal(r->n_of[EXECED], 0);
		launch_destroy(l);
	}
}

static void test_exit_codes_and_signals(void **state)
{
	static const struct {
		const char *script;
		int status;
	} cases[] = {
		{"exit 77", 77 << 8},
		{"kill -USR1 $$", SIGUSR1},
		{"kill -KILL $$", SIGKILL},
		{"ulimit -c 0; kill -TRAP $$", SIGTRAP},
		{"trap 'exit 9' USR1; kill -USR1 $$; exit 1", 9 << 8},
		{"trap 'exit 8' TRAP; kill -TRAP $$; exit 1", 8 << 8},
		{"sh -c 'kill -HUP $$'; exit $?", (128 + SIGHUP) << 8},
		{"trap '' TRAP; /bin/true; exit $?",
		 0}, /* the entry's trap in a process that ignores it */
	};

	(void)state;
	signal(SIGUSR1, SIG_IGN); /* must not reach the command */
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		_cleanup_free_ struct record *r = new_record();

		assert_int_equal(run_shell(cases[i / 2].script, i % 2, r), cases[i / 2].status);
	}
	signal(SIGUSR1, SIG_DFL);
}

static void test_stop_and_continue(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	struct launch *l = start((char *[]){"sleep", "60", NULL}, true, r);
	pid_t pid = launch_pid(l);
	int status;

	(void)state;
	EVENTUALLY(count_of(r, MAPPED) >= 2 && state_of(pid) == 'S');
	/* Not SIGTSTP: in an orphaned process group, as tests/run makes one, it stops nobody. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(launch_signal(l, SIGSTOP), 0);
		EVENTUALLY(state_of(pid) == 'T' || state_of(pid) == 't');
		usleep(20000);
		assert_true(state_of(pid) == 'T' || state_of(pid) == 't');
		assert_int_equal(launch_signal(l, SIGCONT), 0);
		EVENTUALLY(state_of(pid) == 'S');
	}
	assert_int_equal(launch_signal(l, SIGTERM), 0);
	status = wait_for(l);
	launch_destroy(l);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* The shell, not we, must see its child stop, go on and end. */
static void test_job_control(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	int status = run(
		(char *[]){
			"bash", "-c",
			"set -m; sleep 60 & kill -STOP %1; for i in $(seq 100); do"
			" jobs %1 | grep -q Stopped && break; sleep 0.05; done; jobs %1 | grep -q Stopped ||"
			" exit 7; kill -CONT %1; for i in $(seq 100); do jobs %1 | grep -q Running && break;"
			" sleep 0.05; done; kill -TERM %1; wait %1 2>/dev/null",
			NULL},
		true, r);

	(void)state;
	assert_int_equal(status, (128 + SIGTERM) << 8);
}

static void test_threads(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	char *program = build(
		"threads", "-pthread",
		"#include <pthread.h>\n#include <spawn.h>\n#include <sys/wait.h>\n#include <unistd.h>\n"
		"static void *work(void *arg) { pid_t pid; char *a[] = {\"true\", 0}; (void)arg;\n"
		" for (int i = 0; i < 5; i++) { pid = fork(); if (!pid) _exit(0); waitpid(pid, 0, 0); }\n"
		" posix_spawn(&pid, \"/bin/true\", 0, 0, a, a); waitpid(pid, 0, 0); return 0; }\n"
		"static void *become(void *arg) { execl(\"/bin/sh\", \"sh\", \"-c\", \"exit 4\", (char *)0);"
		" return arg; }\n"
		"int main(void) { pthread_t t[4];\n"
		" for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, work, 0);\n"
		" for (int i = 0; i < 4; i++) pthread_join(t[i], 0);\n"
		" pthread_create(&t[0], 0, become, 0); for (;;) pause(); }\n");
	struct launch *l = start((char *[]){program, NULL}, true, r);
	pid_t pid = launch_pid(l);
	size_t n_sharing = 0;
	int status = wait_for(l);

	(void)state;
	launch_destroy(l);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 4);
	assert_consistent(r, pid);
	assert_int_equal(r->n_of[FORKED], 4 * 6);
	assert_int_equal(r->n_of[EXECED], 1 + 4 + 1);
	for (size_t i = 0; i < r->n; i++) {
		n_sharing += r->events[i].shares_memory;
		if (r->events[i].kind == FORKED)
			assert_int_equal(r->events[i].parent, pid);
	}
	assert_int_equal(n_sharing, 4); /* posix_spawn's, not fork's */
}

static void test_ending(void **state)
{
	static const char *const ends[] = {"return", "kill", "pthread_exit"};
	char *program = build(
		"ending", "-pthread",
		"#include <pthread.h>\n#include <signal.h>\n#include <string.h>\n#include <unistd.h>\n"
		"#include <stdlib.h>\n"
		"static void *wait(void *arg) { for (;;) pause(); return arg; }\n"
		"static void *finish(void *arg) { return arg; }\n"
		"static void *end(void *arg) { usleep(50000); exit(0); return arg; }\n"
		"int main(int argc, char **argv) { pthread_t t; (void)argc;\n"
		" for (int i = 0; i < 3; i++) pthread_create(&t, 0, wait, 0);\n"
		" pthread_create(&t, 0, finish, 0); pthread_join(t, 0);\n"
		" if (!strcmp(argv[1], \"kill\")) raise(SIGKILL);\n"
		" if (!strcmp(argv[1], \"pthread_exit\")) { pthread_create(&t, 0, end, 0); pthread_exit(0); }\n"
		" return 0; }\n");

	(void)state;
	hooks = &ending_hooks;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		_cleanup_free_ struct record *r = new_record();
		struct launch *l = start((char *[]){program, (char *)ends[i], NULL}, true, r);
		pid_t pid = launch_pid(l);

		wait_for(l);
		launch_destroy(l);
		assert_int_equal(r->n_endings, 1);
		assert_int_equal(r->ending_pid, pid);
		assert_int_equal(r->n_ending_threads, 4);
	}
	hooks = &plain_hooks;
}

/* With stops at the ends of all threads. */
static void test_all_ending(void **state)
{
	hooks = &ending_hooks;
	test_true(state);
	test_pipeline(state);
	test_many_forks(state);
	test_no_follow(state);
	test_exit_codes_and_signals(state);
	test_threads(state);
	hooks = &plain_hooks;
}

/* The child of a constructor's fork inherits the trap at the entry point, and then runs into it. */
static void test_constructor_forks(void **state)
{
	(void)state;
	build("libforks.so", "-shared -fPIC",
	      "#include <stdlib.h>\n#include <sys/wait.h>\n#include <unistd.h>\n"
	      "__attribute__((constructor)) static void begin(void) { int s; pid_t pid = fork();\n"
	      " if (pid) { waitpid(pid, &s, 0); if (s != 42 << 8) _exit(1); } }\n");
	build("forked", "", "int main(void) { return 42; }\n");
	for (int follow = 0; follow < 2; follow++) {
		_cleanup_free_ struct record *r = new_record();
		char *program = (char *)in_directory("forked");
		int status;

		setenv("LD_PRELOAD", in_directory("libforks.so"), 1);
		status = run((char *[]){program, NULL}, follow, r);
		unsetenv("LD_PRELOAD");
		assert_int_equal(status, 42 << 8);
		assert_int_equal(r->n_of[FORKED], follow);
	}
}

/* The command is ours once the tracer thread, its parent, has ended. */
static int wait_as_parent(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_destroy_while_running(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	struct launch *l =
		start((char *[]){"sh", "-c", "/bin/sleep 0.5; /bin/true && exit 5", NULL}, true, r);
	pid_t pid = launch_pid(l);

	(void)state;
	EVENTUALLY(count_of(r, EXECED) == 2);
	launch_destroy(l);
	assert_int_equal(tracer_of(pid), 0);
	assert_int_equal(wait_as_parent(pid), 5 << 8);
	assert_int_equal(r->n_of[EXECED], 2);
}

static void test_destroy_while_stopped(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	struct launch *l = start((char *[]){"sleep", "60", NULL}, true, r);
	pid_t pid = launch_pid(l);

	(void)state;
	EVENTUALLY(count_of(r, MAPPED) >= 2 && state_of(pid) == 'S');
	launch_signal(l, SIGSTOP);
	EVENTUALLY(state_of(pid) == 't' || state_of(pid) == 'T');
	launch_destroy(l);
	usleep(20000);
	assert_int_equal(state_of(pid), 'T');
	assert_int_equal(kill(pid, SIGCONT), 0);
	EVENTUALLY(state_of(pid) == 'S');
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(wait_as_parent(pid), SIGTERM);
}

/* Start-up has a trap in the memory and a kill order in case that we die: both must go. */
static void test_destroy_in_startup(void **state)
{
	_cleanup_free_ struct record *r = new_record();
	struct launch *l;
	char *program;
	pid_t pid;

	(void)state;
	build("libslow.so", "-shared -fPIC",
	      "#include <fcntl.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
	      "__attribute__((constructor)) static void begin(void) {"
	      " usleep(1000000); creat(getenv(\"MARKER\"), 0600); }\n");
	program = build("slow", "", "int main(void) { return 42; }\n");
	setenv("LD_PRELOAD", in_directory("libslow.so"), 1);
	setenv("MARKER", in_directory("slow_done"), 1);
	r->library = "/libslow.so";
	r->marker = "/nonexistent";
	l = start((char *[]){program, NULL}, true, r);
	unsetenv("LD_PRELOAD");
	pid = launch_pid(l);
	EVENTUALLY(__atomic_load_n(&r->saw_library, __ATOMIC_SEQ_CST));
	usleep(50000);
	launch_destroy(l);
	assert_int_equal(access(in_directory("slow_done"), F_OK),
			 -1); /* did not wait for the start-up's end */
	assert_int_equal(tracer_of(pid), 0);
	assert_int_equal(wait_as_parent(pid), 42 << 8);
}

/* At any moment of a busy tree's life. */
static void test_destroy_anytime(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		_cleanup_free_ struct record *r = new_record();
		struct launch *l = start(
			(char *[]){
				"sh", "-c",
				"for i in 1 2 3 4 5; do /bin/true || exit 1; /bin/true | cat || exit 2;"
				" done; exit 5",
				NULL},
			i % 3, r);
		pid_t pid = launch_pid(l);
		int status;

		usleep(i * 300);
		if (launch_status(l, &status, NULL) == -EAGAIN) {
			launch_destroy(l);
			/* If it ended just then, the tracer thread has collected it. */
			if (waitpid(pid, &status, 0) < 0)
				continue;
		} else {
			launch_destroy(l);
		}
		assert_int_equal(status, 5 << 8);
	}
}

/* The tracing process is killed: the command goes on. */
static void test_our_death(void **state)
{
	int report[2];
	pid_t tracer, pid;

	(void)state;
	assert_int_equal(pipe(report), 0);
	tracer = fork();
	if (!tracer) {
		struct record *r = new_record();
		struct launch *l = NULL;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (launch_create((char *[]){"sleep", "60", NULL}, true, hooks, r, &l, NULL) ||
		    launch_go(l))
			_exit(1);
		pid = launch_pid(l);
		while (count_of(r, MAPPED) < 2 || state_of(pid) != 'S')
			usleep(1000);
		if (write(report[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(report[0], &pid, sizeof(pid)), sizeof(pid));
	assert_int_not_equal(tracer_of(pid), 0);
	usleep(50000);
	kill(tracer, SIGKILL);
	waitpid(tracer, NULL, 0);
	EVENTUALLY(tracer_of(pid) == 0);
	usleep(20000);
	assert_int_equal(state_of(pid), 'S');
	kill(pid, SIGKILL);
	close(report[0]);
	close(report[1]);
}

/* In a child, since a filter stays. */
static void test_refused(void **state)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {ARRAY_SIZE(filter), filter};
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct launch *l = NULL;
		struct diag d = {0};

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
			_exit(1);
		if (launch_create((char *[]){"true", NULL}, true, hooks, NULL, &l, &d) != -EPERM)
			_exit(2);
		_exit(d.exit_code == EXIT_REFUSED && strstr(d.text, "cannot be traced") && d.hint[0]
			      ? 0
			      : 3);
	}
	assert_int_equal(wait_as_parent(pid), 0);
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_true),
		cmocka_unit_test(test_nothing_before_go),
		cmocka_unit_test(test_library_before_its_constructor),
		cmocka_unit_test(test_static_program),
		cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_many_forks),
		cmocka_unit_test(test_no_follow),
		cmocka_unit_test(test_failed_execution),
		cmocka_unit_test(test_exit_codes_and_signals),
		cmocka_unit_test(test_stop_and_continue),
		cmocka_unit_test(test_job_control),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_ending),
		cmocka_unit_test(test_all_ending),
		cmocka_unit_test(test_constructor_forks),
		cmocka_unit_test(test_destroy_while_running),
		cmocka_unit_test(test_destroy_while_stopped),
		cmocka_unit_test(test_destroy_in_startup),
		cmocka_unit_test(test_destroy_anytime),
		cmocka_unit_test(test_our_death),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

// SPDX-License-Identifier: BSD-2-Clause
/* Marks: names, what they are compared with, the lines of the control socket, and the socket itself. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "analyze/baseline.h"
#include "base/cleanup.h"
#include "daemon/control.h"
#include "daemon/control_request.h"
#include "model/report.h"

static void names_follow_the_rule(void **state)
{
	static const char *const good[] = {"a", "7", "before-load", "v1.2.3", "a:b_c", "END"};
	static const char *const bad[] = {"",	 "-a",	 ".a",	"start",    "end",
					  "a b", "a\nb", "a/b", "\xc3\xa4", "a\"b"};
	char text[MARK_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(mark_name_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(mark_name_is_valid(bad[i]));
	assert_false(mark_name_is_valid(NULL));
	memset(text, 'x', sizeof(text));
	text[MARK_NAME_MAX] = '\0';
	assert_true(mark_name_is_valid(text));
	text[MARK_NAME_MAX] = 'x';
	text[MARK_NAME_MAX + 1] = '\0';
	assert_false(mark_name_is_valid(text));
}

static void requests_are_parsed_strictly(void **state)
{
	static const char *const bad[] = {
		"",	"who ",	 "who 0",    "who -1", "who 99999999999", "who 1 ",  "WHO",
		"mark", "mark ", "mark a b", "mark -", "mark end",	  "unmark a"};
	struct control_request r, again;
	char line[CONTROL_REQUEST_MAX];
	struct diag d = {0};

	(void)state;
	assert_int_equal(control_request_parse("who", 3, &r, &d), 0);
	assert_true(r.verb == CONTROL_WHO && !r.pid);
	assert_int_equal(control_request_parse("who 4194304", 11, &r, &d), 0);
	assert_int_equal(r.pid, 4194304);
	assert_int_equal(control_request_parse("mark deploy-17", 14, &r, &d), 0);
	assert_int_equal(r.verb, CONTROL_MARK);
	assert_string_equal(r.name, "deploy-17");
	control_request_print(&r, line, sizeof(line));
	assert_int_equal(control_request_parse(line, strlen(line) - 1, &again, &d), 0);
	assert_string_equal(again.name, "deploy-17");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(control_request_parse(bad[i], strlen(bad[i]), &r, &d), -EBADMSG);
	assert_int_equal(control_request_parse("who\0", 4, &r, &d), -EBADMSG);
	memset(line, 'x', sizeof(line));
	memcpy(line, "mark ", 5);
	assert_int_equal(control_request_parse(line, 5 + MARK_NAME_MAX, &r, &d), 0);
	assert_int_equal(control_request_parse(line, 6 + MARK_NAME_MAX, &r, &d), -EBADMSG);
	assert_int_equal(control_request_parse(line, sizeof(line), &r, &d), -EBADMSG);
}

static void answers_come_back_as_they_were(void **state)
{
	static const char *const targets[] = {"pid 1", "comm \033[2J", "pid 3", "pid 4", "pid 5"};
	const struct session s = {.version = "1",
				  .start_ns = 12345,
				  .targets = targets,
				  .n_targets = ARRAY_SIZE(targets)};
	const struct mark m = {.name = "a", .time_ns = 99, .sequence = 7};
	struct control_answer a;
	char *text = NULL;
	size_t n = 0, n_who, n_mark;
	FILE *f = open_memstream(&text, &n);
	bool yes = true;

	(void)state;
	control_put_who(f, &s, &yes);
	fflush(f);
	n_who = n;
	control_put_mark(f, &m);
	fflush(f);
	n_mark = n;
	control_put_error(f, true, "busy");
	fclose(f);
	assert_int_equal(control_answer_parse(text, n_who, &a), 0);
	assert_true(a.ok && a.traces);
	assert_int_equal(a.start_ns, 12345);
	assert_string_equal(a.targets, "pid 1, comm ?[2J, pid 3, pid 4 and 1 more");
	assert_int_equal(control_answer_parse(text + n_who, n_mark - n_who, &a), 0);
	assert_true(a.ok && !a.traces);
	assert_string_equal(a.mark.name, "a");
	assert_int_equal(a.mark.sequence, 7);
	assert_int_equal(control_answer_parse(text + n_mark, n - n_mark, &a), 0);
	assert_true(!a.ok && a.again);
	assert_string_equal(a.error, "busy");
	free(text);
}

static void hostile_answers_are_refused(void **state)
{
	static const char *const bad[] = {"", "{}", "[]", "{\"ok\":1}", "{\"ok\":true", "ok"};
	static const char odd[] = "{\"ok\":true,\"targets\":[1,null,{}],\"n_targets\":-5,"
				  "\"time_ns\":\"x\",\"name\":7,\"error\":[]}";
	struct control_answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(control_answer_parse(bad[i], strlen(bad[i]), &a), -EBADMSG);
	assert_int_equal(control_answer_parse(odd, strlen(odd), &a), 0);
	assert_string_equal(a.mark.name, "");
}

static struct site site_of(uint32_t process, uint64_t fingerprint, uint64_t bytes, uint64_t made)
{
	return (struct site){
		.process = process,
		.fingerprint = fingerprint,
		.kind = SITE_MALLOC,
		.outstanding_bytes = bytes,
		.outstanding_allocations = bytes / 10,
		.allocations = made,
	};
}

static void what_changed_is_said_since_the_mark(void **state)
{
	struct process_report processes[] = {
		{.pid = 1, .start_ns = 5, .outstanding_bytes = 300, .outstanding_allocations = 30},
		{.pid = 2, .start_ns = 6},
	};
	struct site before[] = {site_of(0, 1, 100, 50), site_of(0, 2, 200, 50)};
	/* One that grew, one whose counters began anew, one that is new; then another process with the first one's stack. */
	struct site after[] = {site_of(0, 1, 160, 80), site_of(0, 2, 0, 3), site_of(0, 3, 70, 7),
			       site_of(1, 1, 10, 1)};
	struct report r = {.time_ns = 9,
			   .sequence = 3,
			   .processes = processes,
			   .n_processes = 1,
			   .sites = before,
			   .n_sites = 2};
	struct baseline b = {0};

	(void)state;
	baseline_apply(&b, &r);
	assert_null(r.mark);
	assert_int_equal(baseline_set(&b, "m", &r), 0);
	baseline_apply(&b, &r);
	assert_true(report_is_mark(&r));
	assert_int_equal(before[0].since_mark.outstanding_bytes, 0);
	processes[0].outstanding_bytes = 230;
	processes[0].outstanding_allocations = 23;
	r.sequence = 4;
	r.sites = after;
	r.n_sites = 4;
	r.n_processes = 2;
	baseline_apply(&b, &r);
	assert_false(report_is_mark(&r));
	assert_string_equal(r.mark->name, "m");
	assert_int_equal(processes[0].since_mark.outstanding_bytes, -70);
	assert_int_equal(processes[0].since_mark.outstanding_allocations, -7);
	assert_int_equal(after[0].since_mark.outstanding_bytes, 60);
	assert_int_equal(after[0].since_mark.outstanding_allocations, 6);
	assert_int_equal(after[0].since_mark.allocations, 30);
	assert_int_equal(after[1].since_mark.outstanding_bytes, -200);
	assert_int_equal(after[1].since_mark.allocations, 3);
	assert_int_equal(after[2].since_mark.outstanding_bytes, 70);
	assert_int_equal(after[3].since_mark.outstanding_bytes, 10);
	assert_int_equal(baseline_set(&b, "n", &r), 0);
	baseline_apply(&b, &r);
	assert_string_equal(r.mark->name, "n");
	assert_int_equal(after[0].since_mark.outstanding_bytes, 0);
	baseline_done(&b);
}

struct place {
	char path[64];
	int directory;
	struct control *control;
	struct control_name name;
	unsigned n_asked;
};

/* Says no, with the line's length. */
static void say_no(void *arg, const char *line, size_t n, FILE *to)
{
	struct place *p = arg;
	char text[32];

	(void)line;
	p->n_asked++;
	snprintf(text, sizeof(text), "%zu bytes", n);
	control_put_error(to, false, text);
}

static int open_place(void **state)
{
	static struct place p;
	const struct control_handler handler = {.answer = say_no, .arg = &p};
	struct diag d = {0};

	p = (struct place){.name = {.kind = CONTROL_TRACE, .pid = getpid()}};
	strcpy(p.path, "/tmp/seep-control-XXXXXX");
	if (!mkdtemp(p.path) || setenv("SEEP_RUN_DIR", p.path, 1))
		return -1;
	p.directory = control_open_directory(false, &d);
	*state = &p;
	return p.directory < 0 ? -1 : control_create(CONTROL_TRACE, &handler, &p.control, &d);
}

/* It must be empty by then. */
static int close_place(void **state)
{
	struct place *p = *state;

	control_destroy(p->control);
	close(p->directory);
	return rmdir(p->path);
}

static int connected(const struct place *p)
{
	int fd = control_connect(p->directory, &p->name);

	assert_true(fd >= 0);
	return fd;
}

/* What the socket says to these bytes; "": it ends the connection without a word. */
static void ask(struct place *p, const char *bytes, size_t n, char *out, size_t n_out)
{
	int fd = connected(p);
	ssize_t got;

	control_step(p->control);
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
	control_step(p->control);
	got = recv(fd, out, n_out - 1, MSG_DONTWAIT);
	out[got > 0 ? got : 0] = '\0';
	close(fd);
}

static void a_line_is_answered(void **state)
{
	char out[256];

	ask(*state, "mark a\nrest", 11, out, sizeof(out));
	assert_string_equal(out, "{\"ok\":false,\"again\":false,\"error\":\"6 bytes\"}\n");
	ask(*state, "\n", 1, out, sizeof(out));
	assert_non_null(strstr(out, "\"0 bytes\""));
}

static void a_line_may_come_in_pieces(void **state)
{
	struct place *p = *state;
	int fd = connected(p);
	char out[256];

	for (const char *c = "who 12\n"; *c; c++) {
		control_step(p->control);
		assert_int_equal(p->n_asked, 0);
		assert_int_equal(send(fd, c, 1, 0), 1);
	}
	control_step(p->control);
	assert_int_equal(p->n_asked, 1);
	assert_true(recv(fd, out, sizeof(out), MSG_DONTWAIT) > 0);
	close(fd);
}

static void too_long_lines_end_the_connection(void **state)
{
	char out[256], line[4 * CONTROL_REQUEST_MAX];

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	ask(*state, line, sizeof(line), out, sizeof(out));
	assert_string_equal(out, "");
	assert_int_equal(((struct place *)*state)->n_asked, 0);
}

static void who_says_nothing_makes_room(void **state)
{
	struct place *p = *state;
	int silent[40];
	char out[256];

	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		silent[i] = connected(p);
		control_step(p->control);
	}
	ask(p, "who\n", 4, out, sizeof(out));
	assert_int_equal(p->n_asked, 1);
	/* The first ones were put out. */
	assert_int_equal(recv(silent[0], out, 1, MSG_DONTWAIT), 0);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		close(silent[i]);
	control_step(p->control);
	ask(p, "who\n", 4, out, sizeof(out));
	assert_int_equal(p->n_asked, 2);
}

static void count(void *arg, const struct control_name *name)
{
	*(int *)arg += name->pid > 0;
}

/* A child that dies without a word leaves its socket. */
static pid_t leave_a_socket(void)
{
	const struct control_handler handler = {.answer = say_no};
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct control *c;
		struct diag d;

		_exit(control_create(CONTROL_TRACE, &handler, &c, &d) ? 1 : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return pid;
}

static void leftovers_are_removed(void **state)
{
	struct place *p = *state;
	const struct control_name left = {.kind = CONTROL_TRACE, .pid = leave_a_socket()};
	int n = 0;

	assert_int_equal(control_connect(p->directory, &left), -ECONNREFUSED);
	assert_int_equal(control_each(p->directory, count, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(control_connect(p->directory, &left), -ENOENT);
}

/* Also when nobody looks: the next trace does. */
static void the_next_one_removes_leftovers(void **state)
{
	struct place *p = *state;
	const struct control_name left = {.kind = CONTROL_TRACE, .pid = leave_a_socket()};

	leave_a_socket();
	assert_int_equal(control_connect(p->directory, &left), -ENOENT);
	control_each(p->directory, NULL, NULL);
}

static void a_name_in_use_is_not_taken(void **state)
{
	struct place *p = *state;
	const struct control_handler handler = {.answer = say_no};
	struct control *second;
	struct diag d = {0};
	char out[64];

	assert_int_equal(control_create(CONTROL_TRACE, &handler, &second, &d), -EADDRINUSE);
	ask(p, "who\n", 4, out, sizeof(out));
	assert_int_equal(p->n_asked, 1);
}

static void the_directory_must_be_private(void **state)
{
	struct place *p = *state;
	struct diag d = {0};

	assert_int_equal(chmod(p->path, 0755), 0);
	assert_int_equal(control_open_directory(true, &d), -EPERM);
	assert_non_null(strstr(d.text, p->path));
	assert_int_equal(chmod(p->path, 0700), 0);
}

static void only_sockets_names_are_names(void **state)
{
	static const char *const bad[] = {"trace-.sock",
					  "trace-0.sock",
					  "trace-01.sock",
					  "trace-1.sock2",
					  "trace-1",
					  "x-1.sock",
					  "trace-99999999999999.sock",
					  "trace--1.sock"};
	struct control_name name;

	(void)state;
	assert_true(control_parse_name("trace-17.sock", &name));
	assert_int_equal(name.pid, 17);
	assert_true(control_parse_name("serve-1.sock", &name));
	assert_int_equal(name.kind, CONTROL_SERVE);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(control_parse_name(bad[i], &name));
}

#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_follow_the_rule),
		cmocka_unit_test(requests_are_parsed_strictly),
		cmocka_unit_test(answers_come_back_as_they_were),
		cmocka_unit_test(hostile_answers_are_refused),
		cmocka_unit_test(what_changed_is_said_since_the_mark),
		cmocka_unit_test(only_sockets_names_are_names),
		AT_PLACE(a_line_is_answered),
		AT_PLACE(a_line_may_come_in_pieces),
		AT_PLACE(too_long_lines_end_the_connection),
		AT_PLACE(who_says_nothing_makes_room),
		AT_PLACE(leftovers_are_removed),
		AT_PLACE(the_next_one_removes_leftovers),
		AT_PLACE(a_name_in_use_is_not_taken),
		AT_PLACE(the_directory_must_be_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

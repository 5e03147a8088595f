// SPDX-License-Identifier: BSD-2-Clause
/* seep serve: a trace without an end, which answers over HTTP. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "daemon/board.h"
#include "daemon/control_place.h"
#include "daemon/escalate.h"
#include "daemon/http.h"
#include "daemon/listen.h"
#include "daemon/marking.h"
#include "daemon/notify.h"
#include "daemon/tracer.h"
#include "output/watch.h"

#define SOCKET_NAME "serve.sock"
/* The loop goes round so often at least, which /healthz and a service's watchdog rely on. */
#define ROUND_MS 5000

struct serve {
	const struct serve_options *options;
	struct signals signals;
	struct board *board;
	struct http *by_socket, *by_tcp;
	int directory;	    /* of the socket, AT_FDCWD, or -1 */
	const char *socket; /* its name there, once it is there */
	struct tracer *tracer;
	struct marking *marking; /* NULL: there is no place for its socket */
	int round_ms;
	uint64_t watchdog_ns, told_ns; /* 0: no manager asks for it */
	bool is_ending;
};

static void log_socket(const struct serve *s)
{
	char link[64], directory[PATH_MAX] = "";
	ssize_t n = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", s->directory);
	if (s->directory >= 0)
		n = readlink(link, directory, sizeof(directory) - 1);
	log_info("serving at the socket %.*s%s%s", n > 0 ? (int)n : 0, directory, n > 0 ? "/" : "",
		 s->socket);
}

/* The unix socket. One that is not asked for may be missing when there is an address. */
static int open_socket(struct serve *s, struct diag *d)
{
	const char *path = s->options->socket ? s->options->socket : SOCKET_NAME;
	int fd;

	s->directory = s->options->socket ? AT_FDCWD : control_open_directory(true, d);
	fd = s->directory == -1 ? -ENOENT : listen_unix(s->directory, path, d);
	if (s->directory < 0 && s->directory != AT_FDCWD)
		fd = s->directory;
	if (fd < 0 && s->options->listen && !s->options->socket) {
		log_info("no unix socket: %s", d->text);
		return 0;
	}
	if (fd < 0)
		return fd;
	s->socket = path;
	log_socket(s);
	return http_create(fd, s->board, false, &s->by_socket, d);
}

static int open_tcp(struct serve *s, struct diag *d)
{
	struct listen_address address;
	char text[LISTEN_TEXT_SIZE];
	int fd, err = listen_parse(s->options->listen, &address, d);

	if (err)
		return err;
	fd = listen_tcp(&address, d);
	if (fd < 0)
		return fd;
	listen_describe(fd, text);
	log_info("serving at http://%s/%s", text,
		 address.loopback ? "" : ", open to whoever gets there");
	return http_create(fd, s->board, true, &s->by_tcp, d);
}

/* What the watch sees, for the board. */
static int print_watch(void *arg, struct escalation *e, uint64_t time_ns, bool last, char **ret,
		       size_t *ret_n)
{
	const struct watch_output_options output = {0};
	FILE *f = open_memstream(ret, ret_n);
	int err;

	(void)arg;
	if (!f)
		return -errno;
	err = escalation_report(e, f, true, &output, time_ns, last);
	return fclose(f) && !err ? -ENOMEM : err;
}

static int start(struct serve *s, struct diag *d)
{
	struct tracer_options options = {.trace = &s->options->trace, .preface = print_watch};
	struct diag unmarked = {0};
	int err = signals_open(&s->signals, d);

	if (!err && board_create(&s->board))
		err = diag_set(d, ENOMEM, "out of memory");
	if (!err)
		err = open_socket(s, d);
	if (!err && s->options->listen)
		err = open_tcp(s, d);
	if (err)
		return err;
	options.writer = board_writer(s->board);
	err = tracer_create(&options, &s->tracer, d);
	if (!err && marking_create(CONTROL_SERVE, s->tracer, &s->marking, &unmarked))
		log_info("'seep mark' will not find this trace: %s", unmarked.text);
	return err;
}

static void on_signal(struct serve *s)
{
	const char *why = signals_read(&s->signals);

	if (!why)
		return;
	/* A terminal that is gone ends it; somebody who sends the signal asks a daemon to read its settings again. */
	if (s->signals.last == SIGHUP && s->signals.by_process) {
		log_info("there is nothing to read again: all settings are of the command line");
		s->signals.last = 0;
		return;
	}
	notify_manager("STOPPING=1");
	s->is_ending = true;
	tracer_end(s->tracer, why, 0);
}

/* A trace whose processes have all ended has no more to say, but what it said is served on. */
static int step(struct serve *s, bool *over, struct diag *d)
{
	int err;

	if (*over)
		return 0;
	err = tracer_step(s->tracer, d);
	*over = !err && tracer_is_over(s->tracer);
	if (*over && !s->is_ending && !s->options->trace.quiet)
		log_info("all processes have ended; what was found about them is served on");
	return err;
}

/* More often than the manager asks for, but not at every event. */
static void tell_alive(struct serve *s)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (!s->watchdog_ns || now_ns < s->told_ns + s->watchdog_ns / 3)
		return;
	s->told_ns = now_ns;
	notify_manager("WATCHDOG=1");
}

static int run(struct serve *s, struct diag *d)
{
	struct pollfd fds[] = {
		{.fd = tracer_fd(s->tracer), .events = POLLIN},
		{.fd = s->signals.fd, .events = POLLIN},
		{.fd = marking_fd(s->marking), .events = POLLIN},
	};
	bool over = false;
	int err = 0;

	while (!err && !(over && s->is_ending)) {
		if (poll(fds, ARRAY_SIZE(fds), s->round_ms) < 0 && errno != EINTR)
			return diag_set(d, errno, "cannot wait for events: %s", strerror(errno));
		board_touch(s->board);
		tell_alive(s);
		if (fds[1].revents)
			on_signal(s);
		if (fds[2].revents)
			marking_step(s->marking);
		err = step(s, &over, d);
		if (over)
			fds[0].fd = -1;
	}
	return err;
}

/* Readers first: they have the trace's session. */
static void stop(struct serve *s)
{
	http_destroy(s->by_tcp);
	http_destroy(s->by_socket);
	if (s->socket)
		unlinkat(s->directory, s->socket, 0);
	if (s->directory >= 0)
		close(s->directory);
	marking_destroy(s->marking);
	tracer_destroy(s->tracer);
	board_destroy(s->board);
	signals_close(&s->signals);
}

static int serve(const struct serve_options *o)
{
	struct serve s = {
		.options = o, .signals = SIGNALS_INIT, .directory = -1, .round_ms = ROUND_MS};
	struct diag d = {0};
	int err;

	s.watchdog_ns = notify_watchdog_ns();
	if (s.watchdog_ns && s.watchdog_ns / 3 / NS_PER_MS < ROUND_MS)
		s.round_ms = s.watchdog_ns / 3 / NS_PER_MS;
	err = start(&s, &d);
	if (!err) {
		notify_manager("READY=1");
		err = run(&s, &d);
	}
	stop(&s);
	if (err && d.text[0])
		return log_diag(&d);
	return err ? EXIT_RUNTIME : EXIT_DONE;
}

int cmd_serve(int argc, char **argv)
{
	struct serve_options options;
	struct diag d = {0};
	int r = serve_options_parse(argc, argv, &options, &d), code;

	if (r)
		return command_settle(&command_serve, r, &d);
	if (options.trace.quiet)
		log_set_level(LOG_QUIET);
	code = serve(&options);
	serve_options_done(&options);
	return code;
}

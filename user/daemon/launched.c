// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/launched.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/checking.h"
#include "daemon/trace_options.h"
#include "daemon/tracing.h"
#include "process/launch.h"

static void hook_mapped(void *arg, pid_t pid)
{
	tracing_mapped(arg, pid);
}

static void hook_forked(void *arg, pid_t parent, pid_t child, bool shares_memory)
{
	(void)parent;
	tracing_forked(arg, child, shares_memory);
}

static void hook_ended(void *arg, pid_t pid, int wait_status)
{
	(void)wait_status;
	tracing_ended(arg, pid);
}

static void hook_ending(void *arg, pid_t pid, const struct launch_thread *threads, size_t n)
{
	const struct tracing *t = arg;

	checking_ending(t->checking, pid, threads, n);
}

static const struct launch_hooks hooks = {
	.mapped = hook_mapped,
	.forked = hook_forked,
	.ended = hook_ended,
};

static const struct launch_hooks checking_hooks = {
	.mapped = hook_mapped,
	.forked = hook_forked,
	.ended = hook_ended,
	.ending = hook_ending,
};

/* -c: a command that needs no shell is executed as it is, so that one which does not exist is our error, not the shell's. */
static int split_command(struct launched *l, const char *command)
{
	static const char blanks[] = " \t", shell_syntax[] = "|&;<>()$`\\\"'*?[]#~=%!{}\n";
	size_t n = 0, most = strlen(command) / 2 + 4;

	l->argv = calloc(most, sizeof(*l->argv));
	l->words = strdup(command);
	if (!l->argv || !l->words)
		return -ENOMEM;
	if (strpbrk(l->words, shell_syntax)) {
		l->argv[n++] = "/bin/sh";
		l->argv[n++] = "-c";
		l->argv[n++] = l->words;
		return 0;
	}
	for (char *word = strtok(l->words, blanks); word; word = strtok(NULL, blanks))
		l->argv[n++] = word;
	return 0;
}

/* It would be found out when all is attached, too, but then a report has begun. */
static bool is_missing(const char *name)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];

	if (strchr(name, '/') || !path)
		return strchr(name, '/') && access(name, F_OK) && errno == ENOENT;
	for (size_t n; *path; path += n + (path[n] == ':')) {
		n = strcspn(path, ":");
		snprintf(file, sizeof(file), "%.*s/%s", (int)n, n ? path : ".", name);
		if (!access(file, F_OK) || errno != ENOENT)
			return false;
	}
	return true;
}

int launched_hold(struct launched *l, const struct trace_options *options, struct tracing *t,
		  struct diag *d)
{
	char **argv = options->argv;
	int err = argv ? 0 : split_command(l, options->command);

	if (err)
		return diag_set(d, -err, "out of memory");
	if (!argv)
		argv = l->argv;
	if (argv[0] && *argv[0] && is_missing(argv[0]))
		return diag_set(d, ENOENT, "%s: command not found", argv[0]);
	l->tracing = t;
	l->quiet = options->quiet;
	/* Also without --follow: a vfork child works in the target's memory. */
	return launch_create(argv, true, t->checking ? &checking_hooks : &hooks, t, &l->launch, d);
}

int launched_start(struct launched *l, struct diag *d)
{
	int err = tracing_adopt(l->tracing, launch_pid(l->launch), d);

	if (!err)
		err = launch_go(l->launch);
	if (err && !d->text[0])
		diag_set(d, -err, "the command cannot be started: %s", strerror(-err));
	return err;
}

bool launched_runs(const struct launched *l)
{
	return l->launch && !l->ended;
}

int launched_fd(const struct launched *l)
{
	return launched_runs(l) ? launch_eventfd(l->launch) : -1;
}

void launched_signal(struct launched *l, int number)
{
	if (launched_runs(l))
		launch_signal(l->launch, number);
}

int launched_on_end(struct launched *l, struct diag *d)
{
	int status, err = launch_status(l->launch, &status, d);

	l->ended = true;
	if (!err)
		l->wait_status = status;
	if (err || l->quiet)
		return err;
	if (WIFSIGNALED(status))
		log_info("the command was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		log_info("the command ended with exit code %d", WEXITSTATUS(status));
	return 0;
}

void launched_release(struct launched *l)
{
	launch_destroy(l->launch);
	l->launch = NULL;
	free(l->argv);
	free(l->words);
	l->argv = NULL;
	l->words = NULL;
}

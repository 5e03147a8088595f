// SPDX-License-Identifier: BSD-2-Clause
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void fill(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

int signals_open(struct signals *s, struct diag *d)
{
	sigset_t set;

	fill(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd < 0 || s->told < 0)
		return diag_set(d, errno, "cannot wait for signals: %s", strerror(errno));
	return 0;
}

static void die(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

const char *signals_read(struct signals *s)
{
	struct signalfd_siginfo info;
	bool any = false;

	while (read(s->fd, &info, sizeof(info)) == sizeof(info)) {
		if (s->last)
			die(info.ssi_signo);
		any = true;
		s->last = info.ssi_signo;
		s->by_process = info.ssi_code == SI_USER;
		eventfd_write(s->told, 1);
		/* Off the line on which the terminal showed ^C. */
		if (s->last == SIGINT && isatty(STDERR_FILENO))
			fputc('\n', stderr);
	}
	return any ? s->last == SIGINT ? "interrupted" : "terminated" : NULL;
}

void signals_close(struct signals *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->told >= 0)
		close(s->told);
	*s = (struct signals)SIGNALS_INIT;
}

// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/option_spec.h"

/* A caller may have closed 0, 1 or 2: then a file that seep opens would take its place and receive
 * messages. What is put there instead can only be read, so that writing still fails. */
static void fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* A report that did not reach its reader is a failure, even if all else went well; a command that
 * failed has said why. A reader that went away needs no message: whether it did is asked of the pipe,
 * as errno of the write that failed may be long gone. */
static int close_stdout(int code)
{
	struct pollfd pipe = {.fd = STDOUT_FILENO};
	int failed = ferror(stdout);

	errno = 0;
	if (fflush(stdout))
		failed = 1;
	poll(&pipe, 1, 0);
	if (fclose(stdout))
		failed = 1;
	if (!failed || (code != EXIT_DONE && code != EXIT_LOST))
		return code;
	if (!(pipe.revents & POLLERR))
		fprintf(stderr, "seep: standard output: %s\n",
			errno ? strerror(errno) : "write error");
	return EXIT_RUNTIME;
}

static int dispatch(int argc, char **argv)
{
	const struct command *command;
	struct diag d = {0};
	int r;

	if (argc < 2) {
		help_print(stderr, &command_seep);
		return EXIT_USAGE;
	}
	if (argv[1][0] == '-') {
		r = options_parse(&command_seep, argc, argv, NULL, &d);
		if (!r)
			r = options_error(&d, "no command given");
		return command_settle(&command_seep, r, &d);
	}
	command = command_find(argv[1], &d);
	if (!command || !command->run) {
		fprintf(stderr, "%s\n",
			command ? "seep: 'seep' is not a command; 'seep --help' lists them"
				: d.text);
		return EXIT_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	fill_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	return close_stdout(dispatch(argc, argv));
}

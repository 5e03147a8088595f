// SPDX-License-Identifier: BSD-2-Clause
/* As many processes as one likes that do nothing: crowd N. Each is a process of its own with a few pages of memory; all end with the
 * first one, which prints {"ready":PID,"processes":N} when they are there and ends with its standard input. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	pid_t parent = getpid();
	char line[64];
	int bytes;

	for (unsigned i = 0; i < n; i++) {
		pid_t child = fork();

		if (child < 0)
			return 2;
		if (child)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* It may have ended before that. */
		while (getppid() == parent)
			pause();
		_exit(0);
	}
	bytes = snprintf(line, sizeof(line), "{\"ready\":%d,\"processes\":%u}\n", (int)parent, n);
	if (write(1, line, bytes) != bytes)
		return 3;
	while (read(0, line, sizeof(line)) > 0)
		;
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_SIGNALS_H
#define SEEP_CLI_SIGNALS_H
/* SIGINT, SIGTERM and SIGHUP end a command in good order: as something to wait for, not to be interrupted by. */
#include <stdbool.h>

#include "base/diag.h"

struct signals {
	int fd;		 /* readable when one waits to be read */
	int told;	 /* readable for good once one was read */
	int last;	 /* the last one read, 0: none */
	bool by_process; /* it came from kill(1) or its like, so the command that a terminal would have told, too, has not had it */
};

/* clang-format off */
#define SIGNALS_INIT {.fd = -1, .told = -1}
/* clang-format on */

/* Blocks them: before any thread starts, so that all have them blocked. Returns 0 or -errno with a diag. */
int signals_open(struct signals *s, struct diag *d);
/* Reads what came. The second one kills: what it takes to end may be what hangs. Returns why the command is to end, NULL: none came. */
const char *signals_read(struct signals *s);
/* Accepts one that was never opened. */
void signals_close(struct signals *s);

#endif

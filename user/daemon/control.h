/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_CONTROL_H
#define SEEP_DAEMON_CONTROL_H
/* The socket by which a running seep is asked by others of the same user: a line in, a line of JSON out, and the connection ends. What
 * clients do never keeps the loop: nothing waits, there are 8 at most, and each is gone after 5 s. Functions are for the loop's thread. */
#include <stddef.h>
#include <stdio.h>

#include "base/diag.h"
#include "daemon/control_place.h"

struct control;

#define CONTROL_REQUEST_MAX 256	       /* bytes with the newline */
#define CONTROL_ANSWER_MAX (64u << 10) /* what a client reads, and a socket takes at once */

struct control_handler {
	/* Writes the answer to a line of n bytes, without its newline, of anybody's making: one JSON object and a newline. */
	void (*answer)(void *arg, const char *line, size_t n, FILE *to);
	void *arg;
};

/* Makes the socket, named by our pid. Sockets of killed seeps are removed. Returns 0 or -errno with a diag. */
int control_create(enum control_kind kind, const struct control_handler *handler,
		   struct control **ret, struct diag *d);
/* Removes it. Accepts NULL. */
void control_destroy(struct control *c);

/* Readable when there is something to do. */
int control_fd(const struct control *c);
/* Handles what waits. */
void control_step(struct control *c);

#endif

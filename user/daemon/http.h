/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_HTTP_H
#define SEEP_DAEMON_HTTP_H
/* The HTTP server, by libmicrohttpd, in a thread of its own for each socket it listens at. Nothing can be changed through it. What
 * clients may take is bounded: connections, bytes and time of a request, memory of answers that are on their way. */
#include <stdbool.h>

#include "base/diag.h"

struct board;
struct http;

/* Takes over a listening socket, also on failure. board is borrowed. checks_host: Host must be this machine's own, as over TCP it has
 * to be. Signals are blocked by now. Returns 0 or -errno with a diag. */
int http_create(int fd, struct board *board, bool checks_host, struct http **ret, struct diag *d);
/* Ends all connections. Accepts NULL. */
void http_destroy(struct http *h);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_LISTEN_H
#define SEEP_DAEMON_LISTEN_H
/* Sockets to be spoken to at. */
#include <stdbool.h>
#include <sys/socket.h>

#include "base/diag.h"

struct listen_address {
	struct sockaddr_storage address;
	socklen_t n;
	bool loopback; /* nobody but this machine's own users gets there */
};

/* "127.0.0.1:9754", "[::1]:9754", "localhost:0": numbers but for localhost. Port 0: any that is free. Returns 0, or -EINVAL with a
 * diag (EXIT_USAGE). */
int listen_parse(const char *text, struct listen_address *ret, struct diag *d);

/* Returns a descriptor, or -errno with a diag. */
int listen_tcp(const struct listen_address *address, struct diag *d);
/* As "ADDR:PORT", of a descriptor of listen_tcp. */
#define LISTEN_TEXT_SIZE 64
void listen_describe(int fd, char out[LISTEN_TEXT_SIZE]);

/* A socket of the caller's own, mode 0600, in a directory, so that the path may be long; directory AT_FDCWD: path as it is. A socket at
 * which nobody listens any more is replaced. Returns a descriptor; -EADDRINUSE: somebody does; or -errno; with a diag. */
int listen_unix(int directory, const char *path, struct diag *d);

#endif

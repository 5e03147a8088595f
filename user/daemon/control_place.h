/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_CONTROL_PLACE_H
#define SEEP_DAEMON_CONTROL_PLACE_H
/* Where running seeps have their sockets: a directory of the user's own, a file in it for each, "trace-1234.sock". */
#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/diag.h"

enum control_kind {
	CONTROL_TRACE,
	CONTROL_SERVE,
};

/* A socket by its file's name. */
struct control_name {
	enum control_kind kind;
	pid_t pid; /* of the seep that made it */
};

/* Opens the directory: $SEEP_RUN_DIR, else /run/seep for root, else $XDG_RUNTIME_DIR/seep. make: if there is none. Returns a
 * descriptor; -ENOENT: there is none, or the user has no place for it; -EPERM: somebody else may write there; or -errno; with a diag. */
int control_open_directory(bool make, struct diag *d);

/* Whether a file's name is that of a socket, and whose. */
bool control_parse_name(const char *file, struct control_name *ret);

/* The address of a file in that directory, by a path that is never too long. */
void control_address(int directory, const struct control_name *name, struct sockaddr_un *ret);

/* Connects without waiting. Returns a descriptor; -ECONNREFUSED or -ENOENT: who made the socket has ended; -EAGAIN: it has too much to
 * do; -EPERM: it is another user's; or -errno. */
int control_connect(int directory, const struct control_name *name);

/* Removes the socket's file. */
void control_remove(int directory, const struct control_name *name);

/* Calls each (may be NULL) with every socket whose maker lives, removes those that a killed one left behind. Returns 0 or -errno. */
int control_each(int directory, void (*each)(void *arg, const struct control_name *name),
		 void *arg);

#endif

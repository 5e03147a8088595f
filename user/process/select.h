/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_SELECT_H
#define SEEP_PROCESS_SELECT_H
/* Which processes a command is about: --comm, --exe, --cgroup, --container, --user. Thread-safe, but for selector_check. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "process/identity.h"

/* What is given must all match; strings are borrowed; NULL: any. */
struct selector {
	const char *comm_glob; /* fnmatch(3) */
	const char *exe_glob;  /* of the whole path, or, without a slash, of its last part */
	const char *
		cgroup; /* path; those below it, too. With or without /sys/fs/cgroup and the controller */
	const char *container; /* id, or the beginning of one of at least 4 characters, or a name */
	const char *user;      /* name or number: of the process's effective uid */
	bool everything;       /* all processes but our own */
	uid_t uid;	       /* of user: selector_check fills it */
};

/* Checks it: a user that does not exist, an id that is too short. To be called before it is used. Returns 0 or -EINVAL with a
 * diag (EXIT_USAGE). */
int selector_check(struct selector *s, struct diag *d);
/* Nothing was given: then any process matches. */
bool selector_is_empty(const struct selector *s);
/* Never ourselves. */
bool selector_matches(const struct selector *s, const struct identity *id);

/* Calls visit for each process now there that matches, kernel threads and ourselves excepted, until it returns non-zero, which is
 * returned; else 0, or -errno with a diag. */
int selector_each(const struct selector *s, int (*visit)(void *arg, const struct identity *id),
		  void *arg, struct diag *d);

#endif

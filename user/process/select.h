/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_SELECT_H
#define SEEP_PROCESS_SELECT_H
/* Which processes a command is about: --comm, --exe, --cgroup, --container, --user. Thread-safe, but for selector_check,
 * and for what shares `names`. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "process/identity.h"

struct containers;

/* What is given must all match; strings are borrowed; NULL: any. */
struct selector {
	const char *comm_glob; /* fnmatch(3) */
	const char *exe_glob;  /* of the whole path, or, without a slash, of its last part */
	const char *
		cgroup; /* path; those below it, too. With or without /sys/fs/cgroup and the controller */
	const char *
		container; /* id; name (container_is_called); beginning of an id, at least 4 digits */
	struct containers
		*names;	 /* what the runtimes call containers; borrowed; NULL: they have ids only */
	bool only_named; /* container could begin an id, but is a name: selector_check finds out */
	const char *user; /* name or number: of the process's effective uid */
	bool everything;  /* all processes but our own */
	uid_t uid;	  /* of user: selector_check fills it */
};

/* Checks it: a user that does not exist. To be called before it is used. What could be the beginning of a container's id is one
 * unless a container that has processes now is called so. Returns 0 or -EINVAL with a diag (EXIT_USAGE). */
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

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_LINK_H
#define SEEP_ATTACH_LINK_H
/* Uprobe links of three kinds, best first. libbpf 1.1.2 knows only the last, so the others go through bpf(2). */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

/* The same values as bpf/wire.h's enum wire_link. */
enum link_kind {
	LINK_PERF = 1, /* a perf event per probe; all kernels with uprobes */
	LINK_MULTI =
		2, /* one link for all probes of a file: 6.6, 89ae89f53d20; usable from 6.11, 46ba0e49b642 */
	LINK_SESSION =
		3, /* one program for entry and return, which may skip the return: 6.13, d920179b3d48 */
};

const char *link_kind_name(enum link_kind kind);
/* By name; 0 when there is none such. */
enum link_kind link_kind_find(const char *name);

/* The attach type that programs for this kind must be loaded with. */
int link_attach_type(enum link_kind kind);

/* Tries a kind on a function of our own program, from a second thread (6.6's filter saw the first thread only). Returns 0, or
 * -errno with a diag that names the step which failed. Costs about a millisecond; loads and removes a program of its own. */
int link_try(enum link_kind kind, struct diag *d);
/* The best kind that works. Returns it, or -errno with the diag of the last one tried. */
int link_best(struct diag *d);

struct link_probe {
	uint64_t offset; /* in the file */
	uint64_t cookie;
};

/* Descriptors that hold probes in place; closing them removes the probes. */
struct links {
	int *items;
	size_t n, cap;
};

/* Places prog_fd on n offsets of the file behind fd, in process pid only, 0: in all that map it. at_return: on the functions'
 * return, not with session links. Appends to links. Returns 0 or -errno with a diag; what was placed before the error stays in links. */
int link_place(enum link_kind kind, int prog_fd, int fd, pid_t pid, const struct link_probe *probes,
	       size_t n, int at_return, struct links *links, struct diag *d);
/* Keeps the breakpoint at an offset of the file behind fd where thread tid's process has it, and sets it where not, for as long as that
 * thread lives; counts nothing, runs nothing. Appends to links. Returns 0 or -errno with a diag (-ESRCH: the thread has ended). */
int link_hold(int fd, pid_t tid, uint64_t offset, struct links *links, struct diag *d);
/* Closes all. Waits for the kernel's grace period: tens of milliseconds. */
void links_done(struct links *links);

#endif

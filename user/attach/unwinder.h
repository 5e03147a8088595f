/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_UNWINDER_H
#define SEEP_ATTACH_UNWINDER_H
/* What the kernel side needs to unwind: each process's executable mappings, and the tables of the files they show, shared by all
 * processes that map the same build-id. Thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

struct kernel;
struct maps;
struct unwinder;

struct unwinder_options {
	size_t memory_bytes; /* bound of all rows in the kernel (--unwind-memory) */
	bool no_cache;	     /* tables are neither read from disk nor saved there */
	/* Called when the kernel has got the mappings of an instance, with what wire.h calls the version: stacks of that version
	 * were walked by them. From within unwinder_update, in its thread. NULL: not wanted. */
	void (*on_published)(void *arg, uint32_t instance, const struct maps *maps,
			     uint32_t version);
	void *arg;
};

/* How one file is unwound. */
struct unwinder_file {
	const char *path;	/* as in the first mapping of it that was seen; "[vdso]" */
	size_t n_rows, n_bytes; /* of its table in the kernel; 0: none */
	const char *
		without; /* why there is no table, NULL when there is: "no CFI", "--unwind-memory is used up", ... */
};

/* k is borrowed for the unwinder's life. Returns 0 or -errno with a diag. */
int unwinder_create(struct kernel *k, const struct unwinder_options *options, struct unwinder **ret,
		    struct diag *d);
void unwinder_destroy(struct unwinder *u);

/* Reads the process's executable mappings, makes the tables of files that are new, and publishes the mappings for the
 * instance. Cheap when nothing has changed. Returns 0, or -errno with a diag (-ESRCH: it is gone; what was published
 * stays). Trouble with one file does not stop the others: its code is unwound by frame pointers, with guards. */
int unwinder_update(struct unwinder *u, pid_t pid, uint32_t instance, struct diag *d);
/* The same as far as it is quick: when tables would take long to make, because there are many or of a big file, it returns
 * -EINPROGRESS and has published nothing; unwinder_update is to follow in a thread that holds up nobody. */
int unwinder_update_quickly(struct unwinder *u, pid_t pid, uint32_t instance, struct diag *d);
/* unwinder_update_quickly when the kernel has asked. It asks again at once while a process runs code that is in no mapping, so not each time
 * is answered: what is mapped meanwhile is for unwinder_update to find. */
int unwinder_answer(struct unwinder *u, pid_t pid, uint32_t instance, struct diag *d);
/* How often code of the instance gave way to other code at its addresses, so far; 0 when nothing is known of it. */
uint32_t unwinder_version(struct unwinder *u, uint32_t instance);
/* Bytes that tables take in the kernel, beside the maps of kernel_map_bytes(). */
uint64_t unwinder_map_bytes(struct unwinder *u);
/* The instance has ended. Its tables stay for the next process until the room is needed. */
void unwinder_forget(struct unwinder *u, uint32_t instance);

/* Visits the files that an instance maps. Do not call back into the unwinder. */
void unwinder_each(struct unwinder *u, uint32_t instance,
		   void (*visit)(void *arg, const struct unwinder_file *file), void *arg);

#endif

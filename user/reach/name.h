/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_REACH_NAME_H
#define SEEP_REACH_NAME_H
/* What a root is called by those who wrote the program. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/threads.h"

struct maps;

enum reach_root_kind {
	REACH_ROOT_GLOBAL, /* a variable, by a symbol of its file */
	REACH_ROOT_DATA,   /* data of a file, by its offset */
	REACH_ROOT_STACK,  /* of a thread, or its thread-local storage */
	REACH_ROOT_REGISTER,
	REACH_ROOT_HEAP,    /* memory of the break that is in no block */
	REACH_ROOT_MAPPING, /* any other */
};

/* Names are the target's: escape when printing. */
struct reach_root_name {
	enum reach_root_kind kind;
	char name[256];	  /* GLOBAL: the symbol; REGISTER: "rbx"; else "" */
	char module[256]; /* the path of the file that is mapped, or "" */
	uint64_t offset; /* GLOBAL: from the symbol; DATA: the virtual address in the file; MAPPING, HEAP: from its start */
	uint32_t tid; /* STACK, REGISTER */
};

/* "global", ...: a contract of the output. */
const char *reach_root_kind_name(enum reach_root_kind kind);

/* Names the word at address, of a process that should still be there. What cannot be read has a name all the same. */
void reach_name_root(pid_t pid, const struct maps *maps, const struct thread_state *threads,
		     size_t n_threads, uint64_t address, struct reach_root_name *ret);
/* The same of the n-th register of reach_roots_find. */
void reach_name_register(const struct thread_state *threads, size_t n_threads, size_t n,
			 struct reach_root_name *ret);

#endif

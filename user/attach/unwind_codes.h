/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_UNWIND_CODES_H
#define SEEP_ATTACH_UNWIND_CODES_H
/* The executable mappings of one process, and which file of unwind_files.h each shows. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "elf/image.h"
#include "wire.h"

struct maps;
struct mapping;
struct stat;
struct unwind_file;

/* A file and its content, all of it 0: none. */
struct stamp {
	uint64_t device, inode, changed_ns, n_bytes;
};

/* One executable mapping. */
struct code {
	uint64_t start, end, file_offset, inode;
	unsigned dev_major, dev_minor;
	bool generated; /* anonymous memory: no file, no table */
	struct stamp stamp;
	uint64_t address;	  /* virtual, in the file's own terms, of start */
	struct unwind_file *file; /* NULL: generated, or not looked at yet. A reference is held */
};

struct codes {
	struct code *items;
	size_t n, cap;
};

/* The executable mappings, their files not looked at yet; generated code in one piece where it is. Returns 0 or -ENOMEM,
 * with what there is so far in ret. */
int codes_list(const struct maps *maps, struct codes *ret);
/* Whether they are the same mappings. */
bool codes_equal(const struct codes *a, const struct codes *b);
/* Takes over the files of the same mappings, with references of its own; but for files that are to be tried again. */
void codes_adopt(struct codes *codes, const struct codes *known);
/* What the kernel is to see: as many items as codes has. Caller frees. NULL without memory. */
struct wire_mapping *codes_mappings(const struct codes *codes);

/* The file behind a mapping: a descriptor, or -errno. */
int code_open(pid_t pid, const struct mapping *m);
/* Notes which file it was. */
void code_stamp(struct code *code, const struct stat *st);
/* Whether the mapping's path still leads to the file that was noted, with the same content. */
bool code_unchanged(pid_t pid, const struct mapping *m, const struct code *code);
/* What files have in common that share a table: the build-id, else all there is to tell them apart. */
#define CODE_KEY_SIZE (2 * ELF_BUILD_ID_MAX + 1)
void code_key(const struct code *code, const char *build_id, char key[CODE_KEY_SIZE]);

#endif

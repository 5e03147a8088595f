/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_SYMBOL_FILES_H
#define SEEP_SYMBOL_FILES_H
/* The files that processes have mapped: opened while the process lives, each once however many
 * processes and paths show it, and kept open, so that a deleted or replaced one can still be read
 * when its process is gone. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/hashmap.h"

struct mapping;
struct module;

/* What makes two opened files the same one with the same content. */
struct file_key {
	uint64_t device, inode, mtime_ns, size_bytes;
};

struct file {
	struct file *next; /* same hash */
	struct file_key key;
	_Atomic size_t refs;   /* file_hold needs no lock of whoever has one */
	int fd;		       /* -1: too many were open, opened by name again */
	pid_t pid;	       /* who mapped it first */
	char *path;	       /* as that process named it */
	struct module *module; /* once it was read; NULL when it is no ELF file for us */
	int read;	       /* whether that was tried */
};

/* Not thread-safe but for file_hold and file_open. */
struct files {
	struct hashmap by_key;
	size_t n_open, max_open;
};

/* max_open: descriptors kept at most; also held below half of RLIMIT_NOFILE. */
void files_init(struct files *files, size_t max_open);
void files_done(struct files *files);

/* Opens the file behind a mapping of a live process, or finds it among those open. Returns 0 with a
 * reference for files_put; -ENOMEM; or another -errno when it cannot be opened or is no regular
 * file. */
int files_get(struct files *files, pid_t pid, const struct mapping *mapping, struct file **ret);
/* The same for a descriptor, which it takes over even on failure. */
int files_adopt(struct files *files, int fd, pid_t pid, const char *path, struct file **ret);
/* Another reference to file, which it returns. */
struct file *file_hold(struct file *file);
/* Drops a reference; the last one closes. Accepts NULL. */
void files_put(struct files *files, struct file *file);

/* A new descriptor of the file, for the caller to close: of the one kept, else by its name in the
 * process's root or ours, provided it is still the same file unchanged. Returns -errno when it is
 * not to be had any more. */
int file_open(const struct file *file);

#endif

// SPDX-License-Identifier: BSD-2-Clause
/* What it costs to know how to unwind a library:  tables FILE
 *
 *	prints  "result FILE_BYTES ROWS KERNEL_BYTES BUILD_NS LOAD_NS FIRST_NS SECOND_NS"
 *
 * BUILD: from the file. LOAD: from the cache of $SEEP_CACHE_DIR, after it was saved there. FIRST:
 * all that seep does, without that cache, before a process that has opened the library can be
 * unwound; SECOND: the same for another such process. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attach/kernel.h"
#include "attach/unwinder.h"
#include "elf/image.h"
#include "unwind/cache.h"

struct cost {
	uint64_t build_ns, load_ns, process_ns[2];
	size_t n_rows, n_bytes;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int measure_build(const char *path, int fd, struct cost *cost, struct diag *d)
{
	struct unwind_table *table = NULL;
	uint64_t began_ns = now_ns();
	int err = unwind_table_build(fd, path, &table, d);

	cost->build_ns = now_ns() - began_ns;
	if (err)
		return err;
	cost->n_rows = table->n_rows;
	cost->n_bytes = unwind_table_bytes(table);
	unwind_table_destroy(table);
	return 0;
}

/* The first call saves the table. */
static int measure_load(const char *path, int fd, const char *build_id, struct cost *cost,
			struct diag *d)
{
	char *directory = unwind_cache_directory();
	bool cached = false;
	int err = 0;

	for (unsigned i = 0; i < 2 && !err; i++) {
		struct unwind_table *table = NULL;
		uint64_t began_ns = now_ns();

		err = unwind_cache_load(directory, build_id, fd, path, &table, &cached, d);
		cost->load_ns = now_ns() - began_ns;
		unwind_table_destroy(table);
	}
	free(directory);
	return err || cached ? err : diag_set(d, EIO, "%s: not in the cache after it was saved", path);
}

/* A process with the library, which ends with this one; 0: there is none. */
static pid_t start_user(const char *path)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		return 0;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!dlopen(path, RTLD_LAZY) || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(ready[0]);
	return pid > 0 ? pid : 0;
}

static int measure_processes(const char *path, struct cost *cost, struct diag *d)
{
	const struct kernel_options options = {
		.max_outstanding = 1,
		.max_sites = 1,
		.max_stacks = 1,
		.max_frames = 1,
	};
	const struct unwinder_options all = {.memory_bytes = 256 << 20, .no_cache = true};
	struct unwinder *unwinder = NULL;
	struct kernel *kernel = NULL;
	int err = kernel_open(&options, &kernel, d);

	if (!err)
		err = unwinder_create(kernel, &all, &unwinder, d);
	for (unsigned i = 0; i < 2 && !err; i++) {
		pid_t pid = start_user(path);
		uint64_t began_ns = now_ns();

		if (!pid)
			err = diag_set(d, ENOEXEC, "%s: cannot be opened as a library", path);
		else
			err = unwinder_update(unwinder, pid, i + 1, d);
		cost->process_ns[i] = now_ns() - began_ns;
		if (pid) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
	}
	unwinder_destroy(unwinder);
	kernel_close(kernel);
	return err;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	struct elf_image *image = NULL;
	struct cost cost = {0};
	struct diag d = {0};
	struct stat st;
	int err;

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "usage: tables FILE\n");
		return 2;
	}
	err = elf_image_open(fd, argv[1], &image, &d);
	if (!err)
		err = measure_build(argv[1], fd, &cost, &d);
	if (!err)
		err = measure_load(argv[1], fd, elf_image_build_id(image), &cost, &d);
	if (!err)
		err = measure_processes(argv[1], &cost, &d);
	if (err)
		fprintf(stderr, "tables: %s\n", d.text);
	else
		printf("result %lld %zu %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		       (long long)st.st_size, cost.n_rows, cost.n_bytes, cost.build_ns,
		       cost.load_ns, cost.process_ns[0], cost.process_ns[1]);
	elf_image_close(image);
	return err != 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/* What watching the whole host costs:  watch PROCESSES [PASSES [INTERVAL_MS [THREADS]]]
 *
 * Starts so many sleeping processes, each with so many threads (1), and prints
 * "result N_PROCESSES N_THREADS CPU_NS WALL_NS EMPTY_CPU_NS": the processes of the whole host, threads as told, medians
 * of PASSES (20) passes, one every INTERVAL_MS (1000; 0 shows what caches are worth), and of as many passes of an iterator whose
 * program does nothing. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "collect/watch.h"

static void *sleep_long(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

static void sleep_in_threads(unsigned n_threads)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 1; i < n_threads; i++) {
		pthread_attr_t attributes;
		pthread_t thread;

		pthread_attr_init(&attributes);
		pthread_attr_setstacksize(&attributes, 64 << 10);
		pthread_create(&thread, &attributes, sleep_long, NULL);
	}
	sleep_long(NULL);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *values, unsigned n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

/* A task iterator that only walks. Returns a link's descriptor or -errno. */
static int open_empty(struct diag *d)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int type = libbpf_find_vmlinux_btf_id("task", BPF_TRACE_ITER), fd, link;
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_ITER,
		    .attach_btf_id = type);

	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "empty", "Dual BSD/GPL", program,
			   sizeof(program) / sizeof(program[0]), &options);
	link = fd < 0 ? fd : bpf_link_create(fd, 0, BPF_TRACE_ITER, NULL);
	if (fd >= 0)
		close(fd);
	return link < 0 ? diag_set(d, -link, "empty iterator: %s", strerror(-link)) : link;
}

/* Making the iterator and closing it included, as in pass->cost_ns. */
static int empty_pass(int link, uint64_t *ret_cpu_ns, struct diag *d)
{
	uint64_t began_ns = clock_thread_cpu_ns();
	int fd = bpf_iter_create(link);
	char byte;
	ssize_t n = fd < 0 ? fd : read(fd, &byte, 1);

	if (fd >= 0)
		close(fd);
	*ret_cpu_ns = clock_thread_cpu_ns() - began_ns;
	return n ? diag_set(d, EIO, "empty iterator: cannot be read") : 0;
}

static int measure(struct watch_reader *reader, unsigned n_passes, unsigned interval_ms,
		   unsigned n_threads, struct diag *d)
{
	uint64_t *cpu_ns = calloc(n_passes, sizeof(*cpu_ns)),
		 *wall_ns = calloc(n_passes, sizeof(*wall_ns)),
		 *empty_ns = calloc(n_passes, sizeof(*empty_ns));
	const struct watch_pass *pass = NULL;
	int err = cpu_ns && wall_ns && empty_ns ? 0 : -ENOMEM;
	int empty = err ? err : open_empty(d);

	err = empty < 0 ? empty : 0;

	for (unsigned i = 0; i < n_passes && !err; i++) {
		uint64_t began_ns = clock_monotonic_ns();

		err = watch_reader_pass(reader, &pass, d);
		wall_ns[i] = clock_monotonic_ns() - began_ns;
		if (!err)
			cpu_ns[i] = pass->cost_ns;
		if (interval_ms)
			usleep(interval_ms * 1000);
		if (!err)
			err = empty_pass(empty, &empty_ns[i], d);
		if (interval_ms)
			usleep(interval_ms * 1000);
	}
	if (empty >= 0)
		close(empty);
	if (!err && pass)
		printf("result %zu %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", pass->n_processes,
		       n_threads, median(cpu_ns, n_passes), median(wall_ns, n_passes),
		       median(empty_ns, n_passes));
	free(empty_ns);
	free(cpu_ns);
	free(wall_ns);
	return err;
}

int main(int argc, char **argv)
{
	unsigned n_processes = argc > 1 ? atoi(argv[1]) : 0;
	unsigned n_passes = argc > 2 ? atoi(argv[2]) : 20;
	unsigned interval_ms = argc > 3 ? atoi(argv[3]) : 1000;
	unsigned n_threads = argc > 4 ? atoi(argv[4]) : 1;
	struct watch_reader *reader = NULL;
	struct diag d = {0};
	int err = 0;

	if (argc < 2 || !n_passes)
		return 2;
	for (unsigned i = 0; i < n_processes && !err; i++) {
		pid_t pid = fork();

		if (!pid)
			sleep_in_threads(n_threads);
		err = pid < 0 ? diag_set(&d, errno, "fork: %s", strerror(errno)) : 0;
	}
	sleep(n_processes ? 1 : 0);
	if (!err)
		err = watch_reader_create(&reader, &d);
	if (!err)
		err = measure(reader, n_passes, interval_ms, n_threads, &d);
	watch_reader_destroy(reader);
	if (err)
		fprintf(stderr, "watch: %s\n%s\n", d.text, d.hint);
	return err ? 1 : 0;
}

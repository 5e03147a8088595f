// SPDX-License-Identifier: BSD-2-Clause
#include "collect/watch.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "collect/watch_records.h"
#include "process/privilege.h"
#include "wire.h"
/* Uses the types of wire.h. */
#include "watch.skel.h"

#define LOG_BYTES (64 << 10)
/* The kernel hands out at most 8 of its pages at once. */
#define BUFFER_PAGES 8
/* So many cache lines of each process are read in every pass. */
#define CPUS_PER_PASS 16

#define COST_SHARE 1000 /* passes take one part in so many of one CPU, at most */
#define COST_MEMORY 8	/* passes that the mean cost looks back on, about */

struct watch_reader {
	uint64_t mean_cost_ns;
	struct watch_bpf *object;
	struct bpf_link *link;
	struct watch_records records;
	struct watch_pass pass;
	char *buffer;
	size_t buffer_bytes;
};

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

/* What the verifier said before its closing statistics, or "". Changes log. */
static const char *last_sentence(char *log)
{
	const char *reason = "";

	for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n"))
		if (strncmp(line, "processed ", 10))
			reason = line;
	return reason;
}

static int open_and_load(struct watch_reader *r, uint32_t sum_every, char *log)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .kernel_log_buf = log,
		    .kernel_log_size = LOG_BYTES);
	int n_cpus = libbpf_num_possible_cpus(), err;

	if (n_cpus < 0)
		return n_cpus;
	if (!sum_every)
		sum_every = (n_cpus + CPUS_PER_PASS - 1) / CPUS_PER_PASS;
	r->object = watch_bpf__open_opts(&options);
	if (!r->object)
		return -errno;
	r->object->rodata->n_cpus = n_cpus;
	r->object->rodata->sum_every = sum_every;
	err = sum_every > 1 ? 0 : bpf_map__set_max_entries(r->object->maps.known_parts, 1);
	return err ? err : watch_bpf__load(r->object);
}

static int load(struct watch_reader *r, uint32_t sum_every, struct diag *d)
{
	_cleanup_free_ char *log = calloc(1, LOG_BYTES);
	libbpf_print_fn_t print;
	int err;

	if (!log)
		return diag_set(d, ENOMEM, "out of memory");
	print = libbpf_set_print(NULL);
	err = open_and_load(r, sum_every, log);
	if (!err) {
		r->link = bpf_program__attach_iter(r->object->progs.watch_task, NULL);
		err = r->link ? 0 : -errno;
	}
	libbpf_set_print(print);
	if (err)
		return privilege_explain(d, -err,
					 "loading the BPF program that reads processes' memory",
					 last_sentence(log));
	return 0;
}

int watch_reader_create(struct watch_reader **ret, struct diag *d)
{
	return watch_reader_create_lazy(0, ret, d);
}

int watch_reader_create_lazy(uint32_t sum_every, struct watch_reader **ret, struct diag *d)
{
	struct watch_reader *r;
	int err = privilege_check(d);

	if (err)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return diag_set(d, ENOMEM, "out of memory");
	r->records.page_bytes = sysconf(_SC_PAGESIZE);
	r->buffer_bytes = BUFFER_PAGES * r->records.page_bytes;
	r->buffer = malloc(r->buffer_bytes);
	err = r->buffer ? load(r, sum_every, d) : diag_set(d, ENOMEM, "out of memory");
	if (err) {
		watch_reader_destroy(r);
		return err;
	}
	*ret = r;
	return 0;
}

void watch_reader_destroy(struct watch_reader *r)
{
	if (!r)
		return;
	bpf_link__destroy(r->link);
	watch_bpf__destroy(r->object);
	watch_records_done(&r->records);
	free(r->buffer);
	free(r);
}

/* Reads to the end; a record may come in two pieces. */
static int read_records(struct watch_reader *r, int fd, struct diag *d)
{
	size_t had = 0, used;

	for (;;) {
		ssize_t n = read(fd, r->buffer + had, r->buffer_bytes - had);
		int err;

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return diag_set(d, errno, "memory of processes: %s", strerror(errno));
		if (!n)
			return had ? diag_set(d, EPROTO,
					      "memory of processes: ends within a record")
				   : 0;
		err = watch_records_add(&r->records, r->buffer, had + n, &used, d);
		if (err)
			return err;
		had += n - used;
		memmove(r->buffer, r->buffer + used, had);
	}
}

int watch_reader_pass(struct watch_reader *r, const struct watch_pass **ret_pass, struct diag *d)
{
	uint64_t began_ns = thread_cpu_ns(), time_ns = clock_monotonic_ns();
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(r->link));
	int err;

	if (fd < 0)
		return diag_set(d, -fd, "memory of processes: %s", strerror(-fd));
	watch_records_begin(&r->records);
	err = read_records(r, fd, d);
	if (err)
		return err;
	watch_records_end(&r->records);
	r->pass = (struct watch_pass){
		.time_ns = time_ns,
		.processes = r->records.processes.items,
		.n_processes = r->records.processes.n,
		.cgroups = r->records.cgroups.items,
		.n_cgroups = r->records.cgroups.n,
		.cost_ns = thread_cpu_ns() - began_ns,
	};
	/* From nothing, as the first passes cost more than those that follow. */
	r->mean_cost_ns += r->pass.cost_ns / COST_MEMORY - r->mean_cost_ns / COST_MEMORY;
	*ret_pass = &r->pass;
	return 0;
}

bool watch_reader_due(const struct watch_reader *r)
{
	/* A tick of a timer comes a little early or late. */
	return clock_monotonic_ns() - r->pass.time_ns + NS_PER_SECOND / 100 >=
	       r->mean_cost_ns * COST_SHARE;
}

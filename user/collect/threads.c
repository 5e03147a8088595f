// SPDX-License-Identifier: BSD-2-Clause
#include "collect/threads.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "process/privilege.h"
#include "process/robust_list.h"
#include "wire.h"
/* Uses the types of wire.h. */
#include "threads.skel.h"

#define BUFFER_RECORDS 256

_Static_assert(THREAD_REGISTERS == WIRE_REGISTERS,
	       "threads.h and wire.h number the registers alike");

struct thread_reader {
	struct threads_bpf *object;
	struct bpf_link *link;
};

struct threads {
	struct thread_state *items;
	size_t n, cap;
};

static int load(struct thread_reader *r, pid_t pid)
{
	int err;

	r->object = threads_bpf__open();
	if (!r->object)
		return -errno;
	r->object->rodata->process = pid;
	err = threads_bpf__load(r->object);
	if (err)
		return err;
	r->link = bpf_program__attach_iter(r->object->progs.read_threads, NULL);
	return r->link ? 0 : -errno;
}

int thread_reader_create(pid_t pid, struct thread_reader **ret, struct diag *d)
{
	struct thread_reader *r = calloc(1, sizeof(*r));
	libbpf_print_fn_t print;
	int err;

	if (!r)
		return diag_set(d, ENOMEM, "out of memory");
	print = libbpf_set_print(NULL);
	err = load(r, pid);
	libbpf_set_print(print);
	if (err) {
		thread_reader_destroy(r);
		return privilege_explain(
			d, -err, "loading the BPF program that reads threads' registers", "");
	}
	*ret = r;
	return 0;
}

void thread_reader_destroy(struct thread_reader *r)
{
	if (!r)
		return;
	bpf_link__destroy(r->link);
	threads_bpf__destroy(r->object);
	free(r);
}

static int add_thread(struct threads *threads, const struct wire_thread *record)
{
	struct thread_state t = {
		.tid = record->tid,
		.running = record->running,
		.stack_pointer = record->registers[WIRE_STACK_POINTER],
		.robust_list = robust_list_address(record->tid),
	};

	memcpy(t.registers, record->registers, sizeof(t.registers));
	return vec_push(threads, t);
}

/* A record may come in two pieces. */
static int read_all(int fd, struct threads *threads)
{
	struct wire_thread records[BUFFER_RECORDS];
	size_t had = 0;

	for (;;) {
		ssize_t n = read(fd, (char *)records + had, sizeof(records) - had);
		size_t whole;
		int err = 0;

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		had += n;
		whole = had / sizeof(*records);
		for (size_t i = 0; i < whole && !err; i++)
			err = add_thread(threads, &records[i]);
		if (err)
			return err;
		had -= whole * sizeof(*records);
		memmove(records, &records[whole], had);
	}
}

int thread_reader_read(struct thread_reader *r, struct thread_state **ret, size_t *ret_n,
		       struct diag *d)
{
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(r->link));
	struct threads threads = {0};
	int err = fd < 0 ? fd : read_all(fd, &threads);

	if (err) {
		free(threads.items);
		return diag_set(d, -err, "registers of threads: %s", strerror(-err));
	}
	*ret = threads.items;
	*ret_n = threads.n;
	return 0;
}

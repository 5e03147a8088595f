// SPDX-License-Identifier: BSD-2-Clause
/* Which kinds of links work here, found by using them: kernels are patched and configured too differently to go by version. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "attach/link.h"
#include "base/cleanup.h"
#include "process/maps.h"

/* What the trial probes. */
static __attribute__((noinline, noclone)) void trial_target(void)
{
	__asm__ volatile("nop");
}

static void *call_target(void *arg)
{
	(void)arg;
	trial_target();
	return NULL;
}

/* A program that adds 1 to the first value of a map and returns 1: "skip the return" to a session link. */
static int load_counter(enum link_kind kind, int map_fd)
{
	const struct bpf_insn program[] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = 1,
		 .src_reg = BPF_PSEUDO_MAP_VALUE,
		 .imm = map_fd},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 1},
		{.code = BPF_STX | BPF_DW | BPF_ATOMIC, .dst_reg = 1, .src_reg = 2, .imm = BPF_ADD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = link_attach_type(kind));
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "seep_trial", "Dual BSD/GPL", program,
			       ARRAY_SIZE(program), &options);

	return fd < 0 ? -errno : fd;
}

/* The file that holds trial_target, and where in it. Returns a descriptor or -errno. */
static int open_own_text(uint64_t *ret_offset, struct diag *d)
{
	uint64_t address = (uintptr_t)trial_target;
	struct maps maps = {0};
	const struct mapping *m;
	int fd = -ENOENT, err;

	err = maps_read(getpid(), &maps, d);
	if (err)
		return err;
	m = maps_find(&maps, address);
	if (m && m->inode) {
		*ret_offset = address - m->start + m->file_offset;
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	maps_done(&maps);
	return fd;
}

/* Calls the target from another thread and reads how often the program ran. */
static int count_hits(int map_fd, uint64_t *ret_hits)
{
	pthread_t thread;
	uint32_t key = 0;
	int err = pthread_create(&thread, NULL, call_target, NULL);

	if (err)
		return -err;
	pthread_join(thread, NULL);
	return bpf_map_lookup_elem(map_fd, &key, ret_hits);
}

static int try_loaded(enum link_kind kind, int map_fd, int prog_fd, struct diag *d)
{
	struct link_probe probe = {0};
	struct links links = {0};
	uint64_t hits = 0;
	_cleanup_close_ int fd = open_own_text(&probe.offset, d);
	int err;

	if (fd < 0)
		return fd;
	err = link_place(kind, prog_fd, fd, getpid(), &probe, 1, 0, &links, d);
	if (err)
		return err;
	err = count_hits(map_fd, &hits);
	links_done(&links);
	if (err)
		return diag_set(d, -err, "%s links: the trial could not be read: %s",
				link_kind_name(kind), strerror(-err));
	if (hits != 1)
		return diag_set(d, ENOTSUP, "%s links: a probe ran %llu times instead of once",
				link_kind_name(kind), (unsigned long long)hits);
	return 0;
}

int link_try(enum link_kind kind, struct diag *d)
{
	_cleanup_close_ int map_fd =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "seep_trial", 4, 8, 1, NULL);
	_cleanup_close_ int prog_fd = -1;

	if (map_fd < 0)
		return diag_set(d, errno, "a BPF map cannot be made: %s", strerror(errno));
	prog_fd = load_counter(kind, map_fd);
	if (prog_fd < 0)
		return diag_set(d, -prog_fd, "%s links: a BPF program cannot be loaded: %s",
				link_kind_name(kind), strerror(-prog_fd));
	return try_loaded(kind, map_fd, prog_fd, d);
}

int link_best(struct diag *d)
{
	static const enum link_kind order[] = {LINK_SESSION, LINK_MULTI, LINK_PERF};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		err = link_try(order[i], d);
		if (!err)
			return order[i];
	}
	return err;
}

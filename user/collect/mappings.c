// SPDX-License-Identifier: BSD-2-Clause
#include "collect/mappings.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/maps.h"

#define RING_PAGES 64	 /* a power of two; 256 KiB a CPU hold about 2,000 records */
#define RECORD_MAX 65536 /* perf_event_header.size has 16 bits */

/* PERF_RECORD_MMAP2 as in linux/perf_event.h, without build id. */
struct mmap2_record {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t start, n_bytes, file_offset;
	uint32_t dev_major, dev_minor;
	uint64_t inode, inode_generation;
	uint32_t protection, flags;
	char path[];
};

struct lost_record {
	struct perf_event_header header;
	uint64_t id, n_lost;
};

struct ring {
	int fd;
	struct perf_event_mmap_page *page;
};

struct mapping_watch {
	struct ring *rings;
	size_t n_rings;
	int epoll;
	size_t page_bytes;
	uint64_t n_lost;
	char *record; /* RECORD_MAX bytes: one record made contiguous */
	mapping_fn on_mapping;
	void *arg;
};

static int ring_open(struct mapping_watch *w, struct ring *ring, int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.watermark = 1,
		.wakeup_watermark = 1,
		.exclude_kernel = 1,
	};
	struct epoll_event event = {.events = EPOLLIN};

	ring->page = MAP_FAILED;
	ring->fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (ring->fd < 0)
		return -errno;
	ring->page = mmap(NULL, (1 + RING_PAGES) * w->page_bytes, PROT_READ | PROT_WRITE,
			  MAP_SHARED, ring->fd, 0);
	if (ring->page == MAP_FAILED || epoll_ctl(w->epoll, EPOLL_CTL_ADD, ring->fd, &event))
		return -errno;
	return 0;
}

int mapping_watch_create(mapping_fn on_mapping, void *arg, struct mapping_watch **ret,
			 struct diag *d)
{
	struct mapping_watch *w = calloc(1, sizeof(*w));
	long n_cpus = sysconf(_SC_NPROCESSORS_CONF);
	int err = 0;

	if (!w)
		return diag_set(d, ENOMEM, "out of memory");
	w->on_mapping = on_mapping;
	w->arg = arg;
	w->page_bytes = sysconf(_SC_PAGESIZE);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->record = malloc(RECORD_MAX);
	w->rings = calloc(n_cpus, sizeof(*w->rings));
	if (w->epoll < 0 || !w->record || !w->rings)
		err = -ENOMEM;
	for (int cpu = 0; cpu < n_cpus && !err; cpu++) {
		w->n_rings++;
		err = ring_open(w, &w->rings[cpu], cpu);
		if (err == -ENODEV) /* an offline CPU */
			err = 0;
	}
	if (err) {
		mapping_watch_destroy(w);
		return diag_set_hint(d, -err, EXIT_REFUSED,
				     "it needs CAP_PERFMON, or kernel.perf_event_paranoid below 1",
				     "cannot follow new mappings (perf_event_open): %s",
				     strerror(-err));
	}
	*ret = w;
	return 0;
}

void mapping_watch_destroy(struct mapping_watch *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n_rings; i++) {
		if (w->rings[i].page && w->rings[i].page != MAP_FAILED)
			munmap(w->rings[i].page, (1 + RING_PAGES) * w->page_bytes);
		if (w->rings[i].fd >= 0)
			close(w->rings[i].fd);
	}
	if (w->epoll >= 0)
		close(w->epoll);
	free(w->rings);
	free(w->record);
	free(w);
}

int mapping_watch_fd(const struct mapping_watch *w)
{
	return w->epoll;
}

uint64_t mapping_watch_lost(const struct mapping_watch *w)
{
	return w->n_lost;
}

static void pass_mapping(struct mapping_watch *w, const struct mmap2_record *r)
{
	struct mapping m = {
		.start = r->start,
		.end = r->start + r->n_bytes,
		.file_offset = r->file_offset,
		.inode = r->inode,
		.dev_major = r->dev_major,
		.dev_minor = r->dev_minor,
		.readable = r->protection & PROT_READ,
		.writable = r->protection & PROT_WRITE,
		.executable = r->protection & PROT_EXEC,
		.shared = r->flags & MAP_SHARED,
		.path = (char *)r->path,
	};

	/* "//anon" is perf's name for what has none. */
	if (!strcmp(m.path, "//anon"))
		m.path = "";
	w->on_mapping(w->arg, r->pid, &m);
}

static void pass_record(struct mapping_watch *w, const struct perf_event_header *header)
{
	if (header->type == PERF_RECORD_LOST && header->size >= sizeof(struct lost_record))
		w->n_lost += ((const struct lost_record *)header)->n_lost;
	if (header->type != PERF_RECORD_MMAP2 || header->size <= sizeof(struct mmap2_record))
		return;
	((char *)header)[header->size - 1] = '\0';
	pass_mapping(w, (const struct mmap2_record *)header);
}

static void copy_out(const struct ring *ring, size_t page_bytes, uint64_t at, void *to, size_t n)
{
	const char *data = (const char *)ring->page + page_bytes;
	size_t size = RING_PAGES * page_bytes, offset = at & (size - 1),
	       first = n < size - offset ? n : size - offset;

	memcpy(to, data + offset, first);
	memcpy((char *)to + first, data, n - first);
}

static void drain_ring(struct mapping_watch *w, struct ring *ring)
{
	uint64_t head, tail;

	if (!ring->page || ring->page == MAP_FAILED)
		return;
	head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	tail = ring->page->data_tail;
	while (tail < head) {
		struct perf_event_header header;

		copy_out(ring, w->page_bytes, tail, &header, sizeof(header));
		if (header.size < sizeof(header))
			break;
		copy_out(ring, w->page_bytes, tail, w->record, header.size);
		tail += header.size;
		__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
		pass_record(w, (const struct perf_event_header *)w->record);
	}
}

void mapping_watch_drain(struct mapping_watch *w)
{
	for (size_t i = 0; i < w->n_rings; i++)
		drain_ring(w, &w->rings[i]);
}

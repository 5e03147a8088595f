// SPDX-License-Identifier: BSD-2-Clause
#include "collect/mappings.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "collect/mapping_queue.h"
#include "process/maps.h"

#define RING_PAGES 64 /* a power of two; 256 KiB a CPU hold about 2,000 records */
#define NEVER_SECONDS 1000000000
#define LOOK_PAUSE_NS (NS_PER_SECOND / 20)
#define QUEUE_BYTES (8 << 20) /* about 60,000 records */

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
	uint64_t enabled_ns; /* how long its event has stood, as of the last look */
};

/* rings, their descriptors in ring_epoll, and `record` are for whoever fills the queue, or holds it. */
struct mapping_watch {
	struct mapping_queue *queue;
	struct ring *rings;
	size_t n_rings;
	int ring_epoll;
	int epoll; /* of the queue and the clock */
	int clock; /* a timer that never expires: it is cancelled when the clock is set, as it is after a suspend */
	size_t page_bytes;
	_Atomic uint64_t n_lost;
	uint64_t n_gaps;
	uint64_t looked_ns; /* CLOCK_MONOTONIC when the rings were last found alive, or made so */
	char *record;	    /* MAPPING_RECORD_MAX bytes: one record made contiguous */
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
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED,
	};
	struct epoll_event event = {.events = EPOLLIN};

	ring->page = MAP_FAILED;
	ring->enabled_ns = 0;
	ring->fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (ring->fd < 0)
		return -errno;
	ring->page = mmap(NULL, (1 + RING_PAGES) * w->page_bytes, PROT_READ | PROT_WRITE,
			  MAP_SHARED, ring->fd, 0);
	if (ring->page == MAP_FAILED || epoll_ctl(w->ring_epoll, EPOLL_CTL_ADD, ring->fd, &event))
		return -errno;
	return 0;
}

static void ring_close(const struct mapping_watch *w, struct ring *ring)
{
	if (ring->page && ring->page != MAP_FAILED)
		munmap(ring->page, (1 + RING_PAGES) * w->page_bytes);
	if (ring->fd >= 0)
		close(ring->fd);
}

static int clock_arm(const struct mapping_watch *w)
{
	const struct itimerspec never = {.it_value.tv_sec = clock_realtime_ns() / NS_PER_SECOND +
							    NEVER_SECONDS};

	return timerfd_settime(w->clock, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static int clock_open(struct mapping_watch *w)
{
	struct epoll_event event = {.events = EPOLLIN};

	w->clock = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->clock < 0 || clock_arm(w) || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->clock, &event))
		return -errno;
	return 0;
}

static void copy_out(const struct ring *ring, size_t page_bytes, uint64_t at, void *to, size_t n)
{
	const char *data = (const char *)ring->page + page_bytes;
	size_t size = RING_PAGES * page_bytes, offset = at & (size - 1),
	       first = n < size - offset ? n : size - offset;

	memcpy(to, data + offset, first);
	memcpy((char *)to + first, data, n - first);
}

static bool is_lost(const struct perf_event_header *header)
{
	return header->type == PERF_RECORD_LOST && header->size >= sizeof(struct lost_record);
}

/* Moves its records to the queue; those that find no room stay. */
static void move_ring(struct mapping_watch *w, struct mapping_queue *q, struct ring *ring)
{
	uint64_t head, tail;

	if (!ring->page || ring->page == MAP_FAILED)
		return;
	head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	tail = ring->page->data_tail;
	while (tail < head) {
		const struct perf_event_header *header = (void *)w->record;

		copy_out(ring, w->page_bytes, tail, w->record, sizeof(*header));
		if (header->size < sizeof(*header))
			break;
		copy_out(ring, w->page_bytes, tail, w->record, header->size);
		if (is_lost(header))
			w->n_lost += ((const struct lost_record *)header)->n_lost;
		else if (!mapping_queue_put(q, w->record, header->size))
			break;
		tail += header->size;
		__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	}
}

static void fill(void *arg, struct mapping_queue *q)
{
	struct mapping_watch *w = arg;

	for (size_t i = 0; i < w->n_rings; i++)
		move_ring(w, q, &w->rings[i]);
}

static int queue_open(struct mapping_watch *w, struct diag *d)
{
	struct epoll_event event = {.events = EPOLLIN};
	int err = mapping_queue_create(QUEUE_BYTES, w->ring_epoll, fill, w, &w->queue, d);

	if (err)
		return err;
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, mapping_queue_fd(w->queue), &event))
		return diag_set(d, errno, "cannot follow new mappings: %s", strerror(errno));
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
	w->looked_ns = clock_monotonic_ns();
	w->page_bytes = sysconf(_SC_PAGESIZE);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->ring_epoll = epoll_create1(EPOLL_CLOEXEC);
	w->record = malloc(MAPPING_RECORD_MAX);
	w->rings = calloc(n_cpus, sizeof(*w->rings));
	w->clock = -1;
	if (w->epoll < 0 || w->ring_epoll < 0 || !w->record || !w->rings)
		err = -ENOMEM;
	if (!err)
		err = clock_open(w);
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
	err = queue_open(w, d);
	if (err) {
		mapping_watch_destroy(w);
		return err;
	}
	*ret = w;
	return 0;
}

void mapping_watch_destroy(struct mapping_watch *w)
{
	if (!w)
		return;
	mapping_queue_destroy(w->queue);
	for (size_t i = 0; i < w->n_rings; i++)
		ring_close(w, &w->rings[i]);
	if (w->clock >= 0)
		close(w->clock);
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->ring_epoll >= 0)
		close(w->ring_epoll);
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

static void pass_record(void *arg, void *record, size_t n)
{
	const struct perf_event_header *header = record;

	if (header->type != PERF_RECORD_MMAP2 || n <= sizeof(struct mmap2_record))
		return;
	((char *)record)[n - 1] = '\0';
	pass_mapping(arg, record);
}

/* Whether its event still stands: then it grows older. */
static bool ring_lives(struct ring *ring)
{
	struct {
		uint64_t value, enabled_ns;
	} now;
	uint64_t before_ns = ring->enabled_ns;

	if (ring->fd < 0 || read(ring->fd, &now, sizeof(now)) != sizeof(now))
		return false;
	ring->enabled_ns = now.enabled_ns;
	return now.enabled_ns > before_ns;
}

/* What found no room in the queue. */
static bool holds_some(const struct ring *ring)
{
	return ring->page && ring->page != MAP_FAILED &&
	       __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE) != ring->page->data_tail;
}

void mapping_watch_revive(struct mapping_watch *w)
{
	uint64_t now_ns = clock_monotonic_ns();

	/* Where the kernel's clock is coarse, a live one may look as old as a moment ago. */
	if (now_ns - w->looked_ns < LOOK_PAUSE_NS)
		return;
	w->looked_ns = now_ns;
	mapping_queue_hold(w->queue);
	for (size_t i = 0; i < w->n_rings; i++) {
		struct ring *ring = &w->rings[i];

		if (ring_lives(ring))
			continue;
		move_ring(w, w->queue, ring);
		if (holds_some(ring))
			w->n_lost++;
		ring_close(w, ring);
		if (!ring_open(w, ring, i)) {
			w->n_gaps++;
			continue;
		}
		/* It may be offline still. */
		ring_close(w, ring);
		*ring = (struct ring){.fd = -1};
	}
	mapping_queue_go_on(w->queue);
}

uint64_t mapping_watch_gaps(const struct mapping_watch *w)
{
	return w->n_gaps;
}

/* Settling after a suspend, or after the clock was set by hand, which costs nothing but a look. */
static void settle_clock(struct mapping_watch *w)
{
	uint64_t n_expired;

	if (read(w->clock, &n_expired, sizeof(n_expired)) < 0 && errno == EAGAIN)
		return;
	clock_arm(w);
	mapping_watch_revive(w);
}

void mapping_watch_drain(struct mapping_watch *w)
{
	settle_clock(w);
	mapping_queue_drain(w->queue, pass_record, w);
}

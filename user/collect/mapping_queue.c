// SPDX-License-Identifier: BSD-2-Clause
#include "collect/mapping_queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* In a storm records come one by one, and a program's come together: half a dozen are moved at once rather than each with two wake-ups. */
static const struct timespec short_pause = {.tv_nsec = 200000};
/* The consumer may have been faster; but a source that is ready, and has nothing again and again, is broken. */
#define VAIN_MOST 100
static const struct timespec long_pause = {.tv_nsec = 20000000};
/* One round passes on a queue full; a loop has other things to do, too. */
#define ROUNDS_MOST 16

struct mapping_queue {
	mapping_fill_fn fill;
	void *arg;
	int source_fd, ready_fd, leave_fd;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t moving; /* for whoever fills; taken before `lock` */
	pthread_mutex_t lock;	/* for what follows */
	char *bytes;		/* records, each behind its size, round and round */
	size_t n_bytes, first, n_used;
	size_t n_records;
	char *record; /* the consumer's, without the lock */
};

static void copy_in(struct mapping_queue *q, const void *from, size_t n)
{
	size_t at = (q->first + q->n_used) % q->n_bytes,
	       head = n < q->n_bytes - at ? n : q->n_bytes - at;

	memcpy(q->bytes + at, from, head);
	memcpy(q->bytes, (const char *)from + head, n - head);
	q->n_used += n;
}

static void copy_out(struct mapping_queue *q, void *to, size_t n)
{
	size_t head = n < q->n_bytes - q->first ? n : q->n_bytes - q->first;

	memcpy(to, q->bytes + q->first, head);
	memcpy((char *)to + head, q->bytes, n - head);
	q->first = (q->first + n) % q->n_bytes;
	q->n_used -= n;
}

bool mapping_queue_put(struct mapping_queue *q, const void *record, size_t n)
{
	uint32_t size = n;
	bool fits;

	pthread_mutex_lock(&q->lock);
	fits = n <= MAPPING_RECORD_MAX && sizeof(size) + n <= q->n_bytes - q->n_used;
	if (fits) {
		copy_in(q, &size, sizeof(size));
		copy_in(q, record, n);
		q->n_records++;
	}
	pthread_mutex_unlock(&q->lock);
	return fits;
}

/* Returns the record's size, 0 when there is none. */
static size_t take(struct mapping_queue *q)
{
	uint32_t size = 0;

	pthread_mutex_lock(&q->lock);
	if (q->n_records) {
		copy_out(q, &size, sizeof(size));
		copy_out(q, q->record, size);
		q->n_records--;
	}
	pthread_mutex_unlock(&q->lock);
	return size;
}

static size_t count(struct mapping_queue *q)
{
	size_t n;

	pthread_mutex_lock(&q->lock);
	n = q->n_records;
	pthread_mutex_unlock(&q->lock);
	return n;
}

/* Returns how many records wait then. */
static size_t move(struct mapping_queue *q)
{
	pthread_mutex_lock(&q->moving);
	q->fill(q->arg, q);
	pthread_mutex_unlock(&q->moving);
	return count(q);
}

static void *run(void *arg)
{
	struct mapping_queue *q = arg;
	unsigned n_vain = 0;
	struct pollfd fds[] = {
		{.fd = q->source_fd, .events = POLLIN},
		{.fd = q->leave_fd, .events = POLLIN},
	};

	while (!fds[1].revents) {
		if (poll(fds, 2, -1) < 0 || !fds[0].revents)
			continue;
		if (move(q)) {
			eventfd_write(q->ready_fd, 1);
			n_vain = 0;
		} else {
			n_vain++;
		}
		nanosleep(n_vain < VAIN_MOST ? &short_pause : &long_pause, NULL);
	}
	return NULL;
}

/* Signals are for other threads. */
static int start(struct mapping_queue *q)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&q->thread, NULL, run, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	q->has_thread = !err;
	return -err;
}

int mapping_queue_create(size_t max_bytes, int source_fd, mapping_fill_fn fill, void *arg,
			 struct mapping_queue **ret, struct diag *d)
{
	struct mapping_queue *q = calloc(1, sizeof(*q));
	int err = 0;

	if (!q)
		return diag_set(d, ENOMEM, "out of memory");
	pthread_mutex_init(&q->moving, NULL);
	pthread_mutex_init(&q->lock, NULL);
	q->fill = fill;
	q->arg = arg;
	q->source_fd = source_fd;
	q->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->leave_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->ready_fd < 0 || q->leave_fd < 0)
		err = -errno;
	q->n_bytes = max_bytes;
	q->bytes = malloc(max_bytes);
	q->record = malloc(MAPPING_RECORD_MAX);
	if (!err && (!q->bytes || !q->record))
		err = -ENOMEM;
	if (!err)
		err = start(q);
	if (err) {
		mapping_queue_destroy(q);
		return diag_set(d, -err, "cannot start a thread: %s", strerror(-err));
	}
	*ret = q;
	return 0;
}

void mapping_queue_destroy(struct mapping_queue *q)
{
	if (!q)
		return;
	if (q->has_thread) {
		eventfd_write(q->leave_fd, 1);
		pthread_join(q->thread, NULL);
	}
	if (q->ready_fd >= 0)
		close(q->ready_fd);
	if (q->leave_fd >= 0)
		close(q->leave_fd);
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->moving);
	free(q->bytes);
	free(q->record);
	free(q);
}

int mapping_queue_fd(const struct mapping_queue *q)
{
	return q->ready_fd;
}

void mapping_queue_drain(struct mapping_queue *q, mapping_pass_fn pass, void *arg)
{
	eventfd_t unused;
	size_t n;

	eventfd_read(q->ready_fd, &unused);
	/* By number, not until it is empty: the thread goes on meanwhile. */
	for (int round = 0; round < ROUNDS_MOST; round++) {
		n = round ? move(q) : count(q);
		if (round && !n)
			return;
		while (n--) {
			size_t size = take(q);

			pass(arg, q->record, size);
		}
	}
	eventfd_write(q->ready_fd, 1);
}

void mapping_queue_hold(struct mapping_queue *q)
{
	pthread_mutex_lock(&q->moving);
}

void mapping_queue_go_on(struct mapping_queue *q)
{
	pthread_mutex_unlock(&q->moving);
}

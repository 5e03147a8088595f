// SPDX-License-Identifier: BSD-2-Clause
/* A close waits for a grace period of the kernel, about 0.1 s, in which other closes can wait, too: so many threads, started as the
 * queue grows and ended when it is empty. */
#include "attach/closer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/vec.h"

#define MAX_WORKERS 64

struct closer {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* a worker ended */
	unsigned n_workers;
	struct links queue;
	uint64_t cpu_ns;
};

static void *run(void *arg)
{
	struct closer *c = arg;

	pthread_mutex_lock(&c->lock);
	while (c->queue.n) {
		int fd = c->queue.items[--c->queue.n];

		pthread_mutex_unlock(&c->lock);
		close(fd);
		pthread_mutex_lock(&c->lock);
	}
	c->cpu_ns += clock_thread_cpu_ns();
	c->n_workers--;
	pthread_cond_broadcast(&c->idle);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Caller holds the lock. Without a thread to be had the next call tries again, and closer_destroy does the rest. */
static void start_workers(struct closer *c)
{
	sigset_t all, before;
	pthread_t thread;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (c->n_workers < MAX_WORKERS && c->n_workers < c->queue.n) {
		if (pthread_create(&thread, NULL, run, c))
			break;
		pthread_detach(thread);
		c->n_workers++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int closer_create(struct closer **ret, struct diag *d)
{
	struct closer *c = calloc(1, sizeof(*c));

	if (!c)
		return diag_set(d, ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->idle, NULL);
	*ret = c;
	return 0;
}

void closer_wait(struct closer *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->n_workers)
		pthread_cond_wait(&c->idle, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

uint64_t closer_cpu_ns(struct closer *c)
{
	uint64_t cpu_ns;

	pthread_mutex_lock(&c->lock);
	cpu_ns = c->cpu_ns;
	pthread_mutex_unlock(&c->lock);
	return cpu_ns;
}

void closer_destroy(struct closer *c)
{
	if (!c)
		return;
	closer_wait(c);
	links_done(&c->queue);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->idle);
	free(c);
}

void closer_links(struct closer *c, struct links *links)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < links->n; i++)
		if (vec_push(&c->queue, links->items[i]))
			close(links->items[i]); /* without memory: here, slowly */
	start_workers(c);
	pthread_mutex_unlock(&c->lock);
	free(links->items);
	*links = (struct links){0};
}

// SPDX-License-Identifier: BSD-2-Clause
#include "attach/closer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vec.h"

struct closer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	bool ending;
	struct links queue;
};

static void *run(void *arg)
{
	struct closer *c = arg;

	pthread_mutex_lock(&c->lock);
	while (c->queue.n || !c->ending) {
		struct links batch = c->queue;

		c->queue = (struct links){0};
		if (!batch.n) {
			pthread_cond_wait(&c->work, &c->lock);
			continue;
		}
		pthread_mutex_unlock(&c->lock);
		links_done(&batch);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int closer_create(struct closer **ret, struct diag *d)
{
	struct closer *c = calloc(1, sizeof(*c));
	sigset_t all, before;
	int err;

	if (!c)
		return diag_set(d, ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, NULL);
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&c->thread, NULL, run, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		free(c);
		return diag_set(d, err, "cannot start a thread: %s", strerror(err));
	}
	*ret = c;
	return 0;
}

void closer_destroy(struct closer *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	free(c);
}

void closer_links(struct closer *c, struct links *links)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < links->n; i++)
		if (vec_push(&c->queue, links->items[i]))
			close(links->items[i]); /* without memory: here, slowly */
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	free(links->items);
	*links = (struct links){0};
}

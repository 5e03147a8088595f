// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/tables.h"

#include <errno.h>
#include <stdint.h>

#include "attach/unwinder.h"
#include "base/log.h"

static void make(const struct tables *t, instance_id instance, pid_t pid)
{
	struct diag d = {0};
	int err = unwinder_update(t->unwinder, pid, instance, &d);

	if (err && err != -ESRCH && !t->quiet)
		log_info("%s", d.text);
}

static void *run(void *arg)
{
	struct tables *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->leaving) {
		size_t cursor = 0;
		uint64_t instance;
		void *pid = hashmap_next(&t->wanted, &cursor, &instance);

		if (!pid) {
			pthread_cond_wait(&t->wake, &t->lock);
			continue;
		}
		hashmap_take(&t->wanted, instance);
		pthread_mutex_unlock(&t->lock);
		make(t, instance, (intptr_t)pid);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

int tables_start(struct tables *t, struct unwinder *u, bool quiet)
{
	int err;

	t->unwinder = u;
	t->quiet = quiet;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wake, NULL);
	err = pthread_create(&t->thread, NULL, run, t);
	t->has_thread = !err;
	return -err;
}

void tables_want(struct tables *t, instance_id instance, pid_t pid)
{
	pthread_mutex_lock(&t->lock);
	hashmap_put(&t->wanted, instance, (void *)(intptr_t)pid);
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
}

bool tables_is_wanted(struct tables *t, instance_id instance)
{
	bool wanted;

	pthread_mutex_lock(&t->lock);
	wanted = hashmap_get(&t->wanted, instance);
	pthread_mutex_unlock(&t->lock);
	return wanted;
}

void tables_stop(struct tables *t)
{
	if (!t->has_thread)
		return;
	pthread_mutex_lock(&t->lock);
	t->leaving = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	hashmap_done(&t->wanted);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	t->has_thread = false;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "reach/mark.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/vec.h"

/* Each worker takes pieces of the roots, one after the other. A block that it is the first to reach goes on a stack of its own,
 * which it empties before it takes the next piece. With no pieces left it takes over blocks from workers that have many, and all
 * end when none has any. A block is pushed once, so all stacks together hold no more than there are blocks. */

#define GIVE_AWAY 64 /* blocks: fewer are not worth a lock */
#define SWEPT 1024   /* blocks that are looked at again in one piece */

struct stack {
	uint32_t *items;
	size_t n, cap;
};

struct marking {
	const struct reach_blocks *blocks;
	const struct reach_roots *roots;
	const struct reach_reader *reader;
	const struct reach_options *options;
	struct reach_progress *progress;
	uint8_t *marks;
	_Atomic size_t next_piece;
	_Atomic int err;
	_Atomic unsigned n_idle;
	unsigned n_workers; /* under lock */
	pthread_mutex_t lock;
	pthread_cond_t given;
	struct stack shared; /* under lock */
	bool done;	     /* under lock */
};

struct worker {
	struct marking *m;
	struct reach_scanner scanner;
	struct stack stack;
	uint64_t n_told; /* bytes that the progress has */
};

static void fail(struct marking *m, int err)
{
	int none = 0;

	atomic_compare_exchange_strong(&m->err, &none, err);
}

static void reached(void *arg, uint64_t address, uint32_t block)
{
	struct worker *w = arg;
	uint8_t *mark = &w->m->marks[block];

	(void)address;
	if (__atomic_load_n(mark, __ATOMIC_RELAXED) ||
	    __atomic_exchange_n(mark, 1, __ATOMIC_RELAXED))
		return;
	if (vec_push(&w->stack, block))
		fail(w->m, -ENOMEM);
}

static bool go_on(struct worker *w)
{
	struct marking *m = w->m;

	m->progress->n_bytes += w->scanner.n_bytes - w->n_told;
	w->n_told = w->scanner.n_bytes;
	if (m->progress->stop)
		fail(m, -ECANCELED);
	return !m->err;
}

/* Gives half of what there is to do to those who have nothing. */
static void share(struct worker *w)
{
	struct marking *m = w->m;

	pthread_mutex_lock(&m->lock);
	for (size_t n = w->stack.n / 2; n && !vec_push(&m->shared, w->stack.items[w->stack.n - 1]);
	     n--)
		w->stack.n--;
	pthread_cond_broadcast(&m->given);
	pthread_mutex_unlock(&m->lock);
}

static void empty_stack(struct worker *w)
{
	for (unsigned i = 0; w->stack.n; i++) {
		int err;

		if (i % 1024 == 0 && !go_on(w))
			return;
		if (w->stack.n > GIVE_AWAY && w->m->n_idle)
			share(w);
		err = reach_scan_block(&w->scanner, w->stack.items[--w->stack.n]);
		if (err)
			fail(w->m, err);
	}
}

static int take_marked(struct worker *w, size_t first)
{
	struct marking *m = w->m;
	size_t end = m->blocks->n - first < SWEPT ? m->blocks->n : first + SWEPT;
	int err = 0;

	for (size_t i = first; i < end && !err; i++)
		if (__atomic_load_n(&m->marks[i], __ATOMIC_RELAXED))
			err = reach_scan_block(&w->scanner, i);
	return err;
}

/* The first of all are the registers, the last blocks that are marked already. */
static int take_piece(struct worker *w, size_t i)
{
	const struct reach_roots *roots = w->m->roots;

	if (i > roots->pieces.n)
		return take_marked(w, (i - 1 - roots->pieces.n) * SWEPT);
	if (i)
		return reach_scan_between(&w->scanner, roots->pieces.items[i - 1].start,
					  roots->pieces.items[i - 1].end);
	for (size_t j = 0; j < roots->registers.n; j++)
		reach_scan_word(&w->scanner, 0, roots->registers.items[j]);
	return 0;
}

static void take_pieces(struct worker *w)
{
	struct marking *m = w->m;
	size_t n = 1 + m->roots->pieces.n, i;

	if (m->options->again)
		n += (m->blocks->n + SWEPT - 1) / SWEPT;
	while (go_on(w) && (i = m->next_piece++) < n) {
		int err = take_piece(w, i);

		if (err)
			fail(m, err);
		empty_stack(w);
	}
}

/* Waits until others have given something, or nobody has anything. Returns whether there is something. */
static bool take_shared(struct worker *w)
{
	struct marking *m = w->m;
	bool some;

	pthread_mutex_lock(&m->lock);
	m->n_idle++;
	while (!m->shared.n && !m->done && !m->err) {
		if (m->n_idle == m->n_workers)
			m->done = true;
		else
			pthread_cond_wait(&m->given, &m->lock);
	}
	if (m->done || m->err)
		pthread_cond_broadcast(&m->given);
	some = !m->done && !m->err;
	for (size_t n = (m->shared.n + 1) / 2; some && n; n--)
		if (vec_push(&w->stack, m->shared.items[--m->shared.n])) {
			fail(m, -ENOMEM);
			break;
		}
	m->n_idle--;
	pthread_mutex_unlock(&m->lock);
	return some;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	take_pieces(w);
	while (take_shared(w))
		empty_stack(w);
	go_on(w);
	/* One that failed does not come to rest: the others must not wait for it. */
	pthread_mutex_lock(&w->m->lock);
	w->m->n_workers--;
	pthread_cond_broadcast(&w->m->given);
	pthread_mutex_unlock(&w->m->lock);
	return NULL;
}

static int worker_init(struct worker *w, struct marking *m)
{
	*w = (struct worker){
		.m = m,
		.scanner = {.blocks = m->blocks,
			    .reader = m->reader,
			    .pointers = m->options->pointers,
			    .hit = reached,
			    .arg = w},
	};
	return reach_scanner_init(&w->scanner);
}

/* The first worker is the caller's thread; of the others as many as can be had. */
static int run(struct marking *m, struct worker *workers, pthread_t *threads, unsigned n)
{
	unsigned n_ready = 0, n_started = 1;

	while (n_ready < n && !worker_init(&workers[n_ready], m))
		n_ready++;
	if (!n_ready)
		return -ENOMEM;
	pthread_mutex_lock(&m->lock);
	while (n_started < n_ready &&
	       !pthread_create(&threads[n_started], NULL, work, &workers[n_started]))
		n_started++;
	m->n_workers = n_started;
	pthread_mutex_unlock(&m->lock);
	work(&workers[0]);
	for (unsigned i = 1; i < n_started; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < n_ready; i++) {
		reach_scanner_done(&workers[i].scanner);
		free(workers[i].stack.items);
	}
	return m->err;
}

int reach_mark(const struct reach_blocks *blocks, const struct reach_roots *roots,
	       const struct reach_reader *reader, const struct reach_options *options,
	       struct reach_progress *progress, uint8_t *marks)
{
	struct marking m = {
		.blocks = blocks,
		.roots = roots,
		.reader = reader,
		.options = options,
		.progress = progress,
		.marks = marks,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.given = PTHREAD_COND_INITIALIZER,
	};
	struct worker *workers = calloc(options->n_threads, sizeof(*workers));
	pthread_t *threads = calloc(options->n_threads, sizeof(*threads));
	int err = -ENOMEM;

	if (workers && threads)
		err = run(&m, workers, threads, options->n_threads);
	free(workers);
	free(threads);
	free(m.shared.items);
	return err;
}

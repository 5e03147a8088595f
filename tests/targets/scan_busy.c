// SPDX-License-Identifier: BSD-2-Clause
/* A program that loses nothing and never rests, for scans that do not stop it: threads move blocks among lists, registers and
 * stacks, replace and free them, so that at each moment pointers are on their way. `{"ready":PID}`; runs until its input ends.
 * With an argument it loses that many blocks at the line `go`, in the midst of it, and says `lost`. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_THREADS = 3, N_SLOTS = 512, DEPTH = 20 };

struct node {
	struct node *next;
	char rest[40];
};

static struct list {
	pthread_mutex_t lock;
	struct node *first;
} lists[N_SLOTS];

static struct node *pop(struct list *l)
{
	struct node *n;

	pthread_mutex_lock(&l->lock);
	n = l->first;
	if (n)
		l->first = n->next;
	pthread_mutex_unlock(&l->lock);
	return n;
}

static void push(struct list *l, struct node *n)
{
	pthread_mutex_lock(&l->lock);
	n->next = l->first;
	l->first = n;
	pthread_mutex_unlock(&l->lock);
}

/* Holds a node on each level of its stack before it gives them back elsewhere. */
__attribute__((noinline)) static void move(unsigned *seed, int depth)
{
	struct node *n = pop(&lists[rand_r(seed) % N_SLOTS]);

	if (depth)
		move(seed, depth - 1);
	if (n && rand_r(seed) % 64 == 0) {
		free(n);
		n = calloc(1, sizeof(*n));
	}
	if (n)
		push(&lists[rand_r(seed) % N_SLOTS], n);
}

static void *busy(void *arg)
{
	unsigned seed = (uintptr_t)arg;

	for (;;) {
		move(&seed, rand_r(&seed) % DEPTH);
		/* Probes cost the other tests of a machine more than it shows here. */
		if (rand_r(&seed) % 256 == 0)
			usleep(200);
	}
	return NULL;
}

__attribute__((noipa)) static void lose_blocks(int n)
{
	for (int i = 0; i < n; i++)
		memset(malloc(72), 1, 72);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char line[16];

	for (size_t i = 0; i < N_SLOTS; i++)
		pthread_mutex_init(&lists[i].lock, NULL);
	printf("{\"ready\":%d}\n", getpid());
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 0;
	for (size_t i = 0; i < 20 * N_SLOTS; i++)
		push(&lists[i % N_SLOTS], calloc(1, sizeof(struct node)));
	for (uintptr_t i = 1; i <= N_THREADS; i++)
		if (pthread_create(&thread, NULL, busy, (void *)i))
			return 1;
	lose_blocks(argc > 1 ? atoi(argv[1]) : 0);
	printf("lost\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	_exit(0);
}

// SPDX-License-Identifier: BSD-2-Clause
/* Changes its memory and its threads as it is told, a line each, and answers "{}" when that is done:
 *	anon N, shmem N   touch so many new pages         drop   gives back the newest anonymous ones
 *	burn MS           uses processor time in a thread that ends then
 *	spin MS           the same in the thread that answers
 *	leave             the first thread ends, another goes on
 *	exec              executes this program anew
 * It uses no memory of its own meanwhile. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char *newest;
static size_t newest_bytes;

static void answer(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(1);
}

static void touch(size_t n_pages, int flags)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, n_pages * page, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	madvise(p, n_pages * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n_pages; i++)
		p[i * page] = 1;
	if (flags & MAP_PRIVATE) {
		newest = p;
		newest_bytes = n_pages * page;
	}
}

static void *burn(void *ms)
{
	struct timespec t;
	long until_ms = (long)ms;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	until_ms += t.tv_sec * 1000 + t.tv_nsec / 1000000;
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < until_ms);
	return NULL;
}

static void *obey(void *unused);

static void leave(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, obey, NULL);
	syscall(SYS_exit, 0);
}

static void obey_line(char *line)
{
	long n = strchr(line, ' ') ? atol(strchr(line, ' ')) : 0;
	pthread_t thread;

	if (!strncmp(line, "anon", 4)) {
		touch(n, MAP_PRIVATE);
	} else if (!strncmp(line, "shmem", 5)) {
		touch(n, MAP_SHARED);
	} else if (!strncmp(line, "drop", 4)) {
		munmap(newest, newest_bytes);
	} else if (!strncmp(line, "burn", 4)) {
		pthread_create(&thread, NULL, burn, (void *)n);
		pthread_join(thread, NULL);
	} else if (!strncmp(line, "spin", 4)) {
		burn((void *)n);
	} else if (!strncmp(line, "leave", 5)) {
		leave();
	} else if (!strncmp(line, "exec", 4)) {
		execl("/proc/self/exe", "watch_memory", (char *)NULL);
		_exit(1);
	}
	answer("{}\n");
}

/* A line comes whole: whoever writes it waits for the answer. */
static void *obey(void *thread)
{
	char line[64];
	ssize_t n;

	if (!thread)
		answer("{}\n"); /* to "leave" */
	while ((n = read(0, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		obey_line(line);
	}
	_exit(0);
}

int main(void)
{
	char ready[64];

	snprintf(ready, sizeof(ready), "{\"ready\": %d}\n", getpid());
	answer(ready);
	obey(ready);
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
/* Probes that all processes of a file share: tried on a copy of the C library that only our children map. Needs root and BPF. */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "attach/cover.h"
#include "attach/kernel.h"
#include "base/clock.h"
#include "collect/collector.h"
#include "process/identity.h"

#define N_BLOCKS 10

struct child {
	pid_t pid;
	int socket;
	uint32_t instance;
};

struct fixture {
	char directory[64], libc[128];
	struct kernel *kernel;
	struct cover *cover;
	struct collector *collector;
	struct child a, b;
};

/* Each byte: 'm' allocates some blocks by the copy's malloc, 'f' frees as many, 'q' ends. */
static _Noreturn void run_child(int fd, const char *libc)
{
	void *handle = dlmopen(LM_ID_NEWLM, libc, RTLD_NOW), *blocks[100 * N_BLOCKS];
	void *(*copy_malloc)(size_t) = NULL;
	void (*copy_free)(void *) = NULL;
	size_t n = 0;
	char what = 'm';

	if (handle) {
		copy_malloc = (void *(*)(size_t))dlsym(handle, "malloc");
		copy_free = (void (*)(void *))dlsym(handle, "free");
	}
	if (!copy_malloc || !copy_free)
		_exit(1);
	do {
		for (int i = 0; i < N_BLOCKS; i++)
			if (what == 'm')
				blocks[n++] = copy_malloc(100);
			else
				copy_free(blocks[--n]);
		if (write(fd, &what, 1) != 1)
			break;
	} while (read(fd, &what, 1) == 1 && what != 'q');
	_exit(0);
}

static void start_child(struct fixture *f, struct child *c)
{
	int sockets[2];
	char ready;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (!c->pid) {
		close(sockets[0]);
		run_child(sockets[1], f->libc);
	}
	close(sockets[1]);
	c->socket = sockets[0];
	assert_int_equal(read(c->socket, &ready, 1), 1);
}

static void tell(const struct child *c, char what)
{
	char done;

	assert_int_equal(write(c->socket, &what, 1), 1);
	assert_int_equal(read(c->socket, &done, 1), 1);
}

static void end_child(struct child *c)
{
	assert_int_equal(write(c->socket, "q", 1), 1);
	close(c->socket);
	waitpid(c->pid, NULL, 0);
}

static void ignore_event(void *arg, const struct collector_event *e)
{
	(void)arg;
	(void)e;
}

static void open_all(struct fixture *f, enum link_kind link)
{
	const struct kernel_options options = {
		.link = link,
		.stack = KERNEL_STACK_NONE,
		.max_outstanding = 10000,
		.max_sites = 1000,
		.max_stacks = 1000,
		.max_frames = 16,
	};
	const struct cover_options cover = {.scope = COVER_FILES, .object = f->libc};
	struct kernel_maps maps;
	struct diag d = {0};

	assert_int_equal(kernel_open(&options, &f->kernel, &d), 0);
	kernel_get_maps(f->kernel, &maps);
	assert_int_equal(collector_create(&maps, kernel_start_ns(f->kernel), 0, 0, ignore_event, f,
					  &f->collector, &d),
			 0);
	assert_int_equal(cover_create(f->kernel, &cover, &f->cover, &d), 0);
}

static void trace(struct fixture *f, struct child *c)
{
	struct diag d = {0};
	int64_t instance = kernel_add_process(f->kernel, c->pid, 1, false, &d);

	assert_true(instance > 0);
	c->instance = instance;
	assert_true(cover_update(f->cover, c->pid, &d) >= 0);
	assert_true(cover_count(f->cover, c->pid) > 0);
}

static uint64_t outstanding(struct fixture *f, const struct child *c)
{
	struct snapshot s = {0};
	struct diag d = {0};
	double n = 0;

	assert_int_equal(collector_read(f->collector, &s, &d), 0);
	for (size_t i = 0; i < s.sites.n; i++)
		if (s.sites.items[i].instance == c->instance)
			n += s.sites.items[i].allocations - s.sites.items[i].frees;
	snapshot_done(&s);
	return n;
}

static void check_sharing(struct fixture *f)
{
	trace(f, &f->a);
	trace(f, &f->b);
	tell(&f->a, 'm');
	tell(&f->b, 'm');
	assert_int_equal(outstanding(f, &f->a), N_BLOCKS);
	assert_int_equal(outstanding(f, &f->b), N_BLOCKS);
	/* While one process has them, they stand for all. */
	tell(&f->b, 'm');
	assert_int_equal(outstanding(f, &f->b), 2 * N_BLOCKS);
	cover_forget(f->cover, f->a.pid);
	tell(&f->b, 'm');
	assert_int_equal(outstanding(f, &f->b), 3 * N_BLOCKS);
}

/* What is removed is gone at once, for all, and does not come with whoever comes later. */
static void check_parts(struct fixture *f)
{
	struct diag d = {0};
	uint64_t before = outstanding(f, &f->b);

	assert_int_equal(cover_set_shared(f->cover, COVER_FREES, &d), 0);
	assert_true(cover_update(f->cover, f->a.pid, &d) >= 0);
	tell(&f->a, 'm');
	tell(&f->b, 'm');
	assert_int_equal(outstanding(f, &f->b), before);
	assert_int_equal(outstanding(f, &f->a), N_BLOCKS);
	tell(&f->b, 'f'); /* those not seen */
	assert_int_equal(outstanding(f, &f->b), before);
	tell(&f->b, 'f');
	assert_int_equal(outstanding(f, &f->b), before - N_BLOCKS);
	assert_int_equal(cover_set_shared(f->cover, COVER_ALL, &d), 0);
	tell(&f->b, 'm');
	assert_int_equal(outstanding(f, &f->b), before);
	assert_int_equal(cover_set_shared(f->cover, 0, &d), 0);
	tell(&f->b, 'm');
	assert_int_equal(outstanding(f, &f->b), before);
}

#define DEATHS 300

/* A process that ends while its files are looked at takes nobody else's probes with it. At random, but with so many one in the moment
 * between its mappings and their files is among them. */
static void check_deaths(struct fixture *f)
{
	uint64_t before;
	struct diag d = {0};

	assert_int_equal(cover_set_shared(f->cover, COVER_ALL, &d), 0);
	before = outstanding(f, &f->b);
	for (unsigned i = 0; i < DEATHS; i++) {
		struct child c;

		start_child(f, &c);
		assert_true(cover_update(f->cover, c.pid, &d) >= 0);
		kill(c.pid, SIGKILL);
		for (unsigned j = 0; j < 20; j++)
			cover_update(f->cover, c.pid, &d);
		cover_forget(f->cover, c.pid);
		close(c.socket);
		waitpid(c.pid, NULL, 0);
	}
	tell(&f->b, 'm');
	assert_int_equal(outstanding(f, &f->b), before + N_BLOCKS);
}

static void test_files(void **state)
{
	static const enum link_kind kinds[] = {LINK_SESSION, LINK_MULTI, LINK_PERF};
	struct fixture f = {.directory = "/tmp/seep-cover-XXXXXX"};
	struct fixture *clean = *state;
	char command[8192];
	struct diag d = {0};
	Dl_info libc;

	if (geteuid())
		skip();
	assert_non_null(mkdtemp(f.directory));
	strcpy(clean->directory, f.directory);
	snprintf(f.libc, sizeof(f.libc), "%s/libc.so.6", f.directory);
	assert_int_not_equal(dladdr(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), &libc), 0);
	snprintf(command, sizeof(command), "cp %s %s", libc.dli_fname, f.libc);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (link_try(kinds[i], &d)) {
			print_message("%s links: %s\n", link_kind_name(kinds[i]), d.text);
			continue;
		}
		open_all(&f, kinds[i]);
		start_child(&f, &f.a);
		start_child(&f, &f.b);
		check_sharing(&f);
		check_parts(&f);
		check_deaths(&f);
		end_child(&f.a);
		end_child(&f.b);
		cover_destroy(f.cover);
		collector_destroy(f.collector);
		kernel_close(f.kernel);
	}
}

static struct fixture left;

static int set_up(void **state)
{
	*state = &left;
	return 0;
}

/* Also after a failure. */
static int clean_up(void **state)
{
	const struct fixture *f = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/libc.so.6", f->directory);
	unlink(path);
	rmdir(f->directory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, set_up, clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

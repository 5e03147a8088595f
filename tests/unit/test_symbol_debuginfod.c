// SPDX-License-Identifier: BSD-2-Clause
/* debuginfod, against a server of our own on the loopback interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "symbol/debuginfod.h"

#define CONTENT "a debug file"

/* A process that answers every request with answer, or never when it is NULL. */
static pid_t serve(const char *answer, char urls[64])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[4096];
	pid_t child;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&address, &n);
	snprintf(urls, 64, "http://127.0.0.1:%d", ntohs(address.sin_port));
	child = fork();
	if (child) {
		close(listener);
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (!answer)
			continue;
		if (read(connection, request, sizeof(request)) > 0)
			(void)!write(connection, answer, strlen(answer));
		close(connection);
	}
}

static int setup(void **state)
{
	char *directory = strdup("/tmp/seep-debuginfod-XXXXXX");

	*state = directory;
	if (!mkdtemp(directory))
		return -1;
	setenv("DEBUGINFOD_CACHE_PATH", directory, 1);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	free(*state);
	unsetenv("DEBUGINFOD_URLS");
	return system(command);
}

static void need_client(void)
{
	void *library = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_GLOBAL);

	if (!library)
		skip();
}

static void asks_nobody_unless_told(void **state)
{
	struct debuginfod servers = {.wait_ns = NS_PER_SECOND};

	(void)state;
	unsetenv("DEBUGINFOD_URLS");
	assert_int_equal(debuginfod_fetch(&servers, "0123456789abcdef"), -ENOSYS);
	assert_null(servers.library);
}

static void fetches_from_a_server(void **state)
{
	struct debuginfod servers = {.wait_ns = 5 * NS_PER_SECOND};
	char urls[64], content[64] = "";
	pid_t server;
	int fd;

	(void)state;
	need_client();
	server = serve("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n" CONTENT,
		       urls);
	setenv("DEBUGINFOD_URLS", urls, 1);
	fd = debuginfod_fetch(&servers, "0123456789abcdef0123456789abcdef01234567");
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, content, sizeof(content) - 1, 0), strlen(CONTENT));
	assert_string_equal(content, CONTENT);
	close(fd);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

/* Once, for a bounded time; then never again. */
static void gives_up_on_a_server_that_never_answers(void **state)
{
	struct debuginfod servers = {.wait_ns = NS_PER_SECOND / 2};
	uint64_t start_ns;
	char urls[64];
	pid_t server;

	(void)state;
	need_client();
	server = serve(NULL, urls);
	setenv("DEBUGINFOD_URLS", urls, 1);
	start_ns = clock_monotonic_ns();
	assert_int_equal(debuginfod_fetch(&servers, "0123456789abcdef0123456789abcdef01234567"),
			 -ETIMEDOUT);
	assert_true(clock_monotonic_ns() - start_ns < 4 * NS_PER_SECOND);
	start_ns = clock_monotonic_ns();
	assert_int_equal(debuginfod_fetch(&servers, "1123456789abcdef0123456789abcdef01234567"),
			 -ETIMEDOUT);
	assert_true(clock_monotonic_ns() - start_ns < NS_PER_SECOND / 10);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(asks_nobody_unless_told),
		TEST(fetches_from_a_server),
		TEST(gives_up_on_a_server_that_never_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

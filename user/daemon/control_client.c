// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/control.h"

#define PATIENCE_NS (5 * NS_PER_SECOND)
#define PAUSE_MS 10

static int wait_readable(int fd, uint64_t until_ns)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	uint64_t now_ns = clock_monotonic_ns();
	int n = now_ns < until_ns ? poll(&readable, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1)
				  : 0;

	return n > 0 ? 0 : n ? -errno : -ETIMEDOUT;
}

/* Reads until the connection ends. */
static int read_answer(int fd, char *text, size_t *ret_n)
{
	uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;
	size_t n = 0;
	int err;

	while (n < CONTROL_ANSWER_MAX) {
		ssize_t some;

		err = wait_readable(fd, until_ns);
		if (err == -EINTR)
			continue;
		if (err)
			return err;
		some = recv(fd, text + n, CONTROL_ANSWER_MAX - n, MSG_DONTWAIT);
		if (!some)
			break;
		if (some < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		n += some > 0 ? some : 0;
	}
	*ret_n = n;
	return 0;
}

/* Others may be before us in the queue. */
static int connect_patiently(int directory, const struct control_name *name)
{
	uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;
	const struct timespec pause = {.tv_nsec = PAUSE_MS * NS_PER_MS};
	int fd;

	while ((fd = control_connect(directory, name)) == -EAGAIN &&
	       clock_monotonic_ns() < until_ns)
		nanosleep(&pause, NULL);
	return fd;
}

int control_ask(int directory, const struct control_name *name, const struct control_request *r,
		struct control_answer *ret)
{
	_cleanup_close_ int fd = connect_patiently(directory, name);
	_cleanup_free_ char *text = malloc(CONTROL_ANSWER_MAX);
	char line[CONTROL_REQUEST_MAX];
	size_t n = 0;
	int err;

	if (fd < 0)
		return fd;
	if (!text)
		return -ENOMEM;
	control_request_print(r, line, sizeof(line));
	if (send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return errno == EPIPE ? -ECONNREFUSED : -errno;
	err = read_answer(fd, text, &n);
	if (err)
		return err;
	/* It ended before it came to us. */
	return n ? control_answer_parse(text, n, ret) : -ECONNREFUSED;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define CLIENTS_MAX 8
#define PATIENCE_NS (5 * NS_PER_SECOND)

struct client {
	int fd; /* -1: free */
	uint64_t until_ns;
	char line[CONTROL_REQUEST_MAX];
	size_t n;
};

struct control {
	struct control_handler handler;
	struct control_name name;
	bool bound;
	int directory, listener, epoll;
	int patience; /* a timer: of the client that is dropped next */
	struct client clients[CLIENTS_MAX];
};

static int watch_fd(struct control *c, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Two seeps of one pid are of two pid namespaces that share the directory: the first one keeps the name. */
static int bind_socket(struct control *c)
{
	struct sockaddr_un address;
	int other = control_connect(c->directory, &c->name), err;

	if (other >= 0) {
		close(other);
		return -EADDRINUSE;
	}
	if (other == -ECONNREFUSED)
		control_remove(c->directory, &c->name);
	control_address(c->directory, &c->name, &address);
	err = bind(c->listener, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	c->bound = !err;
	if (!err && listen(c->listener, CLIENTS_MAX))
		err = -errno;
	return err;
}

static int open_socket(struct control *c, struct diag *d)
{
	int err;

	c->directory = control_open_directory(true, d);
	if (c->directory < 0)
		return c->directory;
	control_each(c->directory, NULL, NULL);
	c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->patience = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	err = c->listener < 0 || c->patience < 0 || c->epoll < 0 ? -errno : bind_socket(c);
	if (!err)
		err = watch_fd(c, c->listener);
	if (!err)
		err = watch_fd(c, c->patience);
	return err ? diag_set(d, -err, "cannot make a socket: %s", strerror(-err)) : 0;
}

int control_create(enum control_kind kind, const struct control_handler *handler,
		   struct control **ret, struct diag *d)
{
	struct control *c = malloc(sizeof(*c));
	int err;

	if (!c)
		return diag_set(d, ENOMEM, "out of memory");
	*c = (struct control){
		.handler = *handler,
		.name = {.kind = kind, .pid = getpid()},
		.directory = -1,
		.listener = -1,
		.epoll = -1,
		.patience = -1,
	};
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	err = open_socket(c, d);
	if (err) {
		control_destroy(c);
		return err;
	}
	*ret = c;
	return 0;
}

void control_destroy(struct control *c)
{
	if (!c)
		return;
	if (c->bound)
		control_remove(c->directory, &c->name);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].fd >= 0)
			close(c->clients[i].fd);
	for (int *fd = (int[]){c->directory, c->listener, c->epoll, c->patience, -2}; *fd != -2;
	     fd++)
		if (*fd >= 0)
			close(*fd);
	free(c);
}

int control_fd(const struct control *c)
{
	return c->epoll;
}

static void drop(struct client *client)
{
	close(client->fd);
	*client = (struct client){.fd = -1};
}

/* The timer goes off when the oldest client's time is over. */
static void set_patience(struct control *c)
{
	struct itimerspec at = {0};
	uint64_t first_ns = UINT64_MAX;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].until_ns < first_ns)
			first_ns = c->clients[i].until_ns;
	if (first_ns != UINT64_MAX) {
		uint64_t now_ns = clock_monotonic_ns();
		uint64_t left_ns = first_ns > now_ns ? first_ns - now_ns : 1;

		at.it_value =
			(struct timespec){left_ns / NS_PER_SECOND, (long)(left_ns % NS_PER_SECOND)};
	}
	timerfd_settime(c->patience, 0, &at, NULL);
}

static void drop_late(struct control *c)
{
	uint64_t now_ns = clock_monotonic_ns(), n;

	if (read(c->patience, &n, sizeof(n)) != sizeof(n))
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].until_ns <= now_ns)
			drop(&c->clients[i]);
}

/* Room for one more: where there is none, the oldest goes. */
static struct client *client_slot(struct control *c)
{
	struct client *oldest = &c->clients[0];

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (c->clients[i].fd < 0)
			return &c->clients[i];
		if (c->clients[i].until_ns < oldest->until_ns)
			oldest = &c->clients[i];
	}
	drop(oldest);
	return oldest;
}

/* The directory lets nobody else in; that is asked again, as a path may be passed on by a descriptor. */
static bool is_allowed(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) &&
	       (!peer.uid || peer.uid == geteuid());
}

/* Returns whether there was one. */
static bool accept_client(struct control *c)
{
	int fd = accept4(c->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *client;

	if (fd < 0)
		return false;
	if (!is_allowed(fd) || watch_fd(c, fd)) {
		close(fd);
		return true;
	}
	client = client_slot(c);
	client->fd = fd;
	client->until_ns = clock_monotonic_ns() + PATIENCE_NS;
	return true;
}

/* What a socket does not take at once is more than any answer: then the client gets a part, and sees that. */
static void answer(struct control *c, struct client *client, size_t n_line)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	if (!to)
		return;
	c->handler.answer(c->handler.arg, client->line, n_line, to);
	if (!fclose(to) && n && n <= CONTROL_ANSWER_MAX)
		send(client->fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void read_client(struct control *c, struct client *client)
{
	ssize_t n = recv(client->fd, client->line + client->n, sizeof(client->line) - client->n,
			 MSG_DONTWAIT);
	const char *newline;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(client);
		return;
	}
	client->n += n;
	newline = memchr(client->line, '\n', client->n);
	if (!newline && client->n < sizeof(client->line))
		return;
	if (newline)
		answer(c, client, newline - client->line);
	drop(client);
}

void control_step(struct control *c)
{
	struct epoll_event events[CLIENTS_MAX + 2];
	int n = epoll_wait(c->epoll, events, ARRAY_SIZE(events), 0);

	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd == c->patience) {
			drop_late(c);
			continue;
		}
		for (size_t j = 0; j < CLIENTS_MAX; j++)
			if (c->clients[j].fd == fd)
				read_client(c, &c->clients[j]);
	}
	/* Last: a new client may get the number of one that was dropped just now. */
	for (int i = 0; i < n; i++)
		for (int j = 0; events[i].data.fd == c->listener && j < CLIENTS_MAX; j++)
			if (!accept_client(c))
				break;
	if (n > 0)
		set_patience(c);
}

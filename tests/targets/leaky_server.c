/* SPDX-License-Identifier: BSD-2-Clause */
/* A small session server for the demo: one line a request over TCP on the loopback, `GET /PATH
 * KEY COOKIE`. It has what real services have: buffers that live as long as a request, a cache
 * that fills up and then stays, sessions that are replaced, and one leak, on an error path a few
 * calls deep. Prints its port. --self-load RATE: requests per second by a client thread of its
 * own. Runs until SIGTERM. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { N_SESSIONS = 64, N_CACHED = 256, MAX_LINE = 1024 };

struct session {
	char *cookie;
	unsigned long hits;
};

struct page {
	char *path, *body;
};

struct server {
	struct session *sessions[N_SESSIONS];
	struct page *cache[N_CACHED];
	unsigned evict;
};

struct request {
	const char *path, *cookie;
	unsigned long key;
};

struct load {
	struct sockaddr_in address;
	unsigned rate;
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static char *copy_text(const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(must(malloc(n)), text, n);
}

/* A cookie is hexadecimal. */
static bool cookie_valid(const char *cookie)
{
	return *cookie && cookie[strspn(cookie, "0123456789abcdef")] == '\0';
}

/* The leak: a malformed cookie is refused, and its copy forgotten. */
__attribute__((noinline)) static int session_parse_cookie(struct session *session, const char *text)
{
	size_t n = strlen(text) + 1;
	char *cookie = must(malloc(n + 64)); /* THE LEAK */

	memcpy(cookie, text, n);
	if (!cookie_valid(cookie))
		return -EINVAL;
	free(session->cookie);
	session->cookie = cookie;
	return 0;
}

static struct session *session_of(struct server *server, unsigned long key)
{
	struct session **slot = &server->sessions[key % N_SESSIONS];

	if (!*slot)
		*slot = must(calloc(1, sizeof(**slot)));
	(*slot)->hits++;
	return *slot;
}

static int session_update(struct server *server, const struct request *request)
{
	return session_parse_cookie(session_of(server, request->key), request->cookie);
}

static void page_free(struct page *page)
{
	if (!page)
		return;
	free(page->path);
	free(page->body);
	free(page);
}

static struct page *page_render(const char *path)
{
	struct page *page = must(malloc(sizeof(*page)));
	size_t n = 2000;

	page->path = copy_text(path);
	page->body = must(malloc(n));
	snprintf(page->body, n, "<p>%s</p>", path);
	return page;
}

/* Bounded: the oldest page makes room. */
static const struct page *cache_get(struct server *server, const char *path)
{
	struct page **slot;

	for (unsigned i = 0; i < N_CACHED; i++)
		if (server->cache[i] && !strcmp(server->cache[i]->path, path))
			return server->cache[i];
	slot = &server->cache[server->evict++ % N_CACHED];
	page_free(*slot);
	*slot = page_render(path);
	return *slot;
}

/* Splits line in place. */
static int request_parse(char *line, struct request *ret)
{
	char *save, *method = strtok_r(line, " \n", &save), *path = strtok_r(NULL, " \n", &save);
	char *key = strtok_r(NULL, " \n", &save), *cookie = strtok_r(NULL, " \n", &save);

	if (!method || !path || !key || !cookie)
		return -EINVAL;
	ret->path = path;
	ret->cookie = cookie;
	ret->key = strtoul(key, NULL, 10);
	return 0;
}

static void respond(int fd, const char *status, const char *body)
{
	size_t n = strlen(body) + 64;
	char *response = must(malloc(n));
	int length = snprintf(response, n, "%s %s\n", status, body);

	if (send(fd, response, (size_t)length, MSG_NOSIGNAL) < 0)
		shutdown(fd, SHUT_RDWR);
	free(response);
}

static void request_handle(struct server *server, int fd, char *line)
{
	char *scratch = copy_text(line);
	struct request request;

	if (request_parse(scratch, &request))
		respond(fd, "400", "bad request");
	else if (session_update(server, &request))
		respond(fd, "403", "bad cookie");
	else
		respond(fd, "200", cache_get(server, request.path)->body);
	free(scratch);
}

static void connection_serve(struct server *server, int fd)
{
	char *line = NULL;
	size_t room = 0;
	FILE *in = fdopen(fd, "r");

	while (in && getline(&line, &room, in) > 0)
		request_handle(server, fd, line);
	free(line);
	if (in)
		fclose(in);
}

/* One connection of 50 requests after another; every fourth cookie is malformed. */
static void load_connection(const struct load *load, unsigned *n)
{
	struct timespec pause = {load->rate <= 1, load->rate <= 1 ? 0 : 1000000000l / load->rate};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[MAX_LINE];

	if (fd < 0 || connect(fd, (const struct sockaddr *)&load->address, sizeof(load->address)))
		abort();
	for (unsigned i = 0; i < 50; i++, ++*n) {
		int length = snprintf(line, sizeof(line), "GET /page/%u %u %x%s\n", *n % 300,
				      *n % 97, *n * 2654435761u, *n % 4 ? "" : "-malformed");

		if (send(fd, line, (size_t)length, MSG_NOSIGNAL) < 0 ||
		    recv(fd, line, sizeof(line), 0) <= 0)
			break;
		nanosleep(&pause, NULL);
	}
	close(fd);
}

static void *load_run(void *arg)
{
	unsigned n = 0;

	for (;;)
		load_connection(arg, &n);
	return NULL;
}

static int listen_loopback(struct sockaddr_in *ret_address)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 16) ||
	    getsockname(fd, (struct sockaddr *)&address, &size))
		return -errno;
	*ret_address = address;
	return fd;
}

static volatile sig_atomic_t stopping;

static void on_stop(int signal)
{
	(void)signal;
	stopping = 1;
}

int main(int argc, char **argv)
{
	struct sigaction stop = {.sa_handler = on_stop};
	static struct server server;
	static struct load load;
	pthread_t loader;
	int fd = listen_loopback(&load.address);

	if (fd < 0) {
		fprintf(stderr, "leaky_server: cannot listen: %s\n", strerror(-fd));
		return 1;
	}
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	printf("port %u pid %d\n", ntohs(load.address.sin_port), (int)getpid());
	fflush(stdout);
	if (argc == 3 && !strcmp(argv[1], "--self-load")) {
		sigset_t both;

		/* The signals are for the main thread, which waits in accept. */
		load.rate = (unsigned)strtoul(argv[2], NULL, 10);
		sigemptyset(&both);
		sigaddset(&both, SIGTERM);
		sigaddset(&both, SIGINT);
		pthread_sigmask(SIG_BLOCK, &both, NULL);
		if (pthread_create(&loader, NULL, load_run, &load))
			return 1;
		pthread_sigmask(SIG_UNBLOCK, &both, NULL);
	}
	while (!stopping) {
		int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (connection >= 0)
			connection_serve(&server, connection);
	}
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/http_answer.h"

#define CONNECTIONS_MAX 64u
#define IDLE_SECONDS 5u
#define REQUEST_BYTES (16u << 10) /* with its headers */
#define ANSWERS_BYTES (256u << 20)

struct http {
	struct MHD_Daemon *daemon;
	struct board *board;
	bool checks_host;
	char hostname[256];
	_Atomic size_t n_bytes; /* of answers that are not yet taken */
};

struct body {
	struct http *http;
	size_t n;
	char *bytes;
};

static void free_body(void *arg)
{
	struct body *b = arg;

	atomic_fetch_sub(&b->http->n_bytes, b->n);
	free(b->bytes);
	free(b);
}

/* No page may use what is here but one of ours, and none may be shown in another's frame. */
static const char *const headers[][2] = {
	{"Cache-Control", "no-store"},
	{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
};

static enum MHD_Result send_answer(struct http *h, struct MHD_Connection *c, struct http_answer *a)
{
	struct body *b = malloc(sizeof(*b));
	struct MHD_Response *r = NULL;
	enum MHD_Result result;

	if (b && a->body) {
		*b = (struct body){.http = h, .n = a->n, .bytes = a->body};
		atomic_fetch_add(&h->n_bytes, b->n);
		r = MHD_create_response_from_buffer_with_free_callback_cls(b->n, b->bytes,
									   free_body, b);
		if (!r)
			atomic_fetch_sub(&h->n_bytes, b->n);
	}
	if (!r) {
		free(a->body);
		free(b);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
		MHD_add_response_header(r, headers[i][0], headers[i][1]);
	if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(c, a->status, r);
	MHD_destroy_response(r);
	return result;
}

struct query {
	struct http_request *request;
	const char *why; /* NULL: all is well so far */
};

static enum MHD_Result put_parameter(void *arg, enum MHD_ValueKind kind, const char *key,
				     const char *value)
{
	struct query *q = arg;

	(void)kind;
	return http_query_put(q->request, key, value, &q->why) ? MHD_NO : MHD_YES;
}

struct hosts {
	const char *first;
	unsigned n;
};

static enum MHD_Result count_host(void *arg, enum MHD_ValueKind kind, const char *key,
				  const char *value)
{
	struct hosts *hosts = arg;

	(void)kind;
	if (strcasecmp(key, MHD_HTTP_HEADER_HOST))
		return MHD_YES;
	hosts->first = value;
	hosts->n++;
	return MHD_YES;
}

static bool is_for_us(const struct http *h, struct MHD_Connection *c)
{
	struct hosts hosts = {0};

	if (!h->checks_host)
		return true;
	MHD_get_connection_values(c, MHD_HEADER_KIND, count_host, &hosts);
	return hosts.n == 1 && hosts.first && http_host_is_own(hosts.first, h->hostname);
}

static bool is_read_only(const char *method)
{
	return !strcmp(method, MHD_HTTP_METHOD_GET) || !strcmp(method, MHD_HTTP_METHOD_HEAD);
}

static void make_answer(struct http *h, struct MHD_Connection *c, const char *path,
			const char *method, struct http_answer *ret)
{
	struct http_request request = {0};
	struct query q = {.request = &request};

	if (!is_for_us(h, c)) {
		http_answer_refuse(
			MHD_HTTP_FORBIDDEN,
			"Host is not this machine: use an address, localhost, or its host name",
			ret);
		return;
	}
	if (http_route_find(path, &request.route)) {
		http_answer_refuse(MHD_HTTP_NOT_FOUND, "no such path; / lists them", ret);
		return;
	}
	if (!is_read_only(method)) {
		http_answer_refuse(MHD_HTTP_METHOD_NOT_ALLOWED, "nothing can be changed here", ret);
		return;
	}
	MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, put_parameter, &q);
	if (q.why) {
		http_answer_refuse(MHD_HTTP_BAD_REQUEST, q.why, ret);
		return;
	}
	if (atomic_load(&h->n_bytes) > ANSWERS_BYTES) {
		http_answer_refuse(MHD_HTTP_SERVICE_UNAVAILABLE,
				   "too many answers are on their way", ret);
		return;
	}
	request.openmetrics = http_wants_openmetrics(
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
	http_answer_make(h->board, &request, ret);
}

/* Called first when the headers are there, when only a refusal may be sent (it ends the connection), and once more at the request's
 * end. No body is taken. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *path,
				  const char *method, const char *version, const char *body,
				  size_t *n_body, void **request)
{
	static char begun;
	struct http *h = arg;
	struct http_answer answer = {0};

	(void)version;
	(void)body;
	if (*n_body)
		return MHD_NO;
	if (!*request && is_read_only(method)) {
		*request = &begun;
		return MHD_YES;
	}
	make_answer(h, c, path, method, &answer);
	return send_answer(h, c, &answer);
}

int http_create(int fd, struct board *board, bool checks_host, struct http **ret, struct diag *d)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h) {
		close(fd);
		return diag_set(d, ENOMEM, "out of memory");
	}
	h->board = board;
	h->checks_host = checks_host;
	if (gethostname(h->hostname, sizeof(h->hostname) - 1))
		*h->hostname = '\0';
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, h,
				     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				     CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
				     MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!h->daemon) {
		free(h);
		close(fd);
		return diag_set(d, EIO, "cannot start the HTTP server");
	}
	*ret = h;
	return 0;
}

/* libmicrohttpd closes the socket that it listens at. */
void http_destroy(struct http *h)
{
	if (!h)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}

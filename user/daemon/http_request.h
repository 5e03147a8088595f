/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_HTTP_REQUEST_H
#define SEEP_DAEMON_HTTP_REQUEST_H
/* What a client may ask, read from texts of anybody's making. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_CONTAINER_MAX 256 /* bytes of ?container= */

enum http_route {
	HTTP_INDEX,
	HTTP_METRICS,
	HTTP_HEAP,
	HTTP_ALLOCS,
	HTTP_PROCESSES,
	HTTP_SITES,
	HTTP_WATCH,
	HTTP_HEALTHZ,
	HTTP_READYZ,
	HTTP_N_ROUTES,
};

/* Of each route. */
extern const char *const http_paths[HTTP_N_ROUTES];

struct http_request {
	enum http_route route;
	bool openmetrics; /* of /metrics */
	pid_t pid;	  /* 0: any */
	char container[HTTP_CONTAINER_MAX];
};

/* Returns 0, or -ENOENT. */
int http_route_find(const char *path, enum http_route *ret);

/* Stores one parameter of the query, decoded; value NULL: without "=". Returns 0, or -EINVAL: with *ret_why, a static sentence. */
int http_query_put(struct http_request *r, const char *key, const char *value,
		   const char **ret_why);

/* Whether Accept (RFC 9110; NULL: none) prefers OpenMetrics 1.0 to Prometheus' text format. */
bool http_wants_openmetrics(const char *accept);

/* Whether Host is the name or address by which this machine is spoken to, so that no other site's page speaks through a browser
 * (DNS rebinding): any address, "localhost", or hostname; with a port or without. */
bool http_host_is_own(const char *host, const char *hostname);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/http_request.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 256

const char *const http_paths[HTTP_N_ROUTES] = {
	[HTTP_INDEX] = "/",
	[HTTP_METRICS] = "/metrics",
	[HTTP_HEAP] = "/debug/pprof/heap",
	[HTTP_ALLOCS] = "/debug/pprof/allocs",
	[HTTP_PROCESSES] = "/api/v1/processes",
	[HTTP_SITES] = "/api/v1/sites",
	[HTTP_WATCH] = "/api/v1/watch",
	[HTTP_HEALTHZ] = "/healthz",
	[HTTP_READYZ] = "/readyz",
};

int http_route_find(const char *path, enum http_route *ret)
{
	for (int i = 0; i < HTTP_N_ROUTES; i++)
		if (!strcmp(path, http_paths[i])) {
			*ret = i;
			return 0;
		}
	return -ENOENT;
}

static bool takes_target(enum http_route route)
{
	return route == HTTP_HEAP || route == HTTP_ALLOCS || route == HTTP_PROCESSES ||
	       route == HTTP_SITES;
}

static int parse_pid(const char *text, pid_t *ret)
{
	char *end;
	long pid;

	if (*text < '1' || *text > '9')
		return -EINVAL;
	errno = 0;
	pid = strtol(text, &end, 10);
	if (errno || *end || pid > INT_MAX)
		return -EINVAL;
	*ret = pid;
	return 0;
}

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EINVAL;
}

int http_query_put(struct http_request *r, const char *key, const char *value, const char **ret_why)
{
	bool is_pid = !strcmp(key, "pid");

	if (!strcmp(key, "seconds"))
		return refuse(ret_why, "seconds: differences over time are not in this version");
	if (!takes_target(r->route) || (!is_pid && strcmp(key, "container")))
		return refuse(ret_why, "unknown parameter");
	if (!value || !*value)
		return refuse(ret_why, "a parameter has no value");
	if (is_pid ? r->pid != 0 : *r->container != '\0')
		return refuse(ret_why, "a parameter is given twice");
	if (is_pid)
		return parse_pid(value, &r->pid)
			       ? refuse(ret_why, "pid: a process id is a number from 1")
			       : 0;
	if (strlen(value) >= sizeof(r->container))
		return refuse(ret_why, "container: no name is so long");
	strcpy(r->container, value);
	return 0;
}

/* The weight of one media range "TYPE; key=value; q=0.5" between from and end, in thousandths, when its type is name and its version, if
 * it has one, 1.x; else -1. */
static int weight(const char *from, const char *end, const char *name)
{
	char text[256], *part, *rest = text;
	double q = 1;

	if ((size_t)(end - from) >= sizeof(text))
		return -1;
	memcpy(text, from, end - from);
	text[end - from] = '\0';
	part = strsep(&rest, ";");
	part += strspn(part, " \t");
	part[strcspn(part, " \t")] = '\0';
	if (strcasecmp(part, name))
		return -1;
	while ((part = strsep(&rest, ";"))) {
		part += strspn(part, " \t");
		if (!strncasecmp(part, "version=", 8) && part[8] != '1')
			return -1;
		if (!strncasecmp(part, "q=", 2))
			q = part[2] == '0' || part[2] == '1' ? strtod(part + 2, NULL) : 0;
	}
	return q >= 0 && q <= 1 ? (int)(q * 1000) : 0;
}

static int best_weight(const char *accept, const char *name)
{
	int best = -1;

	while (*accept) {
		size_t n = strcspn(accept, ",");
		int w = weight(accept, accept + n, name);

		best = w > best ? w : best;
		accept += n;
		accept += *accept == ',';
	}
	return best;
}

bool http_wants_openmetrics(const char *accept)
{
	int open = accept ? best_weight(accept, "application/openmetrics-text") : -1;

	return open > 0 && open >= best_weight(accept, "text/plain");
}

static bool is_port(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n >= 1 && n <= 5 && !text[n];
}

bool http_host_is_own(const char *host, const char *hostname)
{
	char name[HOST_MAX], *end;
	struct in6_addr six;
	struct in_addr four;

	if (strlen(host) >= sizeof(name))
		return false;
	strcpy(name, host);
	end = *name == '[' ? strchr(name, ']') : strchr(name, ':');
	if (*name == '[') {
		if (!end || (end[1] && (end[1] != ':' || !is_port(end + 2))))
			return false;
		*end = '\0';
		return inet_pton(AF_INET6, name + 1, &six) == 1;
	}
	if (end) {
		if (!is_port(end + 1))
			return false;
		*end = '\0';
	}
	return inet_pton(AF_INET, name, &four) == 1 || !strcasecmp(name, "localhost") ||
	       (*hostname && !strcasecmp(name, hostname));
}

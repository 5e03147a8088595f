// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

static int refuse(const char *text, struct diag *d)
{
	return diag_set_hint(d, EINVAL, EXIT_USAGE, NULL,
			     "'%s' is no address to listen at: give ADDR:PORT, such as "
			     "127.0.0.1:9754 or [::1]:9754",
			     text);
}

static int parse_port(const char *text, in_port_t *ret)
{
	size_t n = strspn(text, "0123456789");
	long port = strtol(text, NULL, 10);

	if (!n || n > 5 || text[n] || port > 65535)
		return -EINVAL;
	*ret = htons(port);
	return 0;
}

int listen_parse(const char *text, struct listen_address *ret, struct diag *d)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	const char *colon = strrchr(text, ':');
	size_t n = colon ? colon - text : 0;
	char host[INET6_ADDRSTRLEN + 2];
	in_port_t port;

	*ret = (struct listen_address){0};
	if (!colon || n >= sizeof(host) || parse_port(colon + 1, &port))
		return refuse(text, d);
	memcpy(host, text, n);
	host[n] = '\0';
	if (!strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	if (*host == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &six.sin6_addr) != 1)
			return refuse(text, d);
		six.sin6_port = port;
		memcpy(&ret->address, &six, sizeof(six));
		ret->n = sizeof(six);
		ret->loopback = IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
		return 0;
	}
	if (inet_pton(AF_INET, host, &four.sin_addr) != 1)
		return refuse(text, d);
	four.sin_port = port;
	memcpy(&ret->address, &four, sizeof(four));
	ret->n = sizeof(four);
	ret->loopback = ntohl(four.sin_addr.s_addr) >> 24 == 127;
	return 0;
}

int listen_tcp(const struct listen_address *address, struct diag *d)
{
	int fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int yes = 1, err;

	if (fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) &&
	    !bind(fd, (const struct sockaddr *)&address->address, address->n) &&
	    !listen(fd, BACKLOG))
		return fd;
	err = errno;
	if (fd >= 0)
		close(fd);
	return diag_set(d, err, "cannot listen: %s", strerror(err));
}

void listen_describe(int fd, char out[LISTEN_TEXT_SIZE])
{
	struct sockaddr_storage address = {0};
	socklen_t n = sizeof(address);
	char host[INET6_ADDRSTRLEN] = "?";
	const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;

	getsockname(fd, (struct sockaddr *)&address, &n);
	if (address.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
		snprintf(out, LISTEN_TEXT_SIZE, "[%s]:%d", host, ntohs(six->sin6_port));
	} else {
		inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
		snprintf(out, LISTEN_TEXT_SIZE, "%s:%d", host, ntohs(four->sin_port));
	}
}

/* Removes a socket that nobody listens at. Returns 0, also when there is none, or -EADDRINUSE. */
static int clear_place(int directory, const char *path, const struct sockaddr_un *address)
{
	struct stat st;
	int fd, err;

	if (fstatat(directory, path, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(fd);
	if (err != ECONNREFUSED)
		return -EADDRINUSE;
	return unlinkat(directory, path, 0) ? -errno : 0;
}

int listen_unix(int directory, const char *path, struct diag *d)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = directory == AT_FDCWD
			? snprintf(address.sun_path, sizeof(address.sun_path), "%s", path)
			: snprintf(address.sun_path, sizeof(address.sun_path),
				   "/proc/self/fd/%d/%s", directory, path);
	mode_t mask;
	int fd, err;

	if (n >= (int)sizeof(address.sun_path))
		return diag_set(d, ENAMETOOLONG, "%s: too long for a socket's path", path);
	err = clear_place(directory, path, &address);
	if (err == -EADDRINUSE)
		return diag_set(d, -err, "%s: another seep serves there", path);
	if (err)
		return diag_set(d, -err, "%s: %s", path, strerror(-err));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* No moment in which others might connect. */
	mask = umask(0177);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		err = errno;
	umask(mask);
	if (fd >= 0 && !err && !listen(fd, BACKLOG))
		return fd;
	err = err ? err : errno;
	if (fd >= 0)
		close(fd);
	return diag_set(d, err, "%s: cannot listen: %s", path, strerror(err));
}

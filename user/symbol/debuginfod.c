// SPDX-License-Identifier: BSD-2-Clause
#include "symbol/debuginfod.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

struct client; /* debuginfod_client */

/* elfutils/debuginfod.h, which need not be installed where seep is built. */
struct api {
	struct client *(*begin)(void);
	void (*end)(struct client *);
	int (*find_debuginfo)(struct client *, const unsigned char *id, int n, char **path);
	void (*set_progressfn)(struct client *, int (*)(struct client *, long, long));
	void (*set_user_data)(struct client *, void *);
};

/* The callback gets no pointer of ours but through get_user_data, whose address it cannot know
 * without a global: hence looked up again. */
static int stop_when_late(struct client *client, long done, long total)
{
	void *(*get_user_data)(struct client *) = dlsym(RTLD_DEFAULT, "debuginfod_get_user_data");
	const uint64_t *deadline_ns = get_user_data ? get_user_data(client) : NULL;

	(void)done, (void)total;
	return !deadline_ns || clock_monotonic_ns() > *deadline_ns;
}

static int load(struct debuginfod *d, struct api *api)
{
	if (!d->library && !d->missing)
		d->library = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_GLOBAL);
	d->missing = !d->library;
	if (d->missing)
		return -ENOSYS;
	api->begin = dlsym(d->library, "debuginfod_begin");
	api->end = dlsym(d->library, "debuginfod_end");
	api->find_debuginfo = dlsym(d->library, "debuginfod_find_debuginfo");
	api->set_progressfn = dlsym(d->library, "debuginfod_set_progressfn");
	api->set_user_data = dlsym(d->library, "debuginfod_set_user_data");
	return api->begin && api->end && api->find_debuginfo && api->set_progressfn &&
			       api->set_user_data
		       ? 0
		       : -ENOSYS;
}

int debuginfod_fetch(struct debuginfod *d, const char *build_id)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	struct client *client;
	uint64_t start, spent, deadline_ns;
	struct api api;
	int fd, err;

	if (!urls || !*urls)
		return -ENOSYS;
	if (!d->wait_ns)
		return -ETIMEDOUT;
	err = load(d, &api);
	if (err)
		return err;
	client = api.begin();
	if (!client)
		return -ENOMEM;
	start = clock_monotonic_ns();
	deadline_ns = start + d->wait_ns;
	api.set_user_data(client, &deadline_ns);
	api.set_progressfn(client, stop_when_late);
	fd = api.find_debuginfo(client, (const unsigned char *)build_id, 0, NULL);
	api.end(client);
	spent = clock_monotonic_ns() - start;
	d->wait_ns -= spent < d->wait_ns ? spent : d->wait_ns;
	if (fd < 0 && !d->wait_ns)
		return -ETIMEDOUT;
	return fd;
}

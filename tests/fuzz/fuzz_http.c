// SPDX-License-Identifier: BSD-2-Clause
/* What seep serve reads of a request by itself: its query, its headers Accept and Host, and the address it listens at. The input is
 * a text of each, a line each. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/http_request.h"
#include "daemon/listen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void query(const char *key, const char *value)
{
	for (int route = 0; route < HTTP_N_ROUTES; route++) {
		struct http_request r = {.route = route};
		const char *why = NULL;
		int err = http_query_put(&r, key, value, &why);

		if (!err != !why || r.pid < 0 || !memchr(r.container, '\0', sizeof(r.container)))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	char *text = malloc(n_bytes + 1), *rest = text, *line;
	struct listen_address address;
	enum http_route route;
	struct diag d = {0};

	memcpy(text, data, n_bytes);
	text[n_bytes] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		char *value;

		http_wants_openmetrics(line);
		http_host_is_own(line, "web-1");
		http_route_find(line, &route);
		if (listen_parse(line, &address, &d) && !d.text[0])
			abort();
		value = strchr(line, '=');
		if (value)
			*value++ = '\0';
		query(line, value);
	}
	free(text);
	return 0;
}

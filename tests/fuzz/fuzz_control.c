// SPDX-License-Identifier: BSD-2-Clause
/* The lines of the control socket, which seep reads as root: requests of whoever connects, and, by the client, answers of whoever
 * listens there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control_place.h"
#include "daemon/control_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void request(const char *line, size_t n)
{
	struct control_request r, again;
	char printed[128];
	struct diag d = {0};

	if (control_request_parse(line, n, &r, &d)) {
		if (!d.text[0])
			abort();
		return;
	}
	control_request_print(&r, printed, sizeof(printed));
	if (control_request_parse(printed, strlen(printed) - 1, &again, &d) ||
	    again.verb != r.verb || again.pid != r.pid || strcmp(again.name, r.name))
		abort();
}

static void answer(const char *line, size_t n)
{
	struct control_answer a;

	if (control_answer_parse(line, n, &a))
		return;
	if (strlen(a.error) >= sizeof(a.error) || strlen(a.targets) >= sizeof(a.targets) ||
	    strlen(a.mark.name) > MARK_NAME_MAX || strchr(a.targets, '\033'))
		abort();
}

static void file_name(const char *bytes, size_t n)
{
	char text[64];
	struct control_name name;

	if (n >= sizeof(text))
		return;
	memcpy(text, bytes, n);
	text[n] = '\0';
	if (control_parse_name(text, &name) && name.pid <= 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	request((const char *)data, n_bytes);
	answer((const char *)data, n_bytes);
	file_name((const char *)data, n_bytes);
	return 0;
}

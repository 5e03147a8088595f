// SPDX-License-Identifier: BSD-2-Clause
/* Suppression files: users copy them from anywhere, and their patterns are matched with names that a traced program chose. The input
 * is a file of rules; what is behind its first NUL names a frame. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/suppress.h"
#include "base/cleanup.h"
#include "model/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static const char *demangle(void *arg, const char *symbol)
{
	(void)arg;
	return *symbol == '_' ? "demangled" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	_cleanup_free_ char *text = calloc(1, n_bytes + 2);
	struct suppressions *s;
	struct frame frames[3] = {{.function = "malloc_wrapper", .module = "/lib/a.so"}, {0}};
	struct diag d = {0};

	if (!text || suppressions_create(demangle, NULL, &s))
		return 0;
	memcpy(text, data, n_bytes);
	frames[1].function = frames[1].file = text + strlen(text) + (strlen(text) < n_bytes);
	frames[2].module = frames[1].function;
	if (suppressions_add(s, "rules", text, &d) && !d.text[0])
		abort();
	suppressions_match(s, frames, ARRAY_SIZE(frames));
	suppressions_destroy(s);
	return 0;
}

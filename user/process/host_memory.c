// SPDX-License-Identifier: BSD-2-Clause
#include "process/host_memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

void host_memory_parse(const char *text, struct host_memory *ret)
{
	struct host_memory m = {0};
	const struct {
		const char *name;
		uint64_t *bytes;
	} fields[] = {
		{"MemTotal:", &m.total_bytes},
		{"MemAvailable:", &m.available_bytes},
		{"SwapTotal:", &m.swap_bytes},
		{"SwapFree:", &m.swap_free_bytes},
	};

	while (*text) {
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
			size_t n = strlen(fields[i].name);
			uint64_t kib;

			if (!strncmp(text, fields[i].name, n) &&
			    sscanf(text + n, "%" SCNu64 " kB", &kib) == 1)
				*fields[i].bytes = kib * 1024;
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	*ret = m;
}

void host_memory_read(struct host_memory *ret)
{
	_cleanup_close_ int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	char text[8192];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	host_memory_parse(text, ret);
}

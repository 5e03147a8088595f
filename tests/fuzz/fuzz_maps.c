// SPDX-License-Identifier: BSD-2-Clause
/* The text files of /proc, whose contents a traced process can choose in part. The first byte chooses the file. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "process/cgroup.h"
#include "process/host_memory.h"
#include "process/maps.h"
#include "process/pressure.h"
#include "process/procfs.h"
#include "process/resident.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void parse_maps(const char *text, size_t n_bytes)
{
	struct maps maps = {0};
	struct diag d;

	if (maps_parse(text, n_bytes, &maps, &d))
		return;
	for (size_t i = 0; i < maps.n; i++) {
		if (maps.items[i].start >= maps.items[i].end ||
		    (i && maps.items[i - 1].end > maps.items[i].start) ||
		    maps_find(&maps, maps.items[i].start) != &maps.items[i])
			abort();
	}
	maps_done(&maps);
}

static void parse_cgroup(const char *text)
{
	static struct cgroup c;

	cgroup_parse(text, &c);
	if (strlen(cgroup_path(&c)) >= CGROUP_PATH_SIZE ||
	    strlen(c.container) >= CGROUP_CONTAINER_SIZE)
		abort();
}

/* In a mountinfo of its own, only relative to a directory without cgroup files. */
static void parse_mountinfo(const char *text)
{
	static char path[CGROUP_FILE_SIZE];
	static struct cgroup c;

	cgroup_parse("0::/a\n1:memory:/b\n", &c);
	cgroup_limit(&c, text);
	if (!cgroup_pressure_path(&c, text, path) && strlen(path) >= sizeof(path))
		abort();
}

static void parse_smaps(char *text)
{
	struct resident r;
	struct diag d;

	if (resident_parse(text, &r, &d))
		return;
	for (size_t i = 0; i < r.n; i++)
		if (r.items[i].end <= r.items[i].start)
			abort();
	resident_done(&r);
}

static void parse_pressure(const char *text)
{
	double share = pressure_parse(text);

	if (!isnan(share) && !(share >= 0 && share <= 1))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct host_memory host;
	struct procfs_stat stat;
	char *text;

	if (!n_bytes)
		return 0;
	text = strndup((const char *)data + 1, n_bytes - 1);
	switch (data[0]) {
	case 'm':
		parse_maps((const char *)data + 1, n_bytes - 1);
		break;
	case 'c':
		parse_cgroup(text);
		break;
	case 'i':
		parse_mountinfo(text);
		break;
	case 'p':
		parse_pressure(text);
		break;
	case 'h':
		host_memory_parse(text, &host);
		break;
	case 'r':
		parse_smaps(text);
		break;
	default:
		procfs_parse_stat(text, &stat);
	}
	free(text);
	return 0;
}

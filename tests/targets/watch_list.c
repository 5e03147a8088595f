// SPDX-License-Identifier: BSD-2-Clause
/* The reader of all processes' memory (user/collect/watch.h), alone: for each line of its input a pass, as one line of JSON.
 * An argument is watch_reader_create_lazy's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "collect/watch.h"

static void print_process(const struct watch_process *p)
{
	printf("{\"pid\":%" PRIu32 ",\"uid\":%" PRIu32 ",\"start_boottime_ns\":%" PRIu64
	       ",\"program\":%" PRIu64 ",\"anon\":%" PRIu64 ",\"file\":%" PRIu64
	       ",\"shmem\":%" PRIu64 ",\"swap\":%" PRIu64 ",\"page_tables\":%" PRIu64
	       ",\"cpu_ns\":%" PRIu64 ",\"parent\":%" PRIu32 ",\"cgroup\":%" PRId32 ",\"comm\":\"",
	       p->pid, p->uid, p->start_boottime_ns, p->program, p->anon_bytes, p->file_bytes,
	       p->shmem_bytes, p->swap_bytes, p->page_table_bytes, p->cpu_ns, p->parent_pid,
	       (int32_t)p->cgroup);
	for (size_t i = 0; i < sizeof(p->comm) && p->comm[i]; i++)
		putchar(p->comm[i] < ' ' || p->comm[i] == '"' || p->comm[i] == '\\' ? '?'
										    : p->comm[i]);
	printf("\"}");
}

static void print_pass(const struct watch_pass *pass)
{
	printf("{\"time_ns\":%" PRIu64 ",\"cost_ns\":%" PRIu64 ",\"cgroups\":[", pass->time_ns,
	       pass->cost_ns);
	for (size_t i = 0; i < pass->n_cgroups; i++)
		printf("%s{\"id\":%" PRIu64 ",\"current\":%" PRIu64 ",\"limit\":%" PRIu64
		       ",\"limit_current\":%" PRIu64 "}",
		       i ? "," : "", pass->cgroups[i].id, pass->cgroups[i].current_bytes,
		       pass->cgroups[i].limit_bytes, pass->cgroups[i].limit_current_bytes);
	printf("],\"processes\":[");
	for (size_t i = 0; i < pass->n_processes; i++) {
		printf("%s", i ? "," : "");
		print_process(&pass->processes[i]);
	}
	printf("]}\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct watch_reader *reader = NULL;
	const struct watch_pass *pass;
	struct diag d = {0};
	int err = watch_reader_create_lazy(argc > 1 ? atoi(argv[1]) : 0, &reader, &d), c;

	if (!err)
		printf("{\"ready\": %d}\n", getpid());
	fflush(stdout);
	while (!err && (c = getchar()) != EOF) {
		if (c != '\n')
			continue;
		err = watch_reader_pass(reader, &pass, &d);
		if (!err)
			print_pass(pass);
	}
	watch_reader_destroy(reader);
	if (err)
		fprintf(stderr, "watch_list: %s\n%s\n", d.text, d.hint);
	return err ? d.exit_code : 0;
}

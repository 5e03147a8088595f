// SPDX-License-Identifier: BSD-2-Clause
#include "attach/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "attach/kernel_heap.h"
#include "attach/tracefs.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "plan/plan.h"
#include "process/privilege.h"
#include "wire.h"
/* Uses the types of wire.h. */
#include "seep.skel.h"

_Static_assert((int)PLAN_MALLOC == (int)WIRE_MALLOC && (int)PLAN_CALLOC == (int)WIRE_CALLOC &&
		       (int)PLAN_REALLOC == (int)WIRE_REALLOC &&
		       (int)PLAN_REALLOCARRAY == (int)WIRE_REALLOCARRAY &&
		       (int)PLAN_MEMALIGN == (int)WIRE_MEMALIGN &&
		       (int)PLAN_POSIX_MEMALIGN == (int)WIRE_POSIX_MEMALIGN &&
		       (int)PLAN_FREE == (int)WIRE_FREE &&
		       (int)PLAN_MEMALIGN_SWAPPED == (int)WIRE_MEMALIGN_SWAPPED,
	       "plan.h and wire.h number the functions alike");
_Static_assert((int)KERNEL_STACK_CFI == (int)WIRE_STACK_MODE_CFI &&
		       (int)KERNEL_STACK_FP == (int)WIRE_STACK_MODE_FP &&
		       (int)KERNEL_STACK_NONE == (int)WIRE_STACK_MODE_NONE,
	       "stack modes");
_Static_assert((int)LINK_SESSION == (int)WIRE_LINK_SESSION && (int)LINK_PERF == (int)WIRE_LINK_PERF,
	       "link kinds");

#define LOG_BYTES 4096
#define NUMBER_TRIES 16

struct kernel {
	struct seep_bpf *object;
	struct links syscalls; /* with vm */
	enum link_kind link;
	uint64_t start_ns;
	bool empty;
	bool heap, heap_bulk;		/* the kernel's own allocations; those in bulk are seen */
	struct wire_governed *governed; /* WIRE_GOVERNED records, or NULL */
	bool bytes_bound;		/* an empty map's account is that of a full one */
};

/* libbpf reports through a process-wide callback: the end of its warnings, for the diag. One load at a time. */
static char libbpf_log[LOG_BYTES];

static int keep_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;
	size_t had = strlen(libbpf_log);
	int n;

	if (level != LIBBPF_WARN)
		return 0;
	n = vasprintf(&text, fmt, ap);
	if (n < 0)
		return 0;
	if ((size_t)n >= LOG_BYTES) {
		memcpy(libbpf_log, text + n - LOG_BYTES + 1, LOG_BYTES);
	} else {
		size_t drop = had + n >= LOG_BYTES ? had + n - LOG_BYTES + 1 : 0;

		memmove(libbpf_log, libbpf_log + drop, had - drop);
		memcpy(libbpf_log + had - drop, text, n + 1);
	}
	return n;
}

/* The verifier's last sentence, else libbpf's first. */
static const char *libbpf_reason(void)
{
	const char *reason = "", *first = NULL;

	for (char *line = strtok(libbpf_log, "\n"); line; line = strtok(NULL, "\n")) {
		if (!first)
			first = line;
		if (!strncmp(line, "processed ", 10) && *reason)
			return reason;
		if (strncmp(line, "libbpf: ", 8) && strncmp(line, "-- ", 3))
			reason = line;
	}
	return first ? first : "";
}

/* Before 5.11 BPF memory counted against RLIMIT_MEMLOCK; raising it is harmless later. Failure shows at the load. */
static void raise_memlock(void)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

/* A process takes several links, each a descriptor. */
static void raise_open_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static void set_settings(struct kernel *k, const struct kernel_options *o)
{
	bool bounded = o->min_size_bytes || o->max_size_bytes;

	*(struct wire_settings *)&k->object->rodata->settings = (struct wire_settings){
		.min_size_bytes = o->min_size_bytes,
		.max_size_bytes = o->max_size_bytes ? o->max_size_bytes : UINT64_MAX,
		.sample_interval = o->sample_interval,
		.session_start_ns = k->start_ns,
		.sampling = o->sampling,
		.link = k->link,
		.max_frames = o->max_frames,
		.follow = o->follow,
		.trace_calls = o->trace_calls,
		.count_unknown = !bounded && o->sampling == KERNEL_SAMPLE_ALL,
		.vm = o->vm || o->growth,
		.growth = o->growth,
		.stack_mode = o->stack,
		.everything = o->everything,
		.self = getpid(),
		.governed = o->governed,
		.errors = o->errors,
	};
}

static int set_sizes(struct kernel *k, const struct kernel_options *o)
{
	int err = bpf_map__set_max_entries(k->object->maps.live, o->max_outstanding);

	if (!err)
		err = bpf_map__set_max_entries(k->object->maps.sites, o->max_sites);
	if (!err)
		err = bpf_map__set_max_entries(k->object->maps.stacks, o->max_stacks);
	if (!err && !o->governed)
		err = bpf_map__set_max_entries(k->object->maps.governed, 1);
	if (!err && (o->trace_calls || o->vm || o->growth))
		err = bpf_map__set_max_entries(k->object->maps.event_ring, 16 << 20);
	if (!err && o->errors)
		err = bpf_map__set_max_entries(k->object->maps.error_ring, 1 << 20);
	if (!err && !o->errors)
		err = bpf_map__set_max_entries(k->object->maps.freed, 1);
	if (!err && !o->errors)
		err = bpf_map__set_max_entries(k->object->maps.free_stacks, 1);
	return err;
}

/* Only what this kind of link runs is loaded: a program for one kind is refused by another. */
static int set_programs(struct kernel *k)
{
	struct seep_bpf *o = k->object;
	bool session = k->link == LINK_SESSION;
	int attach_type = link_attach_type(session ? LINK_MULTI : k->link), err;

	bpf_program__set_autoload(o->progs.heap_session, session);
	bpf_program__set_autoload(o->progs.heap_return, !session);
	bpf_program__set_autoload(o->progs.empty_session, session);
	err = bpf_program__set_expected_attach_type(o->progs.heap_session,
						    link_attach_type(LINK_SESSION));
	if (!err)
		err = bpf_program__set_expected_attach_type(o->progs.heap_entry, attach_type);
	if (!err)
		err = bpf_program__set_expected_attach_type(o->progs.heap_return, attach_type);
	if (!err)
		err = bpf_program__set_expected_attach_type(o->progs.heap_exit, attach_type);
	if (!err)
		err = bpf_program__set_expected_attach_type(o->progs.heap_free, attach_type);
	if (!err)
		err = bpf_program__set_expected_attach_type(o->progs.empty, attach_type);
	if (!err)
		err = bpf_program__set_expected_attach_type(o->progs.empty_session,
							    link_attach_type(LINK_SESSION));
	return err;
}

/* What is asked of processes that are not traced. */
static int set_strangers(struct seep_bpf *o, const struct kernel_options *options)
{
	int err = bpf_program__set_autoload(o->progs.stranger_exec, options->strangers);

	if (!err)
		err = bpf_program__set_autoload(o->progs.stranger_rename,
						options->strangers && options->strange_names);
	if (!err)
		err = bpf_program__set_autoload(o->progs.stranger_move,
						options->strangers && options->strange_cgroups);
	if (!err && !options->strangers)
		err = bpf_map__set_max_entries(o->maps.stranger_ring, 4096);
	return err;
}

/* After lifecycle.bpf.c's: who is traced by then is no stranger. */
static int attach_strangers(struct seep_bpf *o)
{
	struct {
		struct bpf_program *program;
		struct bpf_link **link;
	} all[] = {
		{o->progs.stranger_exec, &o->links.stranger_exec},
		{o->progs.stranger_rename, &o->links.stranger_rename},
		{o->progs.stranger_move, &o->links.stranger_move},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (!bpf_program__autoload(all[i].program))
			continue;
		*all[i].link = bpf_program__attach(all[i].program);
		if (!*all[i].link)
			return -errno;
	}
	return 0;
}

/* vm.bpf.c's and some of growth.bpf.c's: all that are for tracepoints of tracefs. */
static bool follows_syscall(const struct bpf_program *program)
{
	return bpf_program__type(program) == BPF_PROG_TYPE_TRACEPOINT;
}

/* Touched pages instead of allocations: nothing that a probe runs, and growth.bpf.c's. */
static int choose_programs(struct seep_bpf *o, const struct kernel_options *options)
{
	struct bpf_program *program;
	int err = 0;

	bpf_object__for_each_program(program, o->obj)
	{
		bool growth = !strncmp(bpf_program__name(program), "growth_", strlen("growth_"));
		bool heap = !strncmp(bpf_program__name(program), "kernel_", strlen("kernel_"));
		bool probe = bpf_program__type(program) == BPF_PROG_TYPE_KPROBE;

		if (heap)
			err = bpf_program__set_autoload(program, false);
		else if (growth)
			err = bpf_program__set_autoload(program, options->growth);
		else if (follows_syscall(program))
			err = bpf_program__set_autoload(program, options->vm || options->growth);
		else if (options->growth && (probe || program == o->progs.signal_deliver))
			err = bpf_program__set_autoload(program, false);
		if (err)
			return err;
	}
	return bpf_program__set_autoload(o->progs.mapping_gone, options->stack == KERNEL_STACK_CFI);
}

static int attach_growth(struct seep_bpf *o)
{
	o->links.growth_fault_user = bpf_program__attach(o->progs.growth_fault_user);
	o->links.growth_fault_kernel = bpf_program__attach(o->progs.growth_fault_kernel);
	o->links.growth_page = bpf_program__attach(o->progs.growth_page);
	o->links.growth_huge_page = bpf_program__attach(o->progs.growth_huge_page);
	if (!o->links.growth_fault_user || !o->links.growth_fault_kernel || !o->links.growth_page ||
	    !o->links.growth_huge_page)
		return -errno;
	return 0;
}

/* The process events: links that live as long as the object. */
static int attach_lifecycle(struct seep_bpf *o)
{
	bool unwinds = bpf_program__autoload(o->progs.mapping_gone);
	bool probes = bpf_program__autoload(o->progs.signal_deliver);

	o->links.process_fork = bpf_program__attach(o->progs.process_fork);
	o->links.process_exec = bpf_program__attach(o->progs.process_exec);
	o->links.process_exit = bpf_program__attach(o->progs.process_exit);
	if (probes)
		o->links.signal_deliver = bpf_program__attach(o->progs.signal_deliver);
	o->links.oom_victim = bpf_program__attach(o->progs.oom_victim);
	if (unwinds)
		o->links.mapping_gone = bpf_program__attach(o->progs.mapping_gone);
	if (!o->links.process_fork || !o->links.process_exec || !o->links.process_exit ||
	    (probes && !o->links.signal_deliver) || !o->links.oom_victim ||
	    (unwinds && !o->links.mapping_gone))
		return -errno;
	return 0;
}

/* Without the memory controller there is nothing to be told. */
static bool tells_reclaim(void)
{
	return libbpf_find_vmlinux_btf_id("mm_vmscan_memcg_reclaim_begin", BPF_TRACE_RAW_TP) > 0;
}

/* Before the process events: the hits of a process that ends are counted before it is said to have ended. */
static int attach_limits(struct seep_bpf *o)
{
	if (bpf_program__autoload(o->progs.limit_hit)) {
		o->links.limit_hit = bpf_program__attach(o->progs.limit_hit);
		if (!o->links.limit_hit)
			return -errno;
	}
	o->links.limit_end = bpf_program__attach(o->progs.limit_end);
	o->links.limit_look = bpf_program__attach_iter(o->progs.limit_look, NULL);
	return o->links.limit_end && o->links.limit_look ? 0 : -errno;
}

static int attach_syscalls(struct kernel *k, struct diag *d)
{
	_cleanup_close_ int tracefs = tracefs_open(d);
	struct bpf_program *program;
	int err = tracefs < 0 ? tracefs : 0;

	bpf_object__for_each_program(program, k->object->obj)
	{
		if (err || !follows_syscall(program) || !bpf_program__autoload(program))
			continue;
		err = tracefs_attach(tracefs, bpf_program__section_name(program) + strlen("tp/"),
				     bpf_program__fd(program), &k->syscalls, d);
	}
	return err;
}

static int load_heap(struct kernel *k, const struct kernel_heap_options *options, struct diag *d)
{
	int err = kernel_heap_prepare(k->object, options, d);

	if (err)
		return err;
	err = seep_bpf__load(k->object);
	if (err)
		return privilege_explain(d, -err, "loading the BPF programs", libbpf_reason());
	err = kernel_heap_attach(k->object, &k->heap_bulk);
	return err ? privilege_explain(d, -err, "attaching to the kernel's allocations",
				       libbpf_reason())
		   : 0;
}

static int load(struct kernel *k, const struct kernel_options *options, struct diag *d)
{
	int err;

	libbpf_log[0] = '\0';
	k->object = seep_bpf__open();
	if (!k->object)
		return privilege_explain(d, errno, "opening the BPF object", libbpf_reason());
	set_settings(k, options);
	err = set_sizes(k, options);
	if (!err && options->heap)
		return load_heap(k, options->heap, d);
	if (!err)
		err = set_programs(k);
	if (!err)
		err = set_strangers(k->object, options);
	if (!err)
		err = choose_programs(k->object, options);
	if (!err)
		err = bpf_program__set_autoload(k->object->progs.limit_hit, tells_reclaim());
	if (!err)
		err = seep_bpf__load(k->object);
	if (err)
		return privilege_explain(d, -err, "loading the BPF programs", libbpf_reason());
	err = attach_limits(k->object);
	if (!err)
		err = attach_lifecycle(k->object);
	if (!err)
		err = attach_strangers(k->object);
	if (err)
		return privilege_explain(d, -err, "attaching to process events", libbpf_reason());
	if (options->growth)
		err = attach_growth(k->object);
	if (err)
		return privilege_explain(d, -err, "attaching to page faults", libbpf_reason());
	return options->vm || options->growth ? attach_syscalls(k, d) : 0;
}

/* The memlock line of the map's fdinfo. */
static uint64_t map_bytes(const struct bpf_map *map)
{
	unsigned long long bytes = 0;
	char path[64], line[128];
	_cleanup_fclose_ FILE *f = NULL;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	return bytes;
}

static int map_governed(struct kernel *k, struct diag *d)
{
	void *records = mmap(NULL, WIRE_GOVERNED * sizeof(struct wire_governed),
			     PROT_READ | PROT_WRITE, MAP_SHARED,
			     bpf_map__fd(k->object->maps.governed), 0);

	if (records == MAP_FAILED)
		return diag_set(d, errno, "cannot map the governor's records: %s", strerror(errno));
	k->governed = records;
	return 0;
}

int kernel_open(const struct kernel_options *options, struct kernel **ret, struct diag *d)
{
	struct kernel *k;
	int err;

	err = privilege_check(d);
	if (err)
		return err;
	raise_memlock();
	raise_open_files();
	libbpf_set_print(keep_warning);
	if (options->growth || options->heap)
		err = LINK_PERF; /* never attached: nothing to try */
	else
		err = options->link ? link_try(options->link, d) : link_best(d);
	if (err < 0) {
		d->exit_code = EXIT_REFUSED;
		return err;
	}
	k = calloc(1, sizeof(*k));
	if (!k)
		return diag_set(d, ENOMEM, "out of memory");
	k->link = options->link && !options->growth && !options->heap ? options->link
								      : (enum link_kind)err;
	k->start_ns = clock_monotonic_ns();
	k->empty = options->empty;
	k->heap = options->heap;
	err = load(k, options, d);
	if (err) {
		kernel_close(k);
		return err;
	}
	if (options->governed)
		err = map_governed(k, d);
	if (err) {
		kernel_close(k);
		return err;
	}
	/* Those of the kernel's allocations are full from the start. */
	k->bytes_bound = !options->heap &&
			 map_bytes(k->object->maps.live) >= (uint64_t)options->max_outstanding *
								    (sizeof(struct wire_block_key) +
								     sizeof(struct wire_block));
	*ret = k;
	return 0;
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	links_done(&k->syscalls);
	if (k->governed)
		munmap(k->governed, WIRE_GOVERNED * sizeof(*k->governed));
	seep_bpf__destroy(k->object);
	free(k);
}

enum link_kind kernel_link(const struct kernel *k)
{
	return k->link;
}

uint64_t kernel_start_ns(const struct kernel *k)
{
	return k->start_ns;
}

void kernel_get_maps(const struct kernel *k, struct kernel_maps *ret)
{
	bool errors = k->object->rodata->settings.errors;

	*ret = (struct kernel_maps){
		.live = bpf_map__fd(k->object->maps.live),
		.sites = bpf_map__fd(k->object->maps.sites),
		.unknown_sites = bpf_map__fd(k->object->maps.unknown_sites),
		.stacks = bpf_map__fd(k->object->maps.stacks),
		.procs = bpf_map__fd(k->object->maps.procs),
		.instances = bpf_map__fd(k->object->maps.instances),
		.process_ring = bpf_map__fd(k->object->maps.process_ring),
		.event_ring = bpf_map__fd(k->object->maps.event_ring),
		.losses = bpf_map__fd(k->object->maps.losses),
		.heap = k->heap,
		.stranger_ring = bpf_map__fd(k->object->maps.stranger_ring),
		.error_ring = errors ? bpf_map__fd(k->object->maps.error_ring) : 0,
		.free_stacks = errors ? bpf_map__fd(k->object->maps.free_stacks) : 0,
		.evict = bpf_program__fd(k->object->progs.evict),
	};
}

void kernel_get_unwind(const struct kernel *k, struct kernel_unwind *ret)
{
	*ret = (struct kernel_unwind){
		.shared = &k->object->bss->unwind_shared,
		.next_generation = &k->object->data->next_generation,
		.segments_fd = bpf_map__fd(k->object->maps.row_segments),
	};
}

uint64_t kernel_map_bytes(const struct kernel *k, bool *ret_bound)
{
	struct bpf_map *map;
	uint64_t sum = 0;

	bpf_object__for_each_map(map, k->object->obj) sum += map_bytes(map);
	*ret_bound = k->bytes_bound;
	return sum;
}

/* Pages that are allocated while one is looked at are the kernel's own, or our maps'. */
static bool misses_nothing(const struct kernel *k, const struct bpf_program *program)
{
	return program == k->object->progs.growth_page;
}

uint64_t kernel_missed_runs(const struct kernel *k)
{
	struct bpf_program *program;
	uint64_t sum = 0;

	bpf_object__for_each_program(program, k->object->obj)
	{
		struct bpf_prog_info info = {0};
		__u32 size = sizeof(info);

		if (bpf_program__fd(program) >= 0 && !misses_nothing(k, program) &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			sum += info.recursion_misses;
	}
	return sum;
}

struct wire_governed *kernel_governed(const struct kernel *k, uint32_t instance)
{
	struct wire_governed *g = k->governed ? &k->governed[instance % WIRE_GOVERNED] : NULL;

	return g && instance && __atomic_load_n(&g->instance, __ATOMIC_ACQUIRE) == instance ? g
											    : NULL;
}

struct wire_governed *kernel_crowd(const struct kernel *k)
{
	return k->governed && k->object->rodata->settings.everything ? &k->object->bss->crowd
								     : NULL;
}

void kernel_crowd_opened(struct kernel *k, uint64_t now_ns)
{
	__atomic_store_n(&k->object->bss->crowd_opened_ns, now_ns, __ATOMIC_RELAXED);
}

uint32_t kernel_governed_at(const struct kernel *k, uint32_t i)
{
	return __atomic_load_n(&k->governed[i].instance, __ATOMIC_ACQUIRE);
}

uint32_t kernel_governed_end(const struct kernel *k)
{
	uint32_t next = __atomic_load_n(&k->object->data->next_instance, __ATOMIC_RELAXED);

	return next < WIRE_GOVERNED ? next : WIRE_GOVERNED;
}

void kernel_govern_forget(struct kernel *k, uint32_t instance)
{
	struct wire_governed *g = kernel_governed(k, instance);

	if (!g)
		return;
	memset((char *)g + sizeof(g->instance), 0, sizeof(*g) - sizeof(g->instance));
	__atomic_store_n(&g->instance, 0, __ATOMIC_RELEASE);
}

/* What it used so far is not the crowd's. */
static void join_crowd(struct wire_governed *g, const struct wire_governed *crowd, pid_t pid)
{
	g->cpu_ns = clock_process_cpu_ns(pid);
	__atomic_fetch_or(&g->flags, WIRE_GOVERNED_CROWD | (crowd->flags & WIRE_GOVERNED_INEXACT),
			  __ATOMIC_SEQ_CST);
}

/* As lifecycle.bpf.c's instance_number(). */
static uint32_t instance_number(struct kernel *k, pid_t pid)
{
	struct wire_governed *g;
	uint32_t instance = 0, nobody;

	for (int i = 0; i < NUMBER_TRIES; i++) {
		instance = __atomic_fetch_add(&k->object->data->next_instance, 1, __ATOMIC_SEQ_CST);
		nobody = 0;
		if (!k->governed)
			break;
		g = &k->governed[instance % WIRE_GOVERNED];
		if (!__atomic_compare_exchange_n(&g->instance, &nobody, instance, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			continue;
		if (kernel_crowd(k))
			join_crowd(g, kernel_crowd(k), pid);
		break;
	}
	return instance;
}

int64_t kernel_add_process(struct kernel *k, pid_t pid, uint64_t start_boottime_ns, bool held,
			   struct diag *d)
{
	struct wire_process process = {
		.pid = pid,
		.start_boottime_ns = start_boottime_ns,
		.began_ns = clock_monotonic_ns(),
		.n_members = 1,
	};
	struct wire_member member = {.flags = held ? WIRE_MEMBER_HELD : 0};
	__u32 key = pid;
	int err;

	member.instance = instance_number(k, pid);
	member.leader = member.instance;
	err = bpf_map_update_elem(bpf_map__fd(k->object->maps.instances), &member.instance,
				  &process, BPF_NOEXIST);
	if (!err)
		err = bpf_map_update_elem(bpf_map__fd(k->object->maps.procs), &key, &member,
					  BPF_NOEXIST);
	__atomic_fetch_add(&k->object->data->procs_epoch, 1, __ATOMIC_SEQ_CST);
	if (err)
		bpf_map_delete_elem(bpf_map__fd(k->object->maps.instances), &member.instance);
	if (err)
		return diag_set(d, -err, "process %d: cannot be added: %s", pid, strerror(-err));
	return member.instance;
}

int64_t kernel_add_itself(struct kernel *k, struct diag *d)
{
	struct wire_process process = {.began_ns = clock_monotonic_ns(), .n_members = 1};
	wire_instance instance = WIRE_KERNEL_INSTANCE;
	int err = bpf_map_update_elem(bpf_map__fd(k->object->maps.instances), &instance, &process,
				      BPF_NOEXIST);

	if (err)
		return diag_set(d, -err, "the kernel cannot be added: %s", strerror(-err));
	return instance;
}

void kernel_heap_unseen(const struct kernel *k, struct kernel_heap_unseen *ret)
{
	*ret = (struct kernel_heap_unseen){
		.own = __atomic_load_n(&k->object->bss->kernel_heap_own, __ATOMIC_RELAXED),
		.silent = __atomic_load_n(&k->object->bss->kernel_heap_silent, __ATOMIC_RELAXED),
		.bulk = !k->heap_bulk,
	};
}

bool kernel_cache_name(const struct kernel *k, uint64_t address, char ret[32])
{
	struct wire_kernel_cache cache;

	if (bpf_map_lookup_elem(bpf_map__fd(k->object->maps.kernel_caches), &address, &cache))
		return false;
	memcpy(ret, cache.name, sizeof(cache.name));
	return ret[0];
}

int kernel_release_process(struct kernel *k, pid_t pid)
{
	struct wire_release context = {.pid = pid};
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &context, .ctx_size_in = sizeof(context));

	return bpf_prog_test_run_opts(bpf_program__fd(k->object->progs.release), &options);
}

int kernel_watch_heir(struct kernel *k, pid_t pid, pid_t tid)
{
	__u32 key = tid, value = pid;

	return bpf_map_update_elem(bpf_map__fd(k->object->maps.heirs), &key, &value, BPF_ANY);
}

uint32_t kernel_instance(const struct kernel *k, pid_t pid, uint32_t *ret_leader)
{
	struct wire_member member;
	__u32 key = pid;

	if (bpf_map_lookup_elem(bpf_map__fd(k->object->maps.procs), &key, &member))
		return 0;
	if (ret_leader)
		*ret_leader = member.leader;
	return member.instance;
}

void kernel_look_at_limits(struct kernel *k)
{
	_cleanup_close_ int fd =
		k->heap ? -1 : bpf_iter_create(bpf_link__fd(k->object->links.limit_look));
	char unused;

	/* EAGAIN: a million tasks were looked at, and there are more. */
	while (fd >= 0 && read(fd, &unused, sizeof(unused)) < 0 &&
	       (errno == EAGAIN || errno == EINTR))
		;
}

int kernel_purge(struct kernel *k)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);

	return bpf_prog_test_run_opts(bpf_program__fd(k->object->progs.purge), &options);
}

int kernel_program_fd(const struct kernel *k, enum kernel_program which)
{
	const struct seep_bpf *o = k->object;
	bool session = k->link == LINK_SESSION;

	if (k->empty)
		return bpf_program__fd(session && which == KERNEL_ALLOCATE ? o->progs.empty_session
									   : o->progs.empty);
	switch (which) {
	case KERNEL_ALLOCATE:
		return bpf_program__fd(session ? o->progs.heap_session : o->progs.heap_entry);
	case KERNEL_ALLOCATE_RETURN:
		return bpf_program__fd(o->progs.heap_return);
	case KERNEL_ALLOCATE_ENTRY:
		return bpf_program__fd(o->progs.heap_entry);
	case KERNEL_ALLOCATE_EXIT:
		return bpf_program__fd(o->progs.heap_exit);
	case KERNEL_FREE:
		return bpf_program__fd(o->progs.heap_free);
	}
	return -1;
}

enum link_kind kernel_program_link(const struct kernel *k, enum kernel_program which)
{
	return k->link == LINK_SESSION && which != KERNEL_ALLOCATE ? LINK_MULTI : k->link;
}

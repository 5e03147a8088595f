// SPDX-License-Identifier: BSD-2-Clause
#include "attach/kernel_heap.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "wire.h"
/* Uses the types of wire.h. */
#include "seep.skel.h"

_Static_assert(KERNEL_HEAP_PIDS == WIRE_KERNEL_PIDS && KERNEL_HEAP_INNER == WIRE_KERNEL_INNER,
	       "kernel_heap.h and wire.h have the same room");

#define PROCESSES 64 /* room in maps that nothing but the kernel itself needs */

/* The verifier knows a function by its BTF; one that was inlined everywhere has none. */
static bool has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

static bool has_tracepoint(const struct btf *btf, const char *type)
{
	return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

/* Whether a program at a function's entry is let in: one that does nothing is loaded, and goes again. */
static bool follows_functions(const struct btf *btf)
{
	static const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FENTRY);
	int fd, id = btf__find_by_name_kind(btf, "kmem_cache_free_bulk", BTF_KIND_FUNC);

	if (id <= 0)
		return false;
	options.attach_btf_id = id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, NULL, "Dual BSD/GPL", nothing,
			   ARRAY_SIZE(nothing), &options);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Programs of functions without tracepoints, which not every kernel has; and what they are called. */
static int choose_functions(struct seep_bpf *o, const struct btf *btf)
{
	/* Since 6.10 (7bd230a26648). */
	static const char *const bulk_alloc[] = {"kmem_cache_alloc_bulk_noprof",
						 "kmem_cache_alloc_bulk"};
	bool follows = follows_functions(btf), has_alloc = false;
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bulk_alloc) && follows && !has_alloc && !err; i++) {
		has_alloc = has_function(btf, bulk_alloc[i]);
		if (has_alloc)
			err = bpf_program__set_attach_target(o->progs.kernel_bulk_alloc, 0,
							     bulk_alloc[i]);
	}
	if (!err)
		err = bpf_program__set_autoload(o->progs.kernel_bulk_alloc, has_alloc);
	if (!err)
		err = bpf_program__set_autoload(o->progs.kernel_bulk_free, follows);
	if (!err)
		err = bpf_program__set_autoload(o->progs.kernel_sheaf_free,
						follows && has_function(btf, "__kfree_rcu_sheaf"));
	return err;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static int choose_programs(struct seep_bpf *o, const struct btf *btf, bool percpu)
{
	struct bpf_program *program;
	int err = 0;

	bpf_object__for_each_program(program, o->obj)
	{
		const char *name = bpf_program__name(program);
		bool ours = has_prefix(name, "kernel_");
		bool reads = bpf_program__type(program) == BPF_PROG_TYPE_SYSCALL;

		err = bpf_program__set_autoload(
			program, reads || (ours && percpu == has_prefix(name, "kernel_percpu_")));
		if (err)
			return err;
	}
	return percpu ? 0 : choose_functions(o, btf);
}

/* What a program writes must not be allocated in the midst of an allocation; what only the tracing of processes needs, need not be
 * large. */
static int size_maps(struct seep_bpf *o)
{
	struct bpf_map *const written[] = {o->maps.live, o->maps.sites, o->maps.unknown_sites,
					   o->maps.stacks};
	struct bpf_map *const small[] = {o->maps.unknown_sites, o->maps.procs, o->maps.instances};
	struct bpf_map *const rings[] = {o->maps.process_ring, o->maps.event_ring};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(written) && !err; i++)
		err = bpf_map__set_map_flags(written[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(small) && !err; i++)
		err = bpf_map__set_max_entries(small[i], PROCESSES);
	for (size_t i = 0; i < ARRAY_SIZE(rings) && !err; i++)
		err = bpf_map__set_max_entries(rings[i], 4096);
	return err;
}

static void configure(struct seep_bpf *o, const struct kernel_heap_options *options, bool sheaves)
{
	struct wire_kernel_heap *heap = (struct wire_kernel_heap *)&o->rodata->kernel_heap;

	heap->all_pages = options->all_pages;
	heap->sheaves = sheaves;
	heap->n_pids = options->n_pids;
	for (size_t i = 0; i < options->n_pids; i++) {
		heap->pids[i] = options->pids[i];
		heap->starts_ns[i] = options->starts_ns[i];
	}
	for (size_t i = 0; i < options->n_inner; i++)
		heap->inner[i] = (struct wire_kernel_range){options->inner[i].start,
							    options->inner[i].bytes};
	heap->interrupt =
		(struct wire_kernel_range){options->interrupt.start, options->interrupt.bytes};
	/* The kernel is the first instance. */
	o->data->next_instance = WIRE_KERNEL_INSTANCE + 1;
}

int kernel_heap_prepare(struct seep_bpf *o, const struct kernel_heap_options *options,
			struct diag *d)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool sheaves;
	int err;

	if (!btf)
		return diag_set_hint(d, errno, EXIT_REFUSED,
				     "a kernel with CONFIG_DEBUG_INFO_BTF=y has it",
				     "the kernel does not describe its types: %s", strerror(errno));
	if (!has_tracepoint(btf, "btf_trace_kmalloc") ||
	    has_tracepoint(btf, "btf_trace_kmalloc_node")) {
		btf__free(btf);
		return diag_set_hint(
			d, EOPNOTSUPP, EXIT_REFUSED, "Linux 6.1 or later has them",
			"this kernel has not the tracepoints of slabs that --kernel needs");
	}
	err = choose_programs(o, btf, options->percpu);
	sheaves = bpf_program__autoload(o->progs.kernel_sheaf_free) ||
		  !has_function(btf, "__kfree_rcu_sheaf");
	btf__free(btf);
	if (!err)
		err = size_maps(o);
	if (err)
		return diag_set(d, -err, "cannot prepare the BPF object: %s", strerror(-err));
	configure(o, options, sheaves);
	return 0;
}

static bool is_of_function(const struct bpf_program *program)
{
	return has_prefix(bpf_program__section_name(program), "f");
}

/* Frees first: what is allocated before they are seen is not known either. */
static bool is_of_free(const struct bpf_program *program)
{
	return strstr(bpf_program__name(program), "free");
}

static int attach_one(struct seep_bpf *o, struct bpf_program *program)
{
	const struct bpf_object_skeleton *s = o->skeleton;

	for (int i = 0; i < s->prog_cnt; i++) {
		if (*s->progs[i].prog != program)
			continue;
		*s->progs[i].link = bpf_program__attach(program);
		return *s->progs[i].link ? 0 : -errno;
	}
	return -ENOENT;
}

int kernel_heap_attach(struct seep_bpf *o, bool *ret_bulk)
{
	struct bpf_program *program;
	bool bulk = true;
	int err;

	for (int frees = 1; frees >= 0; frees--)
		bpf_object__for_each_program(program, o->obj)
		{
			if (!has_prefix(bpf_program__name(program), "kernel_") ||
			    !bpf_program__autoload(program) || is_of_free(program) != frees)
				continue;
			err = attach_one(o, program);
			if (err && !is_of_function(program))
				return err;
			bulk &= !err;
		}
	*ret_bulk = bulk && bpf_program__autoload(o->progs.kernel_bulk_free);
	return 0;
}

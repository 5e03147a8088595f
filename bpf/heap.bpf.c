// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Allocation and free probes.
 *
 * A block leaves the live map at the entry of free or realloc, while nobody else can own its address, and enters it at the
 * return of the call that made it, before the caller can pass the address on. Deleting is the claim: of two threads that
 * free one address only one finds it.
 *
 * Needs: BPF_MAP_TYPE_TASK_STORAGE in tracing programs (5.12, a10787e6d58c), bpf_loop (5.17, e6f2dd0f8067),
 * bpf_get_attach_cookie (5.15, 7adfc6c9b315). Without them the load fails and attach/ says which kernel has them. */
#include "calls.bpf.h"
#include "freed.bpf.h"
#include "hits.bpf.h"
#include "registers.bpf.h"
#include "sample.bpf.h"
#include "site.bpf.h"

enum entry_result {
	ENTRY_WAIT = 0, /* the end of this call matters */
	ENTRY_SKIP = 1, /* a session link leaves the return alone */
};

static __noinline int trace_event(u32 type, wire_instance instance, u64 address, u64 size_bytes,
				  u64 site)
{
	u64 id = bpf_get_current_pid_tgid();
	struct wire_event *event = bpf_ringbuf_reserve(&event_ring, sizeof(*event), 0);

	if (!event) {
		lost(instance, WIRE_LOST_TRACE_RING);
		return 0;
	}
	*event = (struct wire_event){
		.type = type,
		.pid = id >> 32,
		.tid = id,
		.instance = instance,
		.time_ns = bpf_ktime_get_ns(),
		.address = address,
		.size_bytes = size_bytes,
		.site = site,
	};
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* Takes a block out of the live map. Copied before it is deleted: deleted memory is used again at once. */
static __always_inline bool take_block(const struct wire_block_key *key, struct wire_block *ret)
{
	struct wire_block *block = bpf_map_lookup_elem(&live, key);

	if (!block)
		return false;
	*ret = *block;
	return !bpf_map_delete_elem(&live, key);
}

/* An address that comes back while it is recorded was freed where no probe is: the old block ends here. */
static __noinline int replace_block(struct wire_block_key *key, struct wire_block *block)
{
	struct wire_block old;

	if (!key || !block)
		return -1;
	if (take_block(key, &old)) {
		site_freed(key->instance, WIRE_KIND_MALLOC, &old);
		lost(key->instance, WIRE_LOST_MISSED_FREE);
	}
	return bpf_map_update_elem(&live, key, block, BPF_NOEXIST);
}

/* Records a new block at pointer: call has its size and weight; ret, fp and sp are the caller's. */
static __always_inline void record_block(struct thread *thread, struct pending *call, u64 pointer,
					 u64 ret, u64 fp, u64 sp)
{
	struct wire_block_key key = {.address = pointer, .instance = call->instance};
	struct wire_site_key site_key = {.instance = call->instance, .kind = WIRE_KIND_MALLOC};
	struct wire_block block = {
		.size_bytes = call->size_bytes, .weight = call->weight, .family = call->family};
	struct wire_site *site;
	int err; /* map functions return int before 6.4 (d7ba4cc900bf), and leave the register's upper half alone */

	site_key.stack = unwind(thread, call->instance, ret, fp, sp);
	site = site_get(&site_key, &thread->stack);
	block.time_ns = bpf_ktime_get_ns();
	block.site = site_key.stack;
	err = site ? bpf_map_update_elem(&live, &key, &block, BPF_NOEXIST) : -12 /* ENOMEM */;
	if (err == -17 /* EEXIST */)
		err = replace_block(&key, &block);
	if (err) {
		lost(call->instance,
		     err == -7 /* E2BIG */ ? WIRE_LOST_LIVE_FULL : WIRE_LOST_LIVE_MEMORY);
		return;
	}
	site_allocated(site, &block);
	if (settings.trace_calls)
		trace_event(WIRE_EVENT_ALLOC, call->instance, pointer, call->size_bytes,
			    site_key.stack);
}

/* n * size, saturated: a product that overflows is never allocated, but must not look like size 0 to realloc's rules. */
static __always_inline u64 product(u64 n, u64 size_bytes)
{
	u64 most = n ? ~0ULL / n : ~0ULL;

	/* Hidden from the compiler, which would make a 128-bit multiplication of it. */
	asm volatile("" : "+r"(most));
	return size_bytes > most ? ~0ULL : n * size_bytes;
}

static __always_inline u64 requested_size(struct pt_regs *ctx, u32 function)
{
	switch (function) {
	case WIRE_MALLOC:
	case WIRE_MEMALIGN_SWAPPED:
		return ARG1(ctx);
	case WIRE_CALLOC:
		return product(ARG1(ctx), ARG2(ctx));
	case WIRE_REALLOC:
	case WIRE_MEMALIGN:
		return ARG2(ctx);
	case WIRE_REALLOCARRAY:
		return product(ARG2(ctx), ARG3(ctx));
	case WIRE_POSIX_MEMALIGN:
		return ARG3(ctx);
	}
	return 0;
}

static __always_inline bool is_realloc(u32 function)
{
	return function == WIRE_REALLOC || function == WIRE_REALLOCARRAY;
}

static __always_inline bool wanted(u64 size_bytes)
{
	return size_bytes >= settings.min_size_bytes && size_bytes <= settings.max_size_bytes;
}

/* The old block of a realloc is out of the map while the call runs: its address may be anyone's before it returns. */
static __always_inline void hold_old(struct pending *call, u64 pointer)
{
	struct wire_block_key key = {.address = pointer, .instance = call->instance};

	call->pointer = pointer;
	if (pointer && take_block(&key, &call->old))
		call->flags |= PENDING_OLD_HELD;
}

/* Whether the allocator called its own function: by a direct call of its entry, in a file whose other callers come through
 * the PLT. That is how glibc gives back a thread's cached chunks, long freed by the program, when the thread ends. */
static __always_inline bool called_by_itself(u64 cookie, u64 cfa, u64 ip)
{
	u64 ret = read_word(cfa - 8);
	struct {
		u8 opcode;
		s32 distance;
	} __attribute__((packed)) call = {};

	if (!WIRE_COOKIE_PLT(cookie) ||
	    bpf_probe_read_user(&call, sizeof(call), (void *)(ret - sizeof(call))))
		return false;
	return call.opcode == 0xe8 && ret + (s64)call.distance == ip - WIRE_COOKIE_SITE(cookie);
}

/* The process that gives back, by itself, a block that is not recorded: NULL within another free, which is the allocator's own, and
 * where it means nothing. */
static __noinline struct wire_process *unknown_release(const struct release *r)
{
	struct wire_governed *g;

	if (!settings.count_unknown || called_by_itself(r->cookie, r->cfa, r->ip))
		return NULL;
	g = governed_get(r->instance);
	if (g && g->flags & WIRE_GOVERNED_INEXACT)
		return NULL;
	if (r->thread && silent_encloses(&r->thread->freed, r->cfa, r->ip))
		return NULL;
	return bpf_map_lookup_elem(&instances, &r->instance);
}

/* A forked child frees what it inherited; anything else is from before the attach, freed twice, or never allocated. */
static __always_inline int count_unknown(struct wire_process *process)
{
	if (!process)
		return 0;
	if (process->forked)
		__sync_fetch_and_add(&process->inherited_frees, 1);
	else
		__sync_fetch_and_add(&process->unknown_frees, 1);
	return 0;
}

/* A realloc of a block that is not recorded frees it all the same. */
static __always_inline void unknown_realloc(struct release *r, struct pending *call, u64 pointer)
{
	struct wire_process *process;

	if (!is_realloc(call->function) || !call->pointer || call->flags & PENDING_OLD_HELD)
		return;
	if (!pointer && call->size_bytes)
		return;
	process = unknown_release(r);
	count_unknown(process);
	if (process && settings.errors && r->thread) {
		release_unwind(r);
		freed_note(r, NULL);
	}
}

/* A realloc begins: whether what it is given can be given back. */
static __noinline int check_old(struct release *r, struct pending *call)
{
	struct wire_process *process;

	if (!call)
		return 0;
	if (call->flags & PENDING_OLD_HELD) {
		if (mismatched(r, &call->old)) {
			release_unwind(r);
			error_tell(r, WIRE_ERROR_MISMATCH, r->address, &call->old, NULL);
		}
		return 0;
	}
	process = unknown_release(r);
	if (process) {
		release_unwind(r);
		error_find(r, process);
	}
	return 0;
}

/* An allocation begins. */
static __always_inline int allocation_entry(struct pt_regs *ctx, u64 cookie, struct thread *thread)
{
	u32 function = WIRE_COOKIE_FUNCTION(cookie);
	u64 cfa = SP(ctx) + WIRE_COOKIE_CFA(cookie), size_bytes, weight;
	wire_instance instance = current_instance(thread);
	struct pending *call;
	int position;

	if (!instance)
		return ENTRY_SKIP;
	if (!thread)
		thread = thread_get(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		lost(instance, WIRE_LOST_THREAD_STATE);
		return ENTRY_SKIP;
	}
	position = settle(thread, cfa);
	if (position == POSITION_UNSAFE)
		lost(instance, WIRE_LOST_SIGNAL_STACK);
	if (position != POSITION_OUTERMOST)
		return ENTRY_SKIP;
	size_bytes = requested_size(ctx, function);
	weight = wanted(size_bytes) ? sample_weight(size_bytes, governed_orders(instance)) : 0;
	if (!weight && settings.link == WIRE_LINK_SESSION && WIRE_COOKIE_LEAF(cookie))
		return ENTRY_SKIP;
	call = pending_push(thread);
	if (!call) {
		lost(instance, WIRE_LOST_NESTING);
		return ENTRY_SKIP;
	}
	call->cfa = cfa;
	call->size_bytes = size_bytes;
	call->weight = weight;
	call->pointer = ARG1(ctx);
	call->signal_sp = 0;
	call->instance = instance;
	call->function = function;
	call->family = WIRE_COOKIE_FAMILY(cookie);
	call->flags = (weight ? 0 : PENDING_SKIPPED) |
		      (WIRE_COOKIE_EXITS(cookie) ? PENDING_EXITS : 0);
	if (!is_realloc(function))
		return ENTRY_WAIT;
	hold_old(call, ARG1(ctx));
	if (settings.errors && call->pointer) {
		struct release r = {
			.thread = thread,
			.address = call->pointer,
			.cookie = cookie & ~WIRE_COOKIE_PLT_BIT,
			.cfa = cfa,
			.fp = FP(ctx),
			.ret = read_word(cfa - 8),
			.instance = instance,
		};

		check_old(&r, call);
	}
	return ENTRY_WAIT;
}

/* What the call returned: the new block's address, or 0 when it failed. */
static __always_inline u64 result_pointer(struct pt_regs *ctx, struct pending *call)
{
	u64 pointer = 0;

	if (call->function != WIRE_POSIX_MEMALIGN)
		return RESULT(ctx);
	if ((u32)RESULT(ctx))
		return 0;
	if (bpf_probe_read_user(&pointer, sizeof(pointer), (void *)call->pointer) &&
	    !(call->flags & PENDING_SKIPPED))
		lost(call->instance, WIRE_LOST_RESULT_READ);
	return pointer;
}

/* The old block of a realloc that ended: freed, unless it failed (NULL for a size that is not 0, C11 7.22.3.5). */
static __always_inline void settle_old(struct release *r, struct pending *call, u64 pointer)
{
	if (!(call->flags & PENDING_OLD_HELD))
		return;
	if (!pointer && call->size_bytes) {
		put_back(call);
		return;
	}
	site_freed(call->instance, WIRE_KIND_MALLOC, &call->old);
	if (settings.errors && pointer != call->pointer) {
		release_unwind(r);
		freed_note(r, &call->old);
	}
	if (settings.trace_calls)
		trace_event(WIRE_EVENT_FREE, call->instance, call->pointer, call->old.size_bytes,
			    call->old.site);
}

/* An allocation ends: ret is where it returns to, cfa where its stack pointer is then; exits: PENDING_EXITS or 0. */
static __always_inline int allocation_end(struct pt_regs *ctx, struct thread *thread, u64 ret,
					  u64 cfa, u32 exits)
{
	struct pending *call;
	u64 pointer;

	if (!thread)
		return 0;
	call = pending_pop(thread, cfa, exits);
	if (!call)
		return 0;
	pointer = result_pointer(ctx, call);
	if (is_realloc(call->function)) {
		struct release r = {
			.thread = thread,
			.address = call->pointer,
			.cfa = cfa,
			.fp = FP(ctx),
			.ret = ret,
			.instance = call->instance,
		};

		settle_old(&r, call, pointer);
		unknown_realloc(&r, call, pointer);
	}
	if (pointer && !(call->flags & PENDING_SKIPPED))
		record_block(thread, call, pointer, ret, FP(ctx), cfa);
	return 0;
}

static __always_inline int counted_entry(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx), began_ns;
	struct thread *thread = thread_get(0);
	int result;

	began_ns = hit_begin(thread, HIT_ENTRY, WIRE_COOKIE_STEPPED(cookie));
	result = allocation_entry(ctx, cookie, thread);
	hit_end(thread, began_ns);
	return result;
}

static __always_inline int counted_return(struct pt_regs *ctx)
{
	struct thread *thread = thread_get(0);
	u64 began_ns;

	began_ns = hit_begin(thread, HIT_RETURN, false);
	allocation_end(ctx, thread, IP(ctx), SP(ctx), 0);
	hit_end(thread, began_ns);
	return 0;
}

SEC("uprobe")
int heap_session(struct pt_regs *ctx)
{
	/* At the return ip is already the caller's, while bpf_get_func_ip() is the probe's in both. */
	if (IP(ctx) != bpf_get_func_ip(ctx))
		return counted_return(ctx);
	return counted_entry(ctx);
}

SEC("uprobe")
int heap_entry(struct pt_regs *ctx)
{
	counted_entry(ctx);
	return 0;
}

SEC("uprobe")
int heap_return(struct pt_regs *ctx)
{
	return counted_return(ctx);
}

/* On a ret instruction: the return address is still on the stack. */
SEC("uprobe")
int heap_exit(struct pt_regs *ctx)
{
	struct thread *thread = thread_get(0);
	u64 began_ns;

	began_ns = hit_begin(thread, HIT_ENTRY, true);
	allocation_end(ctx, thread, read_word(SP(ctx)), SP(ctx) + 8, PENDING_EXITS);
	hit_end(thread, began_ns);
	return 0;
}

/* A free of what is not recorded: counted, and looked at. */
static __noinline int unknown_free(struct release *r)
{
	struct wire_process *process = unknown_release(r);

	count_unknown(process);
	if (!settings.errors || !process || !r->thread)
		return 0;
	release_unwind(r);
	if (!error_find(r, process))
		freed_note(r, NULL);
	return 0;
}

static __always_inline int free_entry(struct pt_regs *ctx, u64 cookie, struct thread *thread)
{
	struct release r = {
		.address = ARG1(ctx),
		.cookie = cookie,
		.cfa = SP(ctx) + WIRE_COOKIE_CFA(cookie),
		.ip = IP(ctx),
		.fp = FP(ctx),
	};
	struct wire_block_key key = {.address = r.address};
	struct wire_block block;
	bool nested;

	if (!key.address)
		return 0;
	r.instance = key.instance = current_instance(thread);
	if (!key.instance)
		return 0;
	if (!thread)
		thread = thread_get(BPF_LOCAL_STORAGE_GET_F_CREATE);
	r.thread = thread;
	if (settings.errors)
		r.ret = read_word(r.cfa - 8);
	/* A block that the program was given can be freed within another call, by a callback or in the program's own malloc;
	 * what the allocator frees for itself is not recorded. */
	nested = thread && settle(thread, r.cfa) == POSITION_NESTED;
	if (!take_block(&key, &block))
		return nested ? 0 : unknown_free(&r);
	site_freed(key.instance, WIRE_KIND_MALLOC, &block);
	if (settings.errors && thread) {
		release_unwind(&r);
		if (mismatched(&r, &block))
			error_tell(&r, WIRE_ERROR_MISMATCH, r.address, &block, NULL);
		freed_note(&r, &block);
	}
	if (thread && !nested && !WIRE_COOKIE_LEAF(cookie))
		thread->freed =
			(struct silent_call){.cfa = r.cfa, .ret = read_word(r.cfa - 8), .ip = r.ip};
	if (settings.trace_calls)
		trace_event(WIRE_EVENT_FREE, key.instance, key.address, block.size_bytes,
			    block.site);
	return 0;
}

SEC("uprobe")
int heap_free(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx), began_ns;
	struct thread *thread = thread_get(0);

	began_ns = hit_begin(thread, HIT_FREE, WIRE_COOKIE_STEPPED(cookie));
	free_entry(ctx, cookie, thread);
	hit_end(thread, began_ns);
	return 0;
}

/* Which call a signal strikes in: kernel 2.6.38's signal_deliver, as BTF tracepoint since 5.5. */
SEC("tp_btf/signal_deliver")
int signal_deliver(u64 *args)
{
	struct k_sigaction *action = (struct k_sigaction *)args[2];
	struct pt_regs *regs;
	struct thread *thread;
	struct pending *top;

	/* SIG_DFL and SIG_IGN run no handler. */
	if ((u64)action->sa.sa_handler <= 1)
		return 0;
	thread = thread_get(0);
	if (!thread || !thread->depth)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	top = &thread->pending[(thread->depth - 1) & (MAX_PENDING - 1)];
	/* A handler interrupted by another: the outer one's frame is the one that tells. */
	if (in_handler(top, SP(regs)))
		return 0;
	top->signal_sp = SP(regs);
	top->signal_ip = IP(regs);
	return 0;
}

/* The floor of what tracing costs: the same traps with nothing to do. */
SEC("uprobe")
int empty(struct pt_regs *ctx)
{
	return 0;
}

SEC("uprobe")
int empty_session(struct pt_regs *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_WIRE_H
#define SEEP_BPF_WIRE_H
/* What the kernel side and the user side both see: layout only, no logic. Fixed width, explicit padding, sizes asserted,
 * enums append-only; compiled by clang for BPF and by gcc for the host. */
#include <linux/types.h>

#define WIRE_MAX_FRAMES 127
#define WIRE_BIRTH_SLOTS 64
#define WIRE_WEIGHT_ONE (1ULL << 16) /* weights are fixed point, 16 fractional bits */

/* The same values as user/plan's enum plan_function. */
enum wire_function {
	WIRE_MALLOC = 1,
	WIRE_CALLOC = 2,
	WIRE_REALLOC = 3,
	WIRE_REALLOCARRAY = 4,
	WIRE_MEMALIGN = 5,
	WIRE_POSIX_MEMALIGN = 6,
	WIRE_FREE = 7,
	WIRE_MEMALIGN_SWAPPED = 8,
};

/* A probe's BPF cookie: the function in bits 0-7; bits 8-15: bytes from sp to the CFA at the probed instruction;
 * bit 16: the call's end is seen by probes on its ret instructions, not by a return probe; bit 17: it calls no other
 * probed function, so nobody needs to know when it ends; bit 18: a direct call of it comes from its own allocator, as in
 * a shared libc, where all others go through the PLT; bit 19: the probed instruction is stepped; bits 20-22: enum wire_family,
 * 0: not known; bit 23: all that its allocator hands out passes a probe; bits 24-31: bytes from its entry to the probe. */
#define WIRE_COOKIE(function, cfa_offset, exits)                                                   \
	((__u64)(function) | (__u64)(cfa_offset) << 8 | (__u64)((exits) ? 1 : 0) << 16)
#define WIRE_COOKIE_LEAF_BIT (1ULL << 17)
#define WIRE_COOKIE_PLT_BIT (1ULL << 18)
#define WIRE_COOKIE_STEPPED_BIT (1ULL << 19)
#define WIRE_COOKIE_FAMILY_BITS(family) ((__u64)((family)&7) << 20)
#define WIRE_COOKIE_CLOSED_BIT (1ULL << 23)
#define WIRE_COOKIE_SITE_BITS(site) ((__u64)((site)&0xff) << 24)
#define WIRE_COOKIE_PLT(cookie) (((cookie) >> 18) & 1)
#define WIRE_COOKIE_STEPPED(cookie) (((cookie) >> 19) & 1)
#define WIRE_COOKIE_FAMILY(cookie) (((cookie) >> 20) & 7)
#define WIRE_COOKIE_CLOSED(cookie) (((cookie) >> 23) & 1)
#define WIRE_COOKIE_SITE(cookie) (((cookie) >> 24) & 0xff)
#define WIRE_COOKIE_LEAF(cookie) (((cookie) >> 17) & 1)
#define WIRE_COOKIE_FUNCTION(cookie) ((cookie)&0xff)
#define WIRE_COOKIE_CFA(cookie) (((cookie) >> 8) & 0xff)
#define WIRE_COOKIE_EXITS(cookie) (((cookie) >> 16) & 1)

/* Which functions belong together, bits: one function may be several names. The same values as user/model's enum free_error_families. */
enum wire_family {
	WIRE_FAMILY_MALLOC = 1,
	WIRE_FAMILY_NEW = 2,
	WIRE_FAMILY_NEW_ARRAY = 4,
};

enum wire_kind {
	WIRE_KIND_MALLOC = 1,
	WIRE_KIND_MMAP = 2,
	WIRE_KIND_BRK = 3,
	WIRE_KIND_FAULT = 4,
	WIRE_KIND_KERNEL = 5,
};

enum wire_sampling {
	WIRE_SAMPLE_ALL = 0,
	WIRE_SAMPLE_COUNT = 1, /* each allocation with probability 1/interval */
	WIRE_SAMPLE_BYTES = 2, /* a Poisson process over bytes with mean distance interval */
};

/* How the entry and the end of a call reach us. */
enum wire_link {
	WIRE_LINK_PERF = 1, /* perf event per probe: entry and return programs */
	WIRE_LINK_MULTI =
		2, /* uprobe_multi: the same programs, one link for all probes of a file */
	WIRE_LINK_SESSION = 3, /* one program for both; the entry can skip the return */
};

struct wire_settings {
	__u64 min_size_bytes, max_size_bytes; /* record only sizes in [min, max] */
	__u64 sample_interval;
	__u64 session_start_ns; /* CLOCK_MONOTONIC */
	__u32 sampling;		/* enum wire_sampling */
	__u32 link;		/* enum wire_link */
	__u32 max_frames;	/* 1 to WIRE_MAX_FRAMES */
	__u8 follow;		/* children of traced processes are traced */
	__u8 trace_calls;	/* an event for each allocation and free (-t) */
	__u8 count_unknown; /* every allocation is recorded, so that a free without record means something */
	__u8 vm;	    /* mmap and brk are followed (--mmap) */
	__u8 stack_mode; /* enum wire_stack_mode */
	__u8 growth;	 /* page faults are followed (--growth); a power of two: sample_interval */
	__u8 everything; /* each process that forks or execs is traced, but not `self` */
	__u8 governed;	 /* hits are counted, and wire_governed says what is recorded */
	__u32 self;	 /* our own process id */
	__u32 errors;	 /* errors at free are looked for */
	__u32 zero;
};
_Static_assert(sizeof(struct wire_settings) == 64, "wire_settings");

/* governed: what the overhead governor orders of an instance, and what it hears of it; the instance's number modulo
 * WIRE_GOVERNED is the index. Shared memory: user space has it mapped. */
#define WIRE_GOVERNED 32768
struct wire_governed {
	__u32 instance; /* whose it is, 0: nobody's */
	/* Orders. To change scale, user space first closes by until_ns. */
	__u32 scale; /* of weights, WIRE_WEIGHT_ONE is one: one by the share of time that is recorded */
	__u64 sample_interval; /* mean bytes between samples, 0: every allocation is recorded */
	__u64 until_ns;	       /* CLOCK_MONOTONIC: allocations are recorded until then; 0: always */
	__u32 flags;
	/* Counters, a few dozen hits behind; only user space ever zeroes them. */
	__u32 n_stepped; /* of the hits, those on an instruction that is stepped */
	__u64 n_entries; /* hits at entries of allocations, and at ret instructions */
	__u64 n_returns; /* hits of return probes */
	__u64 n_frees;
	__u64 run_ns; /* time that our programs ran: an estimate, by timing one hit in WIRE_HITS_TIMED */
	/* CPU time: how much of the process's own is in the crowd's, or was its own when it began; of the crowd: the sum of its
	 * members', which never falls. */
	__u64 cpu_ns;
};
#define WIRE_GOVERNED_INEXACT                                                                      \
	1 /* not every allocation was recorded: a free without record means nothing */
/* It is of the crowd: processes that are governed together, as where all are traced most of them end before anybody looks at them
 * or are never hit. Their orders are those of the crowd's record, and their hits count there, too. */
#define WIRE_GOVERNED_CROWD 2
#define WIRE_GOVERNED_ENDED 4  /* its process ended, or runs another program */
#define WIRE_GOVERNED_MISSED 8 /* user space's: there were times without probes on frees */
_Static_assert(sizeof(struct wire_governed) == 72, "wire_governed");
/* A process that was not looked at for long does not make the crowd rich at its end. */
#define WIRE_CROWD_CPU_MOST_NS 2000000000ULL
/* A prime: which of malloc, its return and free comes next has short periods. */
#define WIRE_HITS_TIMED 61

/* kernel_heap.bpf.c's: the kernel is one instance of its own. */
#define WIRE_KERNEL_INSTANCE 1
#define WIRE_KERNEL_PIDS 8
#define WIRE_KERNEL_INNER 16
struct wire_kernel_range {
	__u64 start, bytes;
};
struct wire_kernel_heap {
	__u32 n_pids;	 /* only allocations made by these processes; 0: by anybody */
	__u32 all_pages; /* those of processes and of the page cache, too */
	__u32 sheaves;	 /* what kfree_rcu() keeps in sheaves is seen, or there are none */
	__u32 zero;
	__u32 pids[WIRE_KERNEL_PIDS];
	__u64 starts_ns[WIRE_KERNEL_PIDS]; /* when they began, CLOCK_BOOTTIME, in ticks of 10 ms */
	/* Code of allocators that tell of their objects themselves: pages that it asks for are not recorded. Unused ones are of 0
	 * bytes. */
	struct wire_kernel_range inner[WIRE_KERNEL_INNER];
	struct wire_kernel_range interrupt; /* what runs soft interrupts; of 0 bytes: not known */
};
_Static_assert(sizeof(struct wire_kernel_heap) ==
		       16 + 12 * WIRE_KERNEL_PIDS + 16 * WIRE_KERNEL_INNER + 16,
	       "wire_kernel_heap");

/* kernel_caches: a slab cache, by its address, which is the first of its stacks' frames. */
struct wire_kernel_cache {
	char name[32];
	__u32 silent; /* frees of its objects are not told */
	__u32 zero;
};
_Static_assert(sizeof(struct wire_kernel_cache) == 40, "wire_kernel_cache");

enum wire_stack_mode {
	WIRE_STACK_MODE_CFI = 0,
	WIRE_STACK_MODE_FP = 1,	  /* frame pointers only */
	WIRE_STACK_MODE_NONE = 2, /* the caller of the allocator only */
};

/* Which process, as long as it is the same program in the same memory: a number that is never used twice in a session. A
 * new one at fork (with memory of its own) and at exec; a vfork child has its parent's until it execs. */
typedef __u32 wire_instance;

/* procs: process id -> who it is now. */
struct wire_member {
	wire_instance instance;
	wire_instance
		leader; /* since when its first thread is this one: another thread's exec replaces it, and links on its task die */
	__u32 flags;
};
#define WIRE_MEMBER_BORROWED 1 /* the memory is another process's (vfork, CLONE_VM) */
#define WIRE_MEMBER_HELD 2     /* our own launcher before its exec: the exec keeps the instance */

/* live: one outstanding block. */
struct wire_block_key {
	__u64 address;
	wire_instance instance;
	__u32 zero;
};
struct wire_block {
	__u64 size_bytes : 56;
	__u64 family : 8; /* enum wire_family's bits, 0: not known */
	__u64 time_ns;	  /* CLOCK_MONOTONIC */
	__u64 site;	  /* wire_site_key.stack */
	__u64 weight;	  /* how many such blocks it stands for, WIRE_WEIGHT_ONE is one */
};
_Static_assert(sizeof(struct wire_block_key) == 16 && sizeof(struct wire_block) == 32,
	       "wire_block");

/* freed: by whom an address was freed last. */
struct wire_freed {
	__u64 size_bytes; /* 0: the block was not recorded */
	__u64 site;	  /* who had allocated it, 0: not known */
	__u64 stack;	  /* of free_stacks */
	__u64 time_ns;	  /* CLOCK_MONOTONIC */
	__u32 tid;
	__u32 zero;
};
_Static_assert(sizeof(struct wire_freed) == 40, "wire_freed");

/* sites: who allocated. Counters only ever grow, so reading them while they change tears nothing; outstanding is
 * allocated minus freed. Bytes are already weighted. */
struct wire_site_key {
	__u64 stack; /* hash of instance and frames, 0: the stack could not be kept */
	wire_instance instance;
	__u32 kind; /* enum wire_kind */
};
struct wire_site {
	__u64 tag; /* whose it is, and since when idle: evict.bpf.h's */
	__u64 allocated_bytes, allocated_weight;
	__u64 freed_bytes, freed_weight;
	__u64 n_allocated, n_freed;   /* without weights; only when sampling */
	__u32 born[WIRE_BIRTH_SLOTS]; /* outstanding blocks by time of birth, see wire_birth_slot() */
};
_Static_assert(sizeof(struct wire_site_key) == 16 &&
		       sizeof(struct wire_site) == 56 + 4 * WIRE_BIRTH_SLOTS,
	       "wire_site");

/* Context of evict.bpf.c's program: one step over all sites. */
enum wire_evict_step {
	WIRE_EVICT_AGE =
		1, /* sites without outstanding blocks grow older until somebody uses them */
	WIRE_EVICT_LEAVE = 2, /* marks the old ones; a grace period after AGE */
	WIRE_EVICT_SWEEP = 3, /* removes what is marked still; a grace period after LEAVE */
};
#define WIRE_EVICT_AGES 16
struct wire_evict {
	__u32 step;		       /* enum wire_evict_step */
	__u32 n_passes;		       /* AGE: how often it ran, this one included */
	__u32 from_age;		       /* LEAVE: sites of at least this age, 1 or more */
	__u32 most;		       /* LEAVE: that many at most */
	__u32 n_sites;		       /* out: seen by AGE, marked by LEAVE, removed by SWEEP */
	__u32 n_idle[WIRE_EVICT_AGES]; /* out, AGE: sites by age; 0: in use */
};
_Static_assert(sizeof(struct wire_evict) == 20 + 4 * WIRE_EVICT_AGES, "wire_evict");

/* Slots of birth times, relative to the session's start: unit 2^27 ns (134 ms), the first four slots one unit wide, then
 * four slots an octave: a slot is at most a quarter of its own start wide; the last one is open. 64 slots reach 4.9 h;
 * what is born later shares the last one. */
#define WIRE_BIRTH_SHIFT 27

/* stacks: return addresses, leaf first, stored once. */
struct wire_stack {
	__u16 n_frames;
	__u16 truncated; /* enum wire_truncated */
	__u32 version;	 /* wire_space's: which code its addresses are of */
	__u64 frames[WIRE_MAX_FRAMES +
		     1]; /* one spare: a mask of 127 bounds the index for the verifier */
};
enum wire_truncated {
	WIRE_STACK_COMPLETE =
		0, /* reached the outermost frame; by frame pointers: where those end */
	WIRE_STACK_TOO_DEEP = 1, /* longer than max_frames: the leaf part is kept */
	WIRE_STACK_FAULT = 2,	 /* a frame's memory could not be read */
	WIRE_STACK_NO_TABLE = 3, /* code that no CFI describes, and frame pointers do not lead on */
	WIRE_STACK_UNSUPPORTED = 4, /* a rule of the CFI that wire_rule cannot express */
	WIRE_STACK_UNMAPPED = 5,    /* code in a mapping that user space has not published yet */
	WIRE_STACK_REASONS = 8,	    /* room in wire_process */
};

enum wire_error_type {
	WIRE_ERROR_DOUBLE = 1,	 /* freed before, and not allocated since */
	WIRE_ERROR_INTERIOR = 2, /* within a block, not its start */
	WIRE_ERROR_INVALID = 3,	 /* no allocator has returned it, or it was freed long ago */
	WIRE_ERROR_MISMATCH = 4, /* by another family's function than allocated it */
};

/* error_ring: a free, or the free in a realloc, that is an error. */
struct wire_error {
	__u32 type; /* enum wire_error_type */
	wire_instance instance;
	__u32 pid, tid;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 address;
	__u64 block_address;	 /* where the block begins: of INTERIOR another address */
	__u64 stack_id;		 /* of `stack` */
	__u32 family, zero;	 /* MISMATCH: of the function that frees */
	struct wire_block block; /* DOUBLE: size and site as before; INVALID: zero */
	struct wire_freed freed; /* DOUBLE: the free before */
	struct wire_stack stack; /* who frees */
};
_Static_assert(sizeof(struct wire_error) == 56 + 32 + 40 + 1032, "wire_error");

/* Unwinding by CFI. A file's table is rows (from this pc on, this rule), sorted by pc, in whole pages; what a row cannot say
 * is a rule of its own. user/unwind makes tables, user/attach places them, unwind.bpf.h walks. */
enum wire_cfa_rule {
	WIRE_CFA_NONE = 0,	  /* no CFI for this code: a gap */
	WIRE_CFA_UNSUPPORTED = 1, /* CFI that the kinds below cannot express */
	WIRE_CFA_SP = 2,	  /* sp + cfa_off */
	WIRE_CFA_FP = 3,	  /* fp + cfa_off */
	WIRE_CFA_SP_DEREF = 4,	  /* *(sp + cfa_off) + cfa_off2 */
	WIRE_CFA_FP_DEREF = 5,	  /* *(fp + cfa_off) + cfa_off2 */
	WIRE_CFA_PLT = 6,	  /* sp + cfa_off + ((pc & 15) >= cfa_off2 ? 8 : 0) */
	WIRE_CFA_SIGNAL =
		7, /* sp is at the ucontext of an rt_sigframe: all registers come from there */
	WIRE_CFA_STOP = 8,  /* undefined return address: the outermost frame */
	WIRE_CFA_GUESS = 9, /* code without CFI: frame pointers, with guards */
};
enum wire_fp_rule {
	WIRE_FP_SAME = 0,
	WIRE_FP_AT_CFA = 1, /* *(cfa + fp_off) */
	WIRE_FP_AT_FP = 2,  /* *(fp + fp_off) */
	WIRE_FP_UNDEFINED =
		3, /* not restored, or in a way that cannot be expressed: unusable from here on */
};

/* The return address is always at cfa - 8 (x86-64 ABI); CFI that says otherwise is WIRE_CFA_UNSUPPORTED. */
struct wire_rule {
	__u8 cfa; /* enum wire_cfa_rule */
	__u8 fp;  /* enum wire_fp_rule */
	__u16 zero;
	__s32 cfa_off, cfa_off2, fp_off;
};
struct wire_row {
	__u32 pc;   /* from the table's base */
	__u32 rule; /* in a file's table: index of its rules; in the kernel: of wire_unwind.rules */
};
#define WIRE_PAGE_ROWS 512
struct wire_row_page {
	struct wire_row rows[WIRE_PAGE_ROWS]; /* the last page's rest repeats the last row */
};
_Static_assert(sizeof(struct wire_rule) == 16 && sizeof(struct wire_row_page) == 4096, "unwind");

/* Reserved rules of wire_unwind.rules: user space writes them, and no row refers to WIRE_RULE_EMPTY. */
#define WIRE_RULE_EMPTY 0 /* of an unused cache entry */
#define WIRE_RULE_NONE 1  /* {WIRE_CFA_NONE} */
#define WIRE_RULE_GUESS 2 /* {WIRE_CFA_GUESS} */
#define WIRE_RULE_FIRST 3

/* One executable mapping of a process. */
enum wire_mapping_kind {
	WIRE_MAPPING_CFI = 1, /* pages of rows */
	WIRE_MAPPING_GUESS =
		2, /* no table: generated code, a file without CFI or beyond --unwind-memory */
};
struct wire_mapping {
	__u64 start, end; /* [start, end) */
	__u64 bias;	  /* pc - bias: what rows count in */
	__u32 kind;	  /* enum wire_mapping_kind */
	__u32 segment;	  /* of row_segments */
	__u32 first_page, n_pages;
	__u32 n_searches; /* rises with each search in it: how much it is used */
	__u32 zero;
};
_Static_assert(sizeof(struct wire_mapping) == 48, "wire_mapping");

/* The mappings of one instance, as the run that is published: items [first + 1, first + n] of wire_unwind.mappings, sorted, without overlap; item `first` is the
 * run's header: its start is the generation it belongs to. User space writes a run like this: header 0, items, header; then
 * first, n and last of all generation in the space. A forked child has its parent's run until user space knows it. A reader trusts what it
 * found only if the header is, afterwards, still its generation.
 *
 * A run must not be published when it is no longer true. So user space announces it first (pending), then reads the mappings
 * again, and publishes it if they are still the same and `changes` stands still. The kernel side raises that whenever it sees room
 * found for a new mapping where a published or a pending run has code: what was there was unmapped. */
struct wire_space {
	wire_instance instance; /* 0: a free slot */
	__u32 asked;		/* WIRE_EVENT_UNMAPPED was sent since the last publication */
	/* Together one word: user space publishes by comparing and swapping both, so that no generation stands that was read
	 * from /proc before a change. */
	__u32 generation __attribute__((aligned(
		8))); /* which content: unique in the session; 0: not published, or no longer true */
	__u32 changes; /* rises whenever something is about to be mapped where there was code */
	__u32 first, n;
	__u32 pending_first, pending_n;
	__u32 version; /* rises whenever published code was unmapped and others may get its addresses */
	__u32 zero;
};
_Static_assert(sizeof(struct wire_space) == 40, "wire_space");

#define WIRE_SPACES 32768 /* slots; an instance's is one of WIRE_SPACE_PROBES from its home on */
#define WIRE_SPACE_PROBES 4
/* Far from that of its neighbours: processes that live long, and began together, must not take all slots of a later one. */
#define WIRE_SPACE_HOME(instance) ((__u32)(instance)*0x9e3779b1U >> 17)
#define WIRE_MAPPINGS 65536
#define WIRE_RULES 65536
#define WIRE_CACHE 65536
#define WIRE_SEGMENTS 64

/* Shared memory: user space has it mapped. 6 MiB. */
struct wire_unwind {
	__u64 cache[WIRE_CACHE]; /* unwind.bpf.h's; user space zeroes it when generations pass a multiple of 65,536 */
	struct wire_rule rules[WIRE_RULES];
	struct wire_space spaces[WIRE_SPACES];
	struct wire_mapping mappings[WIRE_MAPPINGS];
};

/* Context of lifecycle.bpf.c's program `release`. */
struct wire_release {
	__u32 pid;
	wire_instance instance; /* out: which it was, 0: it was not traced */
};

/* What can be lost. Append only; names in user/collect/collector.c, texts in user/model/losses.c. */
enum wire_loss {
	WIRE_LOST_LIVE_FULL = 0,    /* live map full: the block is not recorded */
	WIRE_LOST_LIVE_MEMORY = 1,  /* no kernel memory for an entry of the live map */
	WIRE_LOST_SITES_FULL = 2,   /* counted under the process's site of unknown stack */
	WIRE_LOST_STACKS_FULL = 3,  /* the same */
	WIRE_LOST_THREAD_STATE = 4, /* no memory for a thread's state: the call was not seen */
	WIRE_LOST_NESTING =
		5, /* more calls interrupted by signals at once than there is room for */
	WIRE_LOST_ABANDONED =
		6, /* left by longjmp or an exception: whether it allocated is not known */
	WIRE_LOST_MISSED_FREE =
		7, /* an address came back while still recorded: counted as freed then */
	WIRE_LOST_RESULT_READ = 8,    /* posix_memalign's pointer could not be read */
	WIRE_LOST_SITE_GONE = 9,      /* a free whose site was not found */
	WIRE_LOST_TRACE_RING = 10,    /* -t and --mmap events */
	WIRE_LOST_PROCESS_RING = 11,  /* fork, exec and exit events */
	WIRE_LOST_PROCESSES = 12,     /* process tables full: a child is not traced */
	WIRE_LOST_SIGNAL_STACK = 13,  /* a call in a handler on a stack above the interrupted one */
	WIRE_LOST_STRANGER_RING = 14, /* events of processes that are not traced */
	WIRE_LOST_BUSY =
		15, /* --kernel: a table or the scratch of this CPU was in use by what was interrupted */
	WIRE_LOST_ERROR_RING = 16, /* errors at free */
	WIRE_LOST_MAX = 17,
};

/* instances: one traced process; stays until user space has made its last report. */
struct wire_process {
	__u32 pid;
	__u32 parent_instance; /* 0: none */
	__u64 start_boottime_ns;
	__u64 began_ns;	   /* CLOCK_MONOTONIC: traced since */
	__u64 ended_ns;	   /* 0: alive */
	__u32 ended;	   /* enum wire_ended */
	__s32 exit_code;   /* wait(2) status */
	__u32 forked;	   /* began by fork: its frees of unknown blocks are of inherited ones */
	__u32 n_borrowers; /* children that worked in its memory so far (vfork, CLONE_VM) */
	__u32 n_members;   /* processes that are this instance now: the last one ends it */
	__u32 oom_killed;  /* the kernel chose it to die for want of memory */
	__u32 whole;	   /* traced since its exec */
	__u32 n_searched;  /* how often a block was looked for around an address that was freed */
	__u64 limit_hits; /* how often its cgroups were at their limits; limit.bpf.c's pass fills it */
	__u64 limit_hit_ns; /* the last time, 0: not known; the same */
	__u64 inherited_frees;
	__u64 unknown_frees;
	__u64 lost[WIRE_LOST_MAX];
	__u64 truncated[WIRE_STACK_REASONS]; /* allocations whose stack ended early, by reason */
};
_Static_assert(sizeof(struct wire_process) == 96 + 8 * WIRE_LOST_MAX + 8 * WIRE_STACK_REASONS,
	       "wire_process");

enum wire_ended {
	WIRE_ALIVE = 0,
	WIRE_ENDED_EXIT = 1,
	WIRE_ENDED_EXEC = 2,
	WIRE_ENDED_RELEASED = 3, /* it lives on, untraced */
};

enum wire_event_type {
	WIRE_EVENT_FORK = 1, /* instance: the child's */
	WIRE_EVENT_EXEC =
		2, /* instance: the new one, other: the ended one (or the same, or none); name in address and size_bytes */
	WIRE_EVENT_EXIT = 3,
	WIRE_EVENT_UNMAPPED =
		4, /* address: code that no published mapping holds, or a mapping that is no longer true */
	WIRE_EVENT_OOM = 5, /* the kernel chose it to die for want of memory */
	WIRE_EVENT_LIMIT =
		7, /* address: a cgroup with traced processes, at its memory limit; instance: of who is stopped by it, or 0 */
	WIRE_EVENT_STRANGER = 6, /* flags: what changed in a process that is not traced */
	WIRE_EVENT_BEREFT = 8, /* tid: the thread that its probes hang on ended, and others go on */
	WIRE_EVENT_ALLOC = 16,
	WIRE_EVENT_FREE = 17,
	/* --mmap; user/collect/ranges.h says what they mean. */
	WIRE_EVENT_MMAP = 32, /* address, size, site: a new range */
	WIRE_EVENT_BRK = 33,  /* the same, by brk */
	WIRE_EVENT_TAKE = 34, /* address, size: a call begins that may unmap or move this */
	WIRE_EVENT_DONE =
		35, /* the call ended; address, size: where what it took is now, size 0: gone */
	WIRE_EVENT_FAULT =
		36, /* address, size, site: memory that was touched first; flags: its weight, a whole number */
};

struct wire_event {
	__u32 type; /* enum wire_event_type */
	__u32 pid;
	__u32 tid;
	wire_instance instance;
	wire_instance other;
	__u32 flags;
	__u64 time_ns;
	__u64 address;
	__u64 size_bytes;
	__u64 site;
};
#define WIRE_NAME_SIZE 16 /* of a name in an event, NUL included */
_Static_assert(sizeof(struct wire_event) == 56, "wire_event");
#define WIRE_EVENT_SHARES_MEMORY 1 /* FORK: vfork or CLONE_VM */
#define WIRE_EVENT_FAILED 2	   /* DONE: what was taken is where it was */
#define WIRE_EVENT_PAGES 4	   /* TAKE, DONE: of the pages only, the range stays */
#define WIRE_EVENT_EXECED 8	   /* STRANGER: it runs another program; comes with RENAMED */
#define WIRE_EVENT_RENAMED 16	   /* STRANGER: its new name is in address and size_bytes */

/* watch.bpf.c's records, as a pass of its iterator writes them: tasks in order of their ids, threads included. */
enum wire_watch_kind {
	WIRE_WATCH_TASK = 1,	/* struct wire_watch_task */
	WIRE_WATCH_PROCESS = 2, /* struct wire_watch_process */
	WIRE_WATCH_CGROUP =
		3, /* struct wire_watch_cgroup; before the first process that is in it */
};

/* The kernel's MM_FILEPAGES and so on, which are not in its BTF. */
enum wire_watch_counter {
	WIRE_WATCH_FILE = 0,
	WIRE_WATCH_ANON = 1,
	WIRE_WATCH_SWAP = 2,
	WIRE_WATCH_SHMEM = 3,
	WIRE_WATCH_COUNTERS = 4,
};

/* What one thread adds to its process. */
struct wire_watch_task {
	__u32 kind;
	__u32 pid; /* of its process */
	__u64 cpu_ns;
	__s32 pages[WIRE_WATCH_COUNTERS]; /* not yet in the process's; before 6.2, else 0 */
};
_Static_assert(sizeof(struct wire_watch_task) == 32, "wire_watch_task");

/* A process, with the thread at which its memory was read: its first, or each other one when the first has ended; then the records
 * differ in the thread only. */
struct wire_watch_process {
	struct wire_watch_task task;
	__s64 pages[WIRE_WATCH_COUNTERS];
	__u64 page_table_bytes;
	__u64 ended_cpu_ns; /* of its threads that have ended */
	__u64 start_boottime_ns;
	__u64 program; /* changes at exec */
	char comm[16];
	__u32 uid;
	__u32 parent_pid;
	__u32 cgroup; /* index, WIRE_WATCH_NO_CGROUP: none */
	__u32 pad;
};
_Static_assert(sizeof(struct wire_watch_process) == 128, "wire_watch_process");
#define WIRE_WATCH_NO_CGROUP 0xffffffffU

struct wire_watch_cgroup {
	__u32 kind;
	__u32 index; /* 0, 1, 2... in each pass */
	__u64 id;
	__u64 pages;
	__u64 limit_pages; /* huge: none */
	__u64 limit_used_pages;
};
_Static_assert(sizeof(struct wire_watch_cgroup) == 40, "wire_watch_cgroup");

/* threads.bpf.c's record of one thread. */
#define WIRE_REGISTERS 16
#define WIRE_STACK_POINTER 7
struct wire_thread {
	__u32 tid;
	__u32 running;			 /* or about to */
	__u64 registers[WIRE_REGISTERS]; /* rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 to r15 */
};
_Static_assert(sizeof(struct wire_thread) == 136, "wire_thread");

#endif

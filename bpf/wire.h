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
 * a shared libc, where all others go through the PLT; bits 24-31: bytes from its entry to the probe. */
#define WIRE_COOKIE(function, cfa_offset, exits)                                                   \
	((__u64)(function) | (__u64)(cfa_offset) << 8 | (__u64)((exits) ? 1 : 0) << 16)
#define WIRE_COOKIE_LEAF_BIT (1ULL << 17)
#define WIRE_COOKIE_PLT_BIT (1ULL << 18)
#define WIRE_COOKIE_SITE_BITS(site) ((__u64)((site)&0xff) << 24)
#define WIRE_COOKIE_PLT(cookie) (((cookie) >> 18) & 1)
#define WIRE_COOKIE_SITE(cookie) (((cookie) >> 24) & 0xff)
#define WIRE_COOKIE_LEAF(cookie) (((cookie) >> 17) & 1)
#define WIRE_COOKIE_FUNCTION(cookie) ((cookie)&0xff)
#define WIRE_COOKIE_CFA(cookie) (((cookie) >> 8) & 0xff)
#define WIRE_COOKIE_EXITS(cookie) (((cookie) >> 16) & 1)

enum wire_kind {
	WIRE_KIND_MALLOC = 1,
	WIRE_KIND_MMAP = 2,
	WIRE_KIND_BRK = 3,
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
};
_Static_assert(sizeof(struct wire_settings) == 48, "wire_settings");

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
	__u64 size_bytes;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 site;    /* wire_site_key.stack */
	__u64 weight;  /* how many such blocks it stands for, WIRE_WEIGHT_ONE is one */
};
_Static_assert(sizeof(struct wire_block_key) == 16 && sizeof(struct wire_block) == 32,
	       "wire_block");

/* sites: who allocated. Counters only ever grow, so reading them while they change tears nothing; outstanding is
 * allocated minus freed. Bytes are already weighted. */
struct wire_site_key {
	__u64 stack; /* hash of instance and frames, 0: the stack could not be kept */
	wire_instance instance;
	__u32 kind; /* enum wire_kind */
};
struct wire_site {
	__u64 allocated_bytes, allocated_weight;
	__u64 freed_bytes, freed_weight;
	__u64 n_allocated, n_freed;   /* without weights; only when sampling */
	__u32 born[WIRE_BIRTH_SLOTS]; /* outstanding blocks by time of birth, see wire_birth_slot() */
};
_Static_assert(sizeof(struct wire_site_key) == 16 &&
		       sizeof(struct wire_site) == 48 + 4 * WIRE_BIRTH_SLOTS,
	       "wire_site");

/* Slots of birth times, relative to the session's start: unit 2^27 ns (134 ms), the first four slots one unit wide, then
 * four slots an octave: a slot is at most a quarter of its own start wide; the last one is open. 64 slots reach 4.9 h;
 * what is born later shares the last one. */
#define WIRE_BIRTH_SHIFT 27

/* stacks: return addresses, leaf first, stored once. */
struct wire_stack {
	__u32 n_frames;
	__u32 truncated; /* enum wire_truncated */
	__u64 frames[WIRE_MAX_FRAMES +
		     1]; /* one spare: a mask of 127 bounds the index for the verifier */
};
enum wire_truncated {
	WIRE_STACK_COMPLETE = 0, /* ended where frame pointers end */
	WIRE_STACK_TOO_DEEP = 1, /* longer than max_frames */
	WIRE_STACK_FAULT = 2,	 /* a frame's memory could not be read */
};

/* What can be lost. Append only; names in user/collect/losses.c. */
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
	WIRE_LOST_RESULT_READ = 8,   /* posix_memalign's pointer could not be read */
	WIRE_LOST_SITE_GONE = 9,     /* a free whose site was not found */
	WIRE_LOST_TRACE_RING = 10,   /* -t and --mmap events */
	WIRE_LOST_PROCESS_RING = 11, /* fork, exec and exit events */
	WIRE_LOST_PROCESSES = 12,    /* process tables full: a child is not traced */
	WIRE_LOST_SIGNAL_STACK = 13, /* a call in a handler on a stack above the interrupted one */
	WIRE_LOST_MAX = 14,
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
	__u32 pad;
	__u64 inherited_frees;
	__u64 unknown_frees;
	__u64 lost[WIRE_LOST_MAX];
};
_Static_assert(sizeof(struct wire_process) == 72 + 8 * WIRE_LOST_MAX, "wire_process");

enum wire_ended {
	WIRE_ALIVE = 0,
	WIRE_ENDED_EXIT = 1,
	WIRE_ENDED_EXEC = 2,
};

enum wire_event_type {
	WIRE_EVENT_FORK = 1, /* instance: the child's */
	WIRE_EVENT_EXEC = 2, /* instance: the new one, other: the ended one (or the same) */
	WIRE_EVENT_EXIT = 3,
	WIRE_EVENT_ALLOC = 16,
	WIRE_EVENT_FREE = 17,
	/* --mmap; user/collect/ranges.h says what they mean. */
	WIRE_EVENT_MMAP = 32, /* address, size, site: a new range */
	WIRE_EVENT_BRK = 33,  /* the same, by brk */
	WIRE_EVENT_TAKE = 34, /* address, size: a call begins that may unmap or move this */
	WIRE_EVENT_DONE =
		35, /* the call ended; address, size: where what it took is now, size 0: gone */
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
_Static_assert(sizeof(struct wire_event) == 56, "wire_event");
#define WIRE_EVENT_SHARES_MEMORY 1 /* FORK: vfork or CLONE_VM */
#define WIRE_EVENT_FAILED 2	   /* DONE: what was taken is where it was */

#endif

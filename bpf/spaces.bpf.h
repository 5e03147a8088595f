/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_SPACES_BPF_H
#define SEEP_BPF_SPACES_BPF_H
/* What a walk works on: its own state, and the mappings that user space has published for the process. Includes nothing, like
 * unwind.bpf.h: the host's tests compile both. */

#define WALK_WORDS 128

/* The state of a walk. Kept with the thread, not on the BPF stack: its 512 bytes are shared by all functions of a call chain. */
struct walk {
	u64 pc, sp, fp; /* of the frame reached so far */
	u64 slot;	/* where pc was read from, 0: it came from a register */
	u64 hash;
	u64 base; /* address of words[0] */
	u64 words[WALK_WORDS];
	u32 n_words;			   /* that were read */
	u32 generation, first, n_mappings; /* the space's, as of the start */
	u8 exact;   /* pc is the next instruction to run, not a return address */
	u8 guessed; /* pc was found by frame pointers in code without a table */
	/* The search's. */
	u32 kind, segment, first_page, n_pages;
	u64 bias;
};

extern struct wire_unwind unwind_shared; /* unwind.bpf.c */

/* The published mappings of an instance, NULL: none. */
static __always_inline struct wire_space *space_of(wire_instance instance)
{
	struct wire_space *space;
	u32 i;

	for (i = 0; i < WIRE_SPACE_PROBES; i++) {
		space = &unwind_shared.spaces[(WIRE_SPACE_HOME(instance) + i) & (WIRE_SPACES - 1)];
		if (space->instance == instance)
			return space;
	}
	return NULL;
}

/* A forked child, which does not run yet, begins with its parent's mappings: the same run and generation, so what the cache
 * knows of it holds, too. Without a free slot its stacks end at once, and say so. */
static __always_inline void space_inherit(wire_instance parent, wire_instance child)
{
	struct wire_space *from = space_of(parent), *to;
	u32 i;

	if (!from || !from->generation)
		return;
	for (i = 0; i < WIRE_SPACE_PROBES; i++) {
		to = &unwind_shared.spaces[(WIRE_SPACE_HOME(child) + i) & (WIRE_SPACES - 1)];
		if (__sync_val_compare_and_swap(&to->instance, 0, child))
			continue;
		to->first = from->first;
		to->n = from->n;
		to->asked = 0;
		to->pending_n = 0;
		to->version = from->version;
		to->generation = from->generation;
		return;
	}
}

#endif

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_UNWIND_BPF_H
#define SEEP_BPF_UNWIND_BPF_H
/* The stack of the caller, without frame pointers.
 *
 * A frame is known by three registers: pc, sp and fp. The file's CFI, as rows of rules (wire.h), says for each pc how to find the
 * CFA, which is sp in the caller; below it lies the return address, which is pc in the caller, and often the caller's fp:
 *
 *	  higher   | caller's frame       |
 *	           +----------------------+ <- CFA = sp + off, or fp + off, or the word at one of these + off
 *	           | return address       |    CFA - 8: pc in the caller
 *	           | saved fp             |    CFA + fp_off (mostly CFA - 16)
 *	  lower    | locals, saved regs   | <- sp
 *
 * Per frame: pc -> rule by a direct-mapped cache, else by two binary searches (the process's mappings, then the file's rows);
 * the stack's words come out of a copy of 1 KiB at a time. Code without a table (generated, or no CFI) is walked by frame
 * pointers with guards: what it leads to counts only if it is known code. A return address is looked up one byte
 * before: it may be the first byte of another function, when the call never returns.
 *
 * Includes nothing: unwind.bpf.c supplies the kernel's helpers, tests/unit/test_unwind_walk.c the host's, and both compile the same
 * walk. They supply: bpf_loop, bpf_probe_read_user, row_page(), trampoline_address(), original_return(),
 * `settings`, and the memory of spaces.bpf.h's `unwind_shared`.
 *
 * Method: the tables of parca-agent and of the OpenTelemetry profiler are alike; the cache, the bulk reads and the shared
 * pages are ours. */

#define MAPPING_STEPS 17    /* 2^16 mappings */
#define PAGE_STEPS 20	    /* 2^19 pages of 512 rows */
#define GUESS_MAX (1 << 20) /* a frame by frame pointers is at most this big */
#define CACHE_TAG_BITS 48
/* struct ucontext of x86-64 from its start: uc_mcontext.gregs at 40 (uapi/asm/ucontext.h, sigcontext.h). */
#define UCONTEXT_FP 120
#define UCONTEXT_SP 160
#define UCONTEXT_PC 168
/* mov $__NR_rt_sigreturn, %rax; syscall: all that a signal handler returns to, whether or not CFI says so. */
#define SIGRETURN_LOW 0x0f0000000fc0c748ULL
#define SIGRETURN_HIGH 0x05

static __always_inline u64 mix(u64 hash, u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

/* stack_word() where the copy does not reach: takes another one. */
static __noinline int stack_read(struct walk *walk, u64 address, u64 *ret)
{
	/* Registers are saved below the CFA, a few words at most below the first that is asked for. */
	walk->base = address - 48;
	walk->n_words = WALK_WORDS;
	if (!bpf_probe_read_user(walk->words, sizeof(walk->words), (void *)walk->base)) {
		*ret = walk->words[6];
		return 0;
	}
	walk->n_words = 0; /* near the stack's end */
	return bpf_probe_read_user(ret, sizeof(*ret), (void *)address) ? -1 : 0;
}

/* The word at an address of the process's stack. Returns 0, or -1 when it cannot be read. Inline: a call costs as much as the rest,
 * where returns are guarded against speculation. */
static __always_inline int stack_word(struct walk *walk, u64 address, u64 *ret)
{
	u64 offset = address - walk->base;

	if (offset & 7 || offset >= 8 * (u64)walk->n_words)
		return stack_read(walk, address, ret);
	*ret = walk->words[offset >> 3 & (WALK_WORDS - 1)];
	return 0;
}

static __always_inline struct wire_mapping *mapping_at(u32 i)
{
	return &unwind_shared.mappings[i & (WIRE_MAPPINGS - 1)];
}

/* Whether what was read of the run is the content of the walk's generation. */
static __always_inline bool run_is_ours(const struct walk *walk)
{
	barrier();
	return walk->generation && mapping_at(walk->first)->start == walk->generation;
}

/* Copies the mapping that holds pc into the walk. Returns whether there is one. */
static __noinline bool find_mapping(struct walk *walk, u64 pc)
{
	u32 low = walk->first + 1, n = walk->n_mappings, half, i;
	struct wire_mapping *m;

	/* The last mapping that starts at or below pc lies in [low, low + n). */
	for (i = 0; i < MAPPING_STEPS && n > 1; i++) {
		half = n / 2;
		if (mapping_at(low + half)->start <= pc)
			low += half;
		n -= half;
	}
	m = mapping_at(low);
	if (!n || pc < m->start || pc >= m->end)
		return false;
	walk->kind = m->kind;
	walk->bias = m->bias;
	walk->segment = m->segment;
	walk->first_page = m->first_page;
	walk->n_pages = m->n_pages;
	m->n_searches++; /* a hint: races may lose some */
	return run_is_ours(walk);
}

/* The rule of the last row at or below pc, which counts from the table's base. */
static __noinline u32 find_row(struct walk *walk, u64 pc)
{
	u32 low = walk->first_page, n = walk->n_pages, half, i;
	struct wire_row_page *page;

	if (pc >> 32)
		return WIRE_RULE_NONE;
	for (i = 0; i < PAGE_STEPS && n > 1; i++) {
		half = n / 2;
		page = row_page(walk->segment, low + half);
		if (!page)
			return WIRE_RULE_NONE;
		if (page->rows[0].pc <= pc)
			low += half;
		n -= half;
	}
	page = row_page(walk->segment, low);
	if (!page || page->rows[0].pc > pc)
		return WIRE_RULE_NONE;
	low = 0;
	for (half = WIRE_PAGE_ROWS / 2; half; half /= 2) {
		if (page->rows[(low + half) & (WIRE_PAGE_ROWS - 1)].pc <= pc)
			low += half;
	}
	return page->rows[low & (WIRE_PAGE_ROWS - 1)].rule;
}

/* The rule for pc by the searches, WIRE_RULE_EMPTY when no published mapping holds it. */
static __always_inline u32 search_rule(struct walk *walk, u64 pc)
{
	if (!find_mapping(walk, pc))
		return WIRE_RULE_EMPTY;
	if (walk->kind != WIRE_MAPPING_CFI)
		return WIRE_RULE_GUESS;
	return find_row(walk, pc - walk->bias);
}

/* The same through the cache. Its tag is exact: pc has 47 bits, and generations that differ by a multiple of 2^17 never meet in it; user
 * space sees to that. The multiplication by an odd number loses nothing. */
static __always_inline u32 rule_of(struct walk *walk, u64 pc)
{
	u64 tag = (pc ^ (u64)walk->generation << 47) * 0x9e3779b97f4a7c15ULL;
	u64 *entry = &unwind_shared.cache[tag >> CACHE_TAG_BITS & (WIRE_CACHE - 1)];
	u64 cached = *(volatile u64 *)entry;
	u32 rule;

	tag <<= 64 - CACHE_TAG_BITS;
	rule = cached & (WIRE_RULES - 1);
	if ((cached ^ rule) == tag && rule)
		return rule;
	rule = search_rule(walk, pc) & (WIRE_RULES - 1);
	if (rule)
		*(volatile u64 *)entry = tag | rule;
	return rule;
}

/* The trampoline is the first thing in a page of its own. */
static __always_inline bool is_trampoline(u64 pc)
{
	return !(pc & 4095) && pc == trampoline_address();
}

static __always_inline bool is_indirect_call(const u8 *code)
{
	return code[0] == 0xff && (code[1] >> 3 & 7) == 2;
}

/* Whether a call instruction of x86-64 ends at pc: E8 with 4 bytes, or FF /2 with a memory operand of any length. */
static __noinline bool follows_call(u64 pc)
{
	u8 code[8] = {};

	if (bpf_probe_read_user(code, sizeof(code), (void *)(pc - 8)))
		return false;
	return code[3] == 0xe8 || is_indirect_call(code + 6) || is_indirect_call(code + 5) ||
	       is_indirect_call(code + 4) || is_indirect_call(code + 2) ||
	       is_indirect_call(code + 1);
}

/* One frame up by frame pointers. chained: a frame pointer led here. Returns a reason to stop, or -1. */
static __always_inline int step_guess(struct walk *walk, bool chained)
{
	u64 fp = walk->fp, next_fp, pc;

	/* The ABI's mark of the outermost frame, where the register is known to be a frame pointer. */
	if (!fp)
		return chained ? WIRE_STACK_COMPLETE : WIRE_STACK_NO_TABLE;
	if (fp & 7 || fp < walk->sp || fp - walk->sp > GUESS_MAX)
		return WIRE_STACK_NO_TABLE;
	if (stack_word(walk, fp, &next_fp) || stack_word(walk, fp + 8, &pc))
		return WIRE_STACK_NO_TABLE;
	if (pc && !is_trampoline(pc) && !follows_call(pc))
		return WIRE_STACK_NO_TABLE;
	walk->slot = fp + 8;
	walk->pc = pc;
	walk->sp = fp + 16;
	walk->fp = next_fp;
	walk->guessed = true;
	return -1;
}

/* From the trampoline that a handler returns to, to what the signal interrupted. */
static __always_inline int step_signal(struct walk *walk)
{
	u64 sp = walk->sp, pc, fp, next_sp;

	if (stack_word(walk, sp + UCONTEXT_FP, &fp) ||
	    stack_word(walk, sp + UCONTEXT_SP, &next_sp) || stack_word(walk, sp + UCONTEXT_PC, &pc))
		return WIRE_STACK_FAULT;
	walk->slot = 0;
	walk->pc = pc;
	walk->sp = next_sp;
	walk->fp = fp;
	walk->exact = true;
	return -1;
}

/* Code of a file with CFI that has none itself. */
static __noinline int step_gap(struct walk *walk, bool chained)
{
	u64 code = 0;
	u8 last = 0;

	if (!bpf_probe_read_user(&code, sizeof(code), (void *)walk->pc) &&
	    !bpf_probe_read_user(&last, sizeof(last), (void *)(walk->pc + 8)) &&
	    code == SIGRETURN_LOW && last == SIGRETURN_HIGH)
		return step_signal(walk);
	/* No call returns to a function's first byte: makecontext put it there, below a coroutine. */
	if (!walk->exact && rule_of(walk, walk->pc) >= WIRE_RULE_FIRST)
		return WIRE_STACK_COMPLETE;
	/* V8's builtins are such code, and keep frame pointers. */
	return step_guess(walk, chained);
}

/* Returns 0, or -1 when the word that the CFA comes from cannot be read. */
static __always_inline int cfa_of(struct walk *walk, const struct wire_rule *rule, u64 *ret)
{
	u64 at = walk->fp;

	if (rule->cfa == WIRE_CFA_SP || rule->cfa == WIRE_CFA_SP_DEREF || rule->cfa == WIRE_CFA_PLT)
		at = walk->sp;
	at += (s64)rule->cfa_off;
	if (rule->cfa == WIRE_CFA_PLT && (walk->pc & 15) >= (u32)rule->cfa_off2)
		at += 8;
	if (rule->cfa == WIRE_CFA_SP_DEREF || rule->cfa == WIRE_CFA_FP_DEREF) {
		if (stack_word(walk, at, &at))
			return -1;
		at += (s64)rule->cfa_off2;
	}
	*ret = at;
	return 0;
}

/* One frame up by a rule that gives a CFA. */
static __always_inline int step_cfi(struct walk *walk, const struct wire_rule *rule)
{
	u64 cfa, pc, fp = walk->fp;

	if (cfa_of(walk, rule, &cfa))
		return WIRE_STACK_FAULT;
	if (rule->fp == WIRE_FP_AT_CFA && stack_word(walk, cfa + (s64)rule->fp_off, &fp))
		return WIRE_STACK_FAULT;
	if (rule->fp == WIRE_FP_AT_FP && stack_word(walk, walk->fp + (s64)rule->fp_off, &fp))
		return WIRE_STACK_FAULT;
	/* What is found by it from here on cannot be read: no memory is at 0. */
	if (rule->fp == WIRE_FP_UNDEFINED)
		fp = 0;
	if (stack_word(walk, cfa - 8, &pc))
		return WIRE_STACK_FAULT;
	walk->slot = cfa - 8;
	walk->pc = pc;
	walk->sp = cfa;
	walk->fp = fp;
	return -1;
}

static __always_inline int step_up(struct walk *walk, const struct wire_rule *rule)
{
	bool chained = walk->guessed;

	walk->exact = false;
	walk->guessed = false;
	switch (rule->cfa) {
	case WIRE_CFA_SP:
	case WIRE_CFA_FP:
	case WIRE_CFA_SP_DEREF:
	case WIRE_CFA_FP_DEREF:
	case WIRE_CFA_PLT:
		return step_cfi(walk, rule);
	case WIRE_CFA_SIGNAL:
		return step_signal(walk);
	case WIRE_CFA_GUESS:
		return step_guess(walk, chained);
	case WIRE_CFA_NONE:
		return step_gap(walk, chained);
	case WIRE_CFA_STOP:
		return WIRE_STACK_COMPLETE;
	}
	return WIRE_STACK_UNSUPPORTED;
}

/* pc is in no published mapping: a return probe's trampoline stands for what it replaced; what a guess led to is dropped; all
 * else is news to user space. Returns a reason to stop, or -1: look again. */
static __noinline int step_unknown(struct walk *walk)
{
	u64 pc;

	if (walk->slot && is_trampoline(walk->pc)) {
		pc = original_return(walk->slot, walk->pc);
		if (pc == walk->pc)
			return WIRE_STACK_FAULT;
		walk->pc = pc;
		return -1;
	}
	return walk->guessed ? WIRE_STACK_NO_TABLE : WIRE_STACK_UNMAPPED;
}

/* Stores the frame that walk is at, then goes one up. */
static __always_inline int cfi_step(struct wire_stack *stack, struct walk *walk)
{
	u32 n = stack->n_frames, rule;
	int reason = WIRE_STACK_UNMAPPED;

	if (!walk->pc)
		return WIRE_STACK_COMPLETE;
	if (n >= settings.max_frames || n >= WIRE_MAX_FRAMES)
		return WIRE_STACK_TOO_DEEP;
	rule = rule_of(walk, walk->pc - !walk->exact);
	if (!rule) {
		reason = step_unknown(walk);
		if (reason < 0) {
			rule = rule_of(walk, walk->pc - !walk->exact);
			reason = WIRE_STACK_UNMAPPED;
		}
		if (!rule && walk->guessed)
			return reason;
	}
	stack->frames[n & WIRE_MAX_FRAMES] = walk->pc;
	stack->n_frames = n + 1;
	walk->hash = mix(walk->hash, walk->pc);
	if (!rule)
		return reason;
	return step_up(walk, &unwind_shared.rules[rule & (WIRE_RULES - 1)]);
}

/* By frame pointers alone: [fp] is the next one, [fp + 8] the return address, each frame above the last. Code built without them
 * ends the walk early or hides its callers. */
static __always_inline int fp_step(struct wire_stack *stack, struct walk *walk)
{
	u64 fp = walk->fp, next_fp, pc;
	u32 n = stack->n_frames;

	/* The frame pointer register holds anything in code without frame pointers. */
	if (!fp || fp & 7 || fp < walk->sp)
		return WIRE_STACK_COMPLETE;
	if (n >= settings.max_frames || n >= WIRE_MAX_FRAMES)
		return WIRE_STACK_TOO_DEEP;
	if (stack_word(walk, fp, &next_fp) || stack_word(walk, fp + 8, &pc))
		return WIRE_STACK_FAULT;
	if (!pc)
		return WIRE_STACK_COMPLETE;
	if (is_trampoline(pc))
		pc = original_return(fp + 8, pc);
	stack->frames[n & WIRE_MAX_FRAMES] = pc;
	stack->n_frames = n + 1;
	walk->hash = mix(walk->hash, pc);
	walk->sp = fp + 16;
	walk->fp = next_fp;
	return -1;
}

struct walk_context {
	struct wire_stack *stack;
	struct walk *walk;
};

static long walk_step(u32 i, struct walk_context *context)
{
	struct wire_stack *stack = context->stack;
	struct walk *walk = context->walk;
	int reason = settings.stack_mode == WIRE_STACK_MODE_CFI ? cfi_step(stack, walk)
								: fp_step(stack, walk);

	if (reason < 0)
		return 0;
	stack->truncated = reason;
	return 1;
}

static __always_inline void walk_begin(struct walk *walk, struct wire_stack *stack,
				       wire_instance instance, u64 ret, u64 fp, u64 sp)
{
	struct wire_space *space = space_of(instance);

	walk->pc = ret;
	walk->sp = sp;
	walk->fp = fp;
	walk->slot = 0;
	walk->n_words = 0;
	walk->exact = false;
	walk->guessed = false;
	stack->n_frames = 0;
	stack->truncated = WIRE_STACK_COMPLETE;
	stack->version = space ? *(volatile u32 *)&space->version : 0;
	walk->hash = mix(instance, stack->version);
	/* Generation first and checked last, against the run's header: what lies between belongs together. */
	walk->generation = space ? *(volatile u32 *)&space->generation : 0;
	walk->first = space ? *(volatile u32 *)&space->first : 0;
	walk->n_mappings = space && walk->generation ? *(volatile u32 *)&space->n : 0;
}

/* thread.bpf.h's unwind(). walk: scratch. */
static __always_inline u64 walk_stack(struct walk *walk, struct wire_stack *stack,
				      wire_instance instance, u64 ret, u64 fp, u64 sp)
{
	struct walk_context context = {.stack = stack, .walk = walk};

	walk_begin(walk, stack, instance, ret, fp, sp);
	if (settings.stack_mode != WIRE_STACK_MODE_CFI) {
		stack->n_frames = 1;
		stack->frames[0] = ret;
		walk->hash = mix(walk->hash, ret);
	}
	if (settings.stack_mode != WIRE_STACK_MODE_NONE)
		bpf_loop(WIRE_MAX_FRAMES + 1, walk_step, &context, 0);
	return walk->hash ? walk->hash : 1;
}

#endif

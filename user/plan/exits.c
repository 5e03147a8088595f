// SPDX-License-Identifier: BSD-2-Clause
#include "plan/exits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/vec.h"
#include "elf/image.h"
#include "plan/extents.h"
#include "plan/insn.h"
#include "plan/links.h"
#include "plan/plan.h"
#include "plan/site.h"

#define FUNCTIONS_MAX 24 /* that one function may reach by jumps */
#define INSTRUCTIONS_MAX 32768
#define EXITS_MAX 128
#define WINDOW_BYTES 1024

struct walk {
	struct elf_image *image;
	const struct links *links;
	const struct extents *extents;
	struct {
		uint64_t *items;
		size_t n, cap;
	} starts; /* of functions, and of code without symbol */
	struct {
		struct plan_exit *items;
		size_t n, cap;
	} exits;
	struct hashmap seen; /* addresses of starts and of instructions decoded along jumps */
	size_t n_instructions, n_functions;
	const char *why;
	uint8_t window[WINDOW_BYTES]; /* text at window_address */
	uint64_t window_address;
	size_t window_n;
};

static int give_up(struct walk *w, const char *why)
{
	w->why = why;
	return -ENODATA;
}

static int add_exit(struct walk *w, uint64_t address)
{
	struct plan_exit exit;

	if (elf_image_to_offset(w->image, address, &exit.offset))
		return give_up(w, "a ret outside the file");
	if (w->exits.n == EXITS_MAX)
		return give_up(w, "too many exits");
	return vec_push(&w->exits, exit);
}

static int add_start(struct walk *w, uint64_t address)
{
	return vec_push(&w->starts, address);
}

/* Where a jump that leaves the function goes on. */
static int follow_indirect(struct walk *w, uint64_t address, const struct insn *insn)
{
	uint64_t target;
	int err;

	if (!insn->has_slot)
		return give_up(w, "jump through a register");
	err = links_of_slot(w->links, address + insn->slot, &target);
	if (err)
		return give_up(w, err == -EXDEV ? "jump to another file" : "jump through memory");
	return add_start(w, target);
}

/* A function whose bounds are known: every instruction, so that exits behind landing pads are found
 * too. */
static int walk_function(struct walk *w, uint64_t address, uint64_t size_bytes)
{
	struct function_text text;
	struct insn insn;
	int err = function_text_read(w->image, address, size_bytes, &text);

	if (err)
		return err == -ENOMEM ? err : give_up(w, "code outside the file");
	for (size_t at = 0; !err && at < text.n_bytes; at += insn.length) {
		uint64_t here = address + at, target;

		if (w->n_instructions++ == INSTRUCTIONS_MAX) {
			err = give_up(w, "too much code");
			break;
		}
		if (insn_decode(text.machine, text.bytes + at, text.n_bytes - at, &insn)) {
			err = give_up(w, "unknown instruction");
			break;
		}
		target = here + insn.target;
		if (insn.kind == INSN_RET)
			err = add_exit(w, here);
		else if (insn.kind == INSN_JMP_INDIRECT)
			err = follow_indirect(w, here, &insn);
		else if ((insn.kind == INSN_JMP || insn.kind == INSN_JCC) &&
			 target - address >= text.n_bytes)
			err = add_start(w, target);
	}
	function_text_done(&text);
	return err;
}

/* Text at address, from a window so that neighbours come by one read. Returns the bytes there, 0
 * outside the file. */
static size_t text_at(struct walk *w, uint64_t address, const uint8_t **ret)
{
	uint64_t at = address - w->window_address;
	long n;

	if (at + INSN_LENGTH_MAX > w->window_n || at > w->window_n) {
		n = elf_image_read(w->image, address, w->window, sizeof(w->window));
		w->window_address = address;
		w->window_n = n > 0 ? n : 0;
		at = 0;
	}
	*ret = w->window + at;
	return w->window_n - at;
}

static bool see(struct walk *w, uint64_t address, int *ret_err)
{
	if (hashmap_get(&w->seen, address))
		return false;
	*ret_err = hashmap_put(&w->seen, address, w);
	return !*ret_err;
}

/* Code without symbol: along its jumps until all paths end, to the next one that was seen. */
static int walk_path(struct walk *w, uint64_t address)
{
	const uint8_t *code;
	struct insn insn;
	int err = 0;

	for (;; address += insn.length) {
		size_t n = text_at(w, address, &code);

		if (w->n_instructions++ == INSTRUCTIONS_MAX)
			return give_up(w, "too much code");
		if (!n || insn_decode(elf_image_machine(w->image), code, n, &insn))
			return give_up(w, "unknown instruction");
		if (insn.kind == INSN_JMP || insn.kind == INSN_JCC)
			err = add_start(w, address + insn.target);
		else if (insn.kind == INSN_RET)
			err = add_exit(w, address);
		else if (insn.kind == INSN_JMP_INDIRECT)
			err = follow_indirect(w, address, &insn);
		if (err || insn.kind == INSN_JMP || insn.kind == INSN_RET ||
		    insn.kind == INSN_JMP_INDIRECT || insn.kind == INSN_TRAP)
			return err;
		if (insn.kind == INSN_CALL && links_stub_ends(w->links, address + insn.target))
			return 0;
		if (!see(w, address + insn.length, &err))
			return err;
	}
}

static int walk_start(struct walk *w, uint64_t address)
{
	uint64_t target, start, size_bytes;
	int err = 0;

	if (!see(w, address, &err))
		return err;
	err = links_of_stub(w->links, address, &target);
	if (!err)
		return add_start(w, target);
	if (err == -EXDEV)
		return give_up(w, "jump to another file");
	if (extents_find(w->extents, address, &start, &size_bytes))
		return walk_path(w, address);
	err = 0;
	if (start != address && !see(w, start, &err))
		return err;
	if (w->n_functions++ == FUNCTIONS_MAX)
		return give_up(w, "too many functions");
	return walk_function(w, start, size_bytes);
}

static int by_offset(const void *a, const void *b)
{
	const struct plan_exit *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

static size_t sort_unique(struct plan_exit *exits, size_t n)
{
	size_t n_kept = 0;

	if (n)
		qsort(exits, n, sizeof(*exits), by_offset);
	for (size_t i = 0; i < n; i++)
		if (!n_kept || exits[n_kept - 1].offset != exits[i].offset)
			exits[n_kept++] = exits[i];
	return n_kept;
}

int exits_find(struct elf_image *image, const struct links *links, const struct extents *extents,
	       uint64_t address, uint64_t size_bytes, struct plan_exit **ret, size_t *ret_n,
	       const char **ret_why)
{
	struct walk w = {.image = image, .links = links, .extents = extents};
	int err = hashmap_put(&w.seen, address, &w);

	if (!err && (!size_bytes || size_bytes > FUNCTION_TEXT_MAX))
		err = walk_path(&w, address);
	else if (!err)
		err = walk_function(&w, address, size_bytes);
	while (!err && w.starts.n)
		err = walk_start(&w, w.starts.items[--w.starts.n]);
	if (!err && !w.exits.n)
		err = give_up(&w, "no ret found");
	if (!err) {
		*ret_n = sort_unique(w.exits.items, w.exits.n);
		*ret = w.exits.items;
		w.exits.items = NULL;
	} else if (err == -ENODATA) {
		*ret_why = w.why;
	}
	hashmap_done(&w.seen);
	free(w.exits.items);
	free(w.starts.items);
	return err;
}

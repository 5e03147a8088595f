// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/notes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "attach/cover.h"
#include "attach/kernel.h"
#include "attach/unwinder.h"
#include "base/cleanup.h"
#include "base/vec.h"
#include "daemon/tracing.h"
#include "model/report.h"
#include "model/snapshot.h"
#include "symbol/kernel_symbols.h"

/* A perf link sees a process's memory, and one for all processes everybody; the others see threads. The launcher stops children until
 * they have links of their own. */
static bool unseen_borrowers(const struct tracing *t)
{
	return !t->launched && !t->everything && kernel_link(t->kernel) != LINK_PERF;
}

struct notes {
	char *items[ARRAY_SIZE(((struct process_report *)0)->notes)];
	size_t n;
	size_t n_untabled; /* files without a table that are not among the items */
};

static void add_note(struct notes *notes, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add_note(struct notes *notes, const char *fmt, ...)
{
	va_list ap;

	if (notes->n == ARRAY_SIZE(notes->items))
		return;
	va_start(ap, fmt);
	if (vasprintf(&notes->items[notes->n], fmt, ap) >= 0)
		notes->n++;
	va_end(ap);
}

/* unwinder_each's visitor. The last item is for those that find no room. */
static void note_untabled(void *arg, const struct unwinder_file *file)
{
	struct notes *notes = arg;

	if (!file->without)
		return;
	if (notes->n + 1 < ARRAY_SIZE(notes->items))
		add_note(notes, "%s: %s, its stacks go by frame pointers", file->path,
			 file->without);
	else
		notes->n_untabled++;
}

/* What has ended cannot be looked at any more, but how it was unwound is known. */
static void note_files(struct tracing *t, const struct snapshot_process *from, struct notes *notes)
{
	if (!from->ended && !t->growth)
		notes->n += cover_notes(t->cover, from->pid, notes->items + notes->n,
					ARRAY_SIZE(notes->items) / 2);
	if (t->unwinder)
		unwinder_each(t->unwinder, from->instance, note_untabled, notes);
	if (notes->n_untabled)
		add_note(notes, "%zu more files without a table, their stacks go by frame pointers",
			 notes->n_untabled);
}

/* What tracing the kernel leaves out. */
static void note_kernel(struct tracing *t, struct notes *notes)
{
	struct kernel_heap_unseen unseen;

	kernel_heap_unseen(t->kernel, &unseen);
	if (kernel_symbols_hidden(t->kernel_symbols))
		add_note(notes,
			 "names of the kernel's functions, as kernel.kptr_restrict hides them "
			 "(sysctl kernel.kptr_restrict=1 shows them); pages of slabs count twice "
			 "without them");
	if (unseen.own)
		add_note(notes, "%" PRIu64 " allocations by seep itself", unseen.own);
	if (unseen.bulk)
		add_note(
			notes,
			"what is allocated or freed in bulk, as this kernel does not let functions "
			"be followed: what is freed so counts until its address comes back");
	if (unseen.silent)
		add_note(notes,
			 "%" PRIu64
			 " maple tree nodes (of processes' mappings): their frees are not told",
			 unseen.silent);
}

void notes_fill(struct tracing *t, const struct snapshot_process *from, struct process_report *to,
		struct note_list *list)
{
	struct notes notes = {0};

	if (from->n_borrowers && unseen_borrowers(t))
		add_note(&notes, "%u vfork children: what they did in its memory before their exec",
			 from->n_borrowers);
	if (t->kernel_symbols)
		note_kernel(t, &notes);
	else
		note_files(t, from, &notes);
	for (size_t i = 0; i < notes.n; i++) {
		if (vec_push(list, notes.items[i]))
			free(notes.items[i]);
		else
			to->notes[to->n_notes++] = notes.items[i];
	}
}

void notes_done(struct note_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct note_list){0};
}

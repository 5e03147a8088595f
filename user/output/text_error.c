// SPDX-License-Identifier: BSD-2-Clause
#include "output/text_error.h"

#include <inttypes.h>
#include <math.h>

#include "model/free_error.h"
#include "output/format.h"
#include "output/output.h"
#include "output/text_site.h"

/* What was wrong, of one of them. */
static void put_what(FILE *f, const struct free_error *e)
{
	char size[FORMAT_SIZE];

	format_bytes(e->size_bytes, size);
	switch (e->type) {
	case FREE_ERROR_DOUBLE:
		fprintf(f, "double free of 0x%" PRIx64, e->address);
		if (e->size_bytes)
			fprintf(f, " (%s)", size);
		break;
	case FREE_ERROR_INTERIOR:
		fprintf(f,
			"free of 0x%" PRIx64 ", %" PRIu64 " bytes into the block at 0x%" PRIx64
			" (%s)",
			e->address, e->address - e->block_address, e->block_address, size);
		break;
	case FREE_ERROR_MISMATCH:
		fprintf(f, "0x%" PRIx64 " (%s) is of %s, and freed as if of %s", e->address, size,
			e->allocated_with ? e->allocated_with : "?",
			e->freed_with ? e->freed_with : "?");
		break;
	default:
		fprintf(f, "free of 0x%" PRIx64 ", which was never allocated, or freed long before",
			e->address);
	}
}

static void put_stack(FILE *f, const struct output_options *o, const struct error_stack *stack)
{
	if (!o->combined_only)
		text_put_frames(f, o, stack->frames, stack->n, stack->truncated);
}

static void put_error(FILE *f, const struct output_options *o, const struct free_error *e)
{
	char text[FORMAT_SIZE];

	fprintf(f, "    %s", text_paint(o, TEXT_RED));
	put_what(f, e);
	fputs(text_paint(o, TEXT_PLAIN), f);
	format_count(e->count, text);
	if (e->count > 1)
		fprintf(f, ", %s times", text);
	format_seconds(e->age_seconds, text);
	fprintf(f, "\n      freed by thread %" PRIu32 ", %s ago\n", e->tid, text);
	put_stack(f, o, &e->stack);
	if (e->type == FREE_ERROR_DOUBLE) {
		format_seconds(e->freed_seconds_before, text);
		fprintf(f, "      freed before that by thread %" PRIu32, e->freed_tid);
		if (isfinite(e->freed_seconds_before))
			fprintf(f, ", %s earlier", text);
		fputs("\n", f);
		put_stack(f, o, &e->freed);
	}
	if (!e->allocation.n && !e->allocation.truncated)
		return;
	fputs("      allocated by\n", f);
	put_stack(f, o, &e->allocation);
}

void text_put_errors(FILE *f, const struct output_options *o, const struct report *r,
		     size_t process)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_errors; i++)
		n += r->errors[i].process == process;
	if (!n)
		return;
	fprintf(f, "  %zu error%s at free:\n", n, plural(n));
	for (size_t i = 0; i < r->n_errors; i++)
		if (r->errors[i].process == process)
			put_error(f, o, &r->errors[i]);
}

// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "cli/option_spec.h"

#define WORD_MAX 32 /* longer words are nobody's typing error */

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that make a into b (optimal string
 * alignment), both at most WORD_MAX long. row[i] belongs to the first i letters of a. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2], *swap;
	size_t n_a = strlen(a), n_b = strlen(b), i, j;

	for (j = 0; j <= n_b; j++)
		row[j] = j;
	for (i = 1; i <= n_a; i++) {
		swap = before;
		before = above;
		above = row;
		row = swap;
		row[0] = i;
		for (j = 1; j <= n_b; j++) {
			row[j] = min3(above[j] + 1, row[j - 1] + 1,
				      above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
	}
	return row[n_b];
}

void suggestion_offer(struct suggestion *s, const char *name)
{
	size_t n = strlen(s->word), distance;

	if (n > WORD_MAX || strlen(name) > WORD_MAX)
		return;
	distance = edit_distance(s->word, name);
	/* A third of the word may be wrong: "trac" is trace, "x" is nothing. */
	if (distance > (n + 1) / 3 || (s->best && distance >= s->distance))
		return;
	s->best = name;
	s->distance = distance;
}

// SPDX-License-Identifier: BSD-2-Clause
#include "output/truncated.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

static const struct {
	const char *reason, *sentence;
} known[] = {
	{"too_deep", "too deep: the innermost frames are kept; raise --perf-max-stack-depth "
		     "(127 at most)"},
	{"read_fault", "read fault: a part of the stack could not be read, as when it is swapped "
		       "out"},
	{"no_table", "no table: code without CFI where frame pointers do not lead on; build it "
		     "with -fasynchronous-unwind-tables, let runtimes that generate code keep "
		     "frame pointers, raise --unwind-memory where a note says that it is used up"},
	{"unsupported_rule", "unsupported rule: CFI that seep does not follow, mostly of "
			     "hand-written assembly; 'seep doctor -p PID' names its file"},
	{"mapping_not_yet_known", "mapping not yet known: code loaded or generated a moment "
				  "before; later stacks through it are whole"},
};

const char *truncated_sentence(const char *reason)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].reason, reason))
			return known[i].sentence;
	return NULL;
}

// SPDX-License-Identifier: BSD-2-Clause
#include <endian.h>
#include <string.h>

#include "base/strings.h"
#include "symbol/symbolize.h"

#define PAGE_OFFSET_MASK 0xfff /* what address space randomization leaves of an address */

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

/* With the NUL, so that "ab" + "c" differs from "a" + "bc". */
static uint64_t add_text(uint64_t hash, const char *text)
{
	return text ? hash_bytes(hash, text, strlen(text) + 1) : hash_bytes(hash, "", 1);
}

static uint64_t add_number(uint64_t hash, uint64_t number)
{
	uint64_t little = htole64(number);

	return hash_bytes(hash, &little, sizeof(little));
}

/* Generated code lies elsewhere in each run: its name identifies it, and without one the place in
 * the page. */
static uint64_t add_exact(uint64_t hash, const struct frame *frame)
{
	if (frame->build_id || (frame->module && frame->module[0] != '['))
		return add_number(add_text(hash, frame->build_id ? frame->build_id
								 : base_name(frame->module)),
				  frame->offset);
	hash = add_text(hash, frame->module);
	if (frame->function)
		return add_text(hash, frame->function);
	return add_number(hash, frame->offset & PAGE_OFFSET_MASK);
}

void symbolize_fingerprints(const struct frame *frames, size_t n, uint64_t *ret_exact,
			    uint64_t *ret_family)
{
	uint64_t exact = 0, family = 0;

	for (size_t i = 0; i < n; i++) {
		const struct frame *frame = &frames[i];

		if (!frame->inlined)
			exact = add_exact(exact, frame);
		family = add_text(family,
				  frame->function ? frame->function : base_name(frame->module));
	}
	*ret_exact = exact ? exact : 1;
	*ret_family = family ? family : 1;
}

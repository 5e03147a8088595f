// SPDX-License-Identifier: BSD-2-Clause
#include "output/record.h"

#include "output/json.h"

void record_begin(struct json_line *j, FILE *f, const char *type, uint64_t time_ns)
{
	json_line_begin(j, f);
	json_put_string(j, "type", type);
	json_put_time(j, "time", time_ns);
}

/* Without a module there is no offset: the address goes by itself, as a string like all addresses. So does an offset
 * of more than 63 bits, which would not survive as a number. */
static void put_frame(struct json_line *j, const struct frame *frame)
{
	bool is_offset = frame->module && frame->offset <= INT64_MAX;

	json_open(j, NULL, '{');
	json_put_string(j, "function", frame->function);
	json_put_string(j, "module", frame->module);
	json_put_string(j, "build_id", frame->build_id);
	if (is_offset) {
		json_put_u64(j, "offset", frame->offset);
	} else {
		json_put_null(j, "offset");
		json_put_address(j, "address", frame->offset);
	}
	json_put_string(j, "file", frame->file);
	json_put_u64_or_null(j, "line", frame->line);
	json_put_bool(j, "inlined", frame->inlined);
	json_close(j, '}');
}

void record_put_frames(struct json_line *j, const struct frame *frames, size_t n)
{
	json_open(j, "frames", '[');
	for (size_t i = 0; i < n; i++)
		put_frame(j, &frames[i]);
	json_close(j, ']');
}

const char *record_kind(enum site_kind kind)
{
	static const char *const names[] = {
		[SITE_MALLOC] = "malloc", [SITE_MMAP] = "mmap",	    [SITE_BRK] = "brk",
		[SITE_FAULT] = "fault",	  [SITE_KERNEL] = "kernel",
	};

	return names[kind];
}

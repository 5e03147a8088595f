/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_PROTOBUF_H
#define SEEP_OUTPUT_PROTOBUF_H
/* Protocol buffers' wire format, as far as writing needs it (protobuf.dev/programming-guides/encoding). A message grows in
 * memory; without memory it fails for good, which its writer asks for once, at the end. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct protobuf {
	char *items;
	size_t n, cap;
	bool failed; /* out of memory: what it holds is not whole */
};

/* A field of type int64, uint64 or bool; one that is 0 is left out, as proto3 has it. */
void protobuf_uint(struct protobuf *m, unsigned field, uint64_t value);
/* The same, 0 or not: an item of a repeated field that is not packed, or of a packed one with field 0. */
void protobuf_item(struct protobuf *m, unsigned field, uint64_t value);
/* A string, a message or a packed field. */
void protobuf_bytes(struct protobuf *m, unsigned field, const void *bytes, size_t n);
/* All of another message's fields. */
void protobuf_join(struct protobuf *m, const struct protobuf *other);
void protobuf_done(struct protobuf *m);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "output/protobuf.h"

#include <stdlib.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

static void append(struct protobuf *m, const void *bytes, size_t n)
{
	if (!m->failed && m->n + n > m->cap) {
		size_t cap = 2 * (m->n + n);
		char *items = realloc(m->items, cap);

		m->failed = !items;
		if (items) {
			m->items = items;
			m->cap = cap;
		}
	}
	if (m->failed || !n)
		return;
	memcpy(m->items + m->n, bytes, n);
	m->n += n;
}

/* Seven bits a byte, lowest first; the high bit says that more follow. */
static void append_varint(struct protobuf *m, uint64_t value)
{
	unsigned char bytes[10];
	size_t n = 0;

	do {
		bytes[n] = value & 0x7f;
		value >>= 7;
		bytes[n++] |= value ? 0x80 : 0;
	} while (value);
	append(m, bytes, n);
}

void protobuf_item(struct protobuf *m, unsigned field, uint64_t value)
{
	if (field)
		append_varint(m, field << 3 | WIRE_VARINT);
	append_varint(m, value);
}

void protobuf_uint(struct protobuf *m, unsigned field, uint64_t value)
{
	if (value)
		protobuf_item(m, field, value);
}

void protobuf_bytes(struct protobuf *m, unsigned field, const void *bytes, size_t n)
{
	append_varint(m, field << 3 | WIRE_BYTES);
	append_varint(m, n);
	append(m, bytes, n);
}

void protobuf_join(struct protobuf *m, const struct protobuf *other)
{
	append(m, other->items, other->n);
	m->failed |= other->failed;
}

void protobuf_done(struct protobuf *m)
{
	free(m->items);
	*m = (struct protobuf){0};
}

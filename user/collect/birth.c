// SPDX-License-Identifier: BSD-2-Clause
#include "collect/birth.h"

#include <string.h>

#include "base/vec.h"
#include "model/snapshot.h"
#include "wire.h"

_Static_assert(SNAPSHOT_SLOTS == WIRE_BIRTH_SLOTS, "slots of births");

unsigned birth_slot(uint64_t since_ns)
{
	uint64_t units = since_ns >> WIRE_BIRTH_SHIFT;
	unsigned log2, slot;

	if (units < 4)
		return units;
	log2 = 63 - __builtin_clzll(units);
	slot = 4 * (log2 - 1) + (units >> (log2 - 2) & 3);
	return slot < WIRE_BIRTH_SLOTS ? slot : WIRE_BIRTH_SLOTS - 1;
}

uint64_t birth_slot_start_ns(unsigned slot)
{
	unsigned octave = slot / 4;

	if (slot < 4)
		return (uint64_t)slot << WIRE_BIRTH_SHIFT;
	return (uint64_t)(4 + slot % 4) << (octave - 1) << WIRE_BIRTH_SHIFT;
}

static double age_ns(unsigned slot, uint64_t now_ns)
{
	uint64_t start_ns = birth_slot_start_ns(slot);

	return now_ns > start_ns ? (double)(now_ns - start_ns) : 0;
}

void birth_ages(const uint32_t *born, uint64_t now_ns, double *ret_oldest_ns, double *ret_median_ns)
{
	uint64_t total = 0, seen = 0;
	unsigned oldest = WIRE_BIRTH_SLOTS, median = WIRE_BIRTH_SLOTS;

	/* A free read before its allocation shows as a slot below zero for that moment. */
	for (unsigned i = 0; i < WIRE_BIRTH_SLOTS; i++)
		total += (int32_t)born[i] > 0 ? born[i] : 0;
	for (unsigned i = 0; i < WIRE_BIRTH_SLOTS && median == WIRE_BIRTH_SLOTS; i++) {
		if ((int32_t)born[i] <= 0)
			continue;
		if (oldest == WIRE_BIRTH_SLOTS)
			oldest = i;
		seen += born[i];
		if (seen * 2 >= total)
			median = i;
	}
	*ret_oldest_ns = total ? age_ns(oldest, now_ns) : -1;
	*ret_median_ns = total ? age_ns(median, now_ns) : -1;
}

int birth_fill(struct snapshot *s, const uint32_t *born, uint64_t now_ns,
	       struct snapshot_site *site)
{
	struct snapshot_births births;

	birth_ages(born, now_ns, &site->oldest_ns, &site->median_ns);
	if (site->oldest_ns < 0)
		return 0;
	memcpy(births.born, born, sizeof(births.born));
	if (vec_push(&s->births, births))
		return -ENOMEM;
	site->births = s->births.n;
	return 0;
}

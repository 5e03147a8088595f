/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef SEEP_BPF_SAMPLE_BPF_H
#define SEEP_BPF_SAMPLE_BPF_H
/* Which allocations are recorded when sampling, and how many others each stands for.
 *
 * A Poisson process over bytes with mean distance N takes a block of s bytes with probability p = 1 - exp(-s/N), each
 * block on its own. p is computed in fixed point with 32 fractional bits and the block's weight is 1/p of that very p, so
 * that the estimate is unbiased (Horvitz and Thompson 1952) however exp() was rounded. */
#include "maps.bpf.h"

#define LN2_30 744261118ULL /* ln 2, 30 fractional bits */

/* exp(-x) for 0 <= x < 32, both with 30 fractional bits: x = q ln 2 + z, the rest by its Taylor series in Horner's form. */
static __always_inline u64 exp_minus_30(u64 x)
{
	u64 q = x / LN2_30, z = x - q * LN2_30, one = 1ULL << 30, sum = one;

	sum = one - z * sum / 9 / one;
	sum = one - z * sum / 8 / one;
	sum = one - z * sum / 7 / one;
	sum = one - z * sum / 6 / one;
	sum = one - z * sum / 5 / one;
	sum = one - z * sum / 4 / one;
	sum = one - z * sum / 3 / one;
	sum = one - z * sum / 2 / one;
	sum = one - z * sum / one;
	return sum >> (q & 63);
}

/* weight * scale, both with 16 fractional bits, in two parts: as one it needs more bits than there are. */
static __always_inline u64 scale_weight(u64 weight, u32 scale)
{
	return (weight >> 16) * scale + ((weight & 0xffff) * scale >> 16);
}

/* With mean distance n. */
static __always_inline u64 sample_bytes(u64 size_bytes, u64 n)
{
	u64 p;

	if (size_bytes >= 32 * n) /* 1 - p is below 2^-46 */
		return WIRE_WEIGHT_ONE;
	/* A block of no bytes is taken like one of one byte: it has a count to estimate. */
	p = (1ULL << 32) - (exp_minus_30(((size_bytes ? size_bytes : 1) << 30) / n) << 2);
	if (!p || bpf_get_prandom_u32() >= p)
		return 0;
	return (1ULL << 48) / p;
}

/* As the governor orders. Windows are places in time chosen at random, each moment as likely as any other, so that a block
 * that is born in one stands for `scale` of them; sampling within is independent of that, and the weights multiply. */
static __always_inline u64 governed_weight(u64 size_bytes, const struct wire_governed *g)
{
	u64 until_ns = g->until_ns, n = g->sample_interval, weight;

	if (until_ns && bpf_ktime_get_ns() >= until_ns)
		return 0;
	weight = n ? sample_bytes(size_bytes, n) : WIRE_WEIGHT_ONE;
	return until_ns ? scale_weight(weight, g->scale) : weight;
}

/* The weight of this allocation if it is taken (WIRE_WEIGHT_ONE when all are), 0 if not. g: the governor's orders, or NULL. */
static __always_inline u64 sample_weight(u64 size_bytes, const struct wire_governed *g)
{
	u64 n = settings.sample_interval;

	if (g)
		return governed_weight(size_bytes, g);
	if (settings.sampling == WIRE_SAMPLE_ALL || !n)
		return WIRE_WEIGHT_ONE;
	if (settings.sampling == WIRE_SAMPLE_COUNT)
		return bpf_get_prandom_u32() % n ? 0 : n * WIRE_WEIGHT_ONE;
	return sample_bytes(size_bytes, n);
}

#endif

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

/* The weight of this allocation if it is taken (WIRE_WEIGHT_ONE when all are), 0 if not. */
static __always_inline u64 sample_weight(u64 size_bytes)
{
	u64 n = settings.sample_interval, p;

	if (settings.sampling == WIRE_SAMPLE_ALL || !n)
		return WIRE_WEIGHT_ONE;
	if (settings.sampling == WIRE_SAMPLE_COUNT)
		return bpf_get_prandom_u32() % n ? 0 : n * WIRE_WEIGHT_ONE;
	if (size_bytes >= 32 * n) /* 1 - p is below 2^-46 */
		return WIRE_WEIGHT_ONE;
	/* A block of no bytes is taken like one of one byte: it has a count to estimate. */
	p = (1ULL << 32) - (exp_minus_30(((size_bytes ? size_bytes : 1) << 30) / n) << 2);
	if (!p || bpf_get_prandom_u32() >= p)
		return 0;
	return (1ULL << 48) / p;
}

#endif

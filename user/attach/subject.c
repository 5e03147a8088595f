// SPDX-License-Identifier: BSD-2-Clause
#include "attach/subject.h"

#include <errno.h>
#include <math.h>

#include "attach/cover.h"
#include "base/clock.h"
#include "wire.h"

int subject_sample(const struct subject *s, struct govern_sample *ret)
{
	const struct wire_governed *r = s->record;

	if (s->pid && __atomic_load_n(&r->flags, __ATOMIC_RELAXED) & WIRE_GOVERNED_ENDED)
		return -ESRCH;
	ret->cpu_ns = s->pid ? clock_process_cpu_ns(s->pid)
			     : __atomic_load_n(&r->cpu_ns, __ATOMIC_RELAXED);
	ret->n_entries = __atomic_load_n(&r->n_entries, __ATOMIC_RELAXED);
	ret->n_returns = __atomic_load_n(&r->n_returns, __ATOMIC_RELAXED);
	ret->n_frees = __atomic_load_n(&r->n_frees, __ATOMIC_RELAXED);
	ret->n_stepped = __atomic_load_n(&r->n_stepped, __ATOMIC_RELAXED);
	ret->run_ns = __atomic_load_n(&r->run_ns, __ATOMIC_RELAXED);
	return s->pid && !ret->cpu_ns ? -ESRCH : 0;
}

static void store(__u64 *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
}

void subject_flag(struct subject *s, unsigned flags)
{
	__atomic_fetch_or(&s->record->flags, flags, __ATOMIC_SEQ_CST);
}

/* Nothing is recorded from now on. */
static void close_gate(struct subject *s)
{
	store(&s->record->until_ns, 1);
	subject_flag(s, WIRE_GOVERNED_INEXACT);
}

void subject_open_gate(struct subject *s, uint64_t sample_interval, double scale, uint64_t until_ns)
{
	close_gate(s);
	__atomic_store_n(&s->record->scale, (uint32_t)llround(scale * WIRE_WEIGHT_ONE),
			 __ATOMIC_RELEASE);
	store(&s->record->sample_interval, sample_interval);
	store(&s->record->until_ns, until_ns);
}

void subject_prepare(struct subject *s, const struct govern_orders *o)
{
	if (o->gated && !o->window_ns && !(o->parts & COVER_ALLOCATIONS))
		close_gate(s);
	if (o->gated && !s->done.gated)
		close_gate(s);
	if (o->sample_interval && !o->gated)
		subject_flag(s, WIRE_GOVERNED_INEXACT);
	if (!o->gated)
		store(&s->record->sample_interval, o->sample_interval);
	if (!(o->parts & COVER_FREES))
		subject_flag(s, WIRE_GOVERNED_MISSED);
	s->done = *o;
}

void subject_finish(struct subject *s)
{
	if (!s->done.gated)
		store(&s->record->until_ns, 0);
}

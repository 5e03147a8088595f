// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/marking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "daemon/control.h"
#include "daemon/control_request.h"
#include "daemon/tracer.h"

struct marking {
	struct tracer *tracer;
	struct control *control;
	struct {
		struct mark *items;
		size_t n, cap;
	} marks;
};

/* Two marks of one name in a capture would leave open which is meant. */
static int check_name(const struct marking *m, const char *name, struct diag *d)
{
	char time[CLOCK_RFC3339_SIZE];

	for (size_t i = 0; i < m->marks.n; i++) {
		if (strcmp(m->marks.items[i].name, name))
			continue;
		clock_format_rfc3339(m->marks.items[i].time_ns, time);
		return diag_set(d, EEXIST,
				"there is a mark %s already, set at %s; choose another name", name,
				time);
	}
	if (m->marks.n >= MARKS_MAX)
		return diag_set(d, ENOSPC, "the trace has %d marks already, no more are kept",
				MARKS_MAX);
	return 0;
}

/* Its name is kept first: a mark that cannot be remembered is not set. */
static int set_mark(struct marking *m, const char *name, struct mark *ret, struct diag *d)
{
	int err = check_name(m, name, d);

	if (!err && vec_push(&m->marks, (struct mark){0}))
		err = diag_set(d, ENOMEM, "out of memory");
	if (err)
		return err;
	err = tracer_mark(m->tracer, name, ret, d);
	if (err)
		m->marks.n--;
	else
		m->marks.items[m->marks.n - 1] = *ret;
	return err;
}

static void answer(void *arg, const char *line, size_t n, FILE *to)
{
	struct marking *m = arg;
	struct control_request r;
	struct mark mark;
	struct diag d = {0};
	int err = control_request_parse(line, n, &r, &d);

	if (!err && r.verb == CONTROL_WHO) {
		const bool traces = r.pid && tracer_traces(m->tracer, r.pid);

		control_put_who(to, tracer_session(m->tracer), r.pid ? &traces : NULL);
		return;
	}
	if (!err)
		err = set_mark(m, r.name, &mark, &d);
	if (err)
		control_put_error(to, err == -EAGAIN, d.text);
	else
		control_put_mark(to, &mark);
}

int marking_create(enum control_kind kind, struct tracer *t, struct marking **ret, struct diag *d)
{
	struct marking *m = calloc(1, sizeof(*m));
	const struct control_handler handler = {.answer = answer, .arg = m};
	int err;

	if (!m)
		return diag_set(d, ENOMEM, "out of memory");
	m->tracer = t;
	err = control_create(kind, &handler, &m->control, d);
	if (err) {
		marking_destroy(m);
		return err;
	}
	*ret = m;
	return 0;
}

void marking_destroy(struct marking *m)
{
	if (!m)
		return;
	control_destroy(m->control);
	free(m->marks.items);
	free(m);
}

int marking_fd(const struct marking *m)
{
	return m ? control_fd(m->control) : -1;
}

void marking_step(struct marking *m)
{
	if (m)
		control_step(m->control);
}

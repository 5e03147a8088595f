// SPDX-License-Identifier: BSD-2-Clause
#include "cli/moment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/difference.h"
#include "base/cleanup.h"
#include "base/hashmap.h"
#include "base/vec.h"
#include "cli/marks_seen.h"
#include "collect/capture.h"

/* One process, as of its latest report. */
struct moment_process {
	uint32_t pid;
	uint64_t start_ns;
	struct {
		struct difference_site *items;
		size_t n, cap;
	} sites;
};

struct reading {
	struct moment *m;
	const char *mark; /* NULL: by number */
	uint64_t wanted;
	bool found;
	struct marks_seen marks;
};

static const char *copy(struct moment *m, const char *text, int *err)
{
	const char *kept = strings_intern(&m->strings, text);

	if (text && !kept)
		*err = -ENOMEM;
	return kept;
}

static struct frame *copy_frames(struct moment *m, const struct site *s, int *err)
{
	struct frame *frames = malloc((s->n_frames + 1) * sizeof(*frames));

	if (!frames) {
		*err = -ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < s->n_frames; i++) {
		frames[i] = s->frames[i];
		frames[i].function = copy(m, s->frames[i].function, err);
		frames[i].module = copy(m, s->frames[i].module, err);
		frames[i].build_id = copy(m, s->frames[i].build_id, err);
		frames[i].file = copy(m, s->frames[i].file, err);
	}
	return frames;
}

static int add_site(struct moment *m, struct moment_process *to, const char *comm,
		    const struct site *s)
{
	int err = 0;
	struct difference_site site = {
		.comm = copy(m, comm ? comm : "?", &err),
		.kind = s->kind,
		.fingerprint = s->fingerprint,
		.family = s->family,
		.held = {s->outstanding_bytes, s->outstanding_allocations, s->interval_bytes,
			 s->interval_allocations},
		.truncated = copy(m, s->truncated, &err),
		.frames = copy_frames(m, s, &err),
		.n_frames = s->n_frames,
	};

	if (!err)
		err = vec_push(&to->sites, site);
	if (err)
		free((void *)site.frames);
	return err;
}

static void drop_sites(struct moment_process *p)
{
	for (size_t i = 0; i < p->sites.n; i++)
		free((void *)p->sites.items[i].frames);
	p->sites.n = 0;
}

/* The process's record, without sites. NULL without memory. */
static struct moment_process *get_process(struct moment *m, const struct process_report *from)
{
	uint64_t key = hash_bytes(hash_bytes(0, &from->pid, sizeof(from->pid)), &from->start_ns,
				  sizeof(from->start_ns));
	struct moment_process *p = hashmap_get(&m->processes, key);

	if (p) {
		drop_sites(p);
		return p;
	}
	p = calloc(1, sizeof(*p));
	if (p && hashmap_put(&m->processes, key, p)) {
		free(p);
		return NULL;
	}
	return p;
}

/* What a process held before its latest report is no more. */
static int take_report(struct moment *m, const struct report *r)
{
	_cleanup_free_ struct moment_process **by_index =
		calloc(r->n_processes + 1, sizeof(struct moment_process *));
	int err = by_index ? 0 : -ENOMEM;

	for (size_t i = 0; i < r->n_processes && !err; i++) {
		by_index[i] = get_process(m, &r->processes[i]);
		err = by_index[i] ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < r->n_sites && !err; i++) {
		const struct site *s = &r->sites[i];

		if (s->outstanding_bytes || s->outstanding_allocations)
			err = add_site(m, by_index[s->process], r->processes[s->process].comm, s);
	}
	return err;
}

static int on_session(void *arg, const struct session *s)
{
	struct moment *m = ((struct reading *)arg)->m;
	int err = 0;

	m->of.hostname = copy(m, s->hostname, &err);
	m->of.version = copy(m, s->version, &err);
	m->of.kernel = copy(m, s->kernel, &err);
	m->of.mode = s->mode;
	m->of.min_size_bytes = s->min_size_bytes;
	m->of.max_size_bytes = s->max_size_bytes;
	m->of.min_age_seconds = s->min_age_seconds;
	return err;
}

/* Of two marks of one name, which no trace makes, the first. */
static bool is_wanted_mark(struct reading *reading, const struct report *r)
{
	if (!report_is_mark(r) || reading->found)
		return false;
	marks_seen_add(&reading->marks, r->mark->name);
	return !strcmp(r->mark->name, reading->mark);
}

static int on_report(void *arg, const struct session *s, const struct report *r)
{
	struct reading *reading = arg;
	struct moment *m = reading->m;
	int err = 0;

	(void)s;
	if (reading->mark && !is_wanted_mark(reading, r))
		return 0;
	if (reading->wanted == MOMENT_FIRST)
		reading->wanted = r->sequence;
	if (!reading->mark && reading->wanted && r->sequence != reading->wanted)
		return 0;
	reading->found = true;
	m->of.sequence = reading->mark ? r->sequence : reading->wanted;
	m->of.mark = copy(m, reading->mark, &err);
	m->of.time_ns = r->time_ns;
	m->of.elapsed_seconds = r->elapsed_seconds;
	return err ? err : take_report(m, r);
}

/* Takes the sites out of their processes. */
static int finish(struct moment *m)
{
	struct moment_process *p;
	size_t cursor = 0, n = 0;

	while ((p = hashmap_next(&m->processes, &cursor, NULL)))
		n += p->sites.n;
	m->sites = calloc(n + 1, sizeof(*m->sites));
	if (!m->sites)
		return -ENOMEM;
	cursor = 0;
	while ((p = hashmap_next(&m->processes, &cursor, NULL))) {
		for (size_t i = 0; i < p->sites.n; i++) {
			held_add(&m->of.held, &p->sites.items[i].held);
			m->sites[m->n_sites++] = p->sites.items[i];
		}
		p->sites.n = 0;
	}
	m->of.n_processes = m->processes.n;
	return 0;
}

/* Says why what was asked for is not in it. */
static int not_found(const struct reading *r, const char *path, struct diag *d)
{
	if (r->mark)
		return marks_seen_missing(&r->marks, path, r->mark, d);
	if (r->wanted && r->wanted != MOMENT_FIRST)
		return diag_set_hint(d, ENODATA, EXIT_RUNTIME,
				     "'seep report --all-reports FILE' lists them",
				     "%s: has no report %llu", path, (unsigned long long)r->wanted);
	return diag_set(d, ENODATA, "%s: has no report", path);
}

int moment_read(const char *path, const struct moment_choice *which, struct moment *ret,
		struct diag *warning, struct diag *d)
{
	static const struct capture_visitor visitor = {.session = on_session, .report = on_report};
	struct reading reading = {.m = ret, .mark = which->mark, .wanted = which->sequence};
	int err;

	ret->of.path = path;
	err = capture_read(path, &visitor, &reading, d);
	if (err == -ENOMEM)
		diag_set(d, ENOMEM, "out of memory");
	else if (!err && !reading.found)
		err = not_found(&reading, path, d);
	marks_seen_done(&reading.marks);
	if (err && (err == -ENOMEM || !reading.found))
		return err;
	if (err)
		*warning = *d;
	return finish(ret) ? diag_set(d, ENOMEM, "out of memory") : 0;
}

void moment_done(struct moment *m)
{
	struct moment_process *p;
	size_t cursor = 0;

	while ((p = hashmap_next(&m->processes, &cursor, NULL))) {
		drop_sites(p);
		free(p->sites.items);
		free(p);
	}
	for (size_t i = 0; i < m->n_sites; i++)
		free((void *)m->sites[i].frames);
	free(m->sites);
	hashmap_done(&m->processes);
	strings_done(&m->strings);
	*m = (struct moment){0};
}

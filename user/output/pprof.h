/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_PPROF_H
#define SEEP_OUTPUT_PPROF_H
/* A heap profile as pprof has it: gzip of the message perftools.profiles.Profile (github.com/google/pprof, proto/profile.proto).
 * It is written as it comes, and only its dictionaries stay in memory. What consumers ask of it beyond the format is in
 * FORMATS.md; each such rule has a test.
 *
 * Values of a sample: allocations, bytes allocated, allocations outstanding, bytes outstanding; labels comm, container,
 * namespace, pod (strings) and pid (number). No profile is larger than Pyroscope accepts: the sites that are left out, smallest
 * last, are one sample "[other]" a process, so that all sums stay right. */
#include <stdio.h>

#include "model/report.h"

#define PPROF_SAMPLES_MAX 16000u
#define PPROF_BYTES_MAX (4u << 20) /* unpacked */

struct pprof;

/* Returns 0 or -ENOMEM. */
int pprof_create(struct pprof **ret);
void pprof_destroy(struct pprof *p);

/* Before pprof_begin: what is shown first is what was allocated, not what is outstanding. */
void pprof_prefer_allocated(struct pprof *p);

/* Each returns 0, -ENOMEM or -errno of the stream. In this order: */
int pprof_begin(struct pprof *p, FILE *f, const struct session *s);
/* One process's sites [from, to) of a report. top: of them that are shown singly, 0: all; a process comes once. */
int pprof_add(struct pprof *p, FILE *f, const struct session *s, const struct report *r,
	      size_t from, size_t to, size_t top);
/* What was lost becomes comments. Nothing follows; a second end does nothing. */
int pprof_end(struct pprof *p, FILE *f, const struct loss *losses, size_t n_losses);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ANALYZE_GROWTH_H
#define SEEP_ANALYZE_GROWTH_H
/* How fast sites and processes grow: the slope of their outstanding bytes over the last reports. */
#include <stddef.h>
#include <stdint.h>

struct report;
struct growth;

#define GROWTH_SAMPLES 60 /* reports that the slope looks back on */
#define GROWTH_SAMPLES_MIN 3

/* Slope of n points by ordinary least squares, in units of value per unit of time. Points whose value is NAN are left
 * out. Returns NAN with fewer than GROWTH_SAMPLES_MIN points or when all are at the same time. Thread-safe. */
double growth_slope(const double *times, const double *values, size_t n);

/* Returns 0 or -ENOMEM. Destroy accepts NULL. Not thread-safe. */
int growth_create(struct growth **ret);
void growth_destroy(struct growth *g);

/* Remembers the outstanding bytes of r and fills growth_bytes_per_second of its sites (those judged to leak or grow keep theirs) and processes, and the processes'
 * seconds_to_limit: from RSS and limit at that rate, NAN when either is unknown or nothing grows. To be called once for
 * each report, in order. What ended or has not been reported for GROWTH_SAMPLES reports is forgotten. Takes 520 bytes a
 * site. Returns 0, or -ENOMEM with the rates that could not be kept left NAN. */
int growth_update(struct growth *g, struct report *r);

#endif

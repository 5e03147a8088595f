/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_EXPOSITION_H
#define SEEP_OUTPUT_EXPOSITION_H
/* How metrics are written: Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats) and OpenMetrics 1.0
 * (openmetrics.io), which differ in what a family is called and how the text ends. Errors stay in the stream. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum exposition_type {
	EXPOSITION_GAUGE,
	EXPOSITION_COUNTER, /* its samples are NAME_total */
	EXPOSITION_INFO,    /* its samples are NAME_info, and 1 */
};

struct exposition {
	FILE *f;
	bool openmetrics;
	const char *name; /* of the family that samples are of now */
	enum exposition_type type;
};

struct exposition_label {
	const char *name, *value; /* value NULL or "": there is none */
};

/* Begins a family. name: without _total and _info. unit: the last word of name, or NULL. help: one line without a quote. */
void exposition_family(struct exposition *e, const char *name, enum exposition_type type,
		       const char *unit, const char *help);
/* Label values are any bytes: what is not UTF-8 or would steer a terminal comes out escaped, as in text. */
void exposition_count(struct exposition *e, const struct exposition_label *labels, size_t n,
		      uint64_t value);
void exposition_value(struct exposition *e, const struct exposition_label *labels, size_t n,
		      double value);
void exposition_end(struct exposition *e);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_HTML_H
#define SEEP_OUTPUT_HTML_H
/* A page that is one file and asks for no other: user/page/'s template, in whose middle stand the records of ndjson. A report that another
 * follows is thinned to what a plot over time needs, a record `moment` for each process; processes whose last report it is are there whole. */
#include <stdio.h>

#include "model/report.h"

#define HTML_MOMENT_SITES 12u /* in a moment, of each process, those that hold most */

struct html;

/* Returns 0 or -ENOMEM. */
int html_create(struct html **ret);
void html_destroy(struct html *h);

/* Completes the page, once; a second end does nothing, nor one without a beginning. Returns 0 or -errno of the stream. */
int html_end(struct html *h, FILE *f);

/* Writes text of JSON so that nothing in it ends the script element around it: a '<' can only be within a string, where
 * \u003c means the same. */
void html_put_json(FILE *f, const char *text, size_t n);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_HTTP_ANSWER_H
#define SEEP_DAEMON_HTTP_ANSWER_H
/* Answers from what a board says, whole in memory. All functions are thread-safe. */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/http_request.h"

struct board;

struct http_answer {
	unsigned status;
	const char *type; /* Content-Type, static */
	char *body;	  /* malloc'ed, or NULL without memory */
	size_t n;
};

void http_answer_make(struct board *b, const struct http_request *r, struct http_answer *ret);
/* {"error": why}. */
void http_answer_refuse(unsigned status, const char *why, struct http_answer *ret);

#endif

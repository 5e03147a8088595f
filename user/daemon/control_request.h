/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_CONTROL_REQUEST_H
#define SEEP_DAEMON_CONTROL_REQUEST_H
/* The lines that go through a control socket. Requests: "who", "who PID" (does it trace that process?), "mark NAME". Answers: an object
 * with "ok", true or false. Both ends may be anybody's, so both are parsed strictly. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/diag.h"
#include "model/mark.h"

struct session;

enum control_verb {
	CONTROL_WHO,
	CONTROL_MARK,
};

struct control_request {
	enum control_verb verb;
	pid_t pid; /* of who; 0: none */
	char name[MARK_NAME_MAX + 1];
};

#define CONTROL_TARGETS_MAX 4 /* in an answer; there may be more */

/* What a seep answered. */
struct control_answer {
	bool ok;
	bool again; /* not ok, but it may be in a moment */
	char error[256];
	/* of who */
	bool traces; /* the process that was asked for */
	char targets[512];
	uint64_t start_ns;
	/* of mark */
	struct mark mark;
};

/* line: n bytes without a newline. Returns 0 or -EBADMSG with a diag that quotes nothing of it. */
int control_request_parse(const char *line, size_t n, struct control_request *ret, struct diag *d);
/* The line with its newline. */
void control_request_print(const struct control_request *r, char *out, size_t n_bytes);

/* The answers, as lines. */
void control_put_error(FILE *to, bool again, const char *error);
/* traces: NULL when no process was asked for. */
void control_put_who(FILE *to, const struct session *s, const bool *traces);
void control_put_mark(FILE *to, const struct mark *m);
/* line: n bytes with or without the newline. Control characters of its texts become '?'. Returns 0 or -EBADMSG. */
int control_answer_parse(const char *line, size_t n, struct control_answer *ret);

#endif

// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/control_request.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/report.h"
#include "output/json.h"

/* The rest of text behind word and one space, or NULL. */
static const char *behind(const char *text, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(text, word, n) && text[n] == ' ' ? text + n + 1 : NULL;
}

static bool parse_pid(const char *text, pid_t *ret)
{
	size_t n = strspn(text, "0123456789");
	long value;

	if (!n || n > 10 || text[n])
		return false;
	value = atol(text);
	*ret = value;
	return value > 0 && value <= INT_MAX;
}

int control_request_parse(const char *line, size_t n, struct control_request *ret, struct diag *d)
{
	struct control_request r = {0};
	char text[MARK_NAME_MAX + 16];
	const char *rest;

	if (n >= sizeof(text) || memchr(line, '\0', n))
		return diag_set(d, EBADMSG, "not a request");
	memcpy(text, line, n);
	text[n] = '\0';
	rest = behind(text, "mark");
	if (rest) {
		if (!mark_name_is_valid(rest))
			return diag_set(d, EBADMSG, "no name of a mark: " MARK_NAME_RULE);
		r.verb = CONTROL_MARK;
		memcpy(r.name, rest, strlen(rest) + 1);
	} else if (strcmp(text, "who")) {
		rest = behind(text, "who");
		if (!rest || !parse_pid(rest, &r.pid))
			return diag_set(d, EBADMSG, "not a request");
	}
	*ret = r;
	return 0;
}

void control_request_print(const struct control_request *r, char *out, size_t n_bytes)
{
	if (r->verb == CONTROL_MARK)
		snprintf(out, n_bytes, "mark %s\n", r->name);
	else if (r->pid)
		snprintf(out, n_bytes, "who %d\n", r->pid);
	else
		snprintf(out, n_bytes, "who\n");
}

void control_put_error(FILE *to, bool again, const char *error)
{
	struct json_line j;

	json_line_begin(&j, to);
	json_put_bool(&j, "ok", false);
	json_put_bool(&j, "again", again);
	json_put_string(&j, "error", error);
	json_line_end(&j);
}

void control_put_who(FILE *to, const struct session *s, const bool *traces)
{
	struct json_line j;

	json_line_begin(&j, to);
	json_put_bool(&j, "ok", true);
	json_put_string(&j, "version", s->version);
	json_put_u64(&j, "start_ns", s->start_ns);
	if (traces)
		json_put_bool(&j, "traces", *traces);
	json_put_u64(&j, "n_targets", s->n_targets);
	json_open(&j, "targets", '[');
	for (size_t i = 0; i < s->n_targets && i < CONTROL_TARGETS_MAX; i++)
		json_put_string(&j, NULL, s->targets[i]);
	json_close(&j, ']');
	json_line_end(&j);
}

void control_put_mark(FILE *to, const struct mark *m)
{
	struct json_line j;

	json_line_begin(&j, to);
	json_put_bool(&j, "ok", true);
	json_put_string(&j, "name", m->name);
	json_put_u64(&j, "time_ns", m->time_ns);
	json_put_u64(&j, "sequence", m->sequence);
	json_line_end(&j);
}

static void cleanup_json(json_t **value)
{
	json_decref(*value);
}

static void append(char *out, size_t n_bytes, const char *text)
{
	size_t n = strlen(out);

	while (text && *text && n + 1 < n_bytes) {
		out[n++] = iscntrl((unsigned char)*text) ? '?' : *text;
		text++;
	}
	out[n] = '\0';
}

static uint64_t get_u64(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? value : 0;
}

static void get_targets(const json_t *object, char *out, size_t n_bytes)
{
	const json_t *targets = json_object_get(object, "targets");
	size_t n = json_array_size(targets);
	uint64_t n_all = get_u64(object, "n_targets");
	char more[32];

	*out = '\0';
	for (size_t i = 0; i < n; i++) {
		append(out, n_bytes, i ? ", " : "");
		append(out, n_bytes, json_string_value(json_array_get(targets, i)));
	}
	snprintf(more, sizeof(more), " and %llu more", (unsigned long long)(n_all - n));
	append(out, n_bytes, n_all > n ? more : "");
}

int control_answer_parse(const char *line, size_t n, struct control_answer *ret)
{
	json_error_t error;
	_cleanup_(cleanup_json)
		json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
	const json_t *ok = json_object_get(object, "ok");
	struct control_answer a = {.ok = json_is_true(ok)};
	const char *name = json_string_value(json_object_get(object, "name"));

	if (!json_is_boolean(ok))
		return -EBADMSG;
	a.again = json_is_true(json_object_get(object, "again"));
	a.traces = json_is_true(json_object_get(object, "traces"));
	append(a.error, sizeof(a.error), json_string_value(json_object_get(object, "error")));
	get_targets(object, a.targets, sizeof(a.targets));
	a.start_ns = get_u64(object, "start_ns");
	a.mark.time_ns = get_u64(object, "time_ns");
	a.mark.sequence = get_u64(object, "sequence");
	append(a.mark.name, sizeof(a.mark.name), name);
	*ret = a;
	return 0;
}

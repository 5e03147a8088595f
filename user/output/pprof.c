// SPDX-License-Identifier: BSD-2-Clause
/* Fields of one message may come in any order, and items of its repeated fields one by one, so a profile is written as a row of
 * small pieces: a string, a function, a location the first time that something needs it, then the sample.
 *
 * A location's address tells two stacks apart where a consumer does not know modules (Alloy). Offsets of two files collide, so
 * each file gets a stretch of addresses of its own; all stay below 2^53, which is as far as JavaScript counts. */
#include "output/pprof.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "output/escape.h"
#include "output/gzip.h"
#include "output/output.h"
#include "output/protobuf.h"

/* Where no mapping is known, the address is the process's own; these are below 2^47. */
#define MODULES_FROM (1ULL << 48)
#define MODULE_BYTES (1ULL << 36)
#define MODULES_MAX (((1ULL << 53) - MODULES_FROM) / MODULE_BYTES)

/* What these take at most beside the text of their names: tags, lengths and ten bytes a number. */
#define FRAME_BYTES 192
#define SAMPLE_BYTES 256
#define ESCAPED 4 /* times as long as it was, at most */
/* For what has to be said in any case: the sums of what is left out, losses, the end. */
#define RESERVED_BYTES (256u << 10)
#define RESERVED_SAMPLES 1000
#define END_BYTES (16u << 10)
#define FLUSH_BYTES (64u << 10)

#define N_VALUES 4

enum profile_field {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING = 6,
	PROFILE_TIME_NANOS = 9,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12,
	PROFILE_COMMENT = 13,
	PROFILE_DEFAULT_SAMPLE_TYPE = 14,
};

/* Equal bytes get one number: 1, 2, ... in the order in which they came. */
struct dictionary {
	struct strings texts;
	struct hashmap ids; /* of a text's address */
	uint64_t n;
};

struct pprof {
	struct gzip gzip;
	struct protobuf pieces;			       /* not yet written */
	struct protobuf entry, line, location, sample; /* being made; empty between calls */
	struct dictionary strings, functions, mappings, locations;
	size_t n_bytes, n_samples;   /* written so far */
	uint64_t left_out[N_VALUES]; /* of processes for which there was no room */
	uint64_t time_ns;
	bool has_ended, prefers_allocated;
};

/* The number of these bytes, or 0 without memory. *ret_new: they have it since now. */
static uint64_t dictionary_id(struct dictionary *d, const void *bytes, size_t n, bool *ret_new)
{
	const char *text = strings_intern_n(&d->texts, bytes, n);
	void *id;

	*ret_new = false;
	if (!text)
		return 0;
	id = hashmap_get(&d->ids, (uintptr_t)text);
	if (id)
		return (uintptr_t)id;
	if (hashmap_put(&d->ids, (uintptr_t)text, (void *)(uintptr_t)(d->n + 1)))
		return 0;
	*ret_new = true;
	return ++d->n;
}

static void dictionary_done(struct dictionary *d)
{
	strings_done(&d->texts);
	hashmap_done(&d->ids);
}

static void put_piece(struct pprof *p, unsigned field, struct protobuf *piece)
{
	p->pieces.failed |= piece->failed;
	protobuf_bytes(&p->pieces, field, piece->items, piece->n);
	piece->n = 0;
}

/* The number of what piece says. What is new is written with its number, which is field 1 of each such message. */
static uint64_t piece_id(struct pprof *p, struct dictionary *d, unsigned field,
			 struct protobuf *piece)
{
	bool is_new;
	uint64_t id = dictionary_id(d, piece->items, piece->n, &is_new);

	p->pieces.failed |= !id || piece->failed;
	if (is_new) {
		protobuf_uint(piece, 1, id);
		put_piece(p, field, piece);
	}
	piece->n = 0;
	return id;
}

/* Index of a text in the string table; 0 is the empty one. Names come out as valid UTF-8 that steers no terminal. */
static uint64_t string_index(struct pprof *p, const char *text)
{
	_cleanup_free_ char *shown = NULL;
	char unit[ESCAPE_UNIT_SIZE];
	size_t n = 0;
	uint64_t id;
	bool is_new;

	if (!text || !*text)
		return 0;
	shown = malloc(strlen(text) * ESCAPED + ESCAPE_UNIT_SIZE);
	if (!shown) {
		p->pieces.failed = true;
		return 0;
	}
	while (*text) {
		if (*text >= 0x20 && *text < 0x7f) {
			shown[n++] = *text++;
			continue;
		}
		escape_next(&text, unit);
		n = stpcpy(shown + n, unit) - shown;
	}
	id = dictionary_id(&p->strings, shown, n, &is_new);
	p->pieces.failed |= !id;
	if (is_new)
		protobuf_bytes(&p->pieces, PROFILE_STRING, shown, n);
	return id;
}

static const char *module_of(const struct frame *frame)
{
	return frame->module ? frame->module : "[unmapped]";
}

/* Message Mapping: memory_start 2, memory_limit 3, filename 5, build_id 6, has_functions 7. seep has named what can be named:
 * nobody else need look for symbols. */
static uint64_t mapping_id(struct pprof *p, const struct frame *frame, uint64_t *ret_start)
{
	uint64_t file = string_index(p, module_of(frame));
	uint64_t build_id = string_index(p, frame->build_id);
	uint64_t key[] = {file, build_id}, id;
	bool is_new;

	id = dictionary_id(&p->mappings, key, sizeof(key), &is_new);
	p->pieces.failed |= !id;
	*ret_start = frame->module ? MODULES_FROM + id % MODULES_MAX * MODULE_BYTES : 0;
	if (is_new) {
		protobuf_uint(&p->entry, 1, id);
		protobuf_uint(&p->entry, 2, *ret_start);
		protobuf_uint(&p->entry, 3, *ret_start ? *ret_start + MODULE_BYTES : MODULES_FROM);
		protobuf_uint(&p->entry, 5, file);
		protobuf_uint(&p->entry, 6, build_id);
		protobuf_uint(&p->entry, 7, true);
		put_piece(p, PROFILE_MAPPING, &p->entry);
	}
	return id;
}

/* Message Function: name 2, system_name 3, filename 4. What has no name is called by its place: speedscope drops frames without a
 * function. */
static uint64_t function_id(struct pprof *p, const struct frame *frame)
{
	const char *slash = strrchr(module_of(frame), '/');
	_cleanup_free_ char *place = NULL;
	uint64_t name;

	if (!frame->function && asprintf(&place, "%s+0x%" PRIx64,
					 slash ? slash + 1 : module_of(frame), frame->offset) < 0) {
		place = NULL;
		p->pieces.failed = true;
	}
	name = string_index(p, frame->function ? frame->function : place);
	protobuf_uint(&p->entry, 2, name);
	protobuf_uint(&p->entry, 3, name);
	protobuf_uint(&p->entry, 4, string_index(p, frame->file));
	return piece_id(p, &p->functions, PROFILE_FUNCTION, &p->entry);
}

/* Message Location: mapping_id 2, address 3, line 4; message Line: function_id 1, line 2. frames: those inlined into one another,
 * the innermost first, and the one that they ended up in. */
static uint64_t location_id(struct pprof *p, const struct frame *frames, size_t n)
{
	uint64_t start, mapping = mapping_id(p, &frames[n - 1], &start);
	uint64_t offset = frames[n - 1].offset;

	protobuf_uint(&p->location, 2, mapping);
	protobuf_uint(&p->location, 3,
		      start ? start + offset % MODULE_BYTES : offset % MODULES_FROM);
	for (size_t i = 0; i < n; i++) {
		protobuf_uint(&p->line, 1, function_id(p, &frames[i]));
		protobuf_uint(&p->line, 2, frames[i].line);
		protobuf_bytes(&p->location, 4, p->line.items, p->line.n);
		p->location.failed |= p->line.failed;
		p->line.n = 0;
	}
	return piece_id(p, &p->locations, PROFILE_LOCATION, &p->location);
}

/* Message Label: key 1, str 2, num 3. */
static void put_label(struct pprof *p, const char *key, const char *text, uint64_t number)
{
	if ((!text || !*text) && !number)
		return;
	protobuf_uint(&p->entry, 1, string_index(p, key));
	protobuf_uint(&p->entry, 2, string_index(p, text));
	protobuf_uint(&p->entry, 3, number);
	protobuf_bytes(&p->sample, 3, p->entry.items, p->entry.n);
	p->sample.failed |= p->entry.failed;
	p->entry.n = 0;
}

static void put_labels(struct pprof *p, const struct process_report *process)
{
	put_label(p, "comm", process->comm, 0);
	put_label(p, "container",
		  process->container_name ? process->container_name : process->container, 0);
	put_label(p, "namespace", process->namespace_, 0);
	put_label(p, "pod", process->pod, 0);
	put_label(p, "pid", NULL, process->pid);
}

/* Message Sample: location_id 1, value 2, label 3. process: NULL for what is of several. */
static void put_sample(struct pprof *p, const struct process_report *process,
		       const struct frame *frames, size_t n_frames, bool is_cut,
		       const uint64_t values[N_VALUES])
{
	static const struct frame cut = {"[truncated]", .module = "[seep]", .offset = 1};

	for (size_t i = 0, n; i < n_frames; i += n) {
		for (n = 1; frames[i + n - 1].inlined && i + n < n_frames;)
			n++;
		protobuf_item(&p->sample, 1, location_id(p, &frames[i], n));
	}
	if (is_cut)
		protobuf_item(&p->sample, 1, location_id(p, &cut, 1));
	for (size_t i = 0; i < N_VALUES; i++)
		protobuf_item(&p->sample, 2, values[i] > INT64_MAX ? INT64_MAX : values[i]);
	if (process)
		put_labels(p, process);
	put_piece(p, PROFILE_SAMPLE, &p->sample);
	p->n_samples++;
}

static const struct frame other = {"[other]", .module = "[seep]", .offset = 3};
static const struct frame suppressed = {"[suppressed]", .module = "[seep]", .offset = 4};

/* One sample for many sites, of which only the sum is told. */
static void put_sum(struct pprof *p, const struct process_report *process,
		    const struct frame *frame, const uint64_t values[N_VALUES])
{
	for (size_t i = 0; i < N_VALUES; i++)
		if (values[i]) {
			put_sample(p, process, frame, 1, false, values);
			return;
		}
}

static void put_site(struct pprof *p, const struct process_report *process, const struct site *s,
		     const uint64_t values[N_VALUES])
{
	static const struct frame unknown = {"[unknown]", .module = "[seep]", .offset = 2};

	if (s->n_frames)
		put_sample(p, process, s->frames, s->n_frames, s->truncated, values);
	else
		put_sample(p, process, &unknown, 1, false, values);
}

static size_t text_bytes(const char *text)
{
	return text ? ESCAPED * strlen(text) : 0;
}

static size_t labels_bytes(const struct process_report *process)
{
	return SAMPLE_BYTES + text_bytes(process->comm) + text_bytes(process->container_name) +
	       text_bytes(process->container) + text_bytes(process->namespace_) +
	       text_bytes(process->pod);
}

/* Whether a site's sample fits, even if none of its names is there yet. */
static bool has_room(const struct pprof *p, const struct process_report *process,
		     const struct site *s)
{
	size_t n_bytes = labels_bytes(process);

	for (size_t i = 0; i < s->n_frames; i++)
		n_bytes += FRAME_BYTES + text_bytes(s->frames[i].function) +
			   text_bytes(s->frames[i].file) + text_bytes(s->frames[i].module) +
			   text_bytes(s->frames[i].build_id);
	return p->n_samples < PPROF_SAMPLES_MAX - RESERVED_SAMPLES &&
	       p->n_bytes + p->pieces.n + n_bytes < PPROF_BYTES_MAX - RESERVED_BYTES;
}

static int flush(struct pprof *p, FILE *f)
{
	int err = p->pieces.failed ? -ENOMEM
				   : gzip_write(&p->gzip, f, p->pieces.items, p->pieces.n);

	p->n_bytes += p->pieces.n;
	p->pieces.n = 0;
	return err;
}

int pprof_create(struct pprof **ret)
{
	struct pprof *p = calloc(1, sizeof(*p));

	if (!p || gzip_init(&p->gzip)) {
		free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void pprof_destroy(struct pprof *p)
{
	if (!p)
		return;
	gzip_done(&p->gzip);
	protobuf_done(&p->pieces);
	protobuf_done(&p->entry);
	protobuf_done(&p->line);
	protobuf_done(&p->location);
	protobuf_done(&p->sample);
	dictionary_done(&p->strings);
	dictionary_done(&p->functions);
	dictionary_done(&p->mappings);
	dictionary_done(&p->locations);
	free(p);
}

static void put_loss(struct pprof *p, const struct loss *loss)
{
	_cleanup_free_ char *comment = NULL;

	if (asprintf(&comment, "lost: %s %" PRIu64, loss->cause, loss->count) < 0) {
		comment = NULL;
		p->pieces.failed = true;
	}
	protobuf_item(&p->pieces, PROFILE_COMMENT, string_index(p, comment));
}

/* Message ValueType: type 1, unit 2. */
static void put_type(struct pprof *p, unsigned field, const char *type, const char *unit)
{
	protobuf_uint(&p->entry, 1, string_index(p, type));
	protobuf_uint(&p->entry, 2, string_index(p, unit));
	put_piece(p, field, &p->entry);
}

void pprof_prefer_allocated(struct pprof *p)
{
	p->prefers_allocated = true;
}

int pprof_begin(struct pprof *p, FILE *f, const struct session *s)
{
	_cleanup_free_ char *comment = NULL;

	protobuf_bytes(&p->pieces, PROFILE_STRING, "", 0);
	put_type(p, PROFILE_SAMPLE_TYPE, "alloc_objects", "count");
	put_type(p, PROFILE_SAMPLE_TYPE, "alloc_space", "bytes");
	put_type(p, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
	put_type(p, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
	put_type(p, PROFILE_PERIOD_TYPE, "space", "bytes");
	protobuf_uint(&p->pieces, PROFILE_PERIOD,
		      s->mode == REPORT_EXACT || !s->sample_interval ? 1 : s->sample_interval);
	protobuf_uint(&p->pieces, PROFILE_DEFAULT_SAMPLE_TYPE,
		      string_index(p, p->prefers_allocated ? "alloc_space" : "inuse_space"));
	if (asprintf(&comment, "seep %s, Linux %s, host %s", s->version ? s->version : "?",
		     s->kernel ? s->kernel : "?", s->hostname ? s->hostname : "?") < 0) {
		comment = NULL;
		return -ENOMEM;
	}
	protobuf_item(&p->pieces, PROFILE_COMMENT, string_index(p, comment));
	return flush(p, f);
}

/* The sites of one process of which only the sums are told. */
struct sums {
	uint64_t left_out[N_VALUES], suppressed[N_VALUES];
};

static void add_values(uint64_t sum[N_VALUES], const uint64_t values[N_VALUES])
{
	for (size_t i = 0; i < N_VALUES; i++)
		sum[i] += values[i];
}

static void put_sums(struct pprof *p, const struct process_report *process, const struct sums *sums)
{
	if (p->n_samples + 4 > PPROF_SAMPLES_MAX ||
	    p->n_bytes + p->pieces.n + 2 * labels_bytes(process) > PPROF_BYTES_MAX - END_BYTES) {
		add_values(p->left_out, sums->left_out);
		add_values(p->left_out, sums->suppressed);
		return;
	}
	put_sum(p, process, &other, sums->left_out);
	put_sum(p, process, &suppressed, sums->suppressed);
}

int pprof_add(struct pprof *p, FILE *f, const struct session *s, const struct report *r,
	      size_t from, size_t to, size_t top)
{
	const struct process_report *process = &r->processes[r->sites[from].process];
	struct sums sums = {0};
	size_t shown = 0;
	bool is_full = false;
	int err = 0;

	p->time_ns = r->time_ns;
	for (size_t i = from; i < to && !err; i++) {
		const struct site *site = &r->sites[i];
		const uint64_t values[N_VALUES] = {site->allocations, site->allocated_bytes,
						   site->outstanding_allocations,
						   site->outstanding_bytes};

		if (!output_is_counted(s, site))
			continue;
		is_full |= !has_room(p, process, site) || (top && shown == top);
		if (site->suppressed) {
			add_values(sums.suppressed, values);
		} else if (is_full) {
			add_values(sums.left_out, values);
		} else {
			put_site(p, process, site, values);
			shown++;
		}
		if (p->pieces.n > FLUSH_BYTES)
			err = flush(p, f);
	}
	if (err)
		return err;
	put_sums(p, process, &sums);
	return flush(p, f);
}

int pprof_end(struct pprof *p, FILE *f, const struct loss *losses, size_t n_losses)
{
	int err;

	if (p->has_ended)
		return 0;
	p->has_ended = true;
	put_sum(p, NULL, &other, p->left_out);
	for (size_t i = 0; i < n_losses && p->n_bytes + p->pieces.n < PPROF_BYTES_MAX - END_BYTES;
	     i++)
		put_loss(p, &losses[i]);
	protobuf_uint(&p->pieces, PROFILE_TIME_NANOS, p->time_ns);
	err = flush(p, f);
	return err ? err : gzip_end(&p->gzip, f);
}

static int profile_session(FILE *f, const struct output_options *o, const struct session *s)
{
	return pprof_begin(o->pprof, f, s);
}

static int profile_report(FILE *f, const struct output_options *o, const struct session *s,
			  const struct report *r)
{
	size_t from, to;
	int err = 0;

	for (from = 0; from < r->n_sites && !err; from = to) {
		to = output_sites_end(r, from);
		if (o->is_last || r->processes[r->sites[from].process].final)
			err = pprof_add(o->pprof, f, s, r, from, to, o->top);
	}
	return err;
}

static int profile_end(FILE *f, const struct output_options *o, const struct session *s,
		       const struct session_end *e)
{
	(void)s;
	return pprof_end(o->pprof, f, e->losses, e->n_losses);
}

const struct output_format output_pprof = {
	.name = "pprof",
	.binary = true,
	.last_only = true,
	.session = profile_session,
	.report = profile_report,
	.end = profile_end,
};

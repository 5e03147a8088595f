// SPDX-License-Identifier: BSD-2-Clause
/* Layouts are those of glibc 2.26 to 2.41 on 64-bit machines (malloc/malloc.c, malloc/arena.c).
 *
 *	chunk:	prev_size | size, and in its low bits PREV_INUSE 1, IS_MMAPPED 2, NON_MAIN_ARENA 4 | memory of the program ...
 *
 * Each chunk's successor begins size bytes on, and has PREV_INUSE set while this one is in use. Freed ones that a thread's tcache or an
 * arena's fastbins keep look in use: their lists tell. The main arena grows by brk, from the beginning of [heap] to its end; the others
 * are in heaps that begin at multiples of 64 MiB with a heap_info, which the arena's malloc_state follows in the first one:
 *
 *	heap_info:    arena | previous heap | size | size that is writable | (2.35: page size)
 *	malloc_state: ... | 16: fastbins[10] | 96: top | ...
 *
 * A tcache is a chunk of 0x290 bytes at the beginning of its thread's use: 64 counts of 16 bits, 64 heads of lists; links are XORed with
 * their own address >> 12 since 2.32 (as those of fastbins are). */
#include "reach/glibc_heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "process/heir.h"
#include "process/maps.h"

#define PREV_INUSE 1
#define IS_MMAPPED 2
#define FLAGS 7
#define HEADER 16
#define MIN_CHUNK 32
#define HEAP_MAX (64ULL << 20)
#define STATE_FASTBINS 16
#define STATE_TOP 96
#define STATE_BYTES HEAP_STATE_BYTES
#define N_FASTBINS 10
#define N_TCACHE_LISTS 64
#define TCACHE_CHUNK 0x290
#define TCACHE_LARGEST (MIN_CHUNK + 16 * (N_TCACHE_LISTS - 1))
#define MOST_ON_LIST 65536
#define STORAGE_MOST (1 << 20)
#define WINDOW (256 << 10)
#define PAGE 4096ULL
#define MOST_CHUNKS (32 << 20) /* x 16 B */

struct walk {
	pid_t pid;
	const struct maps *maps;
	struct glibc_heap *heap;
	size_t cap;
	uint64_t window_at; /* address of what is in window, n bytes */
	size_t window_n;
	uint8_t *window;
};

/* One area that one arena's chunks are in. */
struct area {
	uint64_t first, end; /* of its chunks */
	bool is_main;
};

static int read_memory(pid_t pid, uint64_t address, void *to, size_t n)
{
	struct iovec local = {to, n}, remote = {(void *)address, n};
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return got < 0 ? -errno : got == (ssize_t)n ? 0 : -EFAULT;
}

static const struct mapping *writable_at(const struct maps *maps, uint64_t address)
{
	const struct mapping *m = maps_find(maps, address);

	return m && m->readable && m->writable && !m->shared ? m : NULL;
}

/* n bytes at address by way of the window; headers lie close together. */
static int peek(struct walk *w, uint64_t address, void *to, size_t n)
{
	if (address < w->window_at || address + n > w->window_at + w->window_n) {
		const struct mapping *m = writable_at(w->maps, address);
		uint64_t left = m ? m->end - address : 0;
		int err;

		if (left < n)
			return -EFAULT;
		w->window_n = 0;
		left = left < WINDOW ? left : WINDOW;
		err = read_memory(w->pid, address, w->window, left);
		if (err)
			return err;
		w->window_at = address;
		w->window_n = left;
	}
	memcpy(to, w->window + (address - w->window_at), n);
	return 0;
}

static int peek_word(struct walk *w, uint64_t address, uint64_t *ret)
{
	return peek(w, address, ret, sizeof(*ret));
}

static int add_chunk(struct walk *w, uint64_t chunk, uint64_t size_bytes,
		     enum heap_chunk_state state)
{
	struct {
		struct heap_chunk *items;
		size_t n, cap;
	} v = {w->heap->chunks, w->heap->n_chunks, w->cap};
	int err = v.n >= MOST_CHUNKS
			  ? -E2BIG
			  : vec_push(&v, (struct heap_chunk){chunk + HEADER, size_bytes, state});

	w->heap->chunks = v.items;
	w->heap->n_chunks = v.n;
	w->cap = v.cap;
	return err;
}

/* Chunks from a->first on. Returns where it did not go on, which is a->end when all is well; or -ENOMEM or -E2BIG. */
static int64_t walk_once(struct walk *w, const struct area *a)
{
	uint64_t at = a->first, size, next_size;
	int err;

	w->window_n = 0;
	while (at + HEADER <= a->end && !peek_word(w, at + 8, &size)) {
		enum heap_chunk_state state = HEAP_TOP;
		uint64_t flags = size & FLAGS, n = size & ~(uint64_t)FLAGS;

		/* Where an arena goes on elsewhere, fences of 16 bytes mark the end. */
		if (!a->is_main && n <= HEADER && at + 3 * HEADER >= a->end)
			return a->end;
		if (flags & IS_MMAPPED || n < MIN_CHUNK || n % 16 || n > a->end - at)
			return at;
		if (at + n < a->end) {
			if (peek_word(w, at + n + 8, &next_size))
				return at;
			state = next_size & PREV_INUSE ? HEAP_USED : HEAP_FREE;
		}
		err = add_chunk(w, at, n, state);
		if (err)
			return err;
		at += n;
	}
	return at;
}

/* It may have been caught in the middle of a change: then once more. */
static int walk_area(struct walk *w, const struct area *a)
{
	size_t before = w->heap->n_chunks;
	int64_t until = walk_once(w, a);

	if (until >= 0 && (uint64_t)until != a->end) {
		w->heap->n_chunks = before;
		until = walk_once(w, a);
	}
	if (until < 0)
		return until;
	w->heap->unparsed_bytes += a->end - (uint64_t)until;
	return 0;
}

/* The thread-local storage of a static program lies before malloc's first chunk, which is the first thread's tcache then. */
static void skip_storage(struct walk *w, struct area *a)
{
	uint64_t size, first = a->first;

	w->window_n = 0;
	while (first + HEADER <= a->end && first - a->first < STORAGE_MOST &&
	       !peek_word(w, first + 8, &size)) {
		if (size == (TCACHE_CHUNK | PREV_INUSE)) {
			w->heap->unparsed_bytes += first - a->first;
			a->first = first;
			return;
		}
		first += HEADER;
	}
}

static int walk_main(struct walk *w)
{
	struct area a = {.is_main = true};
	const struct mapping *m;

	for (size_t i = 0; i < w->maps->n; i++) {
		m = &w->maps->items[i];
		if (strcmp(m->path, "[heap]") || !m->writable)
			continue;
		if (!a.end)
			a.first = m->start;
		else if (a.end != m->start)
			break;
		a.end = m->end;
	}
	if (!a.end)
		return 0;
	w->heap->n_arenas++;
	skip_storage(w, &a);
	return walk_area(w, &a);
}

struct heap_info {
	uint64_t arena, previous, size_bytes, writable_bytes;
};

/* Whether one of malloc's heaps begins at base. */
static bool read_heap_info(struct walk *w, uint64_t base, struct heap_info *ret)
{
	uint64_t first, offset;

	if (peek(w, base, ret, sizeof(*ret)))
		return false;
	first = ret->arena & ~(HEAP_MAX - 1);
	offset = ret->arena - first;
	if (offset < sizeof(*ret) || offset > 256 || offset % 16 || ret->previous % HEAP_MAX ||
	    !writable_at(w->maps, ret->arena))
		return false;
	return ret->size_bytes >= PAGE && ret->size_bytes <= ret->writable_bytes &&
	       ret->writable_bytes <= HEAP_MAX && writable_at(w->maps, base + ret->size_bytes - 1);
}

static int walk_heap(struct walk *w, uint64_t base, const struct heap_info *info)
{
	uint64_t of_info = info->arena & (HEAP_MAX - 1);
	bool is_first = info->arena - of_info == base;
	uint64_t own = of_info + (is_first ? STATE_BYTES : 0);
	struct area a = {.first = base + ((own + 15) & ~15ULL), .end = base + info->size_bytes};

	w->heap->n_arenas += is_first;
	w->heap->own_bytes += a.first - base;
	return walk_area(w, &a);
}

typedef int (*on_heap)(struct walk *w, uint64_t base, const struct heap_info *info);

static int each_heap(struct walk *w, on_heap visit)
{
	int err = 0;

	for (size_t i = 0; i < w->maps->n && !err; i++) {
		const struct mapping *m = &w->maps->items[i];
		struct heap_info info;

		if (m->path[0] || !writable_at(w->maps, m->start))
			continue;
		for (uint64_t base = (m->start + HEAP_MAX - 1) & ~(HEAP_MAX - 1);
		     base < m->end && !err; base += HEAP_MAX)
			if (read_heap_info(w, base, &info))
				err = visit(w, base, &info);
	}
	return err;
}

/* Chunks with mappings of their own, one behind the other from the beginning of a mapping on. */
static int walk_mapped(struct walk *w)
{
	int err = 0;

	for (size_t i = 0; i < w->maps->n && !err; i++) {
		const struct mapping *m = &w->maps->items[i];
		uint64_t at = m->start, words[2];

		if (m->path[0] || !writable_at(w->maps, at))
			continue;
		while (!err && at < m->end && !read_memory(w->pid, at, words, sizeof(words))) {
			uint64_t n = words[1] & ~(uint64_t)FLAGS, before = words[0];

			/* memalign leaves a gap before. */
			if ((words[1] & FLAGS) != IS_MMAPPED || before || !n || n % PAGE ||
			    n > m->end - at)
				break;
			err = add_chunk(w, at, n, HEAP_MAPPED);
			at += n;
		}
	}
	return err;
}

static int compare_chunks(const void *left, const void *right)
{
	const struct heap_chunk *a = left, *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

static struct heap_chunk *find_chunk(struct glibc_heap *heap, uint64_t address)
{
	const struct heap_chunk key = {.address = address};

	return heap->n_chunks ? bsearch(&key, heap->chunks, heap->n_chunks, sizeof(*heap->chunks),
					compare_chunks)
			      : NULL;
}

/* One list of freed chunks of n bytes (0: any), each linked to the next by the word at its memory; head: that of the first. offset:
 * from what links hold to that. state: what they become; HEAP_USED: it is only looked whether it is a list of count. */
struct list {
	uint64_t head, size_bytes, count, offset;
	bool mangled;
};

static bool follow_list(struct walk *w, const struct list *l, enum heap_chunk_state state)
{
	uint64_t at = l->head + l->offset, n = 0, link;

	for (; at != l->offset && n < MOST_ON_LIST; n++) {
		struct heap_chunk *c = find_chunk(w->heap, at);

		if (!c || (c->state != HEAP_USED && c->state != state) ||
		    (l->size_bytes && c->size_bytes != l->size_bytes) || peek_word(w, at, &link))
			return false;
		if (state != HEAP_USED)
			c->state = state;
		at = (l->mangled ? link ^ at >> 12 : link) + l->offset;
	}
	return n == l->count || !l->count;
}

struct tcache {
	uint16_t counts[N_TCACHE_LISTS];
	uint64_t heads[N_TCACHE_LISTS];
};

static bool follow_tcache(struct walk *w, const struct tcache *t, bool mangled,
			  enum heap_chunk_state state)
{
	bool any = false;

	for (unsigned i = 0; i < N_TCACHE_LISTS; i++) {
		const struct list l = {.head = t->heads[i],
				       .size_bytes = MIN_CHUNK + 16 * i,
				       .count = t->counts[i],
				       .mangled = mangled};

		if (!t->counts[i] != !t->heads[i] || t->heads[i] % 16)
			return false;
		if (!t->counts[i])
			continue;
		any = true;
		if (!follow_list(w, &l, state))
			return false;
	}
	return any;
}

static void find_tcaches(struct walk *w)
{
	struct glibc_heap *heap = w->heap;
	struct tcache t;

	for (size_t i = 0; i < heap->n_chunks; i++) {
		struct heap_chunk *c = &heap->chunks[i];

		if (c->state != HEAP_USED || c->size_bytes != TCACHE_CHUNK ||
		    peek(w, c->address, &t, sizeof(t)))
			continue;
		for (int mangled = 1; mangled >= 0; mangled--) {
			if (!follow_tcache(w, &t, mangled, HEAP_USED))
				continue;
			follow_tcache(w, &t, mangled, HEAP_TCACHED);
			heap->n_tcaches++;
			break;
		}
	}
}

static int follow_fastbins(struct walk *w, uint64_t arena)
{
	uint64_t heads[N_FASTBINS];

	if (peek(w, arena + STATE_FASTBINS, heads, sizeof(heads)))
		return 0;
	for (unsigned i = 0; i < N_FASTBINS; i++) {
		struct list l = {.head = heads[i],
				 .size_bytes = MIN_CHUNK + 16 * i,
				 .offset = HEADER,
				 .mangled = true};

		if (!l.head || l.head % 16)
			continue;
		if (!follow_list(w, &l, HEAP_USED)) {
			l.mangled = false;
			if (!follow_list(w, &l, HEAP_USED))
				continue;
		}
		follow_list(w, &l, HEAP_FAST);
	}
	return vec_push(&w->heap->states, (uint64_t){arena});
}

static int fastbins_of_heap(struct walk *w, uint64_t base, const struct heap_info *info)
{
	return (info->arena & ~(HEAP_MAX - 1)) == base ? follow_fastbins(w, info->arena) : 0;
}

/* The main arena's malloc_state is where libc has its data: at the word that points to its top chunk. */
static int fastbins_of_main(struct walk *w)
{
	uint64_t top = 0;

	for (size_t i = 0; i < w->heap->n_chunks && !top; i++) {
		const struct heap_chunk *c = &w->heap->chunks[i];
		const struct mapping *m = c->state == HEAP_TOP ? maps_find(w->maps, c->address)
							       : NULL;

		if (m && !strcmp(m->path, "[heap]"))
			top = c->address - HEADER;
	}
	for (size_t i = 0; i < w->maps->n && top; i++) {
		const struct mapping *m = &w->maps->items[i];
		uint64_t word;

		if (!m->writable || m->shared || m->path[0] != '/' || m->end - m->start > 1 << 20)
			continue;
		for (uint64_t at = m->start; at < m->end; at += sizeof(word)) {
			if (peek_word(w, at, &word))
				break;
			if (word == top && at >= m->start + STATE_TOP) {
				return follow_fastbins(w, at - STATE_TOP);
			}
		}
	}
	return 0;
}

static void add_up(struct glibc_heap *heap)
{
	for (size_t i = 0; i < heap->n_chunks; i++) {
		heap->by_state[heap->chunks[i].state].n++;
		heap->by_state[heap->chunks[i].state].bytes += heap->chunks[i].size_bytes;
	}
}

uint64_t heap_chunk_usable(const struct heap_chunk *c)
{
	return c->size_bytes - (c->state == HEAP_MAPPED ? HEADER : HEADER / 2);
}

int glibc_heap_read(pid_t pid, const struct maps *maps, struct glibc_heap *ret, struct diag *d)
{
	struct glibc_heap heap = {0};
	_cleanup_free_ uint8_t *window = malloc(WINDOW);
	struct walk w = {.pid = heir_reader(pid), .maps = maps, .heap = &heap, .window = window};
	uint8_t probe;
	int err = window && maps->n ? 0 : -ENOMEM;

	if (!err)
		err = read_memory(w.pid, maps->items[0].start, &probe, 1);
	if (err && err != -EFAULT)
		return diag_set(d, -err, "process %d: cannot read its memory: %s", pid,
				strerror(-err));
	err = walk_main(&w);
	if (!err)
		err = each_heap(&w, walk_heap);
	if (!err)
		err = walk_mapped(&w);
	if (err) {
		glibc_heap_done(&heap);
		return err == -E2BIG
			       ? diag_set(d, E2BIG, "process %d: its heap has more than %d chunks",
					  pid, MOST_CHUNKS)
			       : diag_set(d, -err, "out of memory");
	}
	if (heap.n_chunks)
		qsort(heap.chunks, heap.n_chunks, sizeof(*heap.chunks), compare_chunks);
	find_tcaches(&w);
	err = each_heap(&w, fastbins_of_heap);
	if (!err)
		err = fastbins_of_main(&w);
	if (err) {
		glibc_heap_done(&heap);
		return diag_set(d, -err, "out of memory");
	}
	add_up(&heap);
	*ret = heap;
	return 0;
}

void glibc_heap_done(struct glibc_heap *heap)
{
	free(heap->chunks);
	free(heap->states.items);
	*heap = (struct glibc_heap){0};
}

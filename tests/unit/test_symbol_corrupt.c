// SPDX-License-Identifier: BSD-2-Clause
/* Files that are cut short or damaged: names may be missing, nothing else may happen. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/maps.h"
#include "symbol/debuginfo.h"
#include "symbol/symbolize.h"

#define N_MUTATIONS 300

/* This test program's own file, with symbols and DWARF. */
struct original {
	char *data;
	size_t n_bytes;
	const Elf64_Shdr *sections;
	size_t n_sections;
	uint64_t text_start, text_end;
	uint64_t text_offset;
};

/* What a process has mapped. */
static int add_mappings(struct address_space *space, pid_t pid)
{
	struct maps maps = {0};
	struct diag d;
	int err = maps_read(pid, &maps, &d);

	if (!err)
		err = address_space_update(space, &maps);
	maps_done(&maps);
	return err;
}

static int read_original(void **state)
{
	struct original *o = calloc(1, sizeof(*o));
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const Elf64_Ehdr *header;
	const char *names;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	o->n_bytes = st.st_size;
	o->data = malloc(o->n_bytes);
	if (read(fd, o->data, o->n_bytes) != (ssize_t)o->n_bytes)
		return -1;
	close(fd);
	header = (const void *)o->data;
	o->sections = (const void *)(o->data + header->e_shoff);
	o->n_sections = header->e_shnum;
	names = o->data + o->sections[header->e_shstrndx].sh_offset;
	for (size_t i = 0; i < o->n_sections; i++)
		if (!strcmp(names + o->sections[i].sh_name, ".text")) {
			o->text_start = o->sections[i].sh_addr;
			o->text_end = o->text_start + o->sections[i].sh_size;
			o->text_offset = o->sections[i].sh_offset;
		}
	*state = o;
	return 0;
}

static int free_original(void **state)
{
	struct original *o = *state;

	free(o->data);
	free(o);
	return 0;
}

static int make_file(const char *data, size_t n_bytes)
{
	int fd = memfd_create("corrupt", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n_bytes), n_bytes);
	return fd;
}

/* Maps the file as a program's and asks for names all over it. Returns how many there were. */
static size_t symbolize_file(const struct original *o, int fd)
{
	struct address_space *space;
	struct symbolizer *s;
	size_t n_named = 0;
	struct diag d;
	char *code;

	code = mmap(NULL, o->n_bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_true(code != MAP_FAILED);
	assert_int_equal(symbolizer_create(NULL, &s, &d), 0);
	assert_int_equal(address_space_create(s, getpid(), &space), 0);
	assert_int_equal(add_mappings(space, getpid()), 0);
	for (uint64_t at = o->text_offset; at < o->text_offset + (o->text_end - o->text_start);
	     at += 1009) {
		uint64_t address = (uintptr_t)code + at;
		struct frame *frames;
		size_t n;

		assert_int_equal(symbolize_stack(s, space, &address, 1, 1, &frames, &n), 0);
		assert_true(n > 0 && strstr(frames[0].module, "corrupt"));
		n_named += frames[n - 1].function != NULL;
		free(frames);
	}
	address_space_destroy(space);
	symbolizer_destroy(s);
	munmap(code, o->n_bytes);
	return n_named;
}

static size_t ask_dwarf(const struct original *o, int fd)
{
	struct source_frame frames[DEBUGINFO_FRAMES_MAX];
	struct debuginfo *info;
	size_t n = 0;

	if (debuginfo_open(fd, &info))
		return 0;
	for (uint64_t address = o->text_start; address < o->text_end; address += 509)
		for (size_t i = debuginfo_frames(info, address, frames); i > 0; i--) {
			n += frames[i - 1].name ? strlen(frames[i - 1].name) : 0;
			n += frames[i - 1].file ? strlen(frames[i - 1].file) : 0;
		}
	debuginfo_close(info);
	return n;
}

static void survives_truncation_at_every_section(void **state)
{
	const struct original *o = *state;
	int fd = make_file(o->data, o->n_bytes);

	assert_true(symbolize_file(o, fd) > 0);
	assert_true(ask_dwarf(o, fd) > 0);
	close(fd);
	for (size_t i = 0; i < o->n_sections; i++)
		for (int edge = -1; edge <= 1; edge++) {
			size_t n_bytes = o->sections[i].sh_offset + edge;

			if (n_bytes > o->n_bytes)
				continue;
			fd = make_file(o->data, n_bytes);
			if (n_bytes)
				symbolize_file(o, fd);
			ask_dwarf(o, fd);
			close(fd);
		}
}

/* After it was mapped and first read, so that nothing may rely on the size that it had. */
static void survives_a_file_that_shrinks(void **state)
{
	const struct original *o = *state;

	for (size_t n_bytes = 0; n_bytes < o->n_bytes; n_bytes += o->n_bytes / 7) {
		struct source_frame frames[DEBUGINFO_FRAMES_MAX];
		int fd = make_file(o->data, o->n_bytes);
		struct debuginfo *info;

		assert_int_equal(debuginfo_open(fd, &info), 0);
		assert_int_equal(ftruncate(fd, n_bytes), 0);
		for (uint64_t address = o->text_start; address < o->text_end; address += 509)
			debuginfo_frames(info, address, frames);
		debuginfo_close(info);
		close(fd);
	}
}

/* A fixed sequence, so that a failure comes again (Marsaglia 2003). */
static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void survives_damaged_dwarf(void **state)
{
	const struct original *o = *state;
	const Elf64_Ehdr *header = (const void *)o->data;
	const char *names = o->data + o->sections[header->e_shstrndx].sh_offset;
	char *damaged = malloc(o->n_bytes);
	uint32_t seed = 2463534242u;

	for (int round = 0; round < N_MUTATIONS; round++) {
		int fd;

		memcpy(damaged, o->data, o->n_bytes);
		for (size_t i = 0; i < o->n_sections; i++) {
			const Elf64_Shdr *section = &o->sections[i];

			if (strncmp(names + section->sh_name, ".debug", 6) || !section->sh_size)
				continue;
			for (unsigned n = next_random(&seed) % 8; n > 0; n--) {
				uint64_t at = next_random(&seed) % section->sh_size;

				damaged[section->sh_offset + at] = next_random(&seed);
			}
		}
		fd = make_file(damaged, o->n_bytes);
		ask_dwarf(o, fd);
		close(fd);
	}
	free(damaged);
}

/* 24 bytes that promise a section of terabytes, and strings of which the last has no end. */
static void refuses_what_unpacks_without_bound(void **state)
{
	const struct original *o = *state;
	const Elf64_Ehdr *header = (const void *)o->data;
	const char *names = o->data + o->sections[header->e_shstrndx].sh_offset;
	const Elf64_Chdr packed = {ELFCOMPRESS_ZLIB, 0, 1ull << 42, 1};
	char *damaged = malloc(o->n_bytes);
	struct debuginfo *info;
	int fd;

	memcpy(damaged, o->data, o->n_bytes);
	for (size_t i = 0; i < o->n_sections; i++) {
		Elf64_Shdr *section = (Elf64_Shdr *)(damaged + header->e_shoff) + i;

		if (strcmp(names + section->sh_name, ".debug_str"))
			continue;
		section->sh_flags |= SHF_COMPRESSED;
		memcpy(damaged + section->sh_offset, &packed, sizeof(packed));
	}
	fd = make_file(damaged, o->n_bytes);
	assert_int_equal(debuginfo_open(fd, &info), -EFBIG);
	close(fd);

	memcpy(damaged, o->data, o->n_bytes);
	for (size_t i = 0; i < o->n_sections; i++)
		if (!strcmp(names + o->sections[i].sh_name, ".debug_line_str"))
			damaged[o->sections[i].sh_offset + o->sections[i].sh_size - 1] = 'x';
	fd = make_file(damaged, o->n_bytes);
	assert_int_equal(debuginfo_open(fd, &info), -EBADMSG);
	close(fd);
	free(damaged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(survives_truncation_at_every_section),
		cmocka_unit_test(survives_a_file_that_shrinks),
		cmocka_unit_test(survives_damaged_dwarf),
		cmocka_unit_test(refuses_what_unpacks_without_bound),
	};

	return cmocka_run_group_tests(tests, read_original, free_original);
}

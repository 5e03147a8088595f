// SPDX-License-Identifier: BSD-2-Clause
/* Tables on disk: saved and found again; damage, other people's directories and many writers at
 * once cost a rebuild, never a wrong table or an error. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
/* After the headers that cmocka.h needs. */
#include <cmocka.h>

#include "base/cleanup.h"
#include "cfi_builder.h"
#include "elf_builder.h"
#include "unwind/cache.h"

#define BUILD_ID "00112233445566778899aabbccddeeff00112233"
#define CRC_AT 12

struct place {
	char directory[64]; /* the cache's */
	char path[128];	    /* the file of BUILD_ID */
	int fd;		    /* an ELF file */
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct cfi_bytes eh = {0};
	size_t common = cfi_common(&eh, "zR", "\x0c\x07\x08\x90\x01", 5), n;
	uint8_t *file;

	cfi_function(&eh, common, 0, 32, "\x41\x0e\x10\x86\x02\x43\x0d\x06", 8);
	cfi_function(&eh, common, 48, 32, "\x44\x0e\x20", 3);
	file = cfi_build(&eh, NULL, &n);
	p->fd = elf_to_fd(file, n);
	free(file);
	free(eh.data);
	strcpy(p->directory, "/tmp/test_unwind_cache.XXXXXX");
	if (!mkdtemp(p->directory))
		return -1;
	snprintf(p->path, sizeof(p->path), "%s/%s", p->directory, BUILD_ID);
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;
	char command[128];
	int result;

	snprintf(command, sizeof(command), "rm -rf '%s'", p->directory);
	result = system(command);
	close(p->fd);
	free(p);
	return result;
}

/* Loads and checks the table against one built without a cache. Returns whether it came from
 * there. */
static bool load(const struct place *p, const char *directory, const char *build_id)
{
	struct unwind_table *built, *table;
	struct diag d = {0};
	bool cached = true;

	assert_int_equal(unwind_table_build(p->fd, "made", &built, &d), 0);
	assert_int_equal(unwind_cache_load(directory, build_id, p->fd, "made", &table, &cached, &d),
			 0);
	assert_string_equal(d.text, "");
	assert_int_equal(table->base, built->base);
	assert_int_equal(table->n_rows, built->n_rows);
	assert_memory_equal(table->rows, built->rows, built->n_rows * sizeof(*built->rows));
	assert_int_equal(table->n_rules, built->n_rules);
	assert_memory_equal(table->rules, built->rules, built->n_rules * sizeof(*built->rules));
	assert_int_equal(table->text_bytes, built->text_bytes);
	assert_int_equal(table->covered_bytes, built->covered_bytes);
	assert_int_equal(table->unsupported_bytes, built->unsupported_bytes);
	assert_int_equal(table->n_fdes, built->n_fdes);
	assert_int_equal(table->n_bad_fdes, built->n_bad_fdes);
	unwind_table_destroy(built);
	unwind_table_destroy(table);
	return cached;
}

static size_t read_file(const char *path, uint8_t *data, size_t n_max)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, data, n_max);

	assert_true(n >= 0 && (size_t)n < n_max);
	return n;
}

static void write_file(const char *path, const uint8_t *data, size_t n)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, data, n), n);
}

static size_t count_files(const char *directory)
{
	char command[128], text[32] = "";
	FILE *f;

	snprintf(command, sizeof(command), "ls -A '%s' | wc -l", directory);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	pclose(f);
	return atoi(text);
}

static void directories(void **state)
{
	static const struct {
		const char *cache, *xdg, *home, *expected, *expected_root;
	} cases[] = {
		{"/x/y", "/xdg", "/home/a", "/x/y", "/x/y"},
		{"", "/xdg", "/home/a", NULL, NULL},
		{NULL, "/xdg", "/home/a", "/xdg/seep", "/var/cache/seep"},
		{NULL, "xdg", "/home/a", "/home/a/.cache/seep", "/var/cache/seep"},
		{NULL, NULL, "/home/a", "/home/a/.cache/seep", "/var/cache/seep"},
		{NULL, NULL, NULL, NULL, "/var/cache/seep"},
	};
	static const char *const names[] = {"SEEP_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
	_cleanup_free_ char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *values[] = {cases[i].cache, cases[i].xdg, cases[i].home};
		const char *expected = geteuid() ? cases[i].expected : cases[i].expected_root;
		_cleanup_free_ char *found = NULL;

		for (size_t j = 0; j < 3; j++)
			values[j] ? setenv(names[j], values[j], 1) : unsetenv(names[j]);
		found = unwind_cache_directory();
		assert_int_equal(!found, !expected);
		if (expected)
			assert_string_equal(found, expected);
	}
	unsetenv("SEEP_CACHE_DIR");
	unsetenv("XDG_CACHE_HOME");
	home ? setenv("HOME", home, 1) : unsetenv("HOME");
}

static void saved_and_found(void **state)
{
	struct place *p = *state;
	char below[128];
	struct stat st;

	assert_false(load(p, p->directory, BUILD_ID));
	assert_true(load(p, p->directory, BUILD_ID));
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(count_files(p->directory), 1);
	/* a directory that is not there yet, and its parent neither */
	snprintf(below, sizeof(below), "%s/a/b", p->directory);
	assert_false(load(p, below, BUILD_ID));
	assert_true(load(p, below, BUILD_ID));
	assert_int_equal(stat(below, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* nobody asks whether */
	{
		struct unwind_table *table;

		assert_int_equal(
			unwind_cache_load(below, BUILD_ID, p->fd, "made", &table, NULL, NULL), 0);
		unwind_table_destroy(table);
	}
}

static void not_cached(void **state)
{
	static const char *const build_ids[] = {"", "../escape", "ABCDEF", "12 3", "a/b", ".new"};
	struct place *p = *state;
	char too_long[200];

	for (size_t i = 0; i < ARRAY_SIZE(build_ids); i++)
		for (int twice = 0; twice < 2; twice++)
			assert_false(load(p, p->directory, build_ids[i]));
	memset(too_long, 'a', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	assert_false(load(p, p->directory, too_long));
	assert_false(load(p, p->directory, too_long));
	assert_false(load(p, NULL, BUILD_ID));
	assert_int_equal(count_files(p->directory), 0);
}

/* A file that fails to build is no file in the cache. */
static void errors_are_builds(void **state)
{
	struct place *p = *state;
	struct unwind_table *table = NULL;
	struct diag d = {0};
	int fd = elf_to_fd("no ELF", 6);

	assert_int_equal(unwind_cache_load(p->directory, BUILD_ID, fd, "made", &table, NULL, &d),
			 -ENOEXEC);
	assert_null(table);
	assert_true(d.text[0]);
	assert_int_equal(count_files(p->directory), 0);
	close(fd);
}

static void damaged_files(void **state)
{
	struct place *p = *state;
	uint8_t good[4096], bad[4096];
	struct unwind_table *table;
	struct diag d;
	size_t n;

	load(p, p->directory, BUILD_ID);
	n = read_file(p->path, good, sizeof(good));
	for (size_t i = 0; i < n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(bad, good, n);
			bad[i] ^= 1 << bit;
			d = (struct diag){0};
			assert_int_equal(unwind_cache_parse(bad, n, BUILD_ID, &table, &d),
					 -EBADMSG);
			assert_true(d.text[0]);
		}
		assert_int_equal(unwind_cache_parse(good, i, BUILD_ID, &table, &d), -EBADMSG);
		if (i % 16)
			continue;
		write_file(p->path, bad, n);
		assert_false(load(p, p->directory, BUILD_ID));
		assert_true(load(p, p->directory, BUILD_ID)); /* replaced */
		write_file(p->path, good, i);
		assert_false(load(p, p->directory, BUILD_ID));
	}
	memcpy(bad, good, n);
	bad[n] = 0;
	assert_int_equal(unwind_cache_parse(bad, n + 1, BUILD_ID, &table, &d), -EBADMSG);
	assert_int_equal(unwind_cache_parse(good, n, "0123", &table, &d), -EBADMSG);
	assert_int_equal(unwind_cache_parse(good, n, "", &table, &d), -EBADMSG);
	assert_int_equal(unwind_cache_parse(good, n, BUILD_ID, &table, &d), 0);
	unwind_table_destroy(table);
}

/* The right checksum over the wrong rows: what unwind_table_check is for. */
static void forged_content(void **state)
{
	struct place *p = *state;
	struct unwind_table *table;
	uint8_t data[4096];
	uint32_t crc = 0;
	struct diag d = {0};
	size_t n;

	load(p, p->directory, BUILD_ID);
	n = read_file(p->path, data, sizeof(data));
	data[n - 4] = 0x77; /* the last row's rule */
	memcpy(data + CRC_AT, &crc, sizeof(crc));
	crc = crc32_z(0, data, n);
	memcpy(data + CRC_AT, &crc, sizeof(crc));
	assert_int_equal(unwind_cache_parse(data, n, BUILD_ID, &table, &d), -EBADMSG);
	assert_non_null(strstr(d.text, "rule"));
	write_file(p->path, data, n);
	assert_false(load(p, p->directory, BUILD_ID));
	assert_true(load(p, p->directory, BUILD_ID));
}

/* Directories where others could put what they like, or nobody anything. */
static void unsuitable_directories(void **state)
{
	struct place *p = *state;
	char other[128];

	assert_int_equal(chmod(p->directory, 0770), 0);
	assert_false(load(p, p->directory, BUILD_ID));
	assert_int_equal(chmod(p->directory, 0702), 0);
	assert_false(load(p, p->directory, BUILD_ID));
	assert_int_equal(chmod(p->directory, 0700), 0);
	assert_int_equal(count_files(p->directory), 0);

	snprintf(other, sizeof(other), "%s/link", p->directory);
	assert_int_equal(symlink(p->directory, other), 0);
	assert_false(load(p, other, BUILD_ID));
	assert_false(load(p, other, BUILD_ID));
	snprintf(other, sizeof(other), "%s/a/b/c", p->directory); /* two parents missing */
	assert_false(load(p, other, BUILD_ID));
	assert_false(load(p, "/proc/self", BUILD_ID)); /* nobody may write there */
	assert_false(load(p, "/proc/self", BUILD_ID));
	assert_false(load(p, "/dev/null", BUILD_ID));
	assert_false(load(p, "", BUILD_ID));
	if (geteuid())
		return;
	assert_int_equal(chown(p->directory, 65534, 65534), 0);
	assert_false(load(p, p->directory, BUILD_ID));
	assert_false(load(p, p->directory, BUILD_ID));
	assert_int_equal(chown(p->directory, 0, 0), 0);
	assert_int_equal(count_files(p->directory), 1); /* the link */
}

/* Something else under the name: not read, and replaced. */
static void unsuitable_files(void **state)
{
	struct place *p = *state;
	char other[160];

	load(p, p->directory, BUILD_ID);
	snprintf(other, sizeof(other), "%s/moved", p->directory);
	assert_int_equal(rename(p->path, other), 0);
	assert_int_equal(symlink(other, p->path), 0);
	assert_false(load(p, p->directory, BUILD_ID));
	assert_true(load(p, p->directory, BUILD_ID));
	assert_int_equal(unlink(p->path), 0);
	assert_int_equal(mkfifo(p->path, 0600), 0);
	assert_false(load(p, p->directory, BUILD_ID));
	assert_true(load(p, p->directory, BUILD_ID));
	assert_int_equal(chmod(p->path, 0666), 0);
	assert_false(load(p, p->directory, BUILD_ID));
	assert_true(load(p, p->directory, BUILD_ID));
	assert_int_equal(unlink(p->path), 0);
	assert_int_equal(mkdir(p->path, 0700), 0); /* cannot be replaced */
	assert_false(load(p, p->directory, BUILD_ID));
	assert_false(load(p, p->directory, BUILD_ID));
	assert_int_equal(count_files(p->directory), 2);
}

/* Each sees a whole table or none, and none is left behind half-written. */
static void many_writers(void **state)
{
	struct place *p = *state;
	struct unwind_table *table;
	bool cached;
	pid_t pids[4];
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i])
			continue;
		for (int round = 0; round < 200; round++) {
			if (unwind_cache_load(p->directory, BUILD_ID, p->fd, "made", &table,
					      &cached, NULL) ||
			    unwind_table_check(table, NULL))
				_exit(1);
			unwind_table_destroy(table);
			if (round % 4 == (int)i)
				unlink(p->path);
		}
		_exit(0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	load(p, p->directory, BUILD_ID);
	assert_true(load(p, p->directory, BUILD_ID));
	assert_int_equal(count_files(p->directory), 1);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories),
		IN_PLACE(saved_and_found),
		IN_PLACE(not_cached),
		IN_PLACE(errors_are_builds),
		IN_PLACE(damaged_files),
		IN_PLACE(forged_content),
		IN_PLACE(unsuitable_directories),
		IN_PLACE(unsuitable_files),
		IN_PLACE(many_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

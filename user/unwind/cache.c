// SPDX-License-Identifier: BSD-2-Clause
/* A cache file: header, rules, rows, as they lie in memory on the machine that reads them; nothing
 * else ever does. */
#include "unwind/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"

#define BUILD_ID_SIZE 136 /* 64 bytes in hex and a NUL, at least */
#define FILE_MAX_BYTES (1ULL << 30)
/* Rises whenever the same CFI gives other rows or rules, or the layout changes: a file with another
 * one is built anew. */
#define VERSION 1

static const char magic[8] = "seepcfi";

struct header {
	char magic[8];
	uint32_t version;
	uint32_t crc; /* CRC-32 of the file with 0 here */
	char build_id[BUILD_ID_SIZE];
	uint64_t base, n_rows, n_rules;
	uint64_t text_bytes, covered_bytes, unsupported_bytes;
	uint32_t n_fdes, n_bad_fdes;
};
_Static_assert(sizeof(struct header) == 208, "no padding: it would not be reproducible");

static uint32_t crc_of(const void *data, size_t n_bytes)
{
	return crc32_z(0, data, n_bytes);
}

char *unwind_cache_directory(void)
{
	const char *set = secure_getenv("SEEP_CACHE_DIR"), *xdg, *home;
	char *path = NULL;

	if (set)
		return set[0] ? strdup(set) : NULL;
	if (!geteuid())
		return strdup("/var/cache/seep");
	xdg = secure_getenv("XDG_CACHE_HOME");
	home = secure_getenv("HOME");
	/* The XDG base directory specification has a relative path ignored. */
	if (xdg && xdg[0] == '/')
		return asprintf(&path, "%s/seep", xdg) < 0 ? NULL : path;
	if (home && home[0] == '/')
		return asprintf(&path, "%s/.cache/seep", home) < 0 ? NULL : path;
	return NULL;
}

int unwind_cache_pack(const struct unwind_table *table, const char *build_id, void **ret,
		      size_t *ret_n_bytes)
{
	size_t rules_bytes = table->n_rules * sizeof(*table->rules),
	       rows_bytes = table->n_rows * sizeof(*table->rows),
	       n_bytes = sizeof(struct header) + rules_bytes + rows_bytes;
	struct header header = {
		.version = VERSION,
		.base = table->base,
		.n_rows = table->n_rows,
		.n_rules = table->n_rules,
		.text_bytes = table->text_bytes,
		.covered_bytes = table->covered_bytes,
		.unsupported_bytes = table->unsupported_bytes,
		.n_fdes = table->n_fdes,
		.n_bad_fdes = table->n_bad_fdes,
	};
	char *data;

	if (strlen(build_id) >= sizeof(header.build_id))
		return -EINVAL;
	data = malloc(n_bytes);
	if (!data)
		return -ENOMEM;
	memcpy(header.magic, magic, sizeof(magic));
	strcpy(header.build_id, build_id);
	memcpy(data, &header, sizeof(header));
	memcpy(data + sizeof(header), table->rules, rules_bytes);
	memcpy(data + sizeof(header) + rules_bytes, table->rows, rows_bytes);
	header.crc = crc_of(data, n_bytes);
	memcpy(data, &header, sizeof(header));
	*ret = data;
	*ret_n_bytes = n_bytes;
	return 0;
}

/* What can be told from the header and the size alone. */
static int check_header(const struct header *header, size_t n_bytes, const char *build_id,
			struct diag *d)
{
	size_t left = n_bytes - sizeof(*header);
	char expected[BUILD_ID_SIZE] = "";

	if (memcmp(header->magic, magic, sizeof(magic)) || header->version != VERSION)
		return diag_set(d, EBADMSG, "unwind cache: not a file of version %d", VERSION);
	strncpy(expected, build_id, sizeof(expected) - 1);
	if (memcmp(header->build_id, expected, sizeof(expected)))
		return diag_set(d, EBADMSG, "unwind cache: not the table of build-id %s", build_id);
	if (header->n_rules > left / sizeof(struct wire_rule) ||
	    header->n_rows > left / sizeof(struct wire_row) ||
	    header->n_rules * sizeof(struct wire_rule) + header->n_rows * sizeof(struct wire_row) !=
		    left)
		return diag_set(d, EBADMSG, "unwind cache: size %zu is not that of its content",
				n_bytes);
	return 0;
}

static uint32_t crc_without_field(const struct header *header, const void *data, size_t n_bytes)
{
	struct header zeroed = *header;

	zeroed.crc = 0;
	return crc32_z(crc_of(&zeroed, sizeof(zeroed)), (const Bytef *)data + sizeof(zeroed),
		       n_bytes - sizeof(zeroed));
}

static struct unwind_table *copy_table(const struct header *header, const char *content)
{
	size_t rules_bytes = header->n_rules * sizeof(struct wire_rule),
	       rows_bytes = header->n_rows * sizeof(struct wire_row);
	struct unwind_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	*table = (struct unwind_table){
		.base = header->base,
		.rows = malloc(rows_bytes + 1),
		.n_rows = header->n_rows,
		.rules = malloc(rules_bytes + 1),
		.n_rules = header->n_rules,
		.text_bytes = header->text_bytes,
		.covered_bytes = header->covered_bytes,
		.unsupported_bytes = header->unsupported_bytes,
		.n_fdes = header->n_fdes,
		.n_bad_fdes = header->n_bad_fdes,
	};
	if (!table->rows || !table->rules) {
		unwind_table_destroy(table);
		return NULL;
	}
	memcpy(table->rules, content, rules_bytes);
	memcpy(table->rows, content + rules_bytes, rows_bytes);
	return table;
}

int unwind_cache_parse(const void *data, size_t n_bytes, const char *build_id,
		       struct unwind_table **ret, struct diag *d)
{
	struct unwind_table *table;
	struct header header;
	int err;

	if (n_bytes < sizeof(header))
		return diag_set(d, EBADMSG, "unwind cache: %zu bytes", n_bytes);
	memcpy(&header, data, sizeof(header));
	err = check_header(&header, n_bytes, build_id, d);
	if (err)
		return err;
	if (crc_without_field(&header, data, n_bytes) != header.crc)
		return diag_set(d, EBADMSG, "unwind cache: wrong checksum");
	table = copy_table(&header, (const char *)data + sizeof(header));
	if (!table)
		return diag_set(d, ENOMEM, "unwind cache: out of memory");
	err = unwind_table_check(table, d);
	if (err) {
		unwind_table_destroy(table);
		return err;
	}
	*ret = table;
	return 0;
}

static bool is_build_id(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");

	return n && !text[n] && n < BUILD_ID_SIZE;
}

/* Makes the directory and at most its parent (~/.cache). */
static int make_directory(const char *path)
{
	_cleanup_free_ char *parent = NULL;
	char *slash;

	if (!mkdir(path, 0700) || errno != ENOENT)
		return 0;
	parent = strdup(path);
	slash = parent ? strrchr(parent, '/') : NULL;
	if (!slash || slash == parent)
		return -ENOENT;
	*slash = '\0';
	if (mkdir(parent, 0700) || mkdir(path, 0700))
		return -errno;
	return 0;
}

/* Returns the directory if nobody else can write in it, or -errno. */
static int open_directory(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int result;

	result = make_directory(path);
	if (result)
		return result;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	result = fd;
	fd = -1;
	return result;
}

/* Returns 0, or -errno when there is no such file or it is not what pack wrote for this
 * build-id. */
static int load(int directory, const char *build_id, struct unwind_table **ret)
{
	_cleanup_close_ int fd =
		openat(directory, build_id, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *data = NULL;
	size_t n_read = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH) ||
	    st.st_size > (off_t)FILE_MAX_BYTES)
		return -EPERM;
	data = malloc(st.st_size + 1);
	if (!data)
		return -ENOMEM;
	while (n_read < (size_t)st.st_size) {
		n = read(fd, data + n_read, st.st_size - n_read);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		n_read += n;
	}
	return unwind_cache_parse(data, n_read, build_id, ret, NULL);
}

static bool write_all(int fd, const char *data, size_t n_bytes)
{
	while (n_bytes) {
		ssize_t n = write(fd, data, n_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		n_bytes -= n;
	}
	return true;
}

/* Beside it under a name that nobody else has, then renamed, so that a reader sees a whole file and
 * of several writers the last one's. What cannot be saved is built again next time. */
static void save(int directory, const char *build_id, const struct unwind_table *table)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ void *data = NULL;
	char beside[64];
	uint64_t unique;
	size_t n_bytes;

	if (getrandom(&unique, sizeof(unique), GRND_NONBLOCK) != sizeof(unique) ||
	    unwind_cache_pack(table, build_id, &data, &n_bytes))
		return;
	snprintf(beside, sizeof(beside), ".new-%016llx", (unsigned long long)unique);
	fd = openat(directory, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (!write_all(fd, data, n_bytes) || renameat(directory, beside, directory, build_id))
		unlinkat(directory, beside, 0);
}

int unwind_cache_find(const char *directory, const char *build_id, struct unwind_table **ret)
{
	_cleanup_close_ int opened = -1;

	if (directory && is_build_id(build_id))
		opened = open_directory(directory);
	return opened >= 0 && !load(opened, build_id, ret) ? 0 : -ENOENT;
}

int unwind_cache_load(const char *directory, const char *build_id, int fd, const char *name,
		      struct unwind_table **ret, bool *ret_cached, struct diag *d)
{
	_cleanup_close_ int opened = -1;
	struct unwind_table *table;
	bool cached;
	int err = 0;

	if (directory && is_build_id(build_id))
		opened = open_directory(directory);
	cached = opened >= 0 && !load(opened, build_id, &table);
	if (!cached) {
		err = unwind_table_build(fd, name, &table, d);
		if (err)
			return err;
		if (opened >= 0)
			save(opened, build_id, table);
	}
	*ret = table;
	if (ret_cached)
		*ret_cached = cached;
	return 0;
}

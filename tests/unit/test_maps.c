// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "process/maps.h"

#define LINE_SED                                                                                   \
	"55c1b5c85000-55c1b5c99000 r-xp 00003000 fe:00 248030                     /usr/bin/sed\n"

static int parse(const char *text, struct maps *ret, struct diag *d)
{
	return maps_parse(text, strlen(text), ret, d);
}

static void test_fields(void **state)
{
	struct maps maps = {0};
	const struct mapping *m;

	(void)state;
	assert_int_equal(
		parse(LINE_SED
		      "55c1b5c99000-55c1b5c9f000 rw-s 00000000 00:01 18446744073709551615 /memfd:a b (deleted)\n"
		      "7ffc1b9ec000-7ffc1ba0d000 rw-p 00000000 00:00 0                          [stack]\n"
		      "7ffc1ba0d000-7ffc1ba0e000 ---p 00000000 00:00 0 \n"
		      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]",
		      &maps, NULL),
		0);
	assert_int_equal(maps.n, 5);
	m = &maps.items[0];
	assert_true(m->start == 0x55c1b5c85000 && m->end == 0x55c1b5c99000 &&
		    m->file_offset == 0x3000);
	assert_true(m->readable && !m->writable && m->executable && !m->shared && !m->deleted);
	assert_true(m->dev_major == 0xfe && m->dev_minor == 0 && m->inode == 248030);
	assert_string_equal(m->path, "/usr/bin/sed");
	m = &maps.items[1];
	assert_true(m->readable && m->writable && !m->executable && m->shared && m->deleted);
	assert_true(m->inode == UINT64_MAX);
	assert_string_equal(m->path, "/memfd:a b");
	assert_string_equal(maps.items[2].path, "[stack]");
	assert_string_equal(maps.items[3].path, "");
	assert_true(maps.items[4].end == 0xffffffffff601000);
	maps_done(&maps);
	maps_done(&maps);
}

static void test_escapes(void **state)
{
	struct maps maps = {0};

	(void)state;
	assert_int_equal(parse("1000-2000 r--p 00000000 fe:00 1 /a\\012b\\101\\\n"
			       "2000-3000 r--p 00000000 fe:00 1  (deleted)\n",
			       &maps, NULL),
			 0);
	assert_string_equal(maps.items[0].path, "/a\nb\\101\\");
	assert_string_equal(maps.items[1].path, "(deleted)");
	maps_done(&maps);
}

/* What /proc gives when mappings merge between two reads. */
static void test_overlap_is_cut(void **state)
{
	struct maps maps = {0};

	(void)state;
	assert_int_equal(parse("1000-3000 r--p 00000000 fe:00 1 /a\n"
			       "1000-5000 r--p 00000000 fe:00 1 /a\n"
			       "2000-4000 r--p 00000000 fe:00 1 /b\n"
			       "4000-6000 rw-p 00000000 00:00 0\n",
			       &maps, NULL),
			 0);
	assert_int_equal(maps.n, 3);
	assert_true(maps.items[1].start == 0x3000 && maps.items[1].file_offset == 0x2000);
	assert_true(maps.items[2].start == 0x5000 && maps.items[2].file_offset == 0);
	for (size_t i = 1; i < maps.n; i++)
		assert_true(maps.items[i].start >= maps.items[i - 1].end);
	maps_done(&maps);
}

static void test_hostile_lines(void **state)
{
	static const char *const lines[] = {
		"\n",
		"x",
		"1000",
		"1000-",
		"1000-2000",
		"1000-2000 ",
		"1000-2000 r-xp",
		"2000-1000 r-xp 0 0:0 0\n",
		"1000-1000 r-xp 0 0:0 0\n",
		"11111111111111111-2 r-xp 0 0:0 0\n",
		"1000-2000 q-xp 0 0:0 0\n",
		"1000-2000 r-x- 0 0:0 0\n",
		"1000-2000 r-xp 0 0 0\n",
		"1000-2000 r-xp 0 0:0\n",
		"1000-2000 r-xp 0 0:0 18446744073709551616\n",
		"1000-2000 r-xp 0 100000000:0 0\n",
		"1000-2000 r-xp 0 0:0 0x\n",
		"-2000 r-xp 0 0:0 0\n",
		" 1000-2000 r-xp 0 0:0 0\n",
	};
	struct maps maps = {.n = 77};
	struct diag d = {0};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(text, sizeof(text), "%s%s", LINE_SED, lines[i]);
		assert_int_equal(parse(text, &maps, &d), -EINVAL);
		assert_string_equal(d.text, "maps: line 2: not a mapping");
		assert_int_equal(maps.n, 77);
	}
	assert_int_equal(maps_parse("1000-2000 r--p 0 0:0 1 /a\0b", 27, &maps, &d), -EINVAL);
	assert_int_equal(maps_parse("", 0, &maps, &d), 0);
	assert_int_equal(maps.n, 0);
}

static void test_own_maps(void **state)
{
	uintptr_t here = (uintptr_t)&test_own_maps;
	const struct mapping *m;
	struct maps maps = {0};
	struct diag d = {0};
	struct stat exe, opened;
	int fd;

	(void)state;
	assert_int_equal(maps_read(getpid(), &maps, &d), 0);
	m = maps_find(&maps, here);
	assert_non_null(m);
	assert_true(m->executable && m->start <= here && here < m->end);
	assert_ptr_equal(maps_find(&maps, m->start), m);
	assert_ptr_not_equal(maps_find(&maps, m->end), m);
	assert_null(maps_find(&maps, 1));
	fd = maps_open_file(getpid(), m, &d);
	assert_true(fd >= 0);
	assert_int_equal(stat("/proc/self/exe", &exe), 0);
	assert_int_equal(fstat(fd, &opened), 0);
	assert_true(exe.st_ino == opened.st_ino && exe.st_dev == opened.st_dev);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(maps_open_file(getpid(), maps_find(&maps, (uintptr_t)&d), &d), -EINVAL);
	maps_done(&maps);
	assert_int_equal(maps_read(0x7ffffff0, &maps, &d), -ESRCH);
}

/* A file of one page with this text at its start, mapped. */
static void *map_file(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	void *page;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(ftruncate(fd, 4096), 0);
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	close(fd);
	return page;
}

static void assert_opens(const struct mapping *m, const char *text)
{
	struct diag d = {0};
	char got[64] = "";
	int fd = maps_open_file(getpid(), m, &d);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, got, strlen(text), 0), strlen(text));
	assert_string_equal(got, text);
	close(fd);
}

static void test_open_the_mapped_file_only(void **state)
{
	char directory[] = "/tmp/test_maps.XXXXXX", path[64], moved[64];
	struct maps maps = {0};
	struct mapping m;
	struct diag d = {0};
	void *page;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a\nb", directory);
	snprintf(moved, sizeof(moved), "%s/moved", directory);
	page = map_file(path, "mapped");
	assert_int_equal(maps_read(getpid(), &maps, NULL), 0);
	m = *maps_find(&maps, (uintptr_t)page);
	assert_string_equal(m.path, path);
	assert_opens(&m, "mapped");

	/* map_files has no entry of this name: by path. */
	m.end += 4096;
	assert_opens(&m, "mapped");

	/* Another file, a FIFO, a symbolic link to the right one, nothing at the path. */
	assert_int_equal(rename(path, moved), 0);
	munmap(map_file(path, "other"), 4096);
	assert_int_equal(maps_open_file(getpid(), &m, &d), -ESTALE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(maps_open_file(getpid(), &m, &d), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(moved, path), 0);
	assert_int_equal(maps_open_file(getpid(), &m, &d), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(maps_open_file(getpid(), &m, &d), -ENOENT);

	/* Deleted, it is still there through map_files; but not when the mapping is of another
	 * inode by now. */
	m.end -= 4096;
	assert_int_equal(unlink(moved), 0);
	assert_opens(&m, "mapped");
	m.inode++;
	assert_true(maps_open_file(getpid(), &m, &d) < 0);
	munmap(page, 4096);
	maps_done(&maps);
	assert_int_equal(rmdir(directory), 0);
}

/* Where stat shows another device than maps does, the file must be found all the same, and no
 * other. */
static void test_overlay(void **state)
{
	char directory[] = "/dev/shm/test_maps.XXXXXX", command[512], file[64], merged[64];
	struct maps maps = {0};
	const struct mapping *m;
	struct diag d = {0};
	void *page;
	int err;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/merged/file", directory);
	snprintf(merged, sizeof(merged), "%s/merged", directory);
	snprintf(
		command, sizeof(command),
		"mkdir %1$s/lower %1$s/upper %1$s/work %1$s/merged && "
		"mount -t overlay test_maps -o lowerdir=%1$s/lower,upperdir=%1$s/upper,workdir=%1$s/work %1$s/merged",
		directory);
	/* In a namespace of its own, which takes the mount with it whatever happens here. */
	err = unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	      system(command);
	if (!err) {
		page = map_file(file, "overlaid");
		assert_int_equal(maps_read(getpid(), &maps, NULL), 0);
		m = maps_find(&maps, (uintptr_t)page);
		assert_non_null(m);
		assert_opens(m, "overlaid");
		((struct mapping *)m)->dev_minor ^= 1;
		assert_true(maps_open_file(getpid(), m, &d) < 0);
		maps_done(&maps);
		munmap(page, 4096);
	}
	snprintf(command, sizeof(command), "umount %1$s/merged 2>/dev/null; rm -r %1$s", directory);
	assert_int_equal(system(command), 0);
	if (err)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_overlap_is_cut),
		cmocka_unit_test(test_hostile_lines),
		cmocka_unit_test(test_own_maps),
		cmocka_unit_test(test_open_the_mapped_file_only),
		cmocka_unit_test(test_overlay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

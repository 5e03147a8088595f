// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "elf_builder.h"

/* Small, stripped, with .dynsym, interpreter and build-id, on any Linux. */
#define REAL "/bin/true"

struct file {
	uint8_t *bytes;
	size_t n;
};

static struct file read_file(const char *path)
{
	struct file f = {0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && !fstat(fd, &st));
	f.n = st.st_size;
	f.bytes = malloc(f.n);
	assert_int_equal(read(fd, f.bytes, f.n), f.n);
	close(fd);
	return f;
}

static const struct built_symbol two[] = {{"malloc", 0, 2}, {"free", 2, 1}};

static struct file built_file(void)
{
	struct file f;

	f.bytes = elf_build(EM_X86_64, "\x55\xc3\xc3", 3, two, 2, &f.n);
	assert_non_null(f.bytes);
	return f;
}

static int count_symbol(const struct elf_symbol *symbol, void *arg)
{
	assert_true(strlen(symbol->name) > 0);
	++*(size_t *)arg;
	return 0;
}

/* Opens the bytes and asks for everything. Returns the first error, or 0. */
static int use_all(const void *bytes, size_t n, struct diag *d)
{
	_cleanup_close_ int fd = elf_to_fd(bytes, n);
	_cleanup_free_ void *data = NULL;
	struct elf_image *image = NULL;
	size_t n_symbols = 0, n_data;
	uint64_t value;
	char text[64];
	int err;

	assert_true(fd >= 0);
	err = elf_image_open(fd, "broken.so", &image, d);
	if (err) {
		assert_null(image);
		return err;
	}
	elf_image_interpreter(image);
	elf_image_build_id(image);
	elf_image_to_offset(image, elf_image_entry(image), &value);
	elf_image_to_address(image, n / 2, &value);
	elf_image_read(image, elf_image_entry(image), text, sizeof(text));
	err = elf_image_each_symbol(image, count_symbol, &n_symbols, d);
	if (!err)
		err = elf_image_section(image, ".text", &data, &n_data, d);
	elf_image_close(image);
	return err == -ENOENT ? 0 : err;
}

static void test_real_file(void **state)
{
	struct file f = read_file(REAL);
	_cleanup_free_ uint8_t *bytes = f.bytes;
	_cleanup_close_ int fd = open(REAL, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ void *text = NULL;
	struct elf_image *image;
	uint64_t offset, address;
	size_t n_symbols = 0, n_text;
	uint8_t entry[16];
	struct diag d;
	void *missing = &d;

	(void)state;
	assert_int_equal(elf_image_open(fd, REAL, &image, &d), 0);
	assert_int_equal(elf_image_type(image), ET_DYN);
	assert_int_equal(elf_image_machine(image), ((Elf64_Ehdr *)f.bytes)->e_machine);
	assert_non_null(strstr(elf_image_interpreter(image), "/ld-linux"));
	assert_int_equal(strlen(elf_image_build_id(image)), 40);
	assert_int_equal(elf_image_to_offset(image, elf_image_entry(image), &offset), 0);
	assert_int_equal(elf_image_to_address(image, offset, &address), 0);
	assert_int_equal(address, elf_image_entry(image));
	assert_int_equal(elf_image_read(image, address, entry, sizeof(entry)), sizeof(entry));
	assert_memory_equal(entry, f.bytes + offset, sizeof(entry));
	assert_int_equal(elf_image_read(image, 0, entry, sizeof(entry)),
			 -ERANGE); /* not executable */
	assert_int_equal(elf_image_to_offset(image, ~0ULL, &offset), -ERANGE);
	assert_int_equal(elf_image_to_address(image, ~0ULL, &address), -ERANGE);
	assert_int_equal(elf_image_each_symbol(image, count_symbol, &n_symbols, &d), 0);
	assert_int_equal(elf_image_section(image, ".text", &text, &n_text, &d), 0);
	assert_true(n_text > 100);
	assert_int_equal(elf_image_section(image, ".no_such", &missing, &n_text, &d), -ENOENT);
	assert_null(missing);
	elf_image_close(image);
	elf_image_close(NULL);
}

static int find_own(const struct elf_symbol *symbol, void *arg)
{
	if (strcmp(symbol->name, "find_own"))
		return 0;
	assert_int_equal(symbol->type, STT_FUNC);
	assert_int_equal(symbol->binding, STB_LOCAL);
	assert_false(symbol->dynamic);
	*(uint64_t *)arg = symbol->address;
	return 7;
}

static void test_own_symbols(void **state)
{
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint64_t address = 0;
	struct elf_image *image;
	uint8_t code[16];
	struct diag d;

	(void)state;
	assert_int_equal(elf_image_open(fd, "self", &image, &d), 0);
	assert_int_equal(elf_image_each_symbol(image, find_own, &address, &d), 7);
	assert_int_equal(elf_image_read(image, address, code, sizeof(code)), sizeof(code));
	assert_memory_equal(code, (void *)find_own, sizeof(code));
	elf_image_close(image);
}

/* Every section's first and last byte, and one to either side: the file cut there is refused, and
 * by name. */
static void test_truncated(void **state)
{
	struct file files[] = {read_file(REAL), built_file()};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const Elf64_Ehdr *h = (Elf64_Ehdr *)files[i].bytes;
		const Elf64_Shdr *s = (Elf64_Shdr *)(files[i].bytes + h->e_shoff);

		for (size_t j = 1; j < h->e_shnum; j++)
			for (int side = 0; side < 6; side++) {
				size_t cut = s[j].sh_offset + (side < 3 ? 0 : s[j].sh_size) +
					     side % 3 - 1;
				struct diag d = {0};

				if (s[j].sh_type == SHT_NOBITS || cut >= files[i].n)
					continue;
				assert_int_equal(use_all(files[i].bytes, cut, &d), -EBADMSG);
				assert_non_null(strstr(d.text, "broken.so: "));
				assert_true(strstr(d.text, "section header") ||
					    strstr(d.text, "."));
			}
		free(files[i].bytes);
	}
}

/* With the section headers in front of what they describe, the cut hits the section itself: its
 * name is told. */
static void test_truncation_names_section(void **state)
{
	struct file f = built_file();
	Elf64_Ehdr *h = (Elf64_Ehdr *)f.bytes;
	Elf64_Shdr *s = (Elf64_Shdr *)(f.bytes + h->e_shoff);
	struct diag d = {0};

	(void)state;
	s[BUILT_SYMTAB].sh_offset = f.n - 8;
	assert_int_equal(use_all(f.bytes, f.n, &d), -EBADMSG);
	assert_non_null(strstr(d.text, "broken.so: .symtab: offset"));
	free(f.bytes);
}

/* Every byte of the headers, several values: an error or not, but never a crash, and the diag is
 * filled. */
static void test_flipped_bytes(void **state)
{
	static const uint8_t flips[] = {0x01, 0x80, 0xff};
	struct file f = built_file();
	const Elf64_Ehdr h = *(Elf64_Ehdr *)f.bytes;
	size_t n_refused = 0;

	(void)state;
	for (size_t at = 0; at < f.n; at++) {
		if (at >= sizeof(h) + sizeof(Elf64_Phdr) && at < BUILT_TEXT)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(flips); i++) {
			struct diag d = {0};

			f.bytes[at] ^= flips[i];
			if (use_all(f.bytes, f.n, &d)) {
				assert_true(d.text[0]);
				n_refused++;
			}
			f.bytes[at] ^= flips[i];
		}
	}
	assert_true(n_refused > 100);
	free(f.bytes);
}

static void refuse(void *field, size_t n_field, uint64_t value, struct file f, int err,
		   const char *text)
{
	uint64_t old = 0;
	struct diag d = {0};

	memcpy(&old, field, n_field);
	memcpy(field, &value, n_field);
	assert_int_equal(use_all(f.bytes, f.n, &d), err);
	if (!strstr(d.text, text))
		fail_msg("\"%s\" lacks \"%s\"", d.text, text);
	memcpy(field, &old, n_field);
}

static void test_corrupt_fields(void **state)
{
	struct file f = built_file();
	Elf64_Ehdr *h = (Elf64_Ehdr *)f.bytes;
	Elf64_Shdr *s = (Elf64_Shdr *)(f.bytes + h->e_shoff);
	Elf64_Sym *symbols = (Elf64_Sym *)(f.bytes + s[BUILT_SYMTAB].sh_offset);
	struct diag d = {0};

	(void)state;
	assert_int_equal(use_all(f.bytes, f.n, &d), 0);
	refuse(&h->e_ident[0], 1, 0, f, -ENOEXEC, "not an ELF file");
	refuse(&h->e_ident[EI_CLASS], 1, ELFCLASS32, f, -ENOTSUP, "32-bit program");
	refuse(&h->e_ident[EI_DATA], 1, ELFDATA2MSB, f, -ENOTSUP, "little-endian");
	refuse(&h->e_machine, 2, EM_386, f, -ENOTSUP, "machine 3");
	refuse(&h->e_phentsize, 2, 1, f, -EBADMSG, "program headers");
	refuse(&h->e_phoff, 8, ~0ULL, f, -EBADMSG, "program headers");
	refuse(&h->e_phnum, 2, 0xfffe, f, -EBADMSG, "program headers");
	refuse(&h->e_shoff, 8, f.n - 1, f, -EBADMSG, "section headers");
	refuse(&h->e_shentsize, 2, 63, f, -EBADMSG, "entry size 63");
	refuse(&h->e_shnum, 2, 0xfeff, f, -EBADMSG, "section headers");
	refuse(&h->e_shstrndx, 2, 99, f, -EBADMSG, "section 99");
	refuse(&h->e_shstrndx, 2, BUILT_SYMTAB, f, -EBADMSG, "string table");
	refuse(&s[BUILT_TEXT_SECTION].sh_size, 8, ~0ULL, f, -EBADMSG, ".text: offset");
	refuse(&s[BUILT_TEXT_SECTION].sh_name, 4, 0x7fffffff, f, -EBADMSG, "section 1: name");
	refuse(&s[BUILT_SYMTAB].sh_entsize, 8, 7, f, -EBADMSG, ".symtab: entry size 7");
	refuse(&s[BUILT_SYMTAB].sh_size, 8, 25, f, -EBADMSG, ".symtab: entry size 24, size 25");
	refuse(&s[BUILT_SYMTAB].sh_link, 4, 77, f, -EBADMSG, ".symtab: link 77");
	refuse(&s[BUILT_STRTAB].sh_offset, 8, ~0ULL, f, -EBADMSG, ".strtab: offset");
	refuse(&symbols[2].st_name, 4, 0xffff, f, -EBADMSG, ".symtab: symbol 2: name");
	assert_int_equal(use_all("\177ELF", 4, &d), -EBADMSG);
	assert_int_equal(use_all("", 0, &d), -ENOEXEC);
	free(f.bytes);
}

/* What a real library's dynamic symbols are, asked again after its section headers were taken
 * away. */
static void test_without_sections(void **state)
{
	struct file f = read_file(REAL);
	Elf64_Ehdr *h = (Elf64_Ehdr *)f.bytes;
	const Elf64_Phdr *p = (Elf64_Phdr *)(f.bytes + h->e_phoff);
	size_t n_by_section = 0, n_by_dynamic = 0;
	struct elf_image *image;
	struct diag d = {0};

	(void)state;
	for (int pass = 0; pass < 2; pass++) {
		_cleanup_close_ int fd = elf_to_fd(f.bytes, f.n);

		assert_int_equal(elf_image_open(fd, "true", &image, &d), 0);
		assert_int_equal(strlen(elf_image_build_id(image)), 40);
		assert_int_equal(elf_image_each_symbol(image, count_symbol,
						       pass ? &n_by_dynamic : &n_by_section, &d),
				 0);
		elf_image_close(image);
		h->e_shoff = h->e_shnum = h->e_shstrndx = 0;
	}
	assert_int_equal(n_by_section, n_by_dynamic);
	/* and cut or corrupt: no crash; the loads' end is checked here */
	assert_int_equal(use_all(f.bytes, f.n / 2, &d), -EBADMSG);
	for (size_t i = 0; i < h->e_phnum; i++)
		for (size_t at = 0; p[i].p_type == PT_DYNAMIC && at < p[i].p_filesz; at++) {
			f.bytes[p[i].p_offset + at] ^= 0xff;
			use_all(f.bytes, f.n, &d);
			f.bytes[p[i].p_offset + at] ^= 0xff;
		}
	free(f.bytes);
}

static void test_compressed(void **state)
{
	static char plain[5000];
	struct {
		Elf64_Chdr header;
		uint8_t packed[200];
	} content = {.header = {.ch_type = ELFCOMPRESS_ZLIB,
				.ch_size = sizeof(plain),
				.ch_addralign = 1}};
	uLongf n_packed = sizeof(content.packed);
	struct diag d = {0};

	(void)state;
	assert_int_equal(compress(content.packed, &n_packed, (Bytef *)plain, sizeof(plain)), Z_OK);
	for (int pass = 0; pass < 4; pass++) {
		_cleanup_free_ void *data = NULL;
		struct elf_image *image;
		struct file f;
		size_t n;
		int fd, err;

		if (pass == 1)
			content.header.ch_size--;
		else if (pass == 2)
			content.header.ch_size =
				1ULL << 29; /* no deflate stream of this length unpacks to that */
		else if (pass == 3)
			content.header.ch_type = 9;
		f.bytes = elf_build(EM_X86_64, &content, sizeof(content), NULL, 0, &f.n);
		((Elf64_Shdr *)(f.bytes + ((Elf64_Ehdr *)f.bytes)->e_shoff))[BUILT_TEXT_SECTION]
			.sh_flags |= SHF_COMPRESSED;
		fd = elf_to_fd(f.bytes, f.n);
		assert_int_equal(elf_image_open(fd, "packed", &image, &d), 0);
		err = elf_image_section(image, ".text", &data, &n, &d);
		assert_int_equal(err, pass == 0 ? 0 : pass == 3 ? -ENOTSUP : -EBADMSG);
		if (!pass) {
			assert_int_equal(n, sizeof(plain));
			assert_memory_equal(data, plain, n);
		}
		elf_image_close(image);
		close(fd);
		free(f.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_file),
		cmocka_unit_test(test_own_symbols),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_truncation_names_section),
		cmocka_unit_test(test_flipped_bytes),
		cmocka_unit_test(test_corrupt_fields),
		cmocka_unit_test(test_without_sections),
		cmocka_unit_test(test_compressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

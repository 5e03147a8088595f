// SPDX-License-Identifier: BSD-2-Clause
#include "elf/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/image-internal.h"

#define SEGMENTS_MAX 65536
#define INTERPRETER_MAX 4096 /* bytes; PATH_MAX */
#define NOTES_MAX (1 << 20)  /* bytes of one note segment */

static bool in_file(const struct elf_image *image, uint64_t offset, uint64_t n_bytes)
{
	return offset <= image->file_bytes && n_bytes <= image->file_bytes - offset;
}

/* Returns the bytes read, fewer only when the file ended meanwhile, or -errno. */
static ssize_t read_at(int fd, void *buf, size_t n_bytes, uint64_t offset)
{
	size_t done = 0;

	while (done < n_bytes) {
		ssize_t n = pread(fd, (char *)buf + done, n_bytes - done, offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

int elf_image_load(const struct elf_image *image, const char *what, uint64_t offset,
		   uint64_t n_bytes, void **ret, struct diag *d)
{
	_cleanup_free_ char *data = NULL;
	ssize_t n;

	if (!in_file(image, offset, n_bytes))
		return diag_set(d, EBADMSG,
				"%s: %s: offset %#" PRIx64 " and size %#" PRIx64
				" past the file's end at %#" PRIx64,
				image->name, what, offset, n_bytes, image->file_bytes);
	if (n_bytes > ELF_CONTENT_MAX)
		return diag_set(d, EBADMSG, "%s: %s: size %#" PRIx64 " is beyond what seep reads",
				image->name, what, n_bytes);
	data = malloc(n_bytes + 1);
	if (!data)
		return diag_set(d, ENOMEM, "%s: %s: out of memory", image->name, what);
	n = read_at(image->fd, data, n_bytes, offset);
	if (n < 0)
		return diag_set(d, EIO, "%s: %s: %s", image->name, what, strerror(-n));
	if ((size_t)n < n_bytes)
		return diag_set(d, EBADMSG, "%s: %s: the file shrank while being read", image->name,
				what);
	data[n_bytes] = '\0';
	*ret = data;
	data = NULL;
	return 0;
}

static int read_header(struct elf_image *image, struct diag *d)
{
	Elf64_Ehdr *h = &image->header;
	ssize_t n = read_at(image->fd, h, sizeof(*h), 0);

	if (n < 0)
		return diag_set(d, EIO, "%s: %s", image->name, strerror(-n));
	if (n < SELFMAG || memcmp(h->e_ident, ELFMAG, SELFMAG))
		return diag_set(d, ENOEXEC, "%s: not an ELF file", image->name);
	if (n > EI_CLASS && h->e_ident[EI_CLASS] == ELFCLASS32)
		return diag_set(d, ENOTSUP, "%s: 32-bit program", image->name);
	if ((size_t)n < sizeof(*h))
		return diag_set(d, EBADMSG, "%s: ELF header: truncated", image->name);
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_VERSION] != EV_CURRENT)
		return diag_set(d, EBADMSG, "%s: ELF header: class %u, version %u", image->name,
				h->e_ident[EI_CLASS], h->e_ident[EI_VERSION]);
	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return diag_set(d, ENOTSUP, "%s: not a little-endian file", image->name);
	if (h->e_machine != EM_X86_64 && h->e_machine != EM_AARCH64)
		return diag_set(d, ENOTSUP, "%s: machine %u is neither x86-64 nor AArch64",
				image->name, h->e_machine);
	return 0;
}

/* Section 0 holds the counts that do not fit the header (gABI, "extended section numbering"). */
static int read_sections(struct elf_image *image, struct diag *d)
{
	const Elf64_Ehdr *h = &image->header;
	_cleanup_free_ void *first = NULL;
	uint64_t n = h->e_shnum;
	void *table;
	int err;

	if (!h->e_shoff)
		return 0;
	if (h->e_shentsize != sizeof(Elf64_Shdr))
		return diag_set(d, EBADMSG, "%s: section headers: entry size %u is not %zu",
				image->name, h->e_shentsize, sizeof(Elf64_Shdr));
	err = elf_image_load(image, "section headers", h->e_shoff, sizeof(Elf64_Shdr), &first, d);
	if (err)
		return err;
	if (!n)
		n = ((Elf64_Shdr *)first)->sh_size;
	if (n > image->file_bytes / sizeof(Elf64_Shdr))
		return diag_set(d, EBADMSG,
				"%s: section headers: %" PRIu64 " entries past the file's end",
				image->name, n);
	err = elf_image_load(image, "section headers", h->e_shoff, n * sizeof(Elf64_Shdr), &table,
			     d);
	if (err)
		return err;
	image->sections = table;
	image->n_sections = n;
	return 0;
}

static int read_section_names(struct elf_image *image, struct diag *d)
{
	size_t index = image->header.e_shstrndx;
	const Elf64_Shdr *section;
	void *names;
	int err;

	if (!image->n_sections || index == SHN_UNDEF)
		return 0;
	if (index == SHN_XINDEX)
		index = image->sections[0].sh_link;
	if (index >= image->n_sections)
		return diag_set(d, EBADMSG, "%s: ELF header: section names in section %zu of %zu",
				image->name, index, image->n_sections);
	section = &image->sections[index];
	if (section->sh_type != SHT_STRTAB)
		return diag_set(d, EBADMSG, "%s: section names: type %u is not a string table",
				image->name, section->sh_type);
	err = elf_image_load(image, "section names", section->sh_offset, section->sh_size, &names,
			     d);
	if (err)
		return err;
	image->section_names = names;
	image->section_names_bytes = section->sh_size;
	return 0;
}

const char *elf_image_section_label(const struct elf_image *image, size_t index, char text[64])
{
	uint32_t at = image->sections[index].sh_name;

	if (image->section_names && at && at < image->section_names_bytes)
		return image->section_names + at;
	snprintf(text, 64, "section %zu", index);
	return text;
}

static int check_sections(const struct elf_image *image, struct diag *d)
{
	char text[64];

	for (size_t i = 1; i < image->n_sections; i++) {
		const Elf64_Shdr *s = &image->sections[i];
		const char *label = elf_image_section_label(image, i, text);

		if (image->section_names && s->sh_name >= image->section_names_bytes && s->sh_name)
			return diag_set(d, EBADMSG,
					"%s: %s: name at %#x past the section names' end",
					image->name, label, s->sh_name);
		if (s->sh_type != SHT_NULL && s->sh_type != SHT_NOBITS &&
		    !in_file(image, s->sh_offset, s->sh_size))
			return diag_set(d, EBADMSG,
					"%s: %s: offset %#" PRIx64 " and size %#" PRIx64
					" past the file's end at %#" PRIx64,
					image->name, label, s->sh_offset, s->sh_size,
					image->file_bytes);
	}
	return 0;
}

static int read_segments(struct elf_image *image, struct diag *d)
{
	const Elf64_Ehdr *h = &image->header;
	uint64_t n = h->e_phnum;
	void *table;
	int err;

	if (!h->e_phoff || !n)
		return 0;
	if (n == PN_XNUM && image->n_sections)
		n = image->sections[0].sh_info;
	if (h->e_phentsize != sizeof(Elf64_Phdr) || n > SEGMENTS_MAX)
		return diag_set(d, EBADMSG, "%s: program headers: %" PRIu64 " entries of size %u",
				image->name, n, h->e_phentsize);
	err = elf_image_load(image, "program headers", h->e_phoff, n * sizeof(Elf64_Phdr), &table,
			     d);
	if (err)
		return err;
	image->segments = table;
	image->n_segments = n;
	return 0;
}

/* Separate debug files keep their program's segments without the content, so these bounds hold only
 * for a file that has nothing else to go by. */
static int check_segments(const struct elf_image *image, struct diag *d)
{
	for (size_t i = 0; i < image->n_segments && !image->n_sections; i++) {
		const Elf64_Phdr *p = &image->segments[i];

		if (p->p_type == PT_LOAD && !in_file(image, p->p_offset, p->p_filesz))
			return diag_set(d, EBADMSG,
					"%s: segment %zu: offset %#" PRIx64 " and size %#" PRIx64
					" past the file's end at %#" PRIx64,
					image->name, i, p->p_offset, p->p_filesz,
					image->file_bytes);
	}
	return 0;
}

static int read_interpreter(struct elf_image *image, struct diag *d)
{
	for (size_t i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *p = &image->segments[i];
		void *path;
		int err;

		/* A debug file's is empty. */
		if (p->p_type != PT_INTERP || !p->p_filesz)
			continue;
		if (p->p_filesz > INTERPRETER_MAX)
			return diag_set(d, EBADMSG, "%s: PT_INTERP: size %#" PRIx64 " is no path's",
					image->name, p->p_filesz);
		err = elf_image_load(image, "PT_INTERP", p->p_offset, p->p_filesz, &path, d);
		if (err)
			return err;
		image->interpreter = path;
		return 0;
	}
	return 0;
}

static bool note_find_build_id(struct elf_image *image, const char *notes, size_t n_bytes,
			       size_t align)
{
	while (n_bytes >= sizeof(Elf64_Nhdr)) {
		const Elf64_Nhdr *note = (const Elf64_Nhdr *)notes;
		size_t name_at = sizeof(*note),
		       data_at = (name_at + note->n_namesz + align - 1) & ~(align - 1);
		size_t end = (data_at + note->n_descsz + align - 1) & ~(align - 1);

		if (data_at + note->n_descsz > n_bytes)
			return false;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
		    !memcmp(notes + name_at, "GNU", 4) && note->n_descsz &&
		    note->n_descsz <= ELF_BUILD_ID_MAX) {
			for (size_t i = 0; i < note->n_descsz; i++)
				sprintf(image->build_id + 2 * i, "%02x",
					(unsigned char)notes[data_at + i]);
			return true;
		}
		if (end >= n_bytes)
			return false;
		notes += end;
		n_bytes -= end;
	}
	return false;
}

/* A file whose notes are corrupt is one without a build-id: nothing else depends on them. */
static void read_build_id(struct elf_image *image)
{
	bool from_sections = image->n_sections > 0;
	size_t n = from_sections ? image->n_sections : image->n_segments;

	for (size_t i = 0; i < n; i++) {
		const Elf64_Shdr *s = from_sections ? &image->sections[i] : NULL;
		const Elf64_Phdr *p = from_sections ? NULL : &image->segments[i];
		uint64_t offset = s ? s->sh_offset : p->p_offset,
			 n_bytes = s ? s->sh_size : p->p_filesz;
		_cleanup_free_ void *notes = NULL;

		if ((s ? s->sh_type != SHT_NOTE : p->p_type != PT_NOTE) || n_bytes > NOTES_MAX)
			continue;
		if (elf_image_load(image, "notes", offset, n_bytes, &notes, NULL))
			continue;
		if (note_find_build_id(image, notes, n_bytes,
				       (s ? s->sh_addralign : p->p_align) == 8 ? 8 : 4))
			return;
	}
}

static int open_image(struct elf_image *image, int fd, const char *name, struct diag *d)
{
	struct stat st;
	int err;

	image->fd = -1;
	image->name = strdup(name);
	if (!image->name)
		return diag_set(d, ENOMEM, "%s: out of memory", name);
	image->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (image->fd < 0 || fstat(image->fd, &st))
		return diag_set(d, EIO, "%s: %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return diag_set(d, ENOEXEC, "%s: not an ELF file", name);
	image->file_bytes = st.st_size;
	(void)((err = read_header(image, d)) || (err = read_sections(image, d)) ||
	       (err = read_section_names(image, d)) || (err = check_sections(image, d)) ||
	       (err = read_segments(image, d)) || (err = check_segments(image, d)) ||
	       (err = read_interpreter(image, d)));
	if (!err)
		read_build_id(image);
	return err;
}

int elf_image_open(int fd, const char *name, struct elf_image **ret, struct diag *d)
{
	struct elf_image *image = calloc(1, sizeof(*image));
	int err;

	if (!image)
		return diag_set(d, ENOMEM, "%s: out of memory", name);
	err = open_image(image, fd, name, d);
	if (err) {
		elf_image_close(image);
		return err;
	}
	*ret = image;
	return 0;
}

void elf_image_close(struct elf_image *image)
{
	if (!image)
		return;
	if (image->fd >= 0)
		close(image->fd);
	free(image->dynamic.symbols);
	free(image->dynamic.strings);
	free(image->complete.symbols);
	free(image->complete.strings);
	free(image->interpreter);
	free(image->section_names);
	free(image->sections);
	free(image->segments);
	free(image->name);
	free(image);
}

uint16_t elf_image_type(const struct elf_image *image)
{
	return image->header.e_type;
}

uint16_t elf_image_machine(const struct elf_image *image)
{
	return image->header.e_machine;
}

uint64_t elf_image_entry(const struct elf_image *image)
{
	return image->header.e_entry;
}

const char *elf_image_interpreter(const struct elf_image *image)
{
	return image->interpreter;
}

const char *elf_image_build_id(const struct elf_image *image)
{
	return image->build_id;
}

/* The PT_LOAD whose file content holds the address, or NULL. */
static const Elf64_Phdr *segment_of(const struct elf_image *image, uint64_t address)
{
	for (size_t i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *p = &image->segments[i];

		if (p->p_type == PT_LOAD && address >= p->p_vaddr &&
		    address - p->p_vaddr < p->p_filesz && p->p_offset <= UINT64_MAX - p->p_filesz)
			return p;
	}
	return NULL;
}

int elf_image_to_offset(const struct elf_image *image, uint64_t address, uint64_t *ret_offset)
{
	const Elf64_Phdr *p = segment_of(image, address);

	if (!p)
		return -ERANGE;
	*ret_offset = address - p->p_vaddr + p->p_offset;
	return 0;
}

int elf_image_to_address(const struct elf_image *image, uint64_t offset, uint64_t *ret_address)
{
	for (size_t i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *p = &image->segments[i];

		if (p->p_type != PT_LOAD || offset < p->p_offset ||
		    offset - p->p_offset >= p->p_filesz)
			continue;
		*ret_address = offset - p->p_offset + p->p_vaddr;
		return 0;
	}
	return -ERANGE;
}

/* Bytes of a segment's content in [offset, offset + n_bytes) of the file. */
static uint64_t shared_bytes(const Elf64_Phdr *p, uint64_t offset, uint64_t n_bytes)
{
	uint64_t begin = offset > p->p_offset ? offset : p->p_offset, end, p_end;

	if (__builtin_add_overflow(offset, n_bytes, &end) ||
	    __builtin_add_overflow(p->p_offset, p->p_filesz, &p_end))
		return 0;
	if (p_end < end)
		end = p_end;
	return end > begin ? end - begin : 0;
}

int elf_image_mapped_address(const struct elf_image *image, uint64_t offset, uint64_t n_bytes,
			     uint64_t *ret_address)
{
	uint64_t best = 0;

	for (size_t i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *p = &image->segments[i];
		uint64_t n = shared_bytes(p, offset, n_bytes);

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || n <= best)
			continue;
		best = n;
		*ret_address = p->p_vaddr + (offset - p->p_offset);
	}
	return best ? 0 : -ERANGE;
}

long elf_image_read(struct elf_image *image, uint64_t address, void *buf, size_t n_bytes)
{
	const Elf64_Phdr *p = segment_of(image, address);
	uint64_t left;
	ssize_t n;

	if (!p || !(p->p_flags & PF_X))
		return -ERANGE;
	left = p->p_filesz - (address - p->p_vaddr);
	n = read_at(image->fd, buf, n_bytes < left ? n_bytes : left,
		    p->p_offset + (address - p->p_vaddr));
	return n > 0 ? n : -ERANGE;
}

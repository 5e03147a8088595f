// SPDX-License-Identifier: BSD-2-Clause
/* What `seep trace` would do with a process, and what it would not see of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "attach/cover.h"
#include "base/cleanup.h"
#include "cli/doctor.h"
#include "elf/image.h"
#include "process/maps.h"

static void add_note(struct target *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add_note(struct target *t, const char *fmt, ...)
{
	va_list ap;

	if (t->n_notes == TARGET_MAX_NOTES)
		return;
	va_start(ap, fmt);
	if (vasprintf(&t->notes[t->n_notes], fmt, ap) >= 0)
		t->n_notes++;
	va_end(ap);
}

/* Go programs carry this section; with cgo they map a C library as well, which alone would look as
 * if all was seen. */
static bool is_go(const struct identity *id)
{
	struct elf_image *image;
	void *data = NULL;
	size_t n = 0;
	char path[64];
	_cleanup_close_ int fd = -1;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/exe", id->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elf_image_open(fd, id->exe, &image, NULL))
		return false;
	err = elf_image_section(image, ".go.buildinfo", &data, &n, NULL);
	elf_image_close(image);
	free(data);
	return !err;
}

/* Which files were looked through in vain. */
static void note_files(struct target *t)
{
	struct maps maps = {0};
	struct diag d = {0};

	if (maps_read(t->id.pid, &maps, &d))
		return;
	for (size_t i = 0; i < maps.n; i++)
		if (maps.items[i].executable && maps.items[i].inode &&
		    !target_seen_before(&maps, i))
			add_note(t, "%s defines no allocation function that seep knows",
				 maps.items[i].path);
	maps_done(&maps);
}

static void note_surroundings(struct target *t)
{
	if (is_go(&t->id))
		add_note(t, "a Go program: what its own runtime allocates does not pass malloc; "
			    "its net/http/pprof shows that");
	if (!t->id.own_mount_ns)
		add_note(t,
			 "it is in another mount namespace: its files are read through "
			 "/proc/%d/root, and its separate debug files must be there, or be found "
			 "by debuginfod",
			 t->id.pid);
	if (!t->id.own_pid_ns)
		add_note(t, "it is in another pid namespace: seep shows the pids of its own");
}

int target_examine(struct cover *cover, pid_t pid, struct target *ret, struct diag *d)
{
	int err = identity_read(pid, &ret->id, d);

	if (err)
		return err;
	ret->cover = cover;
	err = cover_update(cover, pid, d);
	if (err == -ESRCH || !identity_alive(&ret->id))
		return diag_set(d, ESRCH, "process %d (%s) ended while it was being looked at", pid,
				ret->id.comm);
	if (err < 0)
		return err;
	ret->n_probes = cover_count(cover, pid);
	ret->n_notes = cover_notes(cover, pid, ret->notes, TARGET_MAX_NOTES);
	note_surroundings(ret);
	if (ret->n_probes)
		return stacks_examine(pid, &ret->stacks, d);
	note_files(ret);
	return diag_set_hint(d, ENOENT, EXIT_RUNTIME,
			     "an allocator under other names: seep trace -O FILE -S PREFIX",
			     "process %d (%s): no allocation function found in any of its files",
			     pid, ret->id.comm);
}

void target_done(struct target *t)
{
	for (size_t i = 0; i < t->n_notes; i++)
		free(t->notes[i]);
	t->n_notes = 0;
	stacks_done(&t->stacks);
}

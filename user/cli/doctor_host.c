// SPDX-License-Identifier: BSD-2-Clause
/* What this kernel and this user allow. The proof is in doing all that `seep trace` needs once; the
 * checks say why that failed, or what would make it better. */
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "attach/tracefs.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/doctor.h"
#include "collect/mappings.h"
#include "plan/plan.h"
#include "process/procfs.h"

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_PERFMON 38
#define CAP_BPF 39
#define CAP_CHECKPOINT_RESTORE 40
#endif

const char *check_state_name(enum check_state state)
{
	static const char *const names[] = {
		[CHECK_GOOD] = "ok",
		[CHECK_FACT] = "info",
		[CHECK_LESS] = "less",
		[CHECK_MISSING] = "missing",
	};

	return names[state];
}

void host_add_check(struct host *h, const char *name, enum check_state state, const char *hint,
		    const char *fmt, ...)
{
	struct check *c = &h->checks[h->n_checks];
	va_list ap;

	if (h->n_checks < HOST_MAX_CHECKS - 1)
		h->n_checks++;
	c->name = name;
	c->state = state;
	snprintf(c->hint, sizeof(c->hint), "%s", hint ? hint : "");
	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
}

/* The first line of a small file, without its end. Returns 0 or -errno. */
static int read_line(const char *path, char *out, size_t size_bytes)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	if (!fgets(out, size_bytes, f))
		return -ENODATA;
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

static uint64_t effective_capabilities(void)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long bits = 0;
	const char *line;
	size_t n;

	if (procfs_read(getpid(), "status", 1 << 20, &text, &n))
		return 0;
	line = strstr(text, "\nCapEff:");
	if (line)
		sscanf(line, "\nCapEff: %llx", &bits);
	return bits;
}

/* What seep uses each for; instead: a wider one that does as well. */
static const struct capability {
	const char *name, *what_for;
	int number, instead;
	bool required;
} capabilities[] = {
	{"CAP_BPF", "to load BPF programs", CAP_BPF, CAP_SYS_ADMIN, true},
	{"CAP_PERFMON", "to attach them", CAP_PERFMON, CAP_SYS_ADMIN, true},
	{"CAP_SYS_PTRACE", "to look into other users' processes", CAP_SYS_PTRACE, -1, true},
	{"CAP_DAC_READ_SEARCH", "for files that only their owner may read", CAP_DAC_READ_SEARCH,
	 CAP_DAC_OVERRIDE, false},
	{"CAP_CHECKPOINT_RESTORE", "for files that were deleted or replaced",
	 CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, false},
};

static bool has(uint64_t bits, int capability)
{
	return capability >= 0 && (bits >> capability & 1);
}

static void check_capabilities(struct host *h, uint64_t bits)
{
	enum check_state state = CHECK_GOOD;
	char text[384] = "";
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++) {
		const struct capability *c = &capabilities[i];

		if (has(bits, c->number) || has(bits, c->instead))
			continue;
		state = c->required ? CHECK_MISSING : state == CHECK_GOOD ? CHECK_LESS : state;
		at += snprintf(text + at, sizeof(text) - at, "%s%s (%s)", at ? ", " : "without ",
			       c->name, c->what_for);
		if (at >= sizeof(text))
			break;
	}
	host_add_check(
		h, "capabilities", state,
		state == CHECK_GOOD
			? NULL
			: "run it as root (sudo seep ...), or: setcap cap_bpf,cap_perfmon,"
			  "cap_sys_ptrace,cap_dac_read_search,cap_checkpoint_restore+ep seep; "
			  "perf links, all there is before Linux 6.11, need cap_sys_admin, too",
		"%s", state == CHECK_GOOD ? "all that seep uses" : text);
}

static void check_btf(struct host *h)
{
	static const char path[] = "/sys/kernel/btf/vmlinux";

	if (access(path, R_OK))
		host_add_check(h, "BTF", CHECK_MISSING,
			       "a kernel with CONFIG_DEBUG_INFO_BTF=y, as distributions "
			       "build them since 2021; in a container: mount /sys",
			       "%s: %s", path, strerror(errno));
	else
		host_add_check(h, "BTF", CHECK_GOOD, NULL, "%s", path);
}

static void check_lockdown(struct host *h)
{
	char line[128];

	if (read_line("/sys/kernel/security/lockdown", line, sizeof(line)))
		host_add_check(h, "lockdown", CHECK_FACT, NULL,
			       "not known: /sys/kernel/security/lockdown is not there "
			       "(no lockdown, or not mounted)");
	else if (strstr(line, "[confidentiality]"))
		host_add_check(h, "lockdown", CHECK_MISSING,
			       "boot with lockdown=integrity, or without Secure Boot: with "
			       "confidentiality no BPF program may read memory",
			       "confidentiality");
	else
		host_add_check(h, "lockdown", CHECK_GOOD, NULL, "%s",
			       strstr(line, "[integrity]") ? "integrity" : "none");
}

static void check_trial(struct host *h)
{
	if (h->can_trace)
		host_add_check(
			h, "trial", CHECK_GOOD, NULL,
			"BPF programs load, with task storage, process events and ring buffers; "
			"a child of seep was traced");
	else
		host_add_check(h, "trial", CHECK_MISSING, h->refusal.hint, "%s", h->refusal.text);
}

/* Best first, as link_best() tries them. */
static const struct link_check {
	enum link_kind kind;
	const char *name, *hint;
} link_checks[] = {
	{LINK_SESSION, "session links",
	 "Linux 6.13 or later has them; without, a call that sampling leaves out still pays for "
	 "its return probe"},
	{LINK_MULTI, "multi links",
	 "Linux 6.11 or later has them in a usable form; without, each probe is a link of its "
	 "own: slower to place and to remove"},
	{LINK_PERF, "perf links",
	 "a kernel with CONFIG_UPROBE_EVENTS=y and CONFIG_PERF_EVENTS=y; and CAP_SYS_ADMIN, "
	 "where CAP_PERFMON is not enough for uprobes"},
};

static void check_links(struct host *h)
{
	bool better_works = false;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(link_checks); i++) {
		const struct link_check *c = &link_checks[i];
		struct diag d = {0};

		err = link_try(c->kind, &d);
		if (!err) {
			better_works = true;
			host_add_check(h, c->name, CHECK_GOOD, NULL, "%s",
				       h->can_trace && h->costs.link == c->kind
					       ? "a probe ran; these are used"
					       : "a probe ran");
		} else if (better_works || err == -EPERM) {
			/* Nobody misses it; or the capabilities' check says what is missing. */
			host_add_check(h, c->name, CHECK_FACT, NULL, "%s", d.text);
		} else {
			host_add_check(h, c->name,
				       c->kind == LINK_PERF ? CHECK_MISSING : CHECK_LESS, c->hint,
				       "%s", d.text);
		}
	}
}

/* Only before 5.11 did BPF memory count against it: if we could load, it is no matter. */
static void check_memlock(struct host *h, const struct rlimit *memlock, uint64_t bits)
{
	bool can_raise = has(bits, CAP_SYS_RESOURCE);

	if (memlock->rlim_cur == RLIM_INFINITY)
		host_add_check(h, "RLIMIT_MEMLOCK", CHECK_GOOD, NULL, "unlimited");
	else
		host_add_check(h, "RLIMIT_MEMLOCK",
			       can_raise || h->can_trace ? CHECK_GOOD : CHECK_LESS,
			       can_raise || h->can_trace
				       ? NULL
				       : "matters before Linux 5.11: ulimit -l unlimited, "
					 "LimitMEMLOCK=infinity in a unit, or CAP_SYS_RESOURCE",
			       "%llu KiB%s", (unsigned long long)memlock->rlim_cur >> 10,
			       can_raise      ? ", which seep raises for itself"
			       : h->can_trace ? ", which is no limit for BPF here"
					      : "");
}

static void check_perf_paranoid(struct host *h, uint64_t bits)
{
	bool allowed = h->can_trace || has(bits, CAP_PERFMON) || has(bits, CAP_SYS_ADMIN);
	char line[32];

	if (read_line("/proc/sys/kernel/perf_event_paranoid", line, sizeof(line)))
		host_add_check(
			h, "perf events", CHECK_MISSING,
			"a kernel with CONFIG_PERF_EVENTS=y: they tell of libraries that are "
			"loaded later",
			"/proc/sys/kernel/perf_event_paranoid is not there");
	else
		host_add_check(
			h, "perf events", allowed ? CHECK_GOOD : CHECK_MISSING,
			allowed ? NULL
				: "give seep CAP_PERFMON, or: sysctl kernel.perf_event_paranoid=0",
			"perf_event_paranoid is %.8s%s", line,
			allowed ? ", which does not bind us" : "");
}

static void check_debuginfod(struct host *h)
{
	const char *urls = getenv("DEBUGINFOD_URLS");

	if (urls && *urls)
		host_add_check(h, "debuginfod", CHECK_GOOD, NULL, "DEBUGINFOD_URLS=%s", urls);
	else
		host_add_check(
			h, "debuginfod", CHECK_FACT,
			"for names and lines of programs whose debug packages are not installed: "
			"export DEBUGINFOD_URLS=https://debuginfod.elfutils.org (sudo "
			"--preserve-env=DEBUGINFOD_URLS)",
			"DEBUGINFOD_URLS is not set: no network is used");
}

static void check_tracefs(struct host *h)
{
	struct diag d = {0};
	_cleanup_close_ int fd = tracefs_open(&d);

	if (fd < 0)
		host_add_check(h, "trace --mmap", CHECK_LESS, d.hint, "%s", d.text);
	else if (faccessat(fd, "events/syscalls/sys_enter_brk/id", R_OK, 0))
		host_add_check(h, "trace --mmap", CHECK_LESS,
			       "a kernel with CONFIG_FTRACE_SYSCALLS=y, or more capabilities",
			       "no tracepoints of system calls in tracefs: %s", strerror(errno));
	else
		host_add_check(h, "trace --mmap", CHECK_GOOD, NULL,
			       "tracefs has tracepoints of system calls");
}

static void on_mapping(void *arg, pid_t pid, const struct mapping *m)
{
	(void)arg;
	(void)pid;
	(void)m;
}

/* All that `seep trace` needs, done once. */
static int run_trial(enum link_kind link, struct calibration *ret, struct diag *d)
{
	struct mapping_watch *watch = NULL;
	int err = calibrate(link, ret, d);

	if (err)
		return err;
	err = mapping_watch_create(on_mapping, NULL, &watch, d);
	mapping_watch_destroy(watch);
	return err;
}

void host_examine(enum link_kind link, struct host *ret)
{
	uint64_t bits = effective_capabilities();
	struct rlimit memlock = {RLIM_INFINITY, RLIM_INFINITY};

	*ret = (struct host){.time_ns = clock_realtime_ns()};
	uname(&ret->system);
	/* First the limit, which loading raises; then the trial, which tells what the rest
	 * means. */
	getrlimit(RLIMIT_MEMLOCK, &memlock);
	ret->can_trace = !run_trial(link, &ret->costs, &ret->refusal);
	check_capabilities(ret, bits);
	check_btf(ret);
	check_lockdown(ret);
	check_trial(ret);
	check_links(ret);
	check_memlock(ret, &memlock, bits);
	check_perf_paranoid(ret, bits);
	features_examine(link, ret);
	check_tracefs(ret);
	check_debuginfod(ret);
}

enum link_kind host_link_of(const struct host *host, const struct plan_probe *probe)
{
	/* A session is entry and return in one: nothing else needs it. */
	return host->costs.link == LINK_SESSION && probe->end != PLAN_END_RETURN ? LINK_MULTI
										 : host->costs.link;
}

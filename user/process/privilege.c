// SPDX-License-Identifier: BSD-2-Clause
#include "process/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

static uint64_t effective_capabilities(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
	unsigned long long bits = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &bits) == 1)
			break;
	return bits;
}

static bool has(uint64_t capabilities, int capability)
{
	return capabilities >> capability & 1;
}

/* PROC_PID_INIT_INO of linux/proc_ns.h. The kernel side knows processes by their ids in the initial namespace. */
#define INIT_PID_NAMESPACE 0xeffffffcUL

int privilege_check(struct diag *d)
{
	struct stat ns;
	uint64_t caps = effective_capabilities();
	bool admin = has(caps, CAP_SYS_ADMIN);

	if (!admin && !(has(caps, CAP_BPF) && has(caps, CAP_PERFMON)))
		return diag_set_hint(
			d, EPERM, EXIT_REFUSED,
			"run it as root (sudo seep ...), or give the binary capabilities: setcap "
			"cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search,cap_checkpoint_restore+ep seep",
			"not permitted to load BPF programs: missing %s%s%s",
			has(caps, CAP_BPF) ? "" : "CAP_BPF",
			has(caps, CAP_BPF) || has(caps, CAP_PERFMON) ? "" : " and ",
			has(caps, CAP_PERFMON) ? "" : "CAP_PERFMON");
	if (!has(caps, CAP_SYS_PTRACE))
		return diag_set_hint(
			d, EPERM, EXIT_REFUSED,
			"run it as root, or add cap_sys_ptrace to the binary's capabilities",
			"not permitted to look into other processes: missing CAP_SYS_PTRACE");
	if (!stat("/proc/self/ns/pid", &ns) && ns.st_ino != INIT_PID_NAMESPACE)
		return diag_set_hint(d, ENOTSUP, EXIT_REFUSED,
				     "run it on the host, or in a container with --pid=host",
				     "seep runs in a PID namespace: process ids here are not those "
				     "that the kernel side sees");
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return diag_set_hint(
			d, ENOTSUP, EXIT_REFUSED,
			"seep needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, as Debian 12's and most "
			"distributions' since 2021 are; and /sys mounted",
			"/sys/kernel/btf/vmlinux: %s: this kernel does not describe its types (no BTF)",
			strerror(errno));
	return 0;
}

int privilege_explain(struct diag *d, int err, const char *step, const char *log)
{
	struct rlimit memlock = {0};

	getrlimit(RLIMIT_MEMLOCK, &memlock);
	if (err == EPERM && memlock.rlim_cur != RLIM_INFINITY &&
	    !has(effective_capabilities(), CAP_SYS_RESOURCE))
		return diag_set_hint(
			d, err, EXIT_REFUSED,
			"raise it (ulimit -l unlimited; LimitMEMLOCK=infinity in a unit), or give seep "
			"CAP_SYS_RESOURCE so that it can do so itself",
			"%s: not permitted; RLIMIT_MEMLOCK is %llu bytes and CAP_SYS_RESOURCE is missing",
			step, (unsigned long long)memlock.rlim_cur);
	if (err == EPERM || err == EACCES)
		return diag_set_hint(
			d, err, EXIT_REFUSED,
			"run as root in the initial namespaces; kernel lockdown (cat /sys/kernel/security/lockdown) and "
			"container runtimes' seccomp profiles refuse bpf(2), too",
			"%s: not permitted%s%s", step, *log ? ": " : "", log);
	if (err == ENOMEM || err == E2BIG)
		return diag_set_hint(d, err, EXIT_RUNTIME,
				     "lower --max-outstanding, --max-sites or --stack-storage-size",
				     "%s: %s%s%s", step, strerror(err), *log ? ": " : "", log);
	return diag_set_hint(
		d, err, EXIT_REFUSED,
		"seep needs Linux 5.17 or later with BPF and uprobes; `seep doctor` lists what "
		"this kernel has",
		"%s: %s%s%s", step, strerror(err), *log ? ": " : "", log);
}

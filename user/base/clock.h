/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_BASE_CLOCK_H
#define SEEP_BASE_CLOCK_H
#include <stdint.h>
#include <sys/types.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_SECOND (1000 * NS_PER_MS)
#define NS_PER_HOUR (3600 * NS_PER_SECOND)

/* CLOCK_MONOTONIC in nanoseconds as the kernel has it, and the BPF side stamps blocks with; also in a time namespace. Thread-safe. */
uint64_t clock_monotonic_ns(void);
/* CLOCK_REALTIME in nanoseconds since 1970. */
uint64_t clock_realtime_ns(void);
/* CLOCK_BOOTTIME in nanoseconds: what process start times count in. */
uint64_t clock_boottime_ns(void);

/* CPU time of a process, its ended threads included; 0: there is no such process. Thread-safe. */
uint64_t clock_process_cpu_ns(pid_t pid);
/* CPU time of the calling thread. */
uint64_t clock_thread_cpu_ns(void);

/* RFC 3339 in UTC with milliseconds, "2026-11-22T19:46:19.123Z", of a CLOCK_REALTIME value. */
#define CLOCK_RFC3339_SIZE 32
void clock_format_rfc3339(uint64_t realtime_ns, char out[CLOCK_RFC3339_SIZE]);

#endif

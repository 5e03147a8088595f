/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_ATTACH_CALIBRATE_CACHE_H
#define SEEP_ATTACH_CALIBRATE_CACHE_H
#include "attach/calibrate.h"

/* As calibrate(), but in a process of its own, so that nothing of it stays in this one (limits, libbpf's state), and once a boot:
 * the result is kept in the cache directory (unwind_cache_directory()), by boot and link kind. Trouble with the cache is no
 * error. Before this process has threads. */
int calibrate_cached(enum link_kind link, struct calibration *ret, struct diag *d);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_SCAN_PATHS_H
#define SEEP_CLI_SCAN_PATHS_H
/* seep scan --paths: the chain of pointers to one block. */
#include "base/diag.h"
#include "model/scan_path.h"
#include "reach/name.h"
#include "reach/paths.h"

struct assembled;
struct assembly;
struct scanning;

struct found_path {
	uint64_t address; /* that is asked for */
	uint32_t target;  /* its block in the scan, REACH_NONE: none */
	struct reach_path path;
	struct reach_root_name root;
	struct scan_step *steps; /* scan_paths_describe()'s */
};

/* In place of scanning_pass: looks for what leads to address. Returns its errors, with a diag. */
int scan_paths_find(struct scanning *s, uint64_t address, struct found_path *ret, struct diag *d);
/* Fills ret, which refers to found and r, with what is known of the blocks in the chain. Returns 0 or -errno. */
int scan_paths_describe(struct assembly *a, const struct assembled *r, uint32_t process,
			const struct scanning *s, struct found_path *found, struct scan_path *ret);
void scan_paths_done(struct found_path *found);

#endif

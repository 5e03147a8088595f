/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_JUDGED_SITES_H
#define SEEP_DAEMON_JUDGED_SITES_H
/* The histories by which sites are judged. A plugin that is loaded again has other addresses and so other stacks; stacks whose frames
 * have one fingerprint are one site, with one history. */
#include <stdbool.h>
#include <stdint.h>

#include "base/hashmap.h"
#include "model/report.h"
#include "model/snapshot.h"

#define JUDGED_MOST 4096 /* sites that are followed, 5 kB each; those beyond stay unknown */

struct judge;

/* Zeroed. */
struct judged_sites {
	uint64_t reading;
	struct hashmap stacks; /* private, as what follows */
	struct hashmap groups;
};

/* A reading of all sites: begin, add each, end. */
void judged_sites_begin(struct judged_sites *js);
/* fingerprint: of the site's frames, 0 while they are not known; it is asked for until then, and kept. Of what there is no memory for
 * nothing is known. */
void judged_sites_add(struct judged_sites *js, const struct snapshot *s,
		      const struct snapshot_site *from, uint64_t fingerprint);
/* Forgets what the reading did not have, and adds a sample of all else. seconds: since the session began. */
void judged_sites_end(struct judged_sites *js, double seconds);

struct judged_site {
	const struct judge *judge;
	bool asked; /* already since the last reading, by another stack of the site */
	double survival[SITE_AGES]; /* kept for who asks, NAN at first */
};

/* The history of a site of the last reading, or NULL. Borrowed until the next one. */
struct judged_site *judged_sites_get(struct judged_sites *js, const struct snapshot_site *from);
void judged_sites_done(struct judged_sites *js);

#endif

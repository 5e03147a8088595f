/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_OUTPUT_TRUNCATED_H
#define SEEP_OUTPUT_TRUNCATED_H
/* Why stacks end early, in words. */

/* What a reason of process_report.truncated ("too_deep") means and what to do about it, without a capital or a full stop; NULL
 * for one that this version does not know. */
const char *truncated_sentence(const char *reason);

#endif

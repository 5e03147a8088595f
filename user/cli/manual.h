/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_CLI_MANUAL_H
#define SEEP_CLI_MANUAL_H
/* The longer prose of the man pages, in the markup of struct manual_section. A command's page says
 * what is its own; what all share (exit status, records, environment) stands in seep(1). */
#include "cli/commands.h"

/* End with a NULL heading. */
extern const struct manual_section manual_seep[], manual_trace[], manual_watch[];

#endif

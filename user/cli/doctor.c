// SPDX-License-Identifier: BSD-2-Clause
/* seep doctor: what this host and a process allow. */
#include "cli/commands.h"
#include "cli/options.h"

int cmd_doctor(int argc, char **argv)
{
	struct doctor_options o;
	struct diag d = {0};
	int r = doctor_options_parse(argc, argv, &o, &d);

	if (r)
		return command_settle(&command_doctor, r, &d);
	doctor_options_done(&o);
	return 1;
}

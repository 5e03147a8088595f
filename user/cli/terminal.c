// SPDX-License-Identifier: BSD-2-Clause
#include "cli/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "output/output.h"

unsigned terminal_width(const char *output)
{
	struct winsize size;

	if (output || !isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return 0;
	return size.ws_col;
}

bool terminal_color(enum options_color color, const char *output)
{
	const char *no_color = getenv("NO_COLOR");

	if (color != OPTIONS_COLOR_AUTO)
		return color == OPTIONS_COLOR_ALWAYS;
	return !output && isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

bool terminal_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		/* The first that is set decides. */
		if (value && *value)
			return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
	}
	return false;
}

int terminal_refuses(const struct output_format *format, const char *output, struct diag *d)
{
	if (!format->binary || output || !isatty(STDOUT_FILENO))
		return 0;
	return diag_set_hint(d, EINVAL, EXIT_USAGE, "give --output FILE, or a pipe",
			     "--format %s is binary, and standard output is a terminal",
			     format->name);
}

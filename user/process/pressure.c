// SPDX-License-Identifier: BSD-2-Clause
#include "process/pressure.h"

#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

double pressure_parse(const char *text)
{
	static const char begin[] = "some avg10=";
	const char *number = text + strlen(begin);
	double percent;
	char *end;

	if (strncmp(text, begin, strlen(begin)) || !isdigit((unsigned char)*number))
		return NAN;
	percent = strtod(number, &end);
	return *end == ' ' && percent <= 100 ? percent / 100 : NAN;
}

double pressure_read(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	/* A kernel that does not keep it has the file and refuses to read it. */
	if (n <= 0)
		return NAN;
	text[n] = '\0';
	return pressure_parse(text);
}

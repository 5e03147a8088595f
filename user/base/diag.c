// SPDX-License-Identifier: BSD-2-Clause
#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct diag *d, enum exit_code code, const char *hint, const char *fmt, va_list ap)
{
	char text[sizeof(d->text)];

	vsnprintf(text, sizeof(text), fmt, ap);
	memcpy(d->text, text, sizeof(text));
	snprintf(d->hint, sizeof(d->hint), "%s", hint ? hint : "");
	d->exit_code = code;
}

int diag_set(struct diag *d, int err, const char *fmt, ...)
{
	va_list ap;

	if (!d)
		return -err;
	va_start(ap, fmt);
	fill(d, EXIT_RUNTIME, NULL, fmt, ap);
	va_end(ap);
	return -err;
}

int diag_set_hint(struct diag *d, int err, enum exit_code code, const char *hint, const char *fmt,
		  ...)
{
	va_list ap;

	if (!d)
		return -err;
	va_start(ap, fmt);
	fill(d, code, hint, fmt, ap);
	va_end(ap);
	return -err;
}

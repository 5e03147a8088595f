/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_PROCESS_PRESSURE_H
#define SEEP_PROCESS_PRESSURE_H
/* Pressure stall information: how long tasks wait for memory (Documentation/accounting/psi.rst). Thread-safe. */

#define PRESSURE_HOST "/proc/pressure/memory"

/* "some avg10" of a pressure file's text as a ratio, 0 to 1; NAN when it is not there or makes no sense. */
double pressure_parse(const char *text);
/* The same of the file at path. */
double pressure_read(const char *path);

#endif

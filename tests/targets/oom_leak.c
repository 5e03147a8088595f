/* SPDX-License-Identifier: BSD-2-Clause */
/* Leaks 1 MiB at a time, touched, until the kernel ends it: once told to by a byte on stdin, after printing that it is ready. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((noinline)) static void leak_one(void)
{
	char *p = malloc(1 << 20);

	if (p)
		memset(p, 1, 1 << 20);
	__asm__ volatile("" : : "r"(p) : "memory");
	usleep(5000);
}

int main(void)
{
	char go;

	printf("{\"ready\": %d}\n", (int)getpid());
	fflush(stdout);
	if (read(STDIN_FILENO, &go, 1) != 1)
		return 1;
	for (;;)
		leak_one();
}

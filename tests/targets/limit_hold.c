/* SPDX-License-Identifier: BSD-2-Clause */
/* For a cgroup with a memory limit. Told by words on stdin: "leak" takes 16 MiB, touched, and keeps them; "press" touches as much memory
 * as argv[1] says, in bytes, all of which the kernel may take back when it needs some; "die" leaks until it is ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)

__attribute__((noinline)) static void leak_one(void)
{
	char *p = malloc(PIECE);

	if (p)
		memset(p, 1, PIECE);
	__asm__ volatile("" : : "r"(p) : "memory");
}

static void press(size_t n_bytes)
{
	char *area =
		mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		exit(1);
	for (size_t at = 0; at + PIECE <= n_bytes; at += PIECE) {
		memset(area + at, 1, PIECE);
		if (madvise(area + at, PIECE, MADV_FREE))
			exit(1);
	}
	munmap(area, n_bytes);
}

static void say(const char *what)
{
	printf("{\"%s\": %d}\n", what, (int)getpid());
	fflush(stdout);
}

int main(int argc, char **argv)
{
	size_t n_bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	char word[16];

	say("ready");
	while (scanf("%15s", word) == 1) {
		if (!strcmp(word, "leak"))
			for (int i = 0; i < 16; i++)
				leak_one();
		else if (!strcmp(word, "press"))
			press(n_bytes);
		while (!strcmp(word, "die"))
			leak_one();
		say(word);
	}
	return 0;
}

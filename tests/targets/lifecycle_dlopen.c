// SPDX-License-Identifier: BSD-2-Clause
/* lifecycle_dlopen PATH: at each line on stdin in turn loads the library that has that name by then, after unloading the one
 * before, and takes blocks through it. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void say(const char *line)
{
	if (write(1, line, strlen(line)) < 0)
		_exit(3);
}

/* Returns 0 at the end of stdin. */
static int wait_for_line(void)
{
	char c = 0;

	while (read(0, &c, 1) == 1)
		if (c == '\n')
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	void *library = NULL;
	char ready[64];

	if (argc != 2)
		return 1;
	snprintf(ready, sizeof(ready), "{\"ready\":%d}\n", (int)getpid());
	say(ready);
	while (wait_for_line()) {
		void *(*take)(size_t n_bytes);

		if (library)
			dlclose(library);
		library = dlopen(argv[1], RTLD_NOW);
		take = library ? (void *(*)(size_t))dlsym(library, "take") : NULL;
		if (!take)
			return 1;
		say("{\"loaded\":true}\n");
		wait_for_line();
		for (int i = 0; i < 10; i++)
			take(5000);
		say("{\"taken\":10}\n");
	}
	return 0;
}

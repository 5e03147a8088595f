/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps the file that argv[1] names as if the dynamic linker had: executable, from its start.
 * Tells its pid, waits for the end of stdin. */
#include "ledger.h"

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;

	if (fd < 0 || mmap(NULL, 1 << 16, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		ledger_die("bad_maps: usage: bad_maps FILE");
	ledger_start(argc, argv);
	ledger_finish();
	return 0;
}

// SPDX-License-Identifier: BSD-2-Clause
// Memory of malloc given to the operator delete that takes a size, and the same done right; for allocators with operators of their
// own. Each error is printed before it is made, as by free_errors.c.
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static void *volatile keep;

static void announce(const void *address)
{
	std::printf("ERROR mismatched-free %p %d\n", address, getpid());
	std::fflush(stdout);
}

NOINLINE static void malloc_delete()
{
	keep = std::malloc(200);
	announce(keep);
	::operator delete(keep, 200);
	keep = nullptr;
}

NOINLINE static void right()
{
	keep = ::operator new(50);
	::operator delete(keep, 50);
	keep = ::operator new(50);
	::operator delete(keep);
	keep = ::operator new[](60);
	::operator delete[](keep);
	keep = std::malloc(70);
	keep = std::realloc(keep, 7000);
	std::free(keep);
}

int main()
{
	right();
	malloc_delete();
	right();
	return 0;
}

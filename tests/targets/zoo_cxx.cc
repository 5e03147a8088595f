// SPDX-License-Identifier: BSD-2-Clause
// operator new and delete in all their forms, and what the standard containers hold. The containers
// go through an allocator of their own that keeps the ledger. Where operator new is libstdc++'s it
// calls malloc: that counts once.
#include <map>
#include <new>
#include <string>
#include <vector>

#include "ledger.h"

#define CXX_SITE extern "C" __attribute__((noipa)) void
extern "C" {
void zoo_new(), zoo_new_array(), zoo_new_nothrow(), zoo_new_aligned(), zoo_bad_alloc(),
	zoo_containers();
}

namespace
{
struct alignas(128) wide {
	char bytes[384];
};

template <typename T> T *entered(T *p, size_t n_bytes, const char *function)
{
	ledger_add(p, n_bytes, function);
	return p;
}

template <typename T> struct counting {
	using value_type = T;
	counting() = default;
	template <typename U> counting(const counting<U> &)
	{
	}
	T *allocate(size_t n)
	{
		return entered(static_cast<T *>(::operator new(n * sizeof(T))), n * sizeof(T),
			       "zoo_containers");
	}
	void deallocate(T *p, size_t)
	{
		ledger_remove(p);
		::operator delete(p);
	}
	bool operator==(const counting &) const
	{
		return true;
	}
	bool operator!=(const counting &) const
	{
		return false;
	}
};

using text = std::basic_string<char, std::char_traits<char>, counting<char>>;
using table = std::map<int, text, std::less<int>, counting<std::pair<const int, text>>>;
using list = std::vector<int, counting<int>>;

// Kept alive without a destructor that would run at exit.
alignas(list) char list_room[sizeof(list)];
alignas(table) char table_room[sizeof(table)];
} // namespace

CXX_SITE zoo_new()
{
	for (int i = 0; i < 6; i++)
		entered(static_cast<char *>(::operator new(40 + i)), 40 + i, __func__);
	char *freed = entered(static_cast<char *>(::operator new(90)), 90, __func__);
	ledger_remove(freed);
	::operator delete(freed);
	freed = entered(static_cast<char *>(::operator new(91)), 91, __func__);
	ledger_remove(freed);
	::operator delete(freed, size_t(91));
}

CXX_SITE zoo_new_array()
{
	entered(new int[ledger_opaque(50)], 200, __func__);
	char *freed = entered(new char[ledger_opaque(70)], 70, __func__);
	ledger_remove(freed);
	delete[] freed;
}

CXX_SITE zoo_new_nothrow()
{
	entered(static_cast<char *>(::operator new(33, std::nothrow)), 33, __func__);
	entered(static_cast<char *>(::operator new[](34, std::nothrow)), 34, __func__);
	if (::operator new(ledger_opaque(size_t(1) << 62), std::nothrow))
		ledger_die("operator new of 2^62 bytes succeeded");
}

CXX_SITE zoo_new_aligned()
{
	entered(new wide, sizeof(wide), __func__);
	wide *freed = entered(new wide, sizeof(wide), __func__);
	ledger_remove(freed);
	delete freed;
}

// The exception passes through operator new, and is caught outside the function that allocates.
// Debian's mimalloc is built as C and aborts instead: -DNO_BAD_ALLOC.
CXX_SITE zoo_bad_alloc()
{
	if (::operator new[](ledger_opaque(size_t(1) << 62)))
		ledger_die("operator new[] of 2^62 bytes succeeded");
}

CXX_SITE zoo_containers()
{
	list *numbers = new (list_room) list;
	table *names = new (table_room) table;

	for (int i = 0; i < 1000; i++)
		numbers->push_back(i);
	for (int i = 0; i < 30; i++)
		(*names)[i] = text(static_cast<size_t>(10 + i), 'x');
	for (int i = 0; i < 30; i += 3)
		names->erase(i);
}

int main(int argc, char **argv)
{
	int caught = 0;

	ledger_start(argc, argv);
	zoo_new();
	zoo_new_array();
	zoo_new_nothrow();
	zoo_new_aligned();
	for (int i = 0; i < 20; i++) {
		try {
#ifndef NO_BAD_ALLOC
			zoo_bad_alloc();
#endif
		} catch (const std::bad_alloc &) {
			// The pending call that it left must not swallow the next one.
			caught++;
		}
		zoo_new();
	}
	zoo_containers();
	ledger_note("caught", static_cast<unsigned long long>(caught));
	ledger_finish();
	return 0;
}

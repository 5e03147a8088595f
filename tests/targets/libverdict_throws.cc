// SPDX-License-Identifier: BSD-2-Clause
/* What verdict_unseen does by exceptions of C++: what a guard holds is freed while the stack unwinds, a bare pointer is not. */
#include <cstring>
#include <memory>
#include <stdexcept>

#define SITE_FUNCTION static __attribute__((noipa))

SITE_FUNCTION char *leak_over_exception(size_t n)
{
	return static_cast<char *>(memset(new char[n], 1, n));
}

SITE_FUNCTION char *held_by_guard(size_t n)
{
	return static_cast<char *>(memset(new char[n], 1, n));
}

SITE_FUNCTION void parse(const char *text, bool broken)
{
	if (broken)
		throw std::runtime_error(text);
}

/* One request, which may be broken. */
extern "C" void request_throws(bool broken)
{
	std::unique_ptr<char[]> guard(held_by_guard(200));

	try {
		char *bare = leak_over_exception(150);

		parse(bare + 149, broken);
		delete[] bare;
	} catch (const std::runtime_error &) {
		guard[0] = 0;
	}
}

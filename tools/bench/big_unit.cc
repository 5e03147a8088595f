// SPDX-License-Identifier: BSD-2-Clause
// One of the many units of a big program with DWARF: templates, each with types, variables, inlined
// calls and lines of its own. Internal linkage: the linker keeps every unit's copy.
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace
{

template <int N> struct record {
	std::map<std::string, record<N - 1> *> children;
	std::vector<std::pair<int, record<N> *>> queue;

	inline void push(int weight)
	{
		queue.emplace_back(weight + N, this);
	}

	__attribute__((noinline)) std::size_t visit(const std::string &name)
	{
		auto found = children.find(name);
		push(N);
		if (found == children.end())
			return queue.size();
		children.emplace(name + "/", found->second);
		return found->second->visit(name) + children.size();
	}
};

template <> struct record<0> {
	std::size_t visit(const std::string &name)
	{
		return name.size();
	}
};

} // namespace

extern "C" void *big_unit(std::size_t n_bytes)
{
	static record<20> top;

	if (!n_bytes)
		top.visit("name");
	return std::malloc(n_bytes);
}

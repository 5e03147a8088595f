// SPDX-License-Identifier: BSD-2-Clause
/* C++: exceptions thrown through frames that allocate before, in catch blocks, in destructors while the stack is unwound and
 * after; rethrown and carried between threads; virtual and pure functions by several bases (thunks), templates nested
 * deep, lambdas, std::function, coroutine-like callbacks from std::sort and std::thread. */
#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "stack.h"

#define stack_new(type)                                                                            \
	do {                                                                                       \
		type *stack_object_ = new type;                                                    \
		stack_keep(stack_object_, sizeof(type), "c++");                                    \
	} while (0)

struct pair_of_words {
	long a, b;
};

struct allocates_at_end {
	int depth;
	~allocates_at_end()
	{
		stack_malloc(100 + (size_t)depth);
	}
};

STACK_FN void thrower(int depth)
{
	allocates_at_end object = {depth};

	stack_new(pair_of_words);
	if (depth == 0)
		throw std::runtime_error("from the bottom");
	thrower(depth - 1);
	__asm__ volatile("");
}

STACK_FN void rethrower(int depth)
{
	std::string text(100, 'x');

	try {
		thrower(depth);
	} catch (const std::exception &e) {
		stack_malloc(64 + text.size() % 3);
		if (depth % 2)
			throw;
		throw std::logic_error("another");
	}
}

STACK_FN void exceptions()
{
	for (int depth = 0; depth < 15; depth++) {
		try {
			rethrower(depth);
		} catch (const std::logic_error &) {
			stack_malloc(65);
		} catch (...) {
			stack_new(pair_of_words);
		}
		stack_malloc(66);
	}
}

struct first_base {
	virtual void visit(int depth) = 0;
	virtual ~first_base() = default;
	long filler[3] = {};
};

struct second_base {
	virtual void descend(int depth) = 0;
	virtual ~second_base() = default;
};

struct both : first_base, second_base {
	__attribute__((noinline)) void visit(int depth) override
	{
		second_base *second = this;

		stack_malloc(67);
		__asm__ volatile("" : "+r"(second));
		second->descend(depth);
		__asm__ volatile("");
	}
	__attribute__((noinline)) void descend(int depth) override
	{
		first_base *first = this;

		__asm__ volatile("" : "+r"(first));
		if (depth > 0)
			first->visit(depth - 1);
		stack_new(pair_of_words);
	}
};

template <int depth> struct nested {
	template <typename call> __attribute__((noinline)) static long go(call f)
	{
		long got = nested<depth - 1>::go([f](int n) { return f(n + 1) + 1; });

		stack_malloc(68);
		return got + depth;
	}
};

template <> struct nested<0> {
	template <typename call> __attribute__((noinline)) static long go(call f)
	{
		return f(0);
	}
};

STACK_FN void callables()
{
	std::function<int(int)> deep = [&deep](int depth) {
		int got = depth > 0 ? deep(depth - 1) : 0;

		stack_malloc(69);
		return got + depth;
	};
	std::vector<int> few = {5, 2, 8, 1, 9, 3};

	deep(10);
	nested<12>::go([](int n) {
		stack_new(pair_of_words);
		return n;
	});
	std::sort(few.begin(), few.end(), [](int a, int b) {
		stack_malloc(70);
		return a < b;
	});
}

STACK_FN void containers()
{
	std::vector<char> *many = new std::vector<char>(1000);
	std::string *text;

	stack_keep(many, sizeof(*many), "c++");
	stack_keep(many->data(), 1000, "c++");
	text = new std::string(500, 'y');
	stack_keep(text, sizeof(*text), "c++");
	stack_keep(&(*text)[0], 501, "c++");
}

STACK_FN void threads()
{
	std::exception_ptr carried;
	std::thread thread([&carried] {
		try {
			thrower(5);
		} catch (...) {
			stack_malloc(71);
			carried = std::current_exception();
		}
	});

	thread.join();
	try {
		std::rethrow_exception(carried);
	} catch (const std::runtime_error &) {
		stack_malloc(72);
	}
}

int main(int argc, char **argv)
{
	std::unique_ptr<first_base> object(new both);

	stack_start(argc, argv);
	for (int i = 0; i < 3; i++) {
		exceptions();
		object->visit(10);
		callables();
		containers();
		threads();
	}
	stack_finish();
	return 0;
}

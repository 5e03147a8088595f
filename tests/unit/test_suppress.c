// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "analyze/suppress.h"
#include "base/cleanup.h"
#include "model/report.h"

static const struct frame stack[] = {
	{.function = "pool::grow",
	 .module = "/usr/lib/libpool.so.1",
	 .file = "/src/pool/pool.cc",
	 .line = 12},
	{.function = "session_open", .module = "/srv/bin/api", .file = "session.c", .line = 7},
	{.module = "/usr/lib/x86_64-linux-gnu/libc.so.6"},
	{.function = "main", .module = "/srv/bin/api", .file = "/src/main.c", .line = 99},
};

/* As symbol/ would: one name is known. */
static const char *demangle(void *arg, const char *symbol)
{
	(void)arg;
	return strcmp(symbol, "_ZN4pool4growEv") ? NULL : "pool::grow";
}

static struct suppressions *rules_of(const char *text)
{
	struct suppressions *s;
	struct diag d = {0};

	assert_int_equal(suppressions_create(demangle, NULL, &s), 0);
	if (suppressions_add(s, "rules", text, &d))
		fail_msg("%s: %s", text, d.text);
	return s;
}

static void check(const char *text, const char *want)
{
	struct suppressions *s = rules_of(text);
	const char *name = suppressions_match(s, stack, ARRAY_SIZE(stack));

	if (!name != !want || (name && strcmp(name, want)))
		fail_msg("%s: %s, not %s", text, name ? name : "-", want ? want : "-");
	suppressions_destroy(s);
}

static void leak_sanitizer(void **state)
{
	(void)state;
	check("leak:session_open", "session_open");
	check("leak:session", "session");
	check("# comment\n\n  leak:sess*open  \n", "sess*open");
	check("leak:^session_open$", "^session_open$");
	check("leak:^ession", NULL);
	check("leak:sessio$", NULL);
	check("leak:open$", "open$");
	check("leak:libpool.so", "libpool.so");
	check("leak:^/src/*.cc$", "^/src/*.cc$");
	check("leak:*", "*");
	check("leak:nothing\nleak:pool.cc", "pool.cc");
	check("leak:nothing", NULL);
	check("leak:main*x", NULL);
	check("leak:^m*a*i*n$", "^m*a*i*n$");
	check("", NULL);
}

static void valgrind(void **state)
{
	(void)state;
	check("{\n a name\n Memcheck:Leak\n fun:malloc\n fun:pool::grow\n}\n", "a name");
	check("{\n a\n Memcheck:Leak\n match-leak-kinds: definite\n fun:_Znwm\n fun:_ZN4pool4growEv\n}",
	      "a");
	check("{\n a\n Memcheck:Leak\n fun:malloc\n fun:session_open\n}", NULL);
	check("{\n a\n Memcheck:Leak\n fun:malloc\n ...\n fun:main\n}", "a");
	check("{\n a\n Memcheck:Leak\n ...\n obj:/srv/*/api\n}", "a");
	check("{\n a\n Memcheck:Leak\n fun:pool*\n fun:session_????\n obj:*libc.so*\n fun:main\n}",
	      "a");
	check("{\n a\n Memcheck:Leak\n fun:pool*\n fun:main\n}", NULL);
	check("{\n a\n Memcheck:Leak\n src:pool.cc:12\n}", "a");
	check("{\n a\n Memcheck:Leak\n src:pool.cc:13\n}", NULL);
	check("{\n a\n Memcheck:Leak\n src:/src/pool/pool.cc\n src:session.c\n}", "a");
	check("{\n a\n Memcheck:Leak\n fun:pool*\n ...\n fun:session_open\n ...\n fun:session_open\n}",
	      NULL);
	/* Rules for other errors are no rules for leaks, whatever is in them. */
	check("{\n a\n Memcheck:Addr4\n fun:pool::grow\n what: ever\n}\n{\n b\n drd:x\n}", NULL);
	check("{\n a\n Memcheck:Leak\n}", NULL);
	check("{\n a\n Memcheck:Leak\n fun:x\n}\nleak:main\n", "main");
}

static void an_unknown_stack(void **state)
{
	struct suppressions *s = rules_of("leak:*\n");

	(void)state;
	assert_null(suppressions_match(s, NULL, 0));
	suppressions_destroy(s);
}

static void bad_rules(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"leak:a\nrace:b\n", "line 2: not a rule"},
		{"leak:\n", "line 1: not a rule"},
		{"{\n a\n Memcheck:Leak\n fun:b\n", "has no end"},
		{"{\n", "has no end"},
		{"{\n a\n Memcheck:Leak\n function:b\n}", "line 4: not fun:"},
		{"\x7f"
		 "ELF",
		 "line 1: not a rule"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct suppressions *s;
		struct diag d = {0};

		assert_int_equal(suppressions_create(demangle, NULL, &s), 0);
		assert_int_equal(suppressions_add(s, "rules", cases[i].text, &d), -EINVAL);
		if (!strstr(d.text, cases[i].said) || d.exit_code != EXIT_USAGE)
			fail_msg("%s", d.text);
		suppressions_destroy(s);
	}
}

static void bad_files(void **state)
{
	struct suppressions *s;
	struct diag d = {0};

	(void)state;
	assert_int_equal(suppressions_create(demangle, NULL, &s), 0);
	assert_int_equal(suppressions_load(s, "/nonexistent/rules", &d), -ENOENT);
	assert_int_equal(suppressions_load(s, "/dev/zero", &d), -EFBIG);
	assert_int_equal(suppressions_load(s, "/", &d), -EISDIR);
	suppressions_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leak_sanitizer),   cmocka_unit_test(valgrind),
		cmocka_unit_test(an_unknown_stack), cmocka_unit_test(bad_rules),
		cmocka_unit_test(bad_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

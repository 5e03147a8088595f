// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/option_spec.h"
#include "cli/options.h"

#define MAX_WORDS 64
#define MS 1000000ULL
#define SECOND (1000 * MS)

struct line {
	char text[512];
	char *argv[MAX_WORDS + 1];
	int argc;
};

/* Splits at spaces; "''" is an empty word. */
static struct line *split(struct line *l, const char *text)
{
	char *word, *rest = l->text;

	snprintf(l->text, sizeof(l->text), "%s", text);
	for (l->argc = 0; (word = strsep(&rest, " "));)
		l->argv[l->argc++] = strcmp(word, "''") ? word : "";
	l->argv[l->argc] = NULL;
	return l;
}

static int parse_trace(struct line *l, const char *text, struct trace_options *o, struct diag *d)
{
	split(l, text);
	*d = (struct diag){0};
	return trace_options_parse(l->argc, l->argv, o, d);
}

static void test_defaults(void **state)
{
	struct trace_options o;
	struct diag d;
	struct line l;

	(void)state;
	assert_int_equal(parse_trace(&l, "trace -p 1", &o, &d), 0);
	assert_int_equal(o.pids.n, 1);
	assert_int_equal(o.pids.items[0], 1);
	assert_null(o.command);
	assert_null(o.argv);
	assert_int_equal(o.interval_ns, 5 * SECOND);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.older_ns, 0);
	assert_int_equal(o.top, 10);
	assert_int_equal(o.sample_rate, 1);
	assert_int_equal(o.sample_bytes, 0);
	assert_int_equal(o.max_outstanding, 1000000);
	assert_int_equal(o.max_sites, 65536);
	assert_int_equal(o.stack_storage_size, 65536);
	assert_int_equal(o.max_stack_depth, 127);
	assert_int_equal(o.format, OPTIONS_FORMAT_TEXT);
	assert_int_equal(o.link, OPTIONS_LINK_BEST);
	assert_int_equal(o.stack, OPTIONS_STACK_CFI);
	assert_int_equal(o.unwind_memory_bytes, 64 << 20);
	assert_false(o.trace || o.show_allocs || o.combined_only || o.no_follow || o.mmap ||
		     o.growth || o.verbose || o.quiet || o.check);
	trace_options_done(&o);
}

static void test_every_trace_option_reaches_its_field(void **state)
{
	struct trace_options o;
	struct diag d;
	struct line l;

	(void)state;
	assert_int_equal(
		parse_trace(
			&l,
			"trace 0.25 -p 12,4194304 -p 7 -t -a -o 60000 -C -F -s 100 -T 3 -z 64 -Z 1M -O libc.so "
			"-S je_ -v --no-follow --stack-storage-size 10k --perf-max-stack-depth=64 --sort count "
			"--format ndjson --output out -w cap --max-outstanding 2M --max-sites 500 --mmap "
			"--link multi --stack fp --unwind-memory 128M --for 1.5h --color never 42",
			&o, &d),
		0);
	assert_int_equal(o.pids.n, 3);
	assert_int_equal(o.pids.items[1], 4194304);
	assert_int_equal(o.pids.items[2], 7);
	assert_true(o.trace && o.show_allocs && o.combined_only && o.wa_missing_free && o.verbose &&
		    o.no_follow && o.mmap);
	assert_int_equal(o.older_ns, 60 * SECOND);
	assert_int_equal(o.sample_rate, 100);
	assert_int_equal(o.top, 3);
	assert_int_equal(o.min_size_bytes, 64);
	assert_int_equal(o.max_size_bytes, 1 << 20);
	assert_string_equal(o.object, "libc.so");
	assert_string_equal(o.symbols_prefix, "je_");
	assert_int_equal(o.stack_storage_size, 10000);
	assert_int_equal(o.max_stack_depth, 64);
	assert_int_equal(o.sort, OPTIONS_SORT_COUNT);
	assert_int_equal(o.format, OPTIONS_FORMAT_NDJSON);
	assert_string_equal(options_format_name(o.format), "ndjson");
	assert_string_equal(o.output, "out");
	assert_string_equal(o.capture, "cap");
	assert_int_equal(o.max_outstanding, 2000000);
	assert_int_equal(o.max_sites, 500);
	assert_int_equal(o.link, OPTIONS_LINK_MULTI);
	assert_int_equal(o.stack, OPTIONS_STACK_FP);
	assert_int_equal(o.unwind_memory_bytes, 128 << 20);
	assert_int_equal(o.duration_ns, 5400 * SECOND);
	assert_int_equal(o.color, OPTIONS_COLOR_NEVER);
	assert_int_equal(o.interval_ns, 250 * MS);
	assert_int_equal(o.count, 42);
	trace_options_done(&o);
}

static void test_command_after_dashes(void **state)
{
	struct trace_options o;
	struct diag d;
	struct line l;

	(void)state;
	assert_int_equal(parse_trace(&l, "trace 2 -T 5 3 -- ls -l --help -- x", &o, &d), 0);
	assert_int_equal(o.interval_ns, 2 * SECOND);
	assert_int_equal(o.count, 3);
	assert_ptr_equal(o.argv, &l.argv[6]);
	assert_string_equal(o.argv[1], "-l");

	/* "--" is also what an option may take */
	assert_int_equal(parse_trace(&l, "trace -c -- 7", &o, &d), 0);
	assert_string_equal(o.command, "--");
	assert_null(o.argv);
	assert_int_equal(o.interval_ns, 7 * SECOND);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns; /* 0: refused */
	} cases[] = {
		{"500", 500 * MS},
		{"500ms", 500 * MS},
		{"2s", 2 * SECOND},
		{"1.5s", 1500 * MS},
		{"0.0000019s", 1900},
		{"1.0000000001s", SECOND},
		{"3m", 180 * SECOND},
		{"2h", 7200 * SECOND},
		{"1.", 0},
		{".5", 0},
		{"5 s", 0},
		{"5x", 0},
		{"-5", 0},
		{"+5", 0},
		{"1e3", 0},
		{"nan", 0},
		{"99999999999999999999", 0},
		{"9999999999999999h", 0},
		{"0x10", 0},
		{"1.5.5", 0},
	};
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct trace_options o;
		struct diag d;
		struct line l;
		int r;

		snprintf(text, sizeof(text), "trace -c x -o%s", cases[i].text);
		r = parse_trace(&l, text, &o, &d);
		if (r != (cases[i].ns ? 0 : -EINVAL) || (!r && o.older_ns != cases[i].ns))
			fail_msg("%s: %d, %s", cases[i].text, r, d.text);
	}
}

static void test_trace_messages(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{"-p 1 -s x", "-s: 'x' is not a number; give one between 1 and 16777216"},
		{"-p 1 -o -5", "-o: '-5' is not a duration; give one between 0 and 8760h"},
		{"-p 1 --sample-rate 0",
		 "--sample-rate: '0' is out of range; give one between 1 and 16777216"},
		{"-p 1 -s 18446744073709551620",
		 "-s: '18446744073709551620' is out of range; give one between 1 and 16777216"},
		{"-p 1 -s 1kk", "-s: '1kk' is not a number; give one between 1 and 16777216"},
		{"-p 1 -s -3", "-s: '-3' is not a number; give one between 1 and 16777216"},
		{"-p 1 -z 99999999999G",
		 "-z: '99999999999G' is out of range; give one of at least 0"},
		{"-p 1 --perf-max-stack-depth 128",
		 "--perf-max-stack-depth: '128' is out of range; give one between 1 and 127"},
		{"-p 1 --stack dwarf", "--stack: 'dwarf' is not known; give one of cfi|fp|none"},
		{"-p 1 --unwind-memory 4095",
		 "--unwind-memory: '4095' is out of range; give one between 4k and 64G"},
		{"--check -p 1",
		 "--check goes with a command, -c CMD or -- COMMAND: of a process that runs, 'seep scan -p PID' says what it has lost"},
		{"--check -s 2 -- ls",
		 "--check needs every allocation: it takes none of -s, --sample-bytes, --growth, -o, -z, -Z and --budget"},
		{"--check 5 1 -- ls",
		 "--check ends with its command: it takes no COUNT and no --for"},
		{"--check --format pprof -- ls", "--check is told as text or ndjson, not as pprof"},
		{"--check -t -- ls", "--check takes neither -t, nor -a but with --format ndjson"},
		{"-p 1 --growth --budget 5",
		 "--growth places no probes: there is nothing for --budget"},
		{"-p 1 --escalate-for 5s", "--escalate-for and --escalate-most go with --escalate"},
		{"--escalate -p 1",
		 "--escalate chooses among all processes, or those of --comm and its like: not with -p PID, -c CMD, -- COMMAND or --all"},
		{"--escalate --all",
		 "--escalate chooses among all processes, or those of --comm and its like: not with -p PID, -c CMD, -- COMMAND or --all"},
		{"--all -p 1",
		 "more than one target: -p PID, -c CMD, -- COMMAND, --all and what selects (--comm and its like) exclude each other"},
		{"--all --comm x",
		 "--all is every process: it excludes --comm, --exe, --cgroup, --container and --user"},
		{"--comm x -p 1",
		 "more than one target: -p PID, -c CMD, -- COMMAND, --all and what selects (--comm and its like) exclude each other"},
		{"--user no-such-user-here", "--user no-such-user-here: there is no such user"},
		{"-p 1 --growth --mmap",
		 "--growth follows no allocations: it takes none of -s, -t, -z, -Z, -O, -S and --mmap"},
		{"-p 1 -c ls",
		 "more than one target: -p PID, -c CMD, -- COMMAND, --all and what selects (--comm and its like) exclude each other"},
		{"-p 1 -- ls",
		 "more than one target: -p PID, -c CMD, -- COMMAND, --all and what selects (--comm and its like) exclude each other"},
		{"-c ls -- ls",
		 "more than one target: -p PID, -c CMD, -- COMMAND, --all and what selects (--comm and its like) exclude each other"},
		{"-p 1,2,1", "-p: pid 1 is given twice"},
		{"-p 3 --pid 03", "--pid: pid 3 is given twice"},
		{"-p 0", "-p: no pid can be 0; give numbers between 1 and 4194304"},
		{"-p 4194305", "-p: no pid can be 4194305; give numbers between 1 and 4194304"},
		{"-p 99999999999999999999,1",
		 "-p: no pid can be 99999999999999999999; give numbers between 1 and 4194304"},
		{"-p -5",
		 "-p: '-5' is not a pid; give numbers between 1 and 4194304, separated by commas"},
		{"-p 1,,2",
		 "-p: '' is not a pid; give numbers between 1 and 4194304, separated by commas"},
		{"-p 1,",
		 "-p: '' is not a pid; give numbers between 1 and 4194304, separated by commas"},
		{"-p 12x,3",
		 "-p: '12x' is not a pid; give numbers between 1 and 4194304, separated by commas"},
		{"-p", "-p: needs an argument, PID,..."},
		{"-p 1 --format", "--format: needs an argument, text|ndjson|folded|pprof|html"},
		{"-p 1 --format xml",
		 "--format: 'xml' is not known; give one of text|ndjson|folded|pprof|html"},
		{"-p 1 -w ''", "-w: '' is empty; give FILE"},
		{"-c ''", "-c: '' is empty; give CMD"},
		{"-p 1 0", "INTERVAL: '0' is out of range; give one between 10ms and 24h"},
		{"-p 1 0.001", "INTERVAL: '0.001' is out of range; give one between 10ms and 24h"},
		{"-p 1 ls", "INTERVAL: 'ls' is not a duration; give one between 10ms and 24h"},
		{"-p 1 5 0", "COUNT: '0' is out of range; give one of at least 1"},
		{"-p 1 5 2 3", "'3': one word too many"},
		{"-p 1 -s 2 --sample-bytes 64k",
		 "-s and --sample-bytes exclude each other: sample by count or by bytes"},
		{"-p 1 -z 2k -Z 1k", "-z 2048 is larger than -Z 1024: no allocation would count"},
		{"-p 1 -t --format ndjson",
		 "-t prints to stdout, where it would mix with --format ndjson: give --output FILE"},
		{"-p 1 -qv", "-v and -q exclude each other"},
		{"--kernel -c ls",
		 "--kernel and -P trace the kernel, of all processes or of -p PID: they take no command, --all, --escalate, --comm or the like"},
		{"-P --mmap -p 1",
		 "--kernel and -P place no probes in programs: they take none of -t, -O, -S, --growth, --mmap, --no-follow and --check"},
		{"--kernel --budget 5",
		 "--kernel and -P are not governed: sample by -s or --sample-bytes instead of --budget"},
		{"--all-pages -p 1", "--all-pages goes with --kernel"},
		{"-P --all-pages",
		 "-P traces per-CPU memory only: there are no pages for --all-pages"},
		{"--kernel -p 1,2,3,4,5,6,7,8,9", "-p: --kernel and -P take 8 processes at most"},
		{"-p 1 --smaple-rate 5",
		 "--smaple-rate: no such option; did you mean --sample-rate?"},
		{"-p 1 --outptu=x", "--outptu: no such option; did you mean --output?"},
		{"-p 1 --fro 5s", "--fro: no such option; did you mean --for?"},
		{"-p 1 --frobnicate", "--frobnicate: no such option"},
		{"-p 1 --sample 5", "--sample: stands for more than one option; write it in full"},
		{"-p 1 --mmap=yes", "--mmap: takes no argument"},
		{"-p 1 -tx", "-x: no such option"},
		{"-p 1 -\xc3\xa9", "-\\xc3: no such option"},
		{"-p 1 -:", "-:: no such option"},
	};
	struct trace_options o;
	char line[256];
	size_t i;

	(void)state;
	memset(&o, 0x5a, sizeof(o));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diag d;
		struct line l;

		snprintf(line, sizeof(line), "trace%s%s", *cases[i].line ? " " : "", cases[i].line);
		if (parse_trace(&l, line, &o, &d) != -EINVAL || strcmp(d.text, cases[i].text) ||
		    d.exit_code != EXIT_USAGE)
			fail_msg("%s: %s", cases[i].line, d.text);
		assert_int_equal(((const unsigned char *)&o)[0], 0x5a); /* untouched on failure */
	}
}

/* A command without "--" is the likeliest mistake. */
static void test_hint_for_a_command_without_dashes(void **state)
{
	struct trace_options o;
	struct diag d;
	struct line l;

	(void)state;
	assert_int_equal(parse_trace(&l, "trace ./server", &o, &d), -EINVAL);
	assert_string_equal(d.hint,
			    "To trace a command, write it after '--': seep trace -- COMMAND");
	assert_int_equal(parse_trace(&l, "trace -p 1 0", &o, &d), -EINVAL);
	assert_string_equal(d.hint, "");
}

static void test_allowed_combinations(void **state)
{
	static const char *const lines[] = {
		"trace -p 1 -o 500 -s 10",
		"trace -p 1 -z 1k -Z 1k",
		"trace -p 1 -s 1 --sample-bytes 4k",
		"trace -p 1 -t --format ndjson --output f",
		"trace -p1 0.01",
		"trace -c ls --no-f",
		"trace -p 1 -T 0 -T 5",
		"trace -p 1 -t --format text",
		"trace -p 1 --growth -a -o 500 -C --stack fp --max-sites 10",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		struct trace_options o;
		struct diag d;
		struct line l;

		if (parse_trace(&l, lines[i], &o, &d))
			fail_msg("%s: %s", lines[i], d.text);
		trace_options_done(&o);
	}
}

/* Pages are taken one in a power of two. */
static void test_growth_distance(void **state)
{
	static const struct {
		const char *line;
		uint64_t distance;
	} cases[] = {
		{"trace --growth -p 1", 65536},
		{"trace --growth -p 1 --sample-bytes 1", 4096},
		{"trace --growth -p 1 --sample-bytes 4096", 4096},
		{"trace --growth -p 1 --sample-bytes 4097", 8192},
		{"trace --growth -p 1 --sample-bytes 256M", 256 << 20},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct trace_options o;
		struct diag d;
		struct line l;

		assert_int_equal(parse_trace(&l, cases[i].line, &o, &d), 0);
		assert_true(o.growth);
		assert_int_equal(o.sample_bytes, cases[i].distance);
		trace_options_done(&o);
	}
}

static void test_requests(void **state)
{
	struct trace_options o;
	struct diag d;
	struct line l;

	(void)state;
	assert_int_equal(parse_trace(&l, "trace --help", &o, &d), OPTIONS_HELP);
	assert_int_equal(parse_trace(&l, "trace -p 1 -h", &o, &d), OPTIONS_HELP);
	assert_int_equal(parse_trace(&l, "trace --version", &o, &d), OPTIONS_VERSION);
	assert_int_equal(parse_trace(&l, "trace -s x --help", &o, &d), -EINVAL);
}

static void test_report(void **state)
{
	struct report_options o;
	struct diag d = {0};
	struct line l;

	(void)state;
	split(&l,
	      "report -a -C -T 0 --sort count --all-reports --format folded --output o --color always -");
	assert_int_equal(report_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_string_equal(o.path, "-");
	assert_true(o.show_allocs && o.combined_only && o.all_reports);
	assert_int_equal(o.top, 0);
	assert_int_equal(o.sort, OPTIONS_SORT_COUNT);
	assert_int_equal(o.format, OPTIONS_FORMAT_FOLDED);
	assert_string_equal(o.output, "o");
	assert_int_equal(o.color, OPTIONS_COLOR_ALWAYS);

	split(&l, "report -- -odd-name");
	assert_int_equal(report_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_string_equal(o.path, "-odd-name");
	assert_int_equal(o.top, 10);

	split(&l, "report");
	assert_int_equal(report_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
	assert_string_equal(d.text, "no capture given: give FILE, or - for standard input");
	split(&l, "report --mark warm a");
	assert_int_equal(report_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_string_equal(o.mark, "warm");
	split(&l, "report --mark warm --all-reports a");
	assert_int_equal(report_options_parse(l.argc, l.argv, &o, &d), -EINVAL);

	split(&l, "report a b");
	assert_int_equal(report_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
	assert_string_equal(d.text, "'b': one word too many");
}

static void test_watch(void **state)
{
	static const struct {
		const char *line, *text;
	} wrong[] = {
		{"watch --escalate -T 3",
		 "--escalate chooses by itself: not with -p, -a, --cgroups, --sort and -T"},
		{"watch --cgroups -p 1", "--cgroups shows no processes: leave out -p"},
		{"watch -v -q", "-v and -q exclude each other"},
		{"watch 1 2 3", "'3': one word too many"},
		{"watch --format folded",
		 "--format: 'folded' is not known; give one of text|ndjson"},
		{"watch --sort count",
		 "--sort: 'count' is not known; give one of worst|growth|size|limit"},
	};
	struct watch_options o;
	struct diag d = {0};
	struct line l;

	(void)state;
	split(&l, "watch");
	assert_int_equal(watch_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_int_equal(o.interval_ns, 5 * SECOND);
	assert_int_equal(o.show.top, 20);
	assert_int_equal(o.show.pids.n, 0);
	assert_true(!o.count && !o.duration_ns && !o.show.all && !o.comm && !o.output);

	split(&l,
	      "watch -p 5,6 -p 7 --comm a* --exe /b --cgroup /c --container dddd --user e -a -T 3 "
	      "--sort limit --format ndjson --output f --color never -v --for 2m 500ms 9");
	assert_int_equal(watch_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_int_equal(o.show.pids.n, 3);
	assert_string_equal(o.comm, "a*");
	assert_string_equal(o.exe, "/b");
	assert_string_equal(o.cgroup, "/c");
	assert_string_equal(o.container, "dddd");
	assert_string_equal(o.user, "e");
	assert_string_equal(o.output, "f");
	assert_true(o.show.all && o.verbose && !o.quiet && !o.show.cgroups);
	assert_int_equal(o.show.top, 3);
	assert_int_equal(o.show.sort, WATCH_SORT_LIMIT);
	assert_int_equal(o.format, OPTIONS_FORMAT_NDJSON);
	assert_int_equal(o.color, OPTIONS_COLOR_NEVER);
	assert_int_equal(o.duration_ns, 120 * SECOND);
	assert_int_equal(o.interval_ns, 500 * MS);
	assert_int_equal(o.count, 9);
	watch_options_done(&o);

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		split(&l, wrong[i].line);
		assert_int_equal(watch_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
		assert_string_equal(d.text, wrong[i].text);
	}
}

static void test_doctor(void **state)
{
	struct doctor_options o;
	struct diag d = {0};
	struct line l;

	(void)state;
	split(&l, "doctor -p 5,6 --format ndjson --link perf");
	assert_int_equal(doctor_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_int_equal(o.pids.n, 2);
	assert_int_equal(o.format, OPTIONS_FORMAT_NDJSON);
	assert_int_equal(o.link, OPTIONS_LINK_PERF);
	doctor_options_done(&o);
	split(&l, "doctor");
	assert_int_equal(doctor_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_int_equal(o.pids.n, 0);
	split(&l, "doctor --format folded");
	assert_int_equal(doctor_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
	assert_string_equal(d.text, "--format: 'folded' is not known; give one of text|ndjson");
	split(&l, "doctor 5");
	assert_int_equal(doctor_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
}

static void test_scan(void **state)
{
	struct scan_options o;
	struct diag d = {0};
	struct line l;

	(void)state;
	split(&l, "scan -p 5");
	assert_int_equal(scan_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_int_equal(o.passes, 3);
	assert_int_equal(o.pointers, OPTIONS_POINTERS_INTERIOR);
	scan_options_done(&o);
	split(&l, "scan -p 5 --stop --pointers start --for 2m");
	assert_int_equal(scan_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_int_equal(o.passes, 1);
	assert_int_equal(o.pointers, OPTIONS_POINTERS_START);
	assert_int_equal(o.duration_ns, 120000000000ULL);
	scan_options_done(&o);
	split(&l, "scan -p 5 --paths 0x7f00dead0010");
	assert_int_equal(scan_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_int_equal(o.paths_address, 0x7f00dead0010);
	scan_options_done(&o);
	split(&l, "scan -p 5 --paths 0x7fzz");
	assert_int_equal(scan_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
	split(&l, "scan");
	assert_int_equal(scan_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
	assert_string_equal(d.text, "which process? -p PID");
}

static void test_command_names(void **state)
{
	static const struct {
		const char *name, *text;
	} cases[] = {
		{"trac", "seep: 'trac' is not a command; did you mean 'trace'?"},
		{"rpeort", "seep: 'rpeort' is not a command; did you mean 'report'?"},
		{"frobnicate", "seep: 'frobnicate' is not a command; 'seep --help' lists them"},
		{"", "seep: '' is not a command; 'seep --help' lists them"},
		{"top", "seep top: not in this version (see README, 'What is there')"},
	};
	struct diag d;
	size_t i;

	(void)state;
	assert_ptr_equal(command_find("trace", &d), &command_trace);
	assert_ptr_equal(command_find("seep", &d), &command_seep);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		d = (struct diag){0};
		assert_null(command_find(cases[i].name, &d));
		assert_string_equal(d.text, cases[i].text);
		assert_int_equal(d.exit_code, EXIT_USAGE);
	}
}

static void assert_table_is_sound(const struct command *c)
{
	size_t i, j;

	assert_true(c->n_options <= OPTIONS_MAX);
	assert_true(c->n_examples > 0);
	for (i = 0; i < c->n_options; i++) {
		const struct option_spec *a = &c->options[i];

		if (!a->name || !a->help || !a->group || a->help[strlen(a->help) - 1] == '.')
			fail_msg("%s: option %zu: name, help or group", c->name, i);
		if (option_takes_argument(a) && !a->argument == !a->choices)
			fail_msg("%s: --%s: needs either an argument's name or choices", c->name,
				 a->name);
		if ((a->type == OPTION_COUNT || a->type == OPTION_SIZE ||
		     a->type == OPTION_DURATION) &&
		    a->min >= a->max)
			fail_msg("%s: --%s: empty range", c->name, a->name);
		if (a->type == OPTION_DURATION && !a->unit_ns)
			fail_msg("%s: --%s: no unit", c->name, a->name);
		for (j = 0; j < i; j++) {
			const struct option_spec *b = &c->options[j];

			if (!strcmp(a->name, b->name) || (a->letter && a->letter == b->letter))
				fail_msg("%s: --%s and --%s are the same", c->name, a->name,
					 b->name);
			if (!strcmp(a->group, b->group) &&
			    strcmp(a->group, c->options[i - 1].group))
				fail_msg("%s: --%s: its group is in two places", c->name, a->name);
		}
	}
}

static void test_tables_are_sound(void **state)
{
	size_t i;

	(void)state;
	assert_table_is_sound(&command_seep);
	for (i = 0; commands[i]; i++)
		assert_table_is_sound(commands[i]);
}

/* What print writes; the caller frees it. noinline: gcc 12 takes the result for the stream's own variable. */
static __attribute__((noinline)) char *written(void (*print)(FILE *, const struct command *),
					       const struct command *c)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	print(f, c);
	fclose(f);
	return text;
}

static void print_bash(FILE *f, const struct command *c)
{
	(void)c;
	completion_print_bash(f);
}

static void print_zsh(FILE *f, const struct command *c)
{
	(void)c;
	completion_print_zsh(f);
}

/* The part of a completion script about one command: from begin to the next end. Cuts script. */
static char *part(char *script, const char *begin, const char *end)
{
	char *from = strstr(script, begin), *to;

	assert_non_null(from);
	to = strstr(from, end);
	assert_non_null(to);
	*to = '\0';
	return from;
}

/* Whether text has "--NAME" that is not the beginning of a longer name. */
static bool has_option(const char *text, const char *name)
{
	char word[OPTION_TEXT_SIZE];

	snprintf(word, sizeof(word), "--%s", name);
	while ((text = strstr(text, word))) {
		text += strlen(word);
		if (!isalpha((unsigned char)*text) && *text != '-')
			return true;
	}
	return false;
}

/* name as roff has it: every "-" is "\-". */
static void roff_name(const char *name, char out[OPTION_TEXT_SIZE])
{
	for (out = stpcpy(out, "\\fB\\-\\-"); *name; name++)
		out = *name == '-' ? stpcpy(out, "\\-") : (*out = *name, out + 1);
	stpcpy(out, "\\fR");
}

static void assert_all_agree(const struct command *c)
{
	_cleanup_free_ char *help = written(help_print, c), *man = written(man_print, c);
	_cleanup_free_ char *bash = written(print_bash, c), *zsh = written(print_zsh, c);
	_cleanup_free_ char *list = written(help_print_options, c);
	char name[OPTION_TEXT_SIZE], begin[OPTION_TEXT_SIZE];
	const char *bash_part, *zsh_part;
	size_t i;

	snprintf(begin, sizeof(begin), "\t%s)\n", c->name);
	bash_part = part(bash, begin, ";;");
	snprintf(begin, sizeof(begin), "_seep_%s() {", c->name);
	zsh_part = part(zsh, begin, "\n}\n");
	for (i = 0; i < c->n_options; i++) {
		const struct option_spec *spec = &c->options[i];

		if (!has_option(help, spec->name))
			fail_msg("%s: --%s is not in --help", c->name, spec->name);
		roff_name(spec->name, name);
		if (!strstr(man, name))
			fail_msg("%s: --%s is not in the man page", c->name, spec->name);
		if (!has_option(list, spec->name))
			fail_msg("%s: --%s is not in the list", c->name, spec->name);
		if (has_option(bash_part, spec->name) == !!spec->refused)
			fail_msg("%s: --%s: wrong in bash completion", c->name, spec->name);
		if (has_option(zsh_part, spec->name) == !!spec->refused)
			fail_msg("%s: --%s: wrong in zsh completion", c->name, spec->name);
	}
}

static void test_help_man_and_completion_agree(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; commands[i]; i++)
		assert_all_agree(commands[i]);
}

static void test_help_fits_80_columns(void **state)
{
	size_t i, n;

	(void)state;
	for (i = 0; commands[i]; i++) {
		_cleanup_free_ char *help = written(help_print, commands[i]);
		const char *line;

		for (line = help; *line; line += n + 1) {
			n = strcspn(line, "\n");
			if (n > 80 || (n && line[n - 1] == ' '))
				fail_msg("%s: %.*s", commands[i]->name, (int)n, line);
		}
	}
}

static void test_diff_takes_marks(void **state)
{
	struct diff_options o;
	struct diag d = {0};
	struct line l;

	(void)state;
	split(&l, "diff --from warm --to end a.seep");
	assert_int_equal(diff_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_string_equal(o.before.mark, "warm");
	assert_string_equal(o.after.mark, "end");
	assert_null(o.after.path);
	split(&l, "diff --from warm --before 3 a.seep");
	assert_int_equal(diff_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
	split(&l, "diff --to warm --after 3 a.seep");
	assert_int_equal(diff_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
	split(&l, "diff --to a/b a.seep");
	assert_int_equal(diff_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
}

static void test_mark_wants_a_name(void **state)
{
	static const char *const bad[] = {
		"mark",	       "mark ''",	   "mark end",
		"mark a b",    "mark a/b",	   "mark -p 1,2 a",
		"mark -p 0 a", "mark --trace 0 a", "mark -p 1 --trace 2 a"};
	struct mark_options o;
	struct diag d = {0};
	struct line l;

	(void)state;
	split(&l, "mark deploy-17");
	assert_int_equal(mark_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_string_equal(o.name, "deploy-17");
	assert_true(!o.pids.n && !o.trace);
	mark_options_done(&o);
	split(&l, "mark -p 12 a");
	assert_int_equal(mark_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_int_equal(o.pids.items[0], 12);
	mark_options_done(&o);
	split(&l, "mark --trace 34 a");
	assert_int_equal(mark_options_parse(l.argc, l.argv, &o, &d), 0);
	assert_int_equal(o.trace, 34);
	mark_options_done(&o);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		d = (struct diag){0};
		split(&l, bad[i]);
		assert_int_equal(mark_options_parse(l.argc, l.argv, &o, &d), -EINVAL);
		assert_int_equal(d.exit_code, EXIT_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_trace_option_reaches_its_field),
		cmocka_unit_test(test_command_after_dashes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_trace_messages),
		cmocka_unit_test(test_hint_for_a_command_without_dashes),
		cmocka_unit_test(test_allowed_combinations),
		cmocka_unit_test(test_growth_distance),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_diff_takes_marks),
		cmocka_unit_test(test_mark_wants_a_name),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_doctor),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_command_names),
		cmocka_unit_test(test_tables_are_sound),
		cmocka_unit_test(test_help_man_and_completion_agree),
		cmocka_unit_test(test_help_fits_80_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

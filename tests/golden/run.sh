#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: tests/golden/run.sh SEEP [--update]
#
# Renders the captures of captures/ in each format and compares with expected/: output, messages and exit code. They
# are kept as text and packed here. --update takes what SEEP prints for what is expected: read the diff.
set -u

seep=$(realpath "$1") || exit 2
update=${2:-}
cd "$(dirname "$0")" || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

for capture in captures/*.ndjson; do
	gzip -nc "$capture" >"$work/$(basename "$capture" .ndjson).seep"
done
# What a crash, a bad disk and a later version leave behind.
sed '$d' captures/many_sites.ndjson | gzip -nc >"$work/no_end.seep"
head -n 9 captures/everything.ndjson | gzip -nc >"$work/half_a_report.seep"
head -c 9000 captures/everything.ndjson >"$work/cut.seep"
sed '/"sequence":2/s/"pid":[0-9]*/"pid":-1/' captures/everything.ndjson >"$work/damaged.ndjson"
sed '1s/"version":1/"version":2/; 1s/0\.1\.0/9.9/' captures/everything.ndjson >"$work/later.seep"
sed '1d' captures/everything.ndjson >"$work/trace_output.ndjson"
: >"$work/empty.seep"

n=0
failed=0

# golden NAME ARGS...: the report's output, in $work so that messages have no path in them.
golden()
{
	name=$1
	shift
	compare "$name" report "$@"
}

compare()
{
	name=$1
	shift
	n=$((n + 1))
	(cd "$work" && "$seep" "$@" >out 2>&1; echo "exit $?" >>out)
	if [ "$update" = --update ]; then
		cp "$work/out" "expected/$name"
	fi
	if diff -u "expected/$name" "$work/out" >"$work/diff" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$work/diff"
		failed=1
	fi
}

for capture in everything sampled healthy many_sites; do
	for format in text ndjson folded; do
		golden "$capture.$format" --format "$format" "$capture.seep"
	done
done
golden verdicts.text verdicts.seep
golden verdicts.ndjson --format ndjson verdicts.seep
golden errors.text errors.seep
golden errors.ndjson --format ndjson errors.seep
golden errors_totals.text -C errors.seep
golden all_reports.text --all-reports -a everything.seep
golden marked.text --all-reports marked.seep
golden marked.ndjson --format ndjson marked.seep
golden mark.text --mark loaded marked.seep
golden mark.folded --format folded --mark warm marked.seep
golden mark_missing --mark cold marked.seep
golden blocks.text -a everything.seep
golden blocks.ndjson --format ndjson -a everything.seep
golden colored.text --color always many_sites.seep
golden totals.text -C everything.seep
golden top.text -T 3 many_sites.seep
golden top.folded --format folded -T 3 many_sites.seep
golden by_count.text --sort count -T 2 many_sites.seep
golden by_count.folded --format folded --sort count many_sites.seep
golden no_end.text no_end.seep
golden no_end.folded --format folded no_end.seep
golden half_a_report half_a_report.seep
golden cut -C cut.seep
golden damaged --format folded damaged.ndjson
golden later later.seep
golden html_cut --format html --output page.html cut.seep
golden not_a_capture trace_output.ndjson
golden empty empty.seep
golden missing no_such.seep
golden onto_itself --output cut.seep cut.seep

echo leak:parse_cookie >"$work/lsan.supp"
printf '{\n evil\n Memcheck:Leak\n fun:malloc\n obj:/tmp/*\n}\n{\n names\n Memcheck:Leak\n ...\n fun:leak_?(*\n}\n' \
	>"$work/valgrind.supp"
echo race:x >"$work/bad.supp"
golden suppressed.text --suppressions lsan.supp everything.seep
golden suppressed.folded --format folded --suppressions lsan.supp everything.seep
golden suppressed.ndjson --format ndjson --suppressions valgrind.supp everything.seep
golden suppressed_top.text -T 3 --suppressions valgrind.supp many_sites.seep
golden suppressed_badly --suppressions bad.supp everything.seep

# The same run, but with ten times as much at each site; and that of another build, with other offsets.
sed '/"type":"site"/s/"outstanding_\([a-z]*\)":\([1-9][0-9]*\)/"outstanding_\1":\20/g' captures/everything.ndjson \
	>"$work/grown.ndjson"
sed '/"type":"site"/s/"site":"..../"site":"beef/' "$work/grown.ndjson" | gzip -nc >"$work/rebuilt.seep"
gzip -nc "$work/grown.ndjson" >"$work/grown.seep"
# An exact trace within a budget: some of its processes were sampled.
sed '/"type":"site"/s/"interval_\(bytes\|allocations\)":0/"interval_\1":7/g' "$work/grown.ndjson" |
	gzip -nc >"$work/governed.seep"
compare diff.text diff everything.seep grown.seep
compare diff.ndjson diff --format ndjson everything.seep grown.seep
compare diff_shrank.text diff -T 2 --sort count grown.seep everything.seep
compare diff_rebuilt.text diff everything.seep rebuilt.seep
compare diff_itself.text diff everything.seep everything.seep
compare diff_reports.text diff everything.seep
compare diff_sampled.text diff sampled.seep everything.seep
compare diff_governed.text diff everything.seep governed.seep
compare diff_cut diff cut.seep everything.seep
compare diff_marks.text diff --from warm --to loaded marked.seep
compare diff_marks.ndjson diff --format ndjson --from warm --to end marked.seep
compare diff_no_mark diff --from cold marked.seep
compare diff_no_report diff --before 77 everything.seep
compare diff_no_end.text diff -T 1 everything.seep no_end.seep

echo "1..$n"
exit $failed

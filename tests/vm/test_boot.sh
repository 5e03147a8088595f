#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The virtual machine itself: it boots the kernel it claims to, and hands back output and exit code
# unchanged.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check NAME COMMAND...: one TAP result, by the command's exit code.
check() {
	name=$1
	shift
	n=$((n + 1))
	if "$@"; then echo "ok $n - $name"; else echo "not ok $n - $name"; fi
}

printf 'a file\n' >"$work/file"
# shellcheck disable=SC2016  # expanded in the machine
tools/vm/run --timeout 120 --copy "$work/file:/data/file" -- sh -c '
	uname -r
	wc -c </sys/kernel/btf/vmlinux
	id -u
	cat /data/file
	printf "%s|" "$@"
	echo "to stderr" >&2
	exit 7' sh 'two words' "it's" >"$work/out" 2>"$work/err"
code=$?
sed 's/^/# /' "$work/out" "$work/err"

check "the kernel is 6.1" grep -q '^6\.1\.' "$work/out"
check "it has BTF" test "$(sed -n 2p "$work/out")" -gt 1000000
check "the command is root" test "$(sed -n 3p "$work/out")" = 0
check "copied files are there" grep -qx 'a file' "$work/out"
check "arguments keep their words" grep -qF "two words|it's|" "$work/out"
check "stderr comes apart" grep -qx 'to stderr' "$work/err"
check "the exit code comes through" test $code = 7

tools/vm/run --timeout 3 -- sleep 60 >"$work/out" 2>&1
check "a timeout is 124" test $? = 124

tools/vm/run --timeout 120 -- sh -c 'echo c >/proc/sysrq-trigger' >"$work/out" 2>&1
check "a crash of the machine is 125" test $? = 125

echo "1..$n"

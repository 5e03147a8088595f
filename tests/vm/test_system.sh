#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# seep trace --all on Debian's 6.1 kernel over a parallel build by a real compiler, 50 libc files, and more processes, blocks and
# tables than there is room for.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=$(readlink -f /usr/bin/python3)
export SEEP="$PWD/build/seep" TARGETS="$PWD/build/targets"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

set -- --copy "$PWD/tests" --copy "$python" --copy "/usr/lib/${python##*/}"
for target in zoo_heap lifecycle_server; do
	set -- "$@" --copy "$TARGETS/$target"
done
for tool in gcc as ld make; do
	set -- "$@" --copy "$(readlink -f "$(command -v $tool)"):$(command -v $tool)"
done
for part in cc1 collect2; do
	set -- "$@" --copy "$(gcc -print-prog-name=$part)"
done
command -v bpftool >/dev/null && set -- "$@" --copy "$(command -v bpftool)"
# Only the compiler is in the machine, no headers.
for source in user/base/*.c; do
	gcc -E -std=gnu11 -D_GNU_SOURCE -Iuser -Ibpf "$source" -o "$work/$(basename "$source" .c).i"
done

tools/vm/run --timeout 280 "$@" --copy "$work:/data" -- env WHOLE_MACHINE=1 ONLY="${ONLY-}" BUILDS="${BUILDS-12}" SOURCES=/data "$python" tests/vm/system.py \
	>"$work/out" 2>&1
code=$?
cat "$work/out"
if ! grep -q '^1\.\.' "$work/out"; then
	echo "not ok 99 - ended with $code and no plan"
	echo "1..99"
fi
exit $code

#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# seep on Debian's 6.1 kernel while the clock is set, the machine sleeps and a CPU goes away.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=$(readlink -f /usr/bin/python3)
export SEEP="$PWD/build/seep" TARGETS="$PWD/build/targets"
libraries=/usr/lib/$(gcc -print-multiarch)
out=$(mktemp)
trap 'rm -f "$out"' EXIT

set -- --copy "$PWD/tests" --copy "$python" --copy "/usr/lib/${python##*/}" \
	--copy "$libraries/ld-linux-x86-64.so.2"
for target in zoo_heap zoo_dlopen libzoo_plugin.so libzoo_ownmalloc.so lifecycle_server watch_load; do
	set -- "$@" --copy "$TARGETS/$target"
done
tools/vm/run --timeout 280 "$@" -- env WHOLE_MACHINE=1 ONLY="${ONLY-}" "$python" tests/vm/clock.py >"$out" 2>&1
code=$?
cat "$out"
if ! grep -q '^1\.\.' "$out"; then
	echo "not ok 99 - ended with $code and no plan"
	echo "1..99"
fi
exit $code

#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The ledger test, the zoo, stacks, growth, the reader of all processes' memory, cgroups at their limits and the kernel's own memory on
# Debian's 6.1 kernel, whose only kind of link is a perf event per probe: the same programs, judged by the same ledgers. Under emulation the
# storms are smaller.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=$(readlink -f /usr/bin/python3)
libraries=/usr/lib/$(gcc -print-multiarch)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
export SEEP="$PWD/build/seep" TARGETS="$PWD/build/targets"

# What targets load by name follows no ldd.
set -- --copy "$PWD/tests" --copy "$TARGETS" --copy "$python" --copy "/usr/lib/${python##*/}"
for library in ld-linux-x86-64 libjemalloc libtcmalloc libmimalloc; do
	for file in "$libraries/$library".so.*; do
		[ ! -e "$file" ] || set -- "$@" --copy "$file"
	done
done

# Under emulation the stacks of a few programs of each kind must do.
stacks=stack_c_clang_O2,stack_cxx_O2,stack_deep,stack_signals,stack_threads,stack_dlopen,stack_shadow

# The memory controller of version 2, which the host may not have.
cgroups='mount -t cgroup2 none /sys/fs/cgroup && echo +memory >/sys/fs/cgroup/cgroup.subtree_control
exec "$@"'

n=0
for test in test_ledger test_zoo test_stacks test_growth test_watch_reader test_at_limit test_oom test_kernel; do
	tools/vm/run --timeout 800 "$@" -- sh -c "$cgroups" sh \
		env STORM_OPS=8000 STACKS=$stacks KERNEL_CASES=kmalloc,pages "$python" "tests/live/$test.py" >"$out" 2>&1
	code=$?
	# Numbered anew: several programs, one plan.
	awk -v test=$test -v n=$n '
		/^(not )?ok / {
			bad = $1 == "not"
			sub(/^(not )?ok [0-9]+ - /, "")
			$0 = (bad ? "not ok " : "ok ") ++n " - " test ": " $0
		}
		/^(not )?ok |^#/' "$out"
	results=$(grep -cE '^(not )?ok ' "$out")
	n=$((n + results))
	if [ "$results" = 0 ]; then
		n=$((n + 1))
		echo "not ok $n - $test: ended with $code and no result"
		tail -n 30 "$out" | sed 's/^/# /'
	fi
done
echo "1..$n"

#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# make demo: a server leaks while it serves; seep attaches to it by PID and must name the leak by
# function, file and line.
set -eu
cd "$(dirname "$0")/.."

function=session_parse_cookie
line=$(grep -n 'THE LEAK' tests/targets/leaky_server.c | cut -d: -f1)
work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' HUP INT TERM

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

build/targets/leaky_server --self-load 2000 >"$work/server" &
server=$!
tries=0
until [ -s "$work/server" ]; do
	tries=$((tries + 1))
	if [ $tries -gt 100 ] || ! kill -0 $server 2>/dev/null; then
		echo "demo: the server did not start" >&2
		exit 1
	fi
	sleep 0.1
done

# -o 1000: what a request or the server's cache still uses is younger than a second.
set -- build/seep trace -p $server -o 1000 -T 3 2 3
echo "\$ build/targets/leaky_server --self-load 2000 &    # 2000 requests a second; pid $server"
echo "\$ $*"
status=0
$sudo "$@" >"$work/report" || status=$?
cat "$work/report"
# 4: finished, and the report says what was lost.
if [ $status != 0 ] && [ $status != 4 ]; then
	echo "demo: seep ended with exit code $status" >&2
	exit 1
fi
if ! kill -0 $server 2>/dev/null; then
	echo "demo: the server did not survive being traced" >&2
	exit 1
fi

# Frames come leaf first: the last report's first line of the server's own code is its top site.
found=$(awk '/process [0-9]/ { top = "" }
	/leaky_server\.c:/ && !top { top = $0 }
	END { print top }' "$work/report")
case $found in
*"$function"*"leaky_server.c:$line"*) ;;
*)
	echo "demo: the top site is '$found', expected $function at leaky_server.c:$line" >&2
	exit 1
	;;
esac
echo "Found: $function at tests/targets/leaky_server.c:$line holds the most memory not freed:"
echo "    $(sed -n "${line}s/^[[:space:]]*//p" tests/targets/leaky_server.c)"

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mappings that change while stacks are taken (tests/targets/mappings.c): what is told of them is
whole, or marked as cut, and never wrong.
"""

import json
import pathlib
import subprocess
import tempfile

from lib import SEEP, run_seep, start_tap, target_path

# Same size, same places, other frames: who unwinds one by the other's CFI goes astray.
PLUGIN = """
#include <stdlib.h>
void work(int depth, void (*back)(int));
void work(int depth, void (*back)(int))
{
	char room[ROOM];
	void *p;
	__asm__ volatile("" : : "r"(room) : "memory");
	if (depth)
		back(depth - 1);
	p = malloc(1000);
	__asm__ volatile("" : : "r"(p) : "memory");
	free(p);
	__asm__ volatile("" : : "r"(room) : "memory");
}
"""
START = ["__libc_start_call_main", "__libc_start_main", "_start"]
THREAD = ["start_thread", "clone3"]


def build_plugin(folder, room):
    path = pathlib.Path(folder, f"plugin_{room}.so")
    subprocess.run(
        ["gcc", "-O2", "-fomit-frame-pointer", "-fPIC", "-shared", f"-DROOM={room}", "-xc", "-"]
        + ["-o", str(path)],
        input=PLUGIN.encode(), check=True,
    )
    return str(path)


def trace(*command):
    """Returns what the command printed and the sites of each program's last report."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "records")
        _, out, _ = run_seep(
            "trace", "-q", "--format", "ndjson", "--output", str(path), "--", *command
        )
        records = [json.loads(line) for line in path.read_text().splitlines()]
    return out, [r for r in records if r["type"] == "site" and r["final"]]


def names(site):
    """With or without libc's debug symbols."""
    frames = [f["function"] or "" for f in site["frames"] if not f["inlined"]]
    return [f.replace("__clone3", "clone3") for f in frames]


def is_plugin(frame):
    """Its file may be gone by the time of the report: then it has no name."""
    return not frame["module"] or "/plugin_" in frame["module"]


def expected(site):
    """What the stack must be, judged by its first frames; None: not the target's own."""
    frames = site["frames"]
    chain = names(site)
    n = 0
    while 2 * n < len(frames) and is_plugin(frames[2 * n]):
        n += 1
    if n:
        own = [chain[i] if i % 2 == 0 else "again" for i in range(2 * n)]
        return own + ["churn", "main"] + START
    if chain[:2] == ["allocate", "steady"]:
        return ["allocate", "steady"] + THREAD
    return None


def wrong(site):
    want = expected(site)
    if want is None:
        return False
    # main may have taken churn in.
    have = [f for f in names(site) if f != "churn"]
    want = [f for f in want if f != "churn"]
    return have != want[: len(have)] if site["truncated"] else have != want


def churn():
    with tempfile.TemporaryDirectory() as folder:
        plugins = [build_plugin(folder, room) for room in (4000, 600)]
        out, sites = trace(str(target_path("mappings")), "churn", "3", *plugins)
    own = [s for s in sites if expected(s)]
    plugin = [s for s in own if is_plugin(s["frames"][0])]
    whole = sum(s["allocations"] for s in plugin if not s["truncated"])
    steady = [s for s in own if s not in plugin]
    complaints = [f"wrong: {names(s)}, truncated {s['truncated']}" for s in own if wrong(s)]
    # How many depends on how busy the machine is.
    if int(out) < 3:
        complaints.append(f"only {out} times at the same address: nothing was tested")
    if not whole:
        complaints.append(f"only {whole} whole stacks through a library")
    share = sum(s["allocations"] for s in steady if not s["truncated"]) / max(
        1, sum(s["allocations"] for s in steady)
    )
    if not share:
        complaints.append(f"only {share:.0%} of another thread's stacks are whole")
    return complaints


def processes(mode, n, each):
    """All of n processes have whole stacks, from their first allocation on."""
    _, sites = trace(str(target_path("mappings")), mode, str(n))
    own = [s for s in sites if names(s)[:1] == ["allocate"]]
    have = sum(s["allocations"] for s in own)
    complaints = [
        f"{names(s)}, truncated {s['truncated']}"
        for s in own
        if s["truncated"] or names(s)[-1:] != ["_start"]
    ]
    if have != each:
        complaints.append(f"{have} allocations, must be {each}")
    return complaints


def main():
    tap = start_tap()
    tap.run("two libraries at one address", churn)
    tap.run("200 children at once", processes, "prefork", 200, 200 * 11)
    tap.run("a chain of 50 programs", processes, "chain", 50, 51)
    tap.end()


if __name__ == "__main__":
    main()

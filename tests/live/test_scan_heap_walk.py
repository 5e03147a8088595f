#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep scan --heap-walk: what was allocated and lost before anybody traced. Ground truth is the target's own table; of real programs,
which hold what they have, next to nothing may be called lost.
"""

import collections
import json
import shutil
import subprocess
import sys

from lib import Failure, Skip, Target, run_seep, start_tap, target_path

MODES = ([], ["--stop"])


def scan(pid, *options):
    code, out, err = run_seep(
        "scan", "-p", str(pid), "--for", "0.05", "--pause", "0.05", "-a", "--format", "ndjson", *options
    )
    if code:
        raise Failure(f"exit code {code}: {err[-300:]}")
    return [json.loads(line) for line in out.splitlines()]


def of(records, kind):
    return [r for r in records if r["type"] == kind]


def before(options):
    """Every block, held and lost, direct and by another, and none of those that were given back. While it runs, malloc's lists of
    freed chunks may hide a few lost ones, as their headers overlap the word before.
    """
    with Target("scan_before") as target:
        truth = {int(b["address"], 16): b for b in json.loads(target.read_line())["blocks"]}
        records = scan(target.pid, "--heap-walk", *options)
    said = {int(r["address"], 16): r for r in of(records, "block") if r["site"] is None}
    complaints, hidden = [], 0
    for address, block in truth.items():
        label = f"{block['address']} of {block['size']} B, {block['says']}"
        if address not in said:
            complaints.append(f"{label}: no record")
        elif block["says"] != "reachable" and said[address]["reachable"] and not options:
            hidden += 1
        elif said[address]["reachable"] is not (block["says"] == "reachable"):
            complaints.append(f"{label}: reachable {said[address]['reachable']}")
        elif not block["size"] <= said[address]["size_bytes"] <= block["size"] + 4096:
            complaints.append(f"{label}: {said[address]['size_bytes']} B")
    lost = {a for a, r in said.items() if r["reachable"] is False}
    complaints += [f"{a:#x} of {said[a]['size_bytes']} B: not lost" for a in lost - set(truth)]
    if hidden > len(truth) / 20:
        complaints.append(f"{hidden} lost blocks are called reachable")
    if hidden:
        return complaints
    # Sums: by kind, and the groups by size.
    counts = collections.Counter(b["says"] for b in truth.values())
    groups = [r for r in of(records, "leak") if r["site"] is None]
    for kind in "direct", "indirect":
        n = sum(g[f"{kind}_blocks"] for g in groups)
        if n != counts[kind]:
            complaints.append(f"{n} {kind} ones in the groups, not {counts[kind]}")
    if sum(g["held_blocks"] for g in groups) != counts["indirect"]:
        complaints.append(f"held: {[g['held_blocks'] for g in groups]}")
    sums = of(records, "scan")[0]
    if sums["before_unreachable_blocks"] != counts["direct"] + counts["indirect"]:
        complaints.append(f"sums: {sums}")
    if sums["before_blocks"] != len(said):
        complaints.append(f"{sums['before_blocks']} blocks, {len(said)} records")
    return complaints


def without():
    """Without the option they are roots, and nothing is said of them."""
    with Target("scan_before") as target:
        target.read_line()
        records = scan(target.pid, "--stop")
    sums = of(records, "scan")[0]
    wrong = {k: sums[k] for k in ("heap_walk", "before_blocks", "before_unreachable_blocks") if sums[k]}
    return [f"{wrong}"] * bool(wrong) + [f"{len(of(records, 'leak'))} leaks"] * bool(of(records, "leak"))


def real(command, options):
    """A program that has done some work and waits. What it lost on purpose is little."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        try:
            program.stdout.readline()
            sums = of(scan(program.pid, "--heap-walk", *options), "scan")[0]
        finally:
            program.stdin.close()
    print(
        f"#   {sums['before_blocks']} blocks of {sums['before_bytes']} B, unreachable "
        f"{sums['before_unreachable_blocks']} of {sums['before_unreachable_bytes']} B"
    )
    complaints = [] if sums["before_blocks"] > 500 else ["hardly any blocks"]
    if sums["before_unreachable_blocks"] > sums["before_blocks"] / 100:
        complaints.append("more than a hundredth is unreachable")
    return complaints


def foreign():
    """Without a heap of glibc's that is said, and all is root."""
    with Target("zoo_heap_jemalloc") as target:
        code, out, err = run_seep("scan", "-p", str(target.pid), "--for", "0.05", "--heap-walk", "--stop")
    good = code == 0 and "no heap of glibc's" in out
    return [] if good else [f"exit code {code}: {out[-400:]} {err[-200:]}"]


def text():
    with Target("scan_before") as target:
        target.read_line()
        code, out, _ = run_seep("scan", "-p", str(target.pid), "--for", "0.05", "--heap-walk", "--stop", "-T", "2")
    parts = ("  before       ", " from before the trace, of them ", "Top 2 of ", " blocks of 2.9 MiB, such as 0x", ", holding ")
    return [f"exit code {code}"] * bool(code) + [f"no '{p}' in {out}" for p in parts if p not in out]


def main():
    tap = start_tap()
    for options in MODES:
        tap.run(" ".join(["every block from before", *options]), lambda: before(options))
    tap.run("without --heap-walk", without)
    python = [sys.executable, "-c", "import json, ssl, re, email; print(len(re.__doc__), flush=True); __import__('sys').stdin.read()"]
    shell = [shutil.which("bash") or "sh", "-c", "for i in {1..2000}; do a[i]=$i; done; echo ready; read x"]
    for options in MODES:
        tap.run(" ".join(["python3 holds what it has", *options]), lambda: real(python, options))
    tap.run("bash holds what it has --stop", lambda: real(shell, ["--stop"]))
    tap.run("an allocator of another kind", foreign)
    tap.run("text", text)
    tap.end()


if __name__ == "__main__":
    main()

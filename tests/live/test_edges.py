#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Hard cases for the accounting, each judged by the number of blocks that the program says it
holds: tests/targets/edge_cases.c, and a program file that is rewritten in place.
"""

import json
import pathlib
import subprocess
import tempfile

from lib import SEEP, run_seep, start_tap, target_path

LINKS = ("best", "multi", "perf")


def trace(command, *options):
    """Returns (exit code, what the command printed, all records)."""
    with tempfile.TemporaryDirectory() as folder:
        records = pathlib.Path(folder, "records")
        code, out, _ = run_seep(
            "trace", "-q", "--format", "ndjson", "--output", str(records), *options, "--", *command
        )
        return code, out, [json.loads(line) for line in records.read_text().splitlines()]


def last_process(records):
    return [r for r in records if r["type"] == "process" and r["final"]][-1]


def edge(name, *options, program="edge_cases", may_lose=(), tolerance=0):
    code, out, records = trace([str(target_path(program)), name], *options)
    process, want = last_process(records), int(out)
    have = process["outstanding_allocations"]
    complaints = []
    if code != (4 if process["lost"] else 0):
        complaints.append(f"exit code {code}")
    if abs(have - want) > tolerance:
        complaints.append(f"{have} blocks, must be {want}")
    if process["unknown_frees"]:
        complaints.append(f"unknown_frees {process['unknown_frees']}")
    return complaints + [f"lost {c}" for c in process["lost"] if c not in may_lose]


def rewritten():
    """The second program lies in the first one's inode: no probe may stand at an old offset."""
    first, second = target_path("zoo_heap_static"), target_path("zoo_heap_musl")
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, "program")
        script = "; ".join(
            f"cat {source} >{program}; chmod +x {program}; {program} --auto >/dev/null || exit 9"
            for source in (first, second, first)
        )
        _, _, records = trace(["/bin/sh", "-c", script])
        mine = [r for r in records if r["type"] == "process" and r["exe"] == str(program)]
    statuses = [r["exit_status"] for r in mine if r["ended"] == "exit"]
    counts = [r["outstanding_allocations"] for r in mine if r["ended"] == "exit"]
    return ([] if statuses == [0, 0, 0] else [f"exit statuses {statuses}"]) + (
        [] if all(counts) else [f"outstanding {counts}"]
    )


def other_pid_namespace():
    """Process ids are not the kernel side's there: refused, instead of counting nothing for ever."""
    ended = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", SEEP, "trace", "--", "true"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ([] if ended.returncode == 3 else [f"exit code {ended.returncode}"]) + (
        [] if "PID namespace" in ended.stderr else [f"it said: {ended.stderr}"]
    )


def main():
    tap = start_tap()
    for link in LINKS:
        for name in ("gap", "tail", "coroutines"):
            tap.run(
                f"{name}, only large blocks, {link} links",
                lambda: edge(name, "-z", "100", "--link", link),
            )
    # Sampled one in two: 2000 draws of which half are taken have a standard deviation of 45.
    tap.run("tail, sampled", sampled)
    # The block is the thread's control block, which glibc keeps for the next one.
    tap.run("a thread's end is no unknown free", lambda: edge("threads", tolerance=1))
    tap.run("a process outlives the one whose memory it shares", lambda: edge("clone"))
    tap.run(
        "a call left by a handler",
        lambda: edge("left", program="edge_own_malloc", may_lose=("abandoned_calls",)),
    )
    tap.run("a program rewritten in place", rewritten)
    tap.run("a PID namespace", other_pid_namespace)
    tap.end()


def sampled():
    """Calls that are not sampled skip the return probe: it must not hide those that are."""
    _, out, records = trace([str(target_path("edge_cases")), "tail"], "-s", "2", "-z", "100")
    have, want = last_process(records)["outstanding_allocations"], int(out)
    return [] if abs(have - want) < 6 * want**0.5 else [f"about {have} blocks, must be {want}"]


if __name__ == "__main__":
    main()

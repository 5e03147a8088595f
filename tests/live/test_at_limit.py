#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A cgroup at its memory limit (tests/targets/limit_hold.c, in cgroups of our own): the traced processes that are in it are reported at
once, with their sites, long before somebody is killed.
"""

import contextlib
import json
import signal
import tempfile

from lib import Final, Seep, Target, run_seep, start_tap, wait_until
from test_oom import LIMIT_BYTES, NO_INTERVAL, limited_cgroup

LEAK_BYTES = 16 << 20
PRESS_BYTES = 2 * LIMIT_BYTES


@contextlib.contextmanager
def cgroup_below(folder):
    """Below the one with the limit."""
    with contextlib.suppress(OSError):
        (folder / "cgroup.subtree_control").write_text("+memory")
    below = folder / "below"
    below.mkdir()
    try:
        yield below
    finally:
        wait_until("empty cgroup", lambda: not (below / "cgroup.procs").read_text())
        below.rmdir()


@contextlib.contextmanager
def limit_hold(folder):
    with Target("limit_hold", PRESS_BYTES) as target:
        (folder / "cgroup.procs").write_text(str(target.pid))
        yield target


def do(target, *words):
    for word in words:
        target.tell(word)
        target.read_line()


@contextlib.contextmanager
def trace(*targets, options=()):
    pids = ",".join(str(t.pid) for t in targets)
    with Seep("trace", "-p", pids, "--format", "ndjson", *options, NO_INTERVAL) as seep:
        seep.wait_attached()
        yield seep


def processes(records):
    return [r for r in records if r["type"] == "process"]


def reported(seep):
    """The processes of the reports so far, but for a line that is being written."""
    lines = seep.stdout().split("\n")[:-1]
    return processes(json.loads(line) for line in lines)


def leak_is_named(records, process):
    sites = [
        s for s in records
        if s["type"] == "site" and s["time"] == process["time"] and s["pid"] == process["pid"]
    ]
    leak = max(sites, key=lambda s: s["outstanding_bytes"], default=None)
    names = [f["function"] for f in leak["frames"]][:2] if leak else None
    if names == ["leak_one", "main"] and leak["outstanding_bytes"] >= LEAK_BYTES:
        return []
    return [f"{leak and leak['outstanding_bytes']} B by {names}"]


def first_said(seep, target):
    """What the first report says, which nothing but the limit can have caused."""
    first = wait_until("report", lambda: reported(seep))[0]
    if first["pid"] == target.pid and first["limit_hits"] >= 1 and not first["oom_killed"]:
        return first, []
    return first, [f"the first report: {first}"]


def alone():
    """Reported at the limit, a few times for many hits, then when it is killed; a capture has it, too."""
    with limited_cgroup() as folder, cgroup_below(folder) as below:
        with limit_hold(below) as target, tempfile.NamedTemporaryFile(suffix=".seep") as capture:
            with trace(target, options=("-w", capture.name)) as seep:
                do(target, "leak", "press")
                first, complaints = first_said(seep, target)
                do(target, *["press"] * 5)
                target.tell("die")
                target.wait()
                code = seep.wait()
                records = seep.records()
            again = run_seep("report", capture.name, "--format", "ndjson")[1]
    complaints += [f"exit code {code}"] if code else []
    complaints += leak_is_named(records, first)
    if not 0 <= (first["limit_hit_age_seconds"] or 0) < 60:
        complaints.append(f"the last hit {first['limit_hit_age_seconds']} s before")
    final = Final(records, target.pid).process
    if not final["oom_killed"] or final["limit_hits"] <= first["limit_hits"]:
        complaints.append(f"at its end: {final}")
    if len(processes(records)) > 12:
        complaints.append(f"{len(processes(records))} reports")
    kept = Final([json.loads(line) for line in again.splitlines()], target.pid).process
    if kept["limit_hits"] != final["limit_hits"]:
        complaints.append(f"{kept['limit_hits']} hits in the capture, not {final['limit_hits']}")
    return complaints


def unseen():
    """Killed while seep stands still: nobody looks between the hits and the end."""
    with limited_cgroup() as folder, limit_hold(folder) as target:
        with trace(target) as seep:
            seep.process.send_signal(signal.SIGSTOP)
            target.tell("die")
            target.wait()
            seep.process.send_signal(signal.SIGCONT)
            seep.wait()
            records = seep.records()
    final = Final(records, target.pid).process
    return [] if final["oom_killed"] and final["limit_hits"] else [f"at its end: {final}"]


def neighbour():
    """Somebody else presses, who is not traced."""
    with limited_cgroup() as folder:
        with limit_hold(folder) as target, limit_hold(folder) as other:
            with trace(target) as seep:
                do(target, "leak")
                do(other, "press")
                first, complaints = first_said(seep, target)
                seep.interrupt()
                records = seep.records()
    return complaints + leak_is_named(records, first)


def elsewhere():
    """The cgroup next to it is at its limit: that is no news of this one. A process without a limit has none to hit."""
    with limited_cgroup() as folder, limited_cgroup() as far:
        with limit_hold(folder) as target, Target("limit_hold", PRESS_BYTES) as unlimited:
            with limit_hold(far) as other, trace(target, unlimited) as seep:
                do(other, "leak", "press")
                do(unlimited, "leak", "press")
                do(target, "leak")
                code = seep.interrupt()
                records = processes(seep.records())
    if [r["limit_hits"] for r in records] == [0, 0] and not code:
        return []
    return [f"exit code {code}: {records}"]


def text():
    with limited_cgroup() as folder:
        with limit_hold(folder) as target:
            with Seep("trace", "-p", str(target.pid), NO_INTERVAL) as seep:
                wait_until("begin", lambda: "tracing process" in seep.stderr())
                do(target, "leak", "press")
                line = "  at limit     its cgroup was at its memory limit "
                wait_until("line", lambda: line in seep.stdout())
                code = seep.interrupt()
    return [f"exit code {code}"] if code else []


def main():
    tap = start_tap()
    tap.run("a traced process is at the limit above it", alone)
    tap.run("one that is killed before anybody looks is", unseen)
    tap.run("its neighbour is", neighbour)
    tap.run("others are", elsewhere)
    tap.run("text", text)
    tap.end()


if __name__ == "__main__":
    main()

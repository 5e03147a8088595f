#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep trace --all, for a machine of its own: it probes what every process maps. All programs are
judged by their ledgers: running before, started later, forked, gone at once.
"""

import contextlib
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "live"))

from lib import Final, Seep, Target, judge, run_seep, start_tap, target_path, wait_until  # noqa: E402

N_SHORT = 30
N_STORMS = 8
LONG_STORM = ["--ops", "15000", "--threads", "1", "--generations", "1"]
STORM = ["--ops", "2000", "--threads", "2", "--generations", "2"]


def finished(seep):
    code = seep.interrupt()
    records = seep.records()
    return records, [] if code == 0 else [f"exit code {code}: {records[-1]} {seep.stderr()[-300:]}"]


def of(records, pid):
    return [r for r in records if r["type"] == "process" and r["pid"] == pid]


def everything():
    """Before, later, forked; and of those that hold nothing no record."""
    with Target("zoo_heap") as before, Target("zoo_heap") as idle:
        with Seep("trace", "--all", "--budget", "0", "-a", "--format", "ndjson", "10m") as seep:
            seep.wait_attached()
            ledgers = before.run()
            with Target("zoo_heap") as later, Target("ledger_storm", *STORM) as storm:
                ledgers += later.run() + storm.run()
                records, complaints = finished(seep)
    for ledger in ledgers:
        complaints += judge(ledger, records)
    for target in (later, storm):
        seen = Final(records, target.pid).process["seen_from_seconds"]
        if seen:
            complaints.append(f"{target.pid} seen from {seen} s on")
    if of(records, idle.pid):
        complaints.append("a record of a process that does nothing")
    if of(records, seep.pid):
        complaints.append("seep traces itself")
    names = {Final(records, ledger["pid"]).process["comm"] for ledger in ledgers}
    if names != {"zoo_heap", "ledger_storm"}:
        complaints.append(f"names {names}")
    return complaints


def whole_stacks():
    """A process that asks has its stacks walked from then on; its first ones say what they lack.
    Making the tables takes seconds under emulation, and then serves all.
    """
    with Seep("trace", "--all", "--budget", "0", "-a", "--format", "ndjson", "10m") as seep:
        seep.wait_attached()
        ledgers = []
        with contextlib.ExitStack() as storms:  # names are read from those that live
            for _ in range(N_STORMS):
                ledgers += storms.enter_context(Target("ledger_storm", *LONG_STORM)).run()
            records, complaints = finished(seep)
    mains = [ledger["pid"] for ledger in ledgers if ledger["role"] == "main"]
    processes = [Final(records, pid).process for pid in mains]
    cut = [(p["truncated_stacks"].get("mapping_not_yet_known", 0), p["stacks"]) for p in processes]
    # In a machine that is starved the change may come between two storms.
    if not any(n_cut for n_cut, _ in cut) or not any(n_cut < n / 2 for n_cut, n in cut):
        complaints.append(f"cut of all stacks: {cut}")
    return complaints + [c for ledger in ledgers for c in judge(ledger, records)]


def short_lived():
    """Those that end at once are there with all that they held; reports come meanwhile."""
    environment = {**os.environ, "LEDGER_FILE": "/dev/null"}
    program = target_path("zoo_heap")
    pids = []
    with Seep("trace", "--all", "--budget", "0", "--format", "ndjson", "1") as seep:
        seep.wait_attached()
        for _ in range(N_SHORT):
            process = subprocess.Popen([program, "--auto"], env=environment)
            process.wait()
            pids.append(process.pid)
        wait_until("report", lambda: f'"pid":{pids[-1]},' in seep.stdout().replace(" ", ""))
        records, complaints = finished(seep)
    held = set()
    for pid in pids:
        last = [r for r in of(records, pid) if r["final"] and r["comm"] == "zoo_heap"]
        if len(last) != 1:
            complaints.append(f"{len(last)} last records of {pid}")
            continue
        held.add(last[0]["outstanding_allocations"])
        if last[0]["ended"] != "exit" or last[0]["lost"]:
            complaints.append(f"{pid}: {last[0]}")
    if len(held) != 1:
        complaints.append(f"they did the same and held {held}")
    return complaints


def as_text():
    """A report that people can read, with the largest alone."""
    with Target("zoo_heap") as one, Target("zoo_heap") as two:
        with Seep("trace", "--all", "--budget", "0", "--top-processes", "1", "10m") as seep:
            wait_until("start", lambda: "tracing" in seep.stderr())
            one.run()
            two.run()
            code = seep.interrupt()
            text = seep.stdout()
    complaints = [] if code == 0 else [f"exit code {code}"]
    if text.count("\nprocess ") != 1 or "more processes, with" not in text:
        complaints += text.splitlines()
    if "Tracing all processes" not in text:
        complaints.append(text[:100])
    return complaints


def refused():
    code, _, err = run_seep("trace", "--all", "-p", "1")
    return [] if code == 2 else [f"{code}: {err}"]


def main():
    tap = start_tap()
    tap.run("running before, started later, forked", everything)
    tap.run("short-lived ones", short_lived)
    tap.run("stacks", whole_stacks)
    tap.run("text", as_text)
    tap.run("with -p", refused)
    tap.end()


if os.environ.get("WHOLE_MACHINE") != "1":
    print("1..0 # SKIP it traces every process: not on a machine that others use")
    sys.exit(0)
main()

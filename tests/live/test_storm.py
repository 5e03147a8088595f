#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A storm of short lives (tests/targets/lifecycle_storm.c): forks, chains of programs, vforks, threads that outlive the first one, orphans,
and processes that are killed in mid-call. Everything is traced (--all), but only a libc of our own is probed (-O); then by pid, and by name. While
seep still runs, nothing of the dead is left in its maps.

STORM_LIVES: how many, 2000 by default.
"""

import contextlib
import json
import os
import subprocess
import time

from lib import SECONDS, Failure, Program, Seep, Target, start_tap, wait_until
from test_lifecycle import Maps, finals
from test_limits import Own, private_libc, tracing

LIVES = int(os.environ.get("STORM_LIVES", "2000"))
KEYED = ("live", "sites", "unknown_sites")


def unknown(maps):
    """Instances with entries, of which nothing else is known."""
    have = maps.instances()
    return {key for name in KEYED for key in have[name]} - set(have["instances"])


def left_over(seep, mine):
    """Complaints about what stays in the maps after the storm of processes that are gone, or that were never told of. mine: the program of
    the test, which lives.
    """
    maps = Maps(seep.pid)
    # As of now: others, bpftool's own among them, come and go.
    dead = maps.dead() | unknown(maps)
    deadline = time.monotonic() + SECONDS
    while (left := maps.entries_of(dead)) and time.monotonic() < deadline:
        time.sleep(0.3)
    here = [v for _, v in maps.entries("instances") if v["pid"] == mine and not v["ended"]]
    return left + ([] if len(here) == 1 else [f"the one that lives: {here}"])


def blow(target):
    target.tell("go")
    lives = json.loads(target.read_line(3 * SECONDS))["lives"]
    return [] if lives == LIVES else [f"{lives} lives"]


def everything():
    with private_libc() as folder, tracing(folder, "0.5") as seep:
        with Own(folder, "lifecycle_storm", LIVES) as target:
            complaints = blow(target) + left_over(seep, target.pid)
        code, records = seep.finish()
    lost = records[-1]["lost"]
    print(f"#   {len(finals(records))} last records, exit code {code}, lost {lost}")
    # The host's other programs may be 32-bit ones.
    if set(lost) - {"processes_not_probed"}:
        complaints.append(f"exit code {code}, lost {lost}")
    return complaints


def chosen(how):
    with Target("lifecycle_storm", LIVES) as target:
        choice = ("-p", target.pid) if how == "pid" else ("--comm", "lifecycle_storm")
        with Seep("trace", "-q", *choice, "--format", "ndjson", "0.5") as seep:
            seep.wait_attached()
            wait_until("first report", lambda: '"process"' in seep.stdout())
            complaints = blow(target) + left_over(seep, target.pid)
            code = seep.interrupt()
            records = seep.records()
    print(f"#   {len(finals(records))} last records, exit code {code}, lost {records[-1]['lost']}")
    if code not in (0, 4):
        complaints.append(f"exit code {code}: {seep.stderr()[-300:]}")
    return complaints


def raw(numbers):
    return [f"{n & 0xFF:#x}" for n in numbers]


def put(maps, name, key, value):
    """An entry of a map, as the bytes of both."""
    number = next(n for n, have in maps.ids.items() if have == name)
    words = ["bpftool", "map", "update", "id", str(number), "key", *raw(key), "value", *raw(value)]
    subprocess.run(words, check=True)


def never_told():
    """Instances whose end nobody saw, one of them known as a process, are put into the maps: they do not stay. The one that lives does."""
    with Program(["true"]) as gone:
        gone.wait()
    with Target("lifecycle_storm", LIVES) as target:
        with Seep("trace", "-q", "-p", target.pid, "--format", "ndjson", "0.5") as seep:
            seep.wait_attached()
            maps = Maps(seep.pid)
            number = next(n for n, have in maps.ids.items() if have == "instances")
            ((value, own),) = [
                ([int(b, 16) for b in e["value"]], e["formatted"]["key"])
                for e in maps.tool("dump", number)
            ]
            value[:4] = gone.pid.to_bytes(4, "little")
            strays = {own + 1000, own + 1001}
            for stray in sorted(strays):
                put(maps, "instances", stray.to_bytes(4, "little"), value)
            member = b"".join(n.to_bytes(4, "little") for n in (own + 1001, own + 1001, 0))
            put(maps, "procs", gone.pid.to_bytes(4, "little"), member)
            with contextlib.suppress(Failure):
                wait_until("end of the strays", lambda: not maps.entries_of(strays), 20)
            complaints = maps.entries_of(strays)
            complaints += [f"procs: {k}" for k, _ in maps.entries("procs") if k == gone.pid]
            complaints += blow(target) + left_over(seep, target.pid)
            seep.interrupt()
            records = seep.records()
    ends = [p["ended"] for p in finals(records) if p["pid"] == gone.pid]
    if ends != ["released", "released"]:
        complaints.append(f"the strays' last records: {ends}")
    return complaints


if __name__ == "__main__":
    tap = start_tap()
    tap.run(f"{LIVES} lives, all traced", everything)
    tap.run(f"{LIVES} lives of one pid's children", chosen, "pid")
    tap.run(f"{LIVES} lives by name", chosen, "name")
    tap.run("ends that nobody saw", never_told)
    tap.end()

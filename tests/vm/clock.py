#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clocks that are set by hours, a suspend, a CPU that goes and comes back, for a machine of its own: ages, growth, intervals and
--for go by clocks that nobody sets, and what happens afterwards is seen. ONLY: part of a test's name.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "live"))

from lib import Failure, Final, Seep, Target, judge, start_tap, wait_until  # noqa: E402
from test_watch import Load  # noqa: E402

RATE = 300_000
STEPS_HOURS = (5, -10)
STEP_SECONDS = 12  # between two steps
SUSPEND_SECONDS = 8
SLACK = 5  # emulation is slow
ALARM = pathlib.Path("/sys/class/rtc/rtc0/wakealarm")
CPU1 = pathlib.Path("/sys/devices/system/cpu/cpu1/online")


def set_clock(hours):
    time.clock_settime(time.CLOCK_REALTIME, time.time() + hours * 3600)


def suspend():
    """To RAM, until the real-time clock wakes it. CLOCK_MONOTONIC stands still meanwhile, CLOCK_BOOTTIME does not."""
    gone = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    ALARM.write_text("0")
    ALARM.write_text(f"+{SUSPEND_SECONDS}")
    pathlib.Path("/sys/power/state").write_text("mem")
    gone = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic() - gone
    if gone < SUSPEND_SECONDS / 2:
        raise Failure(f"it slept {gone:.1f} s")


def offline():
    CPU1.write_text("0")
    CPU1.write_text("1")


def of(records, kind, pid=None):
    return [r for r in records if r["type"] == kind and pid in (None, r.get("pid"))]


def seconds_of(record):
    """As the clock was set when it was written."""
    whole, milliseconds = record["time"][:-1].split(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + int(milliseconds) / 1000


def hours_between(records):
    """The steps that can be seen between one record and the next."""
    times = [seconds_of(r) for r in records]
    return tuple(h for a, b in zip(times, times[1:]) if (h := round((b - a) / 3600)))


def judge_ages(records, began, boot_began):
    """Complaints about ages that are negative, too great or go back."""
    elapsed, age = time.monotonic() - began, {}
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - boot_began
    wrong = [r for r in of(records, "block") if not 0 <= r["age_seconds"] <= elapsed]
    for r in of(records, "block"):
        wrong += [r] if r["age_seconds"] < age.get(r["address"], 0) else []
        age[r["address"]] = r["age_seconds"]
    for r in of(records, "site"):
        oldest = r["oldest_age_seconds"]
        wrong += [r] if oldest is not None and not 0 <= oldest <= elapsed else []
    for r in of(records, "process"):
        wrong += [] if 0 < r["age_seconds"] <= since_boot else [r]
        wrong += [] if 0 <= r["seen_from_seconds"] <= since_boot else [r]
    return [f"an age is wrong after {elapsed:.1f} s: {r}" for r in wrong[:3]]


def set_by_hours():
    """Forwards and backwards, while a trace and a watch run; what starts in between has its ages, too."""
    began, boot_began = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
    seconds = (len(STEPS_HOURS) + 1) * STEP_SECONDS
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(Load("leak", RATE))
        target = stack.enter_context(Target("lifecycle_server", "2"))
        watch = stack.enter_context(Seep("watch", "-p", str(load.pid), "--format", "ndjson", "1"))
        trace = stack.enter_context(
            Seep(
                *("trace", "-p", str(target.pid), "-a", "--format", "ndjson"),
                *("--for", f"{seconds}s", "1"),
            )
        )
        trace.wait_attached()
        watch.wait_attached()
        target.tell("go")
        target.read_line()
        for hours in STEPS_HOURS:
            time.sleep(STEP_SECONDS)
            set_clock(hours)
        late = stack.enter_context(Seep("trace", "-p", str(target.pid), "--format", "ndjson", "1"))
        late.wait_attached()
        codes = [trace.wait(), watch.interrupt(), late.interrupt()]
        records, watched, others = trace.records(), watch.records(), late.records()
    complaints = [f"exit codes {codes}"] if any(codes) else []
    complaints += judge_ages(records, began, boot_began) + judge_ages(others, began, boot_began)
    end, reports = records[-1], of(records, "process", target.pid)
    if end["why"] != "time is up" or not seconds <= end["duration_seconds"] < seconds + SLACK:
        complaints.append(f"{end}")
    if not seconds / 2 <= len(reports) <= seconds + 2:
        complaints.append(f"{len(reports)} reports in {seconds} s")
    for what in (reports, of(watched, "host")):
        if hours_between(what) != STEPS_HOURS:
            complaints.append(f"the clock went by {hours_between(what)} hours")
    if len({r["start_time"] for r in reports}) != 1:
        complaints.append(f"start times {sorted({r['start_time'] for r in reports})}")
    elapsed = [r["elapsed_seconds"] for r in of(watched, "host")]
    if sorted(elapsed) != elapsed or elapsed[-1] > time.monotonic() - began:
        complaints.append(f"watched for {elapsed} s")
    last = of(watched, "process", load.pid)[-1]
    growth = last["growth_bytes_per_second"]
    print(f"#   {growth:.0f} B/s of {RATE}, {len(reports)} reports in {seconds} s")
    if not 0.7 * RATE <= growth <= 1.3 * RATE:
        complaints.append(f"{load.name} grows by {growth} B/s: {last}")
    return complaints


def gone_and_back(away):
    """What a process loads on a CPU that was away is probed all the same. The process is the same one as before, for seep that
    was there and for seep that comes later; what is forked and executed then is seen.
    """
    began, boot_began = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(Target("zoo_dlopen"))
        server = stack.enter_context(Target("lifecycle_server", "4"))
        pids = f"{target.pid},{server.pid}"
        trace = stack.enter_context(Seep("trace", "-p", pids, "-a", "--format", "ndjson", "1"))
        trace.wait_attached()
        away()
        os.sched_setaffinity(target.pid, {1})
        time.sleep(2)
        ledgers = target.run()
        server.tell("go")
        server.read_line()
        late = stack.enter_context(Seep("trace", "-p", str(server.pid), "--format", "ndjson", "1"))
        late.wait_attached()
        codes = [late.interrupt(), trace.interrupt()]
        records, others = trace.records(), late.records()
    # That records of a CPU stopped coming is a loss, and the only one.
    complaints = [f"exit codes {codes}"] if codes != [0, 4] else []
    if list(records[-1]["lost"]) != ["mapping_gaps"]:
        complaints.append(f"lost {records[-1]['lost']}")
    # What a library does before it was looked at is not seen.
    may_miss = ("zoo_own_early",)
    complaints += [c for ledger in ledgers for c in judge(ledger, records, may_miss=may_miss)]
    complaints += judge_ages(records, began, boot_began) + judge_ages(others, began, boot_began)
    main = Final(records, server.pid).process
    if main["outstanding_bytes"] != 2000 or main["ended"]:
        complaints.append(f"the server: {main}")
    children = [r for r in of(records, "process") if r["ended"] == "exit"]
    if len(children) != 4:
        complaints.append(f"{len(children)} children: {children}")
    starts = {(r["pid"], r["start_time"]) for r in of(others, "process", server.pid)}
    starts |= {(r["pid"], r["start_time"]) for r in of(records, "process", server.pid)}
    if len(starts) != 1:
        complaints.append(f"one process began at {starts}")
    print(f"#   lost {records[-1]['lost']}")
    return complaints


def main():
    tap = start_tap()
    only = os.environ.get("ONLY", "")
    for name, test, *arguments in (
        ("the clock is set by hours", set_by_hours),
        ("a CPU goes and comes back", gone_and_back, offline),
        ("suspended to RAM", gone_and_back, suspend),
    ):
        if only not in name:
            continue
        begun = time.monotonic()
        tap.run(name, test, *arguments)
        print(f"#   {name}: {time.monotonic() - begun:.0f} s", flush=True)
    tap.end()


if os.environ.get("WHOLE_MACHINE") != "1":
    print("1..0 # SKIP it sets the clock and sleeps: not on a machine that others use")
    sys.exit(0)
main()

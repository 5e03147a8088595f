#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""More of everything than usual, and more than there is room for: processes by the thousand, rings that are full because seep is
stopped, no memory for unwind tables. What is lost is said by its name, whoever lives is found afterwards, and the dead leave the maps.
Everything is traced (--all), but only a libc of our own is probed (-O).

LIMITS_PROCESSES: how many processes, 1000 by default. LIMITS_SECONDS: how long they are watched, 40 by default. LIMITS_ROUNDS: how often
with tables too small, 2 by default.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter

from lib import (
    SECONDS,
    Failure,
    Final,
    Program,
    Seep,
    Target,
    judge,
    start_tap,
    target_path,
    wait_until,
)
from test_churn import n_links
from test_lifecycle import Maps, finals, own_sites, read_records
from test_watch import Load

PROCESSES = int(os.environ.get("LIMITS_PROCESSES", "1000"))
WATCHED_SECONDS = int(os.environ.get("LIMITS_SECONDS", "40"))
ROUNDS = int(os.environ.get("LIMITS_ROUNDS", "2"))
SUSPECT_SECONDS = 180  # from which on a leak must be suspected
LIBC = "/lib/x86_64-linux-gnu/libc.so.6"
RATE = 300_000
STORM = ("--ops", "300000", "--threads", "2", "--generations", "1")
RING_PROCESSES = 12000  # two events each, in a ring for 16,384
STRANGER_EVENTS = 6000  # in a ring for 4,096
NAME = f"lt{os.getpid()}"
BYTES_PER_PROCESS = 4096  # of seep's own memory
BASE_BYTES = 40 << 20


def rss_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf(
        "SC_PAGE_SIZE"
    )


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def private_libc():
    """A folder with a libc that nobody else maps."""
    with tempfile.TemporaryDirectory(prefix="seep-limits-") as folder:
        shutil.copy(LIBC, folder)
        yield pathlib.Path(folder)


class Own(Target):
    """A target with that libc."""

    def __init__(self, folder, name, *arguments):
        Program.__init__(
            self,
            [target_path(name), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
        )
        self.buffer = b""
        if json.loads(self.read_line()).get("ready") != self.pid:
            raise Failure(f"{name} is not ready")


@contextlib.contextmanager
def tracing(folder, *arguments):
    """seep over all processes, probing that libc; `finish()` ends it and returns (exit code, records)."""
    with tempfile.NamedTemporaryFile() as out:
        path = pathlib.Path(out.name)
        options = ("--budget", "0", "-O", f"{folder.name}/libc.so.6", "--format", "ndjson")
        with Seep("trace", "--all", "-q", *options, "--output", path, *arguments) as seep:

            def attached():
                if seep.process.poll() is not None:
                    raise Failure(f"seep ended: {seep.stderr()[-300:]}")
                return '"session"' in path.read_text()

            wait_until("session", attached, 2 * SECONDS)
            seep.finish = lambda: (seep.interrupt(), read_records(path))
            yield seep


def left_of_dead(seep):
    """Complaints about what the dead left in the maps some reports later."""
    maps = Maps(seep.pid)
    dead = maps.dead()
    deadline = time.monotonic() + SECONDS
    while (left := maps.entries_of(dead)) and time.monotonic() < deadline:
        time.sleep(0.3)
    return left


def judge_children(served, records):
    """Complaints about children that have no record, or another one than what they did."""
    have = {p["pid"]: p for p in finals(records)}
    complaints = []
    for pid, *figures in served:
        p = have.get(pid)
        if not p:
            complaints.append(f"no record of {pid}")
        elif [p[f] for f in ("allocations", "frees", "allocated_bytes", "freed_bytes")] != figures:
            complaints.append(f"{pid} did {figures}: {p}")
    return complaints[:5] + ([f"{len(complaints)} in all"] if complaints[5:] else [])


def judge_losses(code, records, *expected):
    """Complaints about an exit code that does not say what the records do, and about other losses than those. Mappings may
    come in too fast whenever thousands of processes begin, and among everybody else's there may be 32-bit ones."""
    lost = set(records[-1]["lost"])
    may_lose = {*expected, "mapping_ring_full", "processes_not_probed"}
    if code != (4 if lost else 0) or not set(expected) <= lost <= may_lose:
        return [f"exit code {code}, lost {records[-1]['lost']}"]
    return []


def watched():
    """One that leaks among thousands that do nothing."""
    with Target("crowd", str(PROCESSES)), Load("leak", RATE) as load:
        with Seep(
            *("watch", "-p", str(load.pid), "--format", "ndjson"),
            *("--for", f"{WATCHED_SECONDS}s", "10"),
        ) as seep:
            seep.wait_attached()
            time.sleep(WATCHED_SECONDS / 2)
            rss = rss_bytes(seep.pid)
            code, records = seep.wait(), seep.records()
    hosts = [r for r in records if r["type"] == "host"]
    last, host = [r for r in records if r["type"] == "process"][-1], hosts[-1]
    growth = last["growth_bytes_per_second"]
    print(
        f"#   {host['processes']} processes, {host['passes']} passes of {host['pass_cpu_seconds'] * 1000:.1f} ms, "
        f"all of seep {host['overhead_ratio']:.2%} of a CPU, {rss >> 10} KiB; "
        f"growth {growth} of {RATE}, sure {last['confidence']}, suspect {last['suspect']}"
    )
    complaints = [f"exit code {code}"] if code else []
    if host["processes"] < PROCESSES or rss > BASE_BYTES + BYTES_PER_PROCESS * PROCESSES:
        complaints.append(f"{rss} bytes: {host}")
    if growth is None or not 0.7 * RATE <= growth <= 1.3 * RATE or not last["confidence"]:
        complaints.append(f"its growth: {last}")
    if WATCHED_SECONDS >= SUSPECT_SECONDS and not last["suspect"]:
        complaints.append(f"not suspected: {last}")
    return complaints


def many_processes():
    """As many that were there before, and as many that come: each has a record of its own, with names."""
    with private_libc() as folder, Own(folder, "lifecycle_server", str(PROCESSES), "--hold") as old:
        old.tell("go")
        old.read_line(2 * SECONDS)
        began = time.monotonic()
        with tracing(folder, "2") as seep:
            attached, cpu = time.monotonic() - began, cpu_seconds(seep.pid)
            with Own(folder, "lifecycle_server", str(PROCESSES), "--hold") as new:
                new.tell("go")
                served = json.loads(new.read_line(3 * SECONDS))["served"]
                pids = {s[0] for s in served}
                maps = Maps(seep.pid)
                wait_until("its processes", lambda: pids <= set(alive(maps)), 2 * SECONDS)
                sizes = {name: len(maps.entries(name)) for name in ("procs", "instances", "live")}
                rss = rss_bytes(seep.pid)
            left = left_of_dead(seep)
            began = time.monotonic()
            code, records = seep.finish()
            ended = time.monotonic() - began
    cut = sum((Counter(p["truncated_stacks"]) for p in finals(records)), Counter())
    n_stacks = sum(p["stacks"] or 0 for p in finals(records))
    print(
        f"#   attached to {PROCESSES} in {attached:.1f} s and {cpu:.1f} s of CPU, {PROCESSES} more: maps {sizes}, "
        f"{rss >> 10} KiB, ended in {ended:.1f} s; {n_stacks} stacks, cut {dict(cut)}, lost {records[-1]['lost']}"
    )
    complaints = left + judge_losses(code, records) + judge_children(served, records)
    if rss > BASE_BYTES + 2 * BYTES_PER_PROCESS * PROCESSES:
        complaints.append(f"seep takes {rss} bytes")
    # The last one that lived for a while has a name for its site: names are not given up where many are.
    last = next(p for p in finals(records) if p["pid"] == served[-1][0])
    if not own_sites(records, last, "request_block"):
        complaints.append(f"no site of {last}")
    return complaints


def alive(maps):
    return [int(key) for key, _ in maps.entries("procs")]


def process_ring():
    """seep is stopped while more begin and end than the ring has room for, and one that stays: it is found."""
    with private_libc() as folder, Own(folder, "lifecycle_server", str(RING_PROCESSES)) as server:
        with tracing(folder, "-a", "1") as seep:
            seep.process.send_signal(signal.SIGSTOP)
            server.tell("go")
            served = json.loads(server.read_line(2 * SECONDS))["served"]
            with Own(folder, "zoo_heap") as target:
                seep.process.send_signal(signal.SIGCONT)
                left = left_of_dead(seep)
                ledgers = target.run()
                code, records = seep.finish()
    print(f"#   {len(served)} processes, lost {records[-1]['lost']}")
    process = Final(records, target.pid).process
    complaints = left + judge_losses(code, records, "process_ring_full")
    complaints += judge_children(served, records)
    complaints += [c for ledger in ledgers for c in judge(ledger, records)]
    if process["comm"] != "zoo_heap":
        complaints.append(f"it is called {process['comm']}")
    return complaints


def first_of_its_libc():
    """Its probes come when it has mapped it, which may be after its first calls; then the record says since when. The
    second is seen from its first call on."""
    with private_libc() as folder, tracing(folder, "-a", "10m") as seep:
        before = n_links(seep.pid)[0]
        with Own(folder, "zoo_heap") as target:
            ledgers = target.run()
            wait_until("probes", lambda: n_links(seep.pid)[0] > before)
            with Own(folder, "zoo_heap") as second:
                ledgers += second.run()
                code, records = seep.finish()
    complaints = judge_losses(code, records) + judge(ledgers.pop(), records)
    own = [r for r in records if r["type"] == "process" and r["pid"] == target.pid]
    late = own[-1]["seen_from_seconds"] if own else None
    print(f"#   {late} s late")
    # Of one that did nothing since there is no record.
    return complaints + (judge(ledgers[-1], records) if late == 0 else [])


def stranger_ring():
    """More strangers than seep hears of, and one among them that it looks for."""
    with tempfile.TemporaryDirectory(prefix="seep-limits-") as folder:
        program = pathlib.Path(folder, NAME)
        shutil.copy(target_path("zoo_heap"), program)
        with Seep("trace", "--comm", NAME, "--budget", "0", "-a", "--format", "ndjson", "10m") as seep:
            seep.wait_attached()
            seep.process.send_signal(signal.SIGSTOP)
            rename_often()
            with Target(program) as target:
                seep.process.send_signal(signal.SIGCONT)
                wait_until("trace", lambda: f"tracing process {target.pid} " in seep.stderr())
                ledgers = target.run()
                with Target(program) as later:
                    wait_until("trace", lambda: f"tracing process {later.pid} " in seep.stderr())
                    ledgers += later.run()
                    code, records = seep.interrupt(), seep.records()
    print(f"#   lost {records[-1]['lost']}")
    complaints = judge_losses(code, records, "stranger_ring_full")
    complaints += [c for ledger in ledgers for c in judge(ledger, records)]
    return complaints + [
        f"a record of {r['pid']}"
        for r in records
        if r["type"] == "process" and r["pid"] not in (target.pid, later.pid)
    ]


def rename_often():
    """A process of ours takes as many names, one after the other."""
    script = "import sys\nwith open('/proc/self/comm', 'w', buffering=1) as f:\n"
    script += f"    for i in range({STRANGER_EVENTS}): print(f'limits{{i}}', file=f)\n"
    subprocess.run(["python3", "-c", script], check=True)


def event_ring():
    """seep is stopped while more calls come than -t has room for: the printed ones are fewer, the figures are whole."""
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(Target("ledger_storm", *STORM))
        out = stack.enter_context(tempfile.NamedTemporaryFile())
        path = pathlib.Path(out.name)
        options = ("--format", "ndjson", "--output", path)
        with Seep("trace", "-q", "-t", "-a", "-p", str(target.pid), *options, "10m") as seep:
            wait_until("session", lambda: '"session"' in path.read_text())
            seep.process.send_signal(signal.SIGSTOP)
            ledgers = target.run()
            seep.process.send_signal(signal.SIGCONT)
            target.tell("end")
            target.wait()
            code = seep.wait()
        records = read_records(path)
    lost = records[-1]["lost"]
    process = Final(records, target.pid).process
    n_printed = sum(r["type"] == "call" for r in records)
    n_calls = process["allocations"] + process["frees"]
    print(f"#   {n_calls} calls, {n_printed} printed, lost {lost}")
    complaints = judge_losses(code, records, "trace_ring_full")
    if n_printed + lost["trace_ring_full"] < n_calls:
        complaints.append(f"{n_calls} calls, {n_printed} printed, lost {lost}")
    may_lose = ("trace_ring_full",)
    return complaints + [c for ledger in ledgers for c in judge(ledger, records, may_lose)]


def small_tables(everything):
    """No room for unwind tables: each file without one is named with the reason, stacks are cut for that reason alone, and the
    sums are whole."""
    options = ("--unwind-memory", "4k", "-a", "10m")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(private_libc())
        if everything:
            stack.enter_context(Own(folder, "zoo_heap"))  # its libc is probed from then on
            seep = stack.enter_context(tracing(folder, *options))
            target = stack.enter_context(Own(folder, "zoo_heap"))
        else:
            target = stack.enter_context(Own(folder, "zoo_heap"))
            arguments = ("trace", "-q", "-p", str(target.pid), "--format", "ndjson", *options)
            seep = stack.enter_context(Seep(*arguments))
            seep.wait_attached()
            seep.finish = lambda: (seep.interrupt(), seep.records())
        ledgers = target.run()
        code, records = seep.finish()
    process = Final(records, target.pid).process
    notes = [n for n in process["notes"] if "--unwind-memory is used up" in n]
    print(f"#   {process['stacks']} stacks, cut {process['truncated_stacks']}, {process['notes']}")
    complaints = judge_losses(code, records)
    return complaints + look_cut(process, notes, ledgers, records)


def look_cut(process, notes, ledgers, records):
    complaints = [] if notes else [f"notes {process['notes']}"]
    if not process["truncated_stacks"].get("no_table"):
        complaints.append(f"cut {process['truncated_stacks']}")
    wrong = [c for ledger in ledgers for c in judge(ledger, records)]
    # Without tables a block may lack the names of its callers, but no block may be missing.
    return complaints + [c for c in wrong if ": its stack is " not in c]


def small_tables_often(everything):
    return [c for _ in range(ROUNDS) for c in small_tables(everything)]


if __name__ == "__main__":
    tap = start_tap()
    tap.run(f"watch: {PROCESSES} processes", watched)
    tap.run(f"trace --all: {PROCESSES} processes, twice", many_processes)
    tap.run("the ring of processes is full", process_ring)
    tap.run("the first of its libc", first_of_its_libc)
    tap.run("the ring of strangers is full", stranger_ring)
    tap.run("the ring of calls is full", event_ring)
    tap.run("no memory for unwind tables, -p", small_tables_often, False)
    tap.run("no memory for unwind tables, --all", small_tables_often, True)
    tap.end()

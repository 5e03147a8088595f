#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The governor where all processes share probes: a parallel build, whose programs end before anybody can look at them, and a hot
program, under `seep trace --all`. Only a copy of libc is probed, which only the processes of this test map. CPU times are compared
with those of the same work without seep; no time is asserted, as other programs run here.

CROWD_UNITS: how many files the build compiles, 60 by default.
"""

import contextlib
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import time
from collections import Counter

from lib import ROOT, Failure, Program, Seep, Target, start_tap, wait_until
from test_governor import HOT, SLOW, count, judge_hot, pair_ns, processes, settled
from test_lifecycle import Maps, finals

UNITS = int(os.environ.get("CROWD_UNITS", "60"))
UNITS_UNGOVERNED = max(UNITS // 5, 2)
LIBC = "/lib/x86_64-linux-gnu/libc.so.6"
MAKEFILE = """\
all: $(patsubst %.i,%.o,$(wildcard *.i))
%.o: %.i; @gcc -O2 -fPIC -c $< -o $@
"""
CLEAN = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}


@contextlib.contextmanager
def private_libc():
    """A folder with a copy of libc; what is started meanwhile maps that one, but for seep."""
    with tempfile.TemporaryDirectory(prefix="seep-crowd-") as folder:
        shutil.copy(LIBC, folder)
        os.environ["LD_LIBRARY_PATH"] = folder
        try:
            # There is always somebody who has it mapped.
            with Program(["sleep", "600"]) as holder:
                try:
                    yield pathlib.Path(folder)
                finally:
                    holder.process.kill()
        finally:
            del os.environ["LD_LIBRARY_PATH"]


@contextlib.contextmanager
def tracing(folder, budget, *arguments):
    """seep over all processes that map the copy."""
    libc = str(folder / "libc.so.6")
    options = ("--all", "-O", libc, "--budget", budget, "--format", "ndjson")
    with Seep("trace", *options, *arguments, env=CLEAN) as seep:
        seep.wait_attached()
        time.sleep(1)  # those that run are looked at one after the other
        yield seep


def preprocess(folder, n):
    """So many files of seep's own in a folder, each with all that it includes."""
    folder.mkdir()
    (folder / "Makefile").write_text(MAKEFILE)
    sources = sorted((ROOT / "user").glob("[abemp]*/*.c"))
    done = 0
    for source in sources:
        command = ["gcc", "-E", "-std=gnu11", "-D_GNU_SOURCE", f"-I{ROOT}/user", f"-I{ROOT}/bpf"]
        unit = folder / f"{source.parent.name}-{source.stem}.i"
        if subprocess.run([*command, source, "-o", unit], capture_output=True).returncode:
            unit.unlink(missing_ok=True)
            continue
        done += 1
        if done == n:
            return folder
    raise Failure(f"{done} files to compile, not {n}")


def build(folder):
    """CPU seconds of the build and all its processes."""
    for made in folder.glob("*.o"):
        made.unlink()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["make", "-s", "-j2", "-C", folder], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def left_of_dead(seep):
    """Complaints about what the dead left in the maps, after a report or two."""
    maps = Maps(seep.pid)
    dead = maps.dead()
    with contextlib.suppress(Failure):
        wait_until("report", lambda: not maps.entries_of(dead), 20)
    return maps.entries_of(dead)


def ungoverned(folder, sources):
    """How slow it is without a budget; all that was compiled is there."""
    build(sources)
    bare = build(sources)
    with tracing(folder, "0", "2") as seep:
        traced = build(sources)
        complaints = left_of_dead(seep)
        code = seep.interrupt()
        comms = Counter(p["comm"] for p in finals(seep.records()) if p["ended"] == "exit")
    if code not in (0, 4):
        complaints.append(f"exit code {code}: {seep.stderr()[-300:]}")
    for comm in ("cc1", "as"):
        if comms[comm] != UNITS_UNGOVERNED:
            complaints.append(f"{comms[comm]} times {comm}, not {UNITS_UNGOVERNED}")
    return traced / bare, complaints


def judge_records(records, sleepers, units):
    """Who lived for long has a record that says how it was made, and nobody has two."""
    ends = [p for p in finals(records) if p["ended"] == "exit"]
    pids = Counter(p["pid"] for p in ends if p["comm"] in ("cc1", "sleep"))
    complaints = [f"{n} records of {pid}" for pid, n in pids.items() if n > 1]
    complaints += [f"no record of {pid}" for pid in sleepers if pid not in pids]
    n_cc1 = sum(p["comm"] == "cc1" for p in ends)
    if not 0 < n_cc1 <= units:
        complaints.append(f"{n_cc1} of {units} compilers have a record")
    for p in ends:
        if p["pid"] in sleepers and not (p["estimated"] and "windows" in (p["governed"] or "")):
            complaints.append(f"{p['pid']}: {p['mode']}, {p['governed']}")
    return complaints


def parallel_build():
    with private_libc() as folder:
        ratio_ungoverned, complaints = ungoverned(folder, preprocess(folder / "few", UNITS_UNGOVERNED))
        sources = preprocess(folder / "all", UNITS)
        build(sources)
        bare = build(sources)
        with tracing(folder, "5", "1") as seep, contextlib.ExitStack() as stack:
            traced = [build(sources)]
            sleepers = [stack.enter_context(Program(["sleep", "1.5"])) for _ in range(5)]
            traced.append(build(sources))
            for sleeper in sleepers:
                sleeper.wait()
            complaints += left_of_dead(seep)
            code = seep.interrupt()
            records = seep.records()
    ratios = [t / bare for t in traced]
    print(
        f"#   CPU time of a build, by that without seep ({bare:.1f} s): budget 5%: {ratios[0]:.2f}, again "
        f"{ratios[1]:.2f}; without a budget {ratio_ungoverned:.2f}"
    )
    if code:
        complaints.append(f"exit code {code}: {records[-1]}")
    complaints += judge_records(records, [s.pid for s in sleepers], 2 * UNITS)
    # Half of what it would be is far more than the budget.
    if min(ratios) - 1 > (ratio_ungoverned - 1) / 2:
        complaints.append("as slow as without a budget")
    return complaints


def hot_and_slow():
    """Processes that live have a law of their own also here."""
    with private_libc() as folder, Target("govern_load", *HOT) as hot:
        with Target("govern_load", *SLOW) as slow:
            hot.tell("go")
            bare = pair_ns(hot, 1)
            with tracing(folder, "0", "3600") as seep:
                exact = pair_ns(hot, 1)
            with tracing(folder, "5", "1") as seep:
                before = [count(t) for t in (hot, slow)]
                slow.tell("go")
                settled(seep, hot.pid, ("windows",))
                traced = min(pair_ns(hot, 10) for _ in range(2))
                for target in (hot, slow):
                    target.tell("rest")
                time.sleep(1.5)
                leaked = [count(t)["leaked"] - b["leaked"] for t, b in zip((hot, slow), before)]
                code = seep.interrupt()
                records = [processes(seep, t.pid)[-1] for t in (hot, slow)]
    for name, record, n in zip(("hot", "slow"), records, leaked):
        print(
            f"#   {name}: {record['mode']}, duty {record['duty']:.4f}, overhead {record['overhead_ratio']}, outstanding "
            f"{record['outstanding_allocations']} +- {record['interval_allocations']}, leaked {n}"
        )
    print(f"#   the hot program x {traced / bare:.2f}, without a budget x {exact / bare:.2f}")
    complaints = judge_hot(records[0], traced / bare, exact / bare)
    if records[1]["mode"] != "windows" or not records[1]["estimated"]:
        complaints.append(f"the slow one shares its probes: {records[1]['mode']}")
    if code:
        complaints.append(f"exit code {code}: {seep.stderr()[-300:]} {seep.stdout().splitlines()[-1]}")
    return complaints


if __name__ == "__main__":
    tap = start_tap()
    tap.run("a parallel build, budget 5%", parallel_build)
    tap.run("a hot program and a slow one that share probes", hot_and_slow)
    tap.end()

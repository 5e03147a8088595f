#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep trace --all where there is much of everything, for a machine of its own. SOURCES: a folder of preprocessed C files. ONLY:
part of a test's name.
"""

import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "live"))

from lib import (
    Failure,
    Final,
    Seep,
    Target,
    judge,
    start_tap,
    target_path,
    wait_until,
)  # noqa: E402
from test_lifecycle import Maps, finals, read_records  # noqa: E402

LIBC = "/lib/x86_64-linux-gnu/libc.so.6"
N_LIBCS = int(os.environ.get("LIBCS", "50"))
N_BUILDS = int(os.environ.get("BUILDS", "12"))
N_SLEEPERS = int(os.environ.get("SLEEPERS", "1500"))
DUTY_MOST = 0.25
OVERHEAD_MOST = 0.3
NO_ROOM = "--unwind-memory is used up"
SLEEPER = [sys.executable, "-c", "import time; time.sleep(2)"]
MAKEFILE = """\
objects := $(patsubst %.i,%.o,$(wildcard *.i))
all.so: $(objects); @gcc -shared -nostdlib -fno-use-linker-plugin -o $@ $^
%.o: %.i; @gcc -O1 -fPIC -c $< -o $@
"""


@contextlib.contextmanager
def tracing(*arguments):
    """seep over the whole machine; `finish()` ends it and returns (exit code, records)."""
    with tempfile.NamedTemporaryFile() as out:
        options = ("--format", "ndjson", "--output", out.name)
        with Seep("trace", "--all", "-q", *options, *arguments) as seep:
            path = pathlib.Path(out.name)

            def attached():
                if seep.process.poll() is not None:
                    raise Failure(f"seep ended: {seep.stderr()[-300:]}")
                return '"session"' in path.read_text()

            wait_until("session", attached)
            seep.finish = lambda: (seep.interrupt(), read_records(path))
            seep.written = path.read_text
            yield seep


def without_dead(seep):
    """Complaints about what the dead left in the maps, after a report or two."""
    maps = Maps(seep.pid)
    dead = maps.dead()  # as of now: bpftool's own processes come and go, too
    deadline = time.monotonic() + 60
    while (left := maps.entries_of(dead)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left


def make(folder):
    begun = time.monotonic()
    subprocess.run(["make", "-s", "-j2", "-C", folder], check=True)
    return time.monotonic() - begun


def clean(folder):
    for made in [*pathlib.Path(folder).glob("*.o"), pathlib.Path(folder, "all.so")]:
        made.unlink()


def traced_build(folder, times, *arguments):
    """So many builds. Returns ([seconds], the last records of those that ended, in order, complaints)."""
    with tracing(*arguments, "2") as seep:
        sleepers = [subprocess.Popen(SLEEPER) for _ in range(3)]
        seconds = []
        for _ in range(times):
            clean(folder)
            seconds.append(make(folder))
        for sleeper in sleepers:
            sleeper.wait()
        complaints = without_dead(seep)
        code, records = seep.finish()
    pids = {p["pid"] for p in finals(records)}
    complaints += [f"no record of {s.pid}" for s in sleepers if s.pid not in pids]
    # What the kernel did not run of our programs while it was busy is counted.
    lost = set(records[-1]["lost"]) - {"missed_frees", "missed_runs"}
    if code not in (0, 4) or lost:
        losers = [(p["comm"], p["lost"]) for p in finals(records) if set(p["lost"]) & lost]
        complaints.append(f"exit code {code}, {records[-1]}: {losers}")
    return seconds, [p for p in finals(records) if p["ended"] == "exit"], complaints


def judge_governed(ends):
    """Complaints about how the compilers of all builds but the first, which finds out what they cost, were recorded: in windows, by
    seep's own account for little. The emulated machine gets what the tests beside it leave, so no time is judged; README has figures.
    """
    compilers = [p for p in ends if p["comm"] == "cc1"]
    later = compilers[len(compilers) // N_BUILDS :]
    if not later:
        return [f"{len(compilers)} compilers have a record"]
    last = later[-1]
    print(
        f"#   {len(compilers)} compilers with records: {dict(Counter(p['mode'] for p in later))}, duty "
        f"{max(p['duty'] for p in later):.3f} at most, overhead {last['overhead_ratio']:.3f} at last"
    )
    complaints = []
    for p in later:
        if p["mode"] not in ("windows", "detached") or not p["estimated"] or p["duty"] > DUTY_MOST:
            complaints.append(f"{p['pid']}: {p['mode']}, duty {p['duty']}, {p['governed']}")
    if last["overhead_ratio"] > OVERHEAD_MOST:
        complaints.append(f"overhead {last['overhead_ratio']:.2f} with a budget of 0.05")
    return complaints[:5]


def build():
    sources = sorted(pathlib.Path(os.environ["SOURCES"]).glob("*.i"))
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:
            shutil.copy(source, folder)
        pathlib.Path(folder, "Makefile").write_text(MAKEFILE)
        make(folder)  # what is read from disk the first time is not seep's doing
        bares = []
        for _ in range(4):
            clean(folder)
            bares.append(make(folder))
        bare = statistics.mean(bares)
        (exact,), ends, complaints = traced_build(folder, 1, "--budget", "0")
        governed, ends_governed, more = traced_build(folder, N_BUILDS)
    comms = Counter(p["comm"] for p in ends)
    print(
        f"#   the build takes {', '.join(f'{s:.1f}' for s in bares)} s; under seep {statistics.mean(governed) / bare:.2f} times that in the "
        f"mean ({', '.join(f'{s / bare:.2f}' for s in governed)}), without a budget {exact / bare:.2f}, {dict(comms)}"
    )
    for comm in ("cc1", "as"):
        if comms[comm] != len(sources):
            complaints.append(f"{comms[comm]} times {comm}, not {len(sources)}")
    return complaints + more + judge_governed(ends_governed)


def many_libcs():
    """As many files that define malloc, each with a process of its own, that has two children."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        with tracing("--budget", "0", "10m") as seep:
            servers = []
            for i in range(N_LIBCS):
                own = pathlib.Path(folder, str(i))
                own.mkdir()
                shutil.copy(LIBC, own)
                server = subprocess.Popen(
                    [target_path("lifecycle_server"), "2"],
                    env={**os.environ, "LD_LIBRARY_PATH": str(own)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
                stack.callback(server.kill)
                server.stdout.readline()
                servers.append(server)
            # Their probes come within a second of their start, in an emulated machine that is starved within some.
            time.sleep(15)
            for server in servers:
                server.stdin.write(b"go\n")
                server.stdin.flush()
                server.stdout.readline()
            begun = time.monotonic()
            code, records = seep.finish()
            ended = time.monotonic() - begun
    have = {p["pid"]: p for p in finals(records)}
    wrong = [s.pid for s in servers if have.get(s.pid, {}).get("outstanding_bytes") != 2000]
    print(f"#   seep ended in {ended:.1f} s, {len(have)} processes")
    complaints = [f"exit code {code}, {records[-1]}"] if code else []
    if wrong:
        complaints.append(f"{len(wrong)} of {N_LIBCS} are wrong: {have.get(wrong[0])}")
    return complaints


def many_processes():
    """More processes, blocks and sites than there is room for: counted, said, survived."""
    with tracing("--budget", "0", "--max-outstanding", "1000", "--max-sites", "100", "5") as seep:
        with Target("lifecycle_server", str(N_SLEEPERS), "--hold") as target:
            target.tell("go")
            told = json.loads(target.read_line(120))
            target.process.stdin.close()
            target.wait()
        left = without_dead(seep)
        code, records = seep.finish()
    lost = records[-1]["lost"]
    pids = {p["pid"] for p in finals(records)}
    missing = [s[0] for s in told["served"] if s[0] not in pids and s[1] > s[2]]
    print(f"#   {len(told['served'])} processes, lost {lost}")
    complaints = [] if code == 4 and lost.get("live_map_full") else [f"exit code {code}, {lost}"]
    if missing:
        complaints.append(f"{len(missing)} processes without a record")
    return complaints + left


def small_tables():
    """No room for unwind tables: files say so, stacks are cut for that reason, the sums are whole."""

    def ours():
        """What is said of this very program, which allocates all the time, once its files have been looked at."""
        written = seep.written()
        records = [json.loads(line) for line in written[: written.rfind("\n") + 1].splitlines()]
        said = [r for r in records if r["type"] == "process" and r["pid"] == os.getpid()]
        return said and any(NO_ROOM in note for note in said[-1]["notes"]) and said[-1]

    with tracing("--budget", "0", "--unwind-memory", "4k", "-a", "1") as seep:
        cut = wait_until("note that there is no room for tables", ours, 60)["truncated_stacks"]
        with Target("zoo_heap") as target:
            ledgers = target.run()
            code, records = seep.finish()
    final = Final(records, target.pid)
    complaints = final.sums()
    wrong = [c for c in judge(ledgers[-1], records) if c.startswith(("missing", "lost", "not in"))]
    print(f"#   ours {cut}, {final.process['truncated_stacks']}, lost {records[-1]['lost']}")
    # The first stacks come before anybody has looked at a process, in a slow machine all of a short one.
    cuts = set(final.process["truncated_stacks"])
    if code or not cuts or not cuts <= {"no_table", "mapping_not_yet_known"}:
        complaints.append(f"exit code {code}, {final.process}")
    if "no_table" not in cut:
        complaints.append(f"no stack of ours was cut for want of tables: {cut}")
    return complaints + wrong


def main():
    tap = start_tap()
    only = os.environ.get("ONLY", "")
    for name, test in (
        ("a parallel build", build),
        (f"{N_LIBCS} libc files", many_libcs),
        (f"{N_SLEEPERS} processes, small maps", many_processes),
        ("no room for unwind tables", small_tables),
    ):
        if only not in name:
            continue
        begun = time.monotonic()
        tap.run(name, test)
        print(f"#   {name}: {time.monotonic() - begun:.0f} s", flush=True)
    tap.end()


if os.environ.get("WHOLE_MACHINE") != "1":
    print("1..0 # SKIP it traces every process: not on a machine that others use")
    sys.exit(0)
main()

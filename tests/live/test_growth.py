#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep trace --growth: touched pages by stack, against a target that knows what it touched."""

import json
import math
import pathlib
import signal
import subprocess
import sys
import tempfile

from lib import Failure, Program, Seep, Target, run_seep, start_tap, target_path

PAGE = 4096
DISTANCE = 65536  # what --growth samples by unless told
# Five standard deviations: one false alarm in a million and a half figures.
SIGMAS = 5


def deviation(n_bytes, distance):
    """Of the estimate of n_bytes in small pages, each taken with probability PAGE / distance."""
    return math.sqrt(n_bytes / PAGE * (distance / PAGE - 1)) * PAGE


class Growth:
    """The last report of one process."""

    def __init__(self, records, pid):
        self.process = [
            r for r in records if r["type"] == "process" and r["pid"] == pid and r["final"]
        ][-1]
        self.sites = [
            s
            for s in records
            if s["type"] == "site"
            and s["time"] == self.process["time"]
            and s["process"] == self.process["process"]
        ]
        self.pages = [s for s in self.sites if s["kind"] == "fault"]

    def of(self, function):
        """Bytes touched, and still there, by sites with this function; and the sum of squares of the intervals."""
        own = [s for s in self.pages if function in [f["function"] for f in s["frames"]]]
        return (
            sum(s["allocated_bytes"] for s in own),
            sum(s["outstanding_bytes"] for s in own),
            sum(s["interval_bytes"] ** 2 for s in own),
        )

    def sums(self):
        """A process's totals are those of its touched pages: mappings are the same memory."""
        return [
            f"{figure}: process {self.process[figure]}, its pages {total}"
            for figure in ("outstanding_bytes", "allocated_bytes", "freed_bytes", "allocations")
            for total in [sum(s[figure] for s in self.pages)]
            if self.process[figure] != total
        ]


def compare(growth, ledger, distance):
    complaints = growth.sums()
    if growth.process["lost"]:
        complaints.append(f"lost {growth.process['lost']}")
    for function, figures in ledger["functions"].items():
        *have, squares = growth.of(function)
        for what, want, got in zip(("touched", "left"), figures, have):
            # A page of the stack or the program's own data may come in any function.
            most = SIGMAS * deviation(want + 4 * distance, distance) + 16 * PAGE
            if abs(got - want) > most:
                complaints.append(f"{function}: {what} {want}, seep says {got}, +-{most:.0f}")
        truth = 1.96 * deviation(figures[1], distance)
        if function == "growth_small" and not truth / 2 <= math.sqrt(squares) <= truth * 2:
            complaints.append(f"{function}: interval {math.sqrt(squares):.0f}, by theory {truth:.0f}")
    return complaints


def reconcile(growth, ledger, distance):
    """What the kernel says the process has more of."""
    want = ledger["anonymous"] - ledger["anonymous_before"]
    got = growth.process["outstanding_bytes"]
    print(f"#   {want} B more by smaps, {got} +-{growth.process['interval_bytes']} B by seep")
    most = SIGMAS * deviation(want, distance) + 24 * PAGE
    return [] if abs(got - want) <= most else [f"smaps says {want}, seep {got}, +-{most:.0f}"]


def stop(seep):
    """Its last report holds each page; on a busy machine that takes a while."""
    seep.process.send_signal(signal.SIGINT)
    return seep.wait(120)


def attached(name, *options):
    """Lets a target of that name grow. Returns its ledgers and seep's records."""
    with Target(name) as target:
        with Seep("trace", "--growth", "--format", "ndjson", "-p", str(target.pid), *options, "3600") as seep:
            seep.wait_attached()
            ledgers = target.run()
            if stop(seep):
                raise Failure(f"exit code {seep.process.returncode}: {seep.stderr()[-600:]}")
            return ledgers, seep.records()


def by_function(distance, *options):
    ledgers, records = attached("growth_pages", *options)
    session = records[0]
    complaints = []
    if (session["sampling"], session["sample_interval"]) != ("pages", distance):
        complaints.append(f"session {session}")
    for ledger in ledgers:
        growth = Growth(records, ledger["pid"])
        complaints += compare(growth, ledger, distance)
        if ledger["role"] == "main":
            complaints += reconcile(growth, ledger, distance)
            complaints += mappings(growth)
    return complaints


def mappings(growth):
    """Address space stands beside the pages."""
    complaints = []
    for kind, function, n_bytes in (("mmap", "growth_small", 32 << 20), ("brk", "growth_brk", 8 << 20)):
        got = sum(
            s["outstanding_bytes"]
            for s in growth.sites
            if s["kind"] == kind and function in [f["function"] for f in s["frames"]]
        )
        if not n_bytes <= got < n_bytes + 2 * PAGE:
            complaints.append(f"{kind} by {function}: {got}")
    return complaints


def without_symbols():
    """Where there is nothing to probe."""
    with Target("growth_pages_static") as target:
        code, _, error = run_seep("trace", "-p", str(target.pid), "0.1", "1")
        if code != 1 or "no allocation function" not in error:
            return [f"without --growth: exit code {code}: {error}"]
    ledgers, records = attached("growth_pages_static")
    growth = Growth(records, ledgers[-1]["pid"])
    complaints = growth.sums() + reconcile(growth, ledgers[-1], DISTANCE)
    largest = growth.sites[0]
    if largest["kind"] != "fault" or len(largest["frames"]) < 4 or largest["truncated"]:
        complaints.append(f"the largest site: {largest}")
    return complaints


def command():
    path = target_path("growth_pages")
    with tempfile.NamedTemporaryFile(prefix="seep-growth-") as report:
        code, out, error = run_seep(
            "trace", "--growth", "--format", "ndjson", "--output", report.name, "--", str(path), "--now"
        )
        records = [json.loads(line) for line in pathlib.Path(report.name).read_text().splitlines()]
    ledger = json.loads([line for line in out.splitlines() if '"main"' in line][-1])
    complaints = [] if code == 0 else [f"exit code {code}: {error}"]
    return complaints + compare(Growth(records, ledger["pid"]), ledger, DISTANCE)


def churn():
    """Two million pairs of malloc and free in memory that is there: nothing to see."""
    with Target("growth_pages", "--churn") as target:
        with Seep("trace", "--growth", "--sample-bytes", "4k", "--format", "ndjson", "-p", str(target.pid), "3600") as seep:
            seep.wait_attached()
            target.run()
            stop(seep)
            growth = Growth(seep.records(), target.pid)
    noise = [s for s in growth.sites if "growth_churn" in [f["function"] for f in s["frames"]]]
    return [f"it grew: {s}" for s in noise]


PYTHON = """
import sys
print('{"ready":%d}' % __import__("os").getpid(), flush=True)
sys.stdin.readline()
kept = [{"a": str(i), "b": [i] * 20} for i in range(150000)]
print(__import__("re").search("RssAnon:\\s*(\\d+)", open("/proc/self/status").read())[1], flush=True)
sys.stdin.readline()
__import__("os")._exit(0)
"""


def interpreted():
    """A language whose allocator is its own."""
    with Program([sys.executable, "-c", PYTHON], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        target.process.stdout.readline()
        with Seep("trace", "--growth", "--format", "ndjson", "-p", str(target.pid), "3600") as seep:
            seep.wait_attached()
            before = resident(target.pid)
            target.process.stdin.write(b"go\n")
            target.process.stdin.flush()
            want = int(target.process.stdout.readline()) * 1024 - before
            stop(seep)
            growth = Growth(seep.records(), target.pid)
    got = growth.process["outstanding_bytes"]
    print(f"#   RssAnon {want} B more, seep {got} B")
    # The kernel's counter is some pages late for each processor.
    most = SIGMAS * deviation(want, DISTANCE) + (2 << 20)
    complaints = [] if abs(got - want) <= most else [f"RssAnon {want} B more, seep {got}, +-{most:.0f}"]
    evaluated = sum(
        s["outstanding_bytes"]
        for s in growth.pages
        if len(s["frames"]) > 5 and any("ython" in (f["module"] or "") for f in s["frames"])
    )
    return complaints + ([] if evaluated > got * 0.8 else [f"only {evaluated} B by Python"])


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise Failure(f"no RssAnon of {pid}")


def go_program():
    """Stacks that no libc is in, with an allocator and a collector of their own."""
    with Target("growth_go") as target:
        with Seep("trace", "--growth", "--format", "ndjson", "-p", str(target.pid), "3600") as seep:
            seep.wait_attached()
            target.tell("go")
            want = json.loads(target.read_line())["kept"]
            stop(seep)
            growth = Growth(seep.records(), target.pid)
    complaints = []
    for function, n_bytes in want.items():
        got = growth.of(function)[1]
        most = SIGMAS * deviation(n_bytes, DISTANCE) + n_bytes / 4
        if not n_bytes - most <= got <= n_bytes + most:
            complaints.append(f"{function} keeps {n_bytes}, seep says {got}, +-{most:.0f}")
    return complaints


def no_room():
    """Room for fewer pages than are touched: counted, and exit code 4."""
    with Target("growth_pages") as target:
        with Seep("trace", "--growth", "--max-outstanding", "100", "--format", "ndjson", "-p", str(target.pid), "3600") as seep:
            seep.wait_attached()
            target.run()
            code = stop(seep)
            lost = Growth(seep.records(), target.pid).process["lost"]
    return [] if code == 4 and lost.get("live_map_full") else [f"exit code {code}, lost {lost}"]


def in_text():
    """Both kinds, and what is refused."""
    path = target_path("growth_pages")
    code, out, error = run_seep("trace", "--growth", "-T", "0", "--", str(path), "--now")
    complaints = [
        f"no {words!r} in: {out[-2000:]}"
        for words in ("touched pages\n", "in 1 mapping", "growth_huge", "Pages that are touched first")
        if words not in out
    ]
    code, _, error = run_seep("trace", "--growth", "--mmap", "-p", "1")
    return complaints + ([] if code == 2 else [f"with --mmap: exit code {code}: {error}"])


if __name__ == "__main__":
    tap = start_tap()
    tap.run("every page, by function", lambda: by_function(PAGE, "--sample-bytes", "4k"))
    tap.run("a sample of the pages", lambda: by_function(DISTANCE))
    tap.run(
        "an interval that is no power of two",
        lambda: by_function(32768, "--sample-bytes", "20000"),
    )
    tap.run("a static program without symbols", without_symbols)
    tap.run("a command from its start", command)
    tap.run("a program that does not grow", churn)
    tap.run("Python", interpreted)
    tap.run("Go", go_program)
    tap.run("more pages than there is room for", no_room)
    tap.run("in text", in_text)
    tap.end()

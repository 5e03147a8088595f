#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Eviction: a program that goes through many more stacks than there is room for keeps every
outstanding block with its stack, its sums equal the program's own counters at each report,
and nothing is lost while idle sites can leave in time; a table too small for that says what
it lost, and the bytes are in the report as a site of unknown stack.

EVICT_STACKS: how many stacks, 20000 by default.
"""

import json
import os
import select
import signal
import subprocess
import tempfile
import time

from lib import SECONDS, SEEP, Failure, Program, Seep, Target, judge, start_tap, wait_until

EVICT_STACKS = int(os.environ.get("EVICT_STACKS", "20000"))
FIGURES = ("allocations", "frees", "allocated_bytes", "freed_bytes")


class Reports(Program):
    """seep with its reports read as they come: they are too much to keep. `report` is the last
    complete one, as list of records.
    """

    def __init__(self, pid, *arguments):
        self.err = tempfile.TemporaryFile()
        super().__init__(
            [SEEP, "trace", "-p", pid, "-a", "--format", "ndjson", *arguments, "0.1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.err.fileno(),
        )
        self.buffer = b""
        self.begun = []  # records of the report that is being read
        if self.record()["type"] != "session":
            raise Failure("seep does not begin with its session")

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        super().__exit__(*exception)
        self.err.close()

    def record(self):
        """The next record, or None at the end."""
        deadline = time.monotonic() + SECONDS
        while b"\n" not in self.buffer:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                raise Failure(f"no report for {SECONDS} s")
            chunk = os.read(self.process.stdout.fileno(), 1 << 20)
            if not chunk:
                return None
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def report(self):
        """The next complete report; what follows the last one ends it, too."""
        while True:
            record = self.record()
            if record is None:
                self.err.seek(0)
                raise Failure(f"seep ended: {self.err.read()[-600:].decode()}")
            if self.begun and record["time"] != self.begun[0]["time"]:
                report, self.begun = self.begun, [record]
                return report
            self.begun.append(record)

    def rest(self):
        """Ends seep. Returns (exit code, last report)."""
        self.process.send_signal(signal.SIGINT)
        report = self.begun
        while record := self.record():
            if record["type"] == "process":
                report = []
            report.append(record)
        return self.wait(), report


def process_of(report):
    return next(r for r in report if r["type"] == "process")


def sites_of(report):
    return [r for r in report if r["type"] == "site"]


def unknown_of(report):
    return [s for s in sites_of(report) if not s["frames"]]


def sums(report):
    """What the process's record must agree with. Returns complaints."""
    process = process_of(report)
    return [
        f"{figure}: process {process[figure]}, its sites {of_sites}"
        for figure in (*FIGURES, "outstanding_bytes", "outstanding_allocations")
        for of_sites in [sum(s[figure] for s in sites_of(report))]
        if of_sites != process[figure]
    ]


def go_through(target, seep, batches, exact):
    """Lets the target work, batch by batch. exact: it rests between them, so each report equals its counters, but for what
    libc allocated for itself before. Returns (complaints, largest number of sites).
    """
    complaints, offset, most = [], None, 0
    for _ in range(batches):
        target.tell("more")
        before = json.loads(target.read_line())
        seep.report()
        report = seep.report()
        complaints += sums(report)
        process = process_of(report)
        most = max(most, len(sites_of(report)))
        difference = {f: process[f] - before[f] for f in FIGURES}
        if exact and offset not in (None, difference):
            complaints.append(f"seep has {difference} more than the ledger, {offset} before")
        if any(d < 0 for d in difference.values()):
            complaints.append(f"seep has {difference} more than the ledger")
        offset = difference
    return complaints, most


def evicted(n_stacks, n_threads, max_sites, max_stacks):
    room = min(max_sites, max_stacks)
    batch = room // 4 - (300 if n_threads else 60)
    with Target("evict_stacks", "--batch", str(batch), "--threads", str(n_threads)) as target:
        sizes = ["--max-sites", str(max_sites), "--stack-storage-size", str(max_stacks)]
        with Reports(str(target.pid), *sizes) as seep:
            target.tell("go")
            complaints, most = go_through(target, seep, n_stacks // batch, not n_threads)
            target.tell("again")
            target.read_line()
            target.tell("stop")
            ledger = json.loads(target.read_line())
            code, report = seep.rest()
    process, unknown = process_of(report), unknown_of(report)
    n_evicted = sum(s["allocations"] for s in unknown)
    print(
        f"#   {n_stacks} stacks, at most {most} sites, {process['allocations']} allocations, of evicted sites "
        f"{n_evicted}, {len(ledger['ledger'])} blocks live, lost {process['lost']}"
    )
    complaints += [] if code == 0 else [f"exit code {code}"]
    complaints += sums(report) + judge(ledger, report)
    if any(s["outstanding_allocations"] for s in unknown):
        complaints.append(f"outstanding at unknown stacks: {unknown}")
    if max_sites < n_stacks and not (n_evicted and most <= max_sites + 1):
        complaints.append(
            f"up to {most} sites of {max_sites}, {n_evicted} allocations of evicted ones"
        )
    return complaints


def contended(n_reports):
    """All sites are in use, and so many that each report evicts some: they are taken back on their way out, or come
    back. Blocks are held for milliseconds, so that sites are without one again and again.
    """
    with Target("evict_stacks", "--batch", "100", "--hot", "3300", "--threads", "3") as target:
        with Reports(str(target.pid), "--max-sites", "4000") as seep:
            target.tell("go")
            target.tell("more")
            target.read_line()
            complaints = [c for _ in range(n_reports) for c in sums(seep.report())]
            target.tell("stop")
            ledger = json.loads(target.read_line())
            code, report = seep.rest()
    process, unknown = process_of(report), unknown_of(report)
    print(
        f"#   {process['allocations']} allocations, of evicted sites {sum(s['allocations'] for s in unknown)}, "
        f"{len(ledger['ledger'])} blocks live, lost {process['lost']}"
    )
    # On a busy machine eviction may come too late: that is counted, and such blocks have no stack.
    late = process["lost"].get("sites_full", 0)
    judged = judge(ledger, report, may_lose=("sites_full",))
    nameless = [c for c in judged if c.endswith("its stack is empty")]
    complaints += sums(report) + [c for c in judged if c not in nameless] + nameless[late:]
    if code not in (0, 4) or set(process["lost"]) - {"sites_full"} or not unknown:
        complaints.append(f"exit code {code}, {len(unknown)} sites of unknown stack")
    return complaints


def too_small(option, cause):
    """One batch of more stacks than there is room for, in one interval."""
    with Target("evict_stacks", "--batch", "2000") as target:
        with Reports(str(target.pid), option, "100") as seep:
            target.tell("go")
            target.tell("more")
            target.read_line()
            target.tell("stop")
            ledger = json.loads(target.read_line())
            code, report = seep.rest()
    process, unknown = process_of(report), unknown_of(report)
    complaints = sums(report) + ([] if code == 4 else [f"exit code {code}, not 4"])
    if set(process["lost"]) != {cause} or not unknown:
        complaints.append(f"lost {process['lost']}, {len(unknown)} sites of unknown stack")
    want = sum(b["size"] for b in ledger["ledger"])
    have = sum(b["size_bytes"] for b in report if b["type"] == "block")
    if not have == want == process["outstanding_bytes"]:
        complaints.append(
            f"{want} B live, blocks of {have} B, {process['outstanding_bytes']} B reported"
        )
    if sum(s["outstanding_bytes"] for s in unknown) == 0:
        complaints.append("no outstanding bytes at the unknown stack")
    return complaints


def named_in_text():
    """The text report has the unknown stack's bytes among its sites."""
    with Target("evict_stacks", "--batch", "2000") as target:
        with Seep("trace", "-p", str(target.pid), "--stack-storage-size", "10", "3600") as seep:
            wait_until("attach", lambda: "probes" in seep.stderr())
            target.tell("go")
            target.tell("more")
            target.read_line()
            seep.interrupt()
            text = seep.stdout()
    return [] if "stack not kept" in text else [f"no unknown stack in: {text[:1500]}"]


if __name__ == "__main__":
    tap = start_tap()
    tap.run("many stacks, few sites", lambda: evicted(EVICT_STACKS, 0, 2000, 65536))
    tap.run(
        "many sites, room for the stacks of one report",
        lambda: evicted(EVICT_STACKS // 3, 0, 65536, 2000),
    )
    tap.run(
        "threads at old stacks while sites leave", lambda: evicted(EVICT_STACKS, 3, 4000, 65536)
    )
    tap.run("sites in use and leaving", lambda: contended(30))
    tap.run("no room for stacks", lambda: too_small("--stack-storage-size", "stacks_full"))
    tap.run("no room for sites", lambda: too_small("--max-sites", "sites_full"))
    tap.run("an unknown stack in text", named_in_text)
    tap.end()

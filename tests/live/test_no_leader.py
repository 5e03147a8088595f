#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The first thread of a process ends, and others go on allocating: nothing is missing, or a count says that something may be. With
each kind of link that the kernel has; attached before and after that thread's end, launched, and where a thread other than the
first executes another program. Afterwards, whatever was lost, nothing more is.
"""

import json
import re

from lib import Failure, Seep, Target, judge, run_seep, start_tap, wait_until

REPORTS = ("--format", "ndjson", "-a", "0.2")
CAUSE = "thread_ended"


def kinds():
    """The kinds of links that this kernel has."""
    with Target("no_leader") as target:
        for kind in ("session", "multi"):
            with Seep("trace", "-p", target.pid, "--link", kind, *REPORTS) as seep:
                try:
                    seep.wait_attached()
                    yield kind
                except Failure:
                    pass
    yield "perf"


def await_reports(seep, n=2):
    """What happened before this has been handled, and two more reports were made."""
    have = len(re.findall('"type": ?"process"', seep.stdout()))
    wait_until(
        "reports", lambda: len(re.findall('"type": ?"process"', seep.stdout())) >= have + n
    )


def judged(seep, ledger, code, may_miss=()):
    """may_miss: functions whose blocks may be missing if that was counted. Returns complaints."""
    records = seep.records()
    final = [r for r in records if r["type"] == "process" and r["pid"] == ledger["pid"]][-1]
    lost = final["lost"].get(CAUSE, 0)
    counts = {name: sum(b["function"] == name for b in ledger["ledger"]) for name in may_miss}
    print(f"#   {len(ledger['ledger'])} blocks live, {counts}, lost {final['lost']}, exit {code}")
    complaints = judge(ledger, records, may_miss=may_miss if lost else ())
    excused = ("lost: thread_ended", "lost: missed_frees") if lost else ()
    complaints = [c for c in complaints if not excused or not c.startswith(excused)]
    if code != (4 if lost else 0):
        complaints.append(f"exit code {code} with {lost} losses")
    if not any(b["function"] == "zoo_late" for b in ledger["ledger"]):
        complaints.append("nothing was allocated late")
    return complaints


def come_and_go(kind):
    """Another process is traced at the same files by another seep: when its probes go, the kernel looks again who wants the
    breakpoints. Perf events that hang on a thread that has ended lose theirs by themselves.
    """
    if kind == "perf":
        return
    with Target("no_leader") as target:
        with Seep("trace", "-p", target.pid, "--link", kind, *REPORTS) as seep:
            seep.wait_attached()
            seep.interrupt()


def go_on(target, seep, kind):
    """From the first thread's end on. Returns the ledger."""
    target.read_line()
    await_reports(seep)
    come_and_go(kind)
    target.tell("late")
    target.read_line()
    await_reports(seep)
    target.tell("stop")
    return json.loads(target.read_line())


def attached(kind, *arguments, may_miss=("zoo_after",)):
    with Target("no_leader", *arguments) as target:
        with Seep("trace", "-p", target.pid, "--link", kind, *REPORTS) as seep:
            seep.wait_attached()
            target.tell("go")
            ledger = go_on(target, seep, kind)
            code = seep.interrupt()
            return judged(seep, ledger, code, may_miss)


def executed(kind):
    """What was done before its probes stood is said to be unseen."""
    with Target("no_leader", "--exec") as target:
        with Seep("trace", "-p", target.pid, "--link", kind, *REPORTS) as seep:
            seep.wait_attached()
            target.tell("go")
            ledger = go_on(target, seep, kind)
            code = seep.interrupt()
            final = [r for r in seep.records() if r["type"] == "process"][-1]
            complaints = judge(ledger, seep.records(), may_miss=("zoo_after",))
            print(f"#   seen from {final['seen_from_seconds']} s, lost {final['lost']}")
    if final["seen_from_seconds"] <= 0:
        complaints.append(f"seen from {final['seen_from_seconds']} s")
    return complaints + ([] if code == 0 else [f"exit code {code}"])


def scanned():
    """Its memory is read by another thread, too."""
    with Target("no_leader", "--gone") as target:
        target.tell("go")
        target.read_line()
        code, out, err = run_seep("scan", "-p", target.pid, "--for", "0.5s")
        target.tell("late")
        target.read_line()
        target.tell("stop")
        target.read_line()
    good = code == 0 and "no unreachable blocks" in out
    return [] if good else [f"exit code {code}: {out[-300:]} {err[-300:]}"]


if __name__ == "__main__":
    tap = start_tap()
    best, *others = kinds()
    for link in (best, *others):
        tap.run(f"{link}: ends while traced", attached, link)
    for link in sorted({best, "perf"}):
        tap.run(f"{link}: had ended before", lambda k: attached(k, "--gone", may_miss=()), link)
    tap.run(f"{best}: another thread executes a program", executed, best)
    tap.run(
        f"{best}: others come and go",
        lambda k: attached(k, "--relay", may_miss=("zoo_after", "zoo_late")),
        best,
    )
    tap.run("scanned without its first thread", scanned)
    tap.end()

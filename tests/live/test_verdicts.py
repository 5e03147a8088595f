#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Verdicts: of programs of verdict_zoo, traced together for a while, what leaks is called a leak and nothing else is; the
process's verdict follows; a capture renders them again.

VERDICT_SECONDS: how long, 38 by default. make bench-verdicts runs all programs.
"""

import contextlib
import json
import os
import subprocess
import tempfile
import time

from lib import SEEP, TARGETS, Failure, Seep, Skip, run_seep, start_tap
from test_oom import limited_cgroup

VERDICT_SECONDS = float(os.environ.get("VERDICT_SECONDS", "38"))
SPEED = "2"
LEAKS = {
    "linear": "leak_linear",
    "one-in-thousand": "leak_one_in_thousand",
    "poisson": "leak_poisson",
    "list-tail": "leak_list_tail",
    "registry": "leak_registry",
    "wrapper": "leak_by_wrapper",
}
CALM = {
    "lru-8s": "lru_fills_in_8s",
    "lru-full": "lru_full_before",
    "ttl-3s": "ttl_of_3s",
    "memo-few": "memo_of_few",
    "warm-fast": "warm_at_once",
    "sawtooth": "sawtooth_of_2s",
    "sessions": "session_of_20s",
}
ZOO = str(TARGETS / "verdict_zoo")


class Zoo:
    """The programs, by name; ended on exit."""

    def __init__(self, names):
        self.programs = {}
        for name in names:
            self.programs[name] = subprocess.Popen([ZOO, name, SPEED], stdout=subprocess.PIPE)
            if b"ready" not in self.programs[name].stdout.readline():
                raise Failure(f"{name} does not begin")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self.programs.values():
            program.kill()
            program.wait()
            program.stdout.close()


def trace(capture):
    """The last report's records, and the pids by name. One of them has a memory limit where that can be."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(limited_cgroup())
        except Skip:
            folder = None
        zoo = stack.enter_context(Zoo([*LEAKS, *CALM]))
        pids = {name: p.pid for name, p in zoo.programs.items()}
        if folder:
            (folder / "cgroup.procs").write_text(str(pids["linear"]))
        all_pids = ",".join(map(str, pids.values()))
        with Seep("trace", "-p", all_pids, "-w", capture, "--format", "ndjson", "5") as seep:
            seep.wait_attached()
            time.sleep(VERDICT_SECONDS)
            seep.interrupt()
            return pids, last_report(seep.records())


def last_report(records):
    last = max(r["sequence"] for r in records if r["type"] == "process")
    at = {r["time"] for r in records if r["type"] == "process" and r["sequence"] == last}
    return [r for r in records if r["type"] in ("process", "site") and r["time"] in at]


def site_of(records, function):
    """Of several stacks the one that holds most."""
    sites = [
        r
        for r in records
        if r["type"] == "site" and function in [f.get("function") for f in r["frames"]]
    ]
    return max(sites, key=lambda s: s["outstanding_bytes"], default=None)


def verdict_of(records, function):
    site = site_of(records, function)
    return site["verdict"] if site else "none"


def test_leaks(records):
    """One of them may be too little to be sure of yet, on a machine that is busy."""
    said = {f: verdict_of(records, f) for f in LEAKS.values()}
    missed = {f: v for f, v in said.items() if v != "leak"}
    good = len(missed) <= 1 and all(v == "growing" for v in missed.values())
    return [] if good else [f"{f}: {v}" for f, v in missed.items()]


def test_no_false_leaks(records):
    functions = [*CALM.values(), "cache_by_wrapper", "churn_by_wrapper"]
    return [
        f"{f}: {site_of(records, f)['evidence']}"
        for f in functions
        if verdict_of(records, f) == "leak"
    ]


def test_evidence(records):
    leaks = [r for r in records if r["type"] == "site" and r["verdict"] == "leak"]
    limited = {r["pid"] for r in records if r["type"] == "process" and r["limit_bytes"]}
    return [
        f"{site['site']}: {site['evidence']}"
        for site in leaks
        if (site["pid"] in limited) != ("'s limit at that rate" in site["evidence"])
    ] + [
        f"{site['site']}: {site['evidence']}, {site['confidence']}, {site['growth_bytes_per_second']}"
        for site in leaks
        if not ("still there" in (site["evidence"] or "") and 0.4 < site["confidence"] < 1)
        or not site["growth_bytes_per_second"] > 0
    ]


def test_ages(records):
    """What nobody frees reaches every age; of a cache of a second and a half nothing is ten seconds old."""
    leak, cache = site_of(records, LEAKS["linear"]), site_of(records, CALM["ttl-3s"])
    complaints = [] if leak["survival_10s"] and leak["survival_10s"] > 0.9 else [f"{leak}"]
    return complaints + ([f"{cache}"] if cache["survival_10s"] else [])


def test_processes(pids, records):
    """As their sites are."""
    complaints = []
    for name, pid in pids.items():
        process = next(r for r in records if r["type"] == "process" and r["pid"] == pid)
        leaks = any(
            r["type"] == "site" and r["pid"] == pid and r["verdict"] == "leak" for r in records
        )
        if (process["verdict"] == "leak") != leaks:
            complaints.append(f"{name}: {process['verdict']}, {process['evidence']}")
    return complaints


def test_replay(capture, records):
    code, out, err = run_seep("report", capture, "--format", "ndjson")
    again = last_report([json.loads(line) for line in out.splitlines()])
    figures = ("verdict", "evidence", "confidence", "growth_bytes_per_second")
    seen, now = ({(r["type"], r["pid"], r.get("site")): [r[f] for f in figures] for r in of} for of in (records, again))
    text = run_seep("report", capture)[1]
    complaints = [f"exit code {code}: {err}"] if code else []
    complaints += ["other verdicts than at the time"] if seen != now else []
    return complaints + (["no evidence in the text"] if "is still there" not in text else [])


def main():
    tap = start_tap()
    with tempfile.TemporaryDirectory(prefix="seep-verdicts-") as folder:
        capture = f"{folder}/zoo.seep"
        state = {}

        def begin():
            state["pids"], state["records"] = trace(capture)

        tap.run("programs of the zoo are traced", begin)
        pids, records = state.get("pids", {}), state.get("records", [])
        if records:
            tap.run("what leaks is called a leak", test_leaks, records)
            tap.run("nothing else is", test_no_false_leaks, records)
            tap.run("leaks come with evidence", test_evidence, records)
            tap.run("ages tell a leak from a cache", test_ages, records)
            tap.run("processes are what their sites are", test_processes, pids, records)
            tap.run("a capture has the verdicts", test_replay, capture, records)
    tap.end()


main()

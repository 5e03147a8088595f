#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Memory that grows though malloc's blocks do not (tests/targets/memory_outside.c): holes in malloc's heap, stacks of threads, code made at
run time, mappings and the page cache of the cgroup are told apart by seep trace, and by seep triage.
"""

import json
import subprocess
import time

from lib import Failure, Program, Seep, run_seep, start_tap, target_path
from test_oom import LIMIT_BYTES, limited_cgroup

# Of each: the verdict and a part of its evidence, which says what to look at next.
WANTED = {
    "holes": ("fragmentation", "the unused part of malloc's heap grew"),
    "threads": ("leak", "most of it is stacks of threads"),
    "code": ("outside-malloc", "most of it is code made at run time"),
    "mapped": ("outside-malloc", "--mmap or --growth show whose it is"),
}
SECONDS = 200


class Outside(Program):
    def __init__(self, how):
        super().__init__([target_path("memory_outside"), how], stdout=subprocess.PIPE)
        if b"ready" not in self.process.stdout.readline():
            raise Failure(f"{how} is not ready")

    def __exit__(self, *exception):
        self.process.kill()
        super().__exit__(*exception)


def newest(seep):
    """{pid: record} of the last whole report."""
    lines = seep.stdout().splitlines()
    records = [json.loads(line) for line in lines if line.endswith("}") and '"process"' in line[:20]]
    return {r["pid"]: r for r in records if r["type"] == "process"}


def wrong(targets, records):
    complaints = []
    for how, (verdict, part) in WANTED.items():
        r = records.get(targets[how].pid, {"verdict": "none", "evidence": None})
        if r["verdict"] != verdict or part not in (r["evidence"] or ""):
            complaints.append(f"{how}: {r['verdict']}, {r['evidence']}")
    return complaints


def traced():
    """Each is called what it is, some time; what writes a file only does not grow."""
    with Outside("holes") as holes, Outside("threads") as threads, Outside("code") as code:
        with Outside("mapped") as mapped, Outside("files") as files:
            targets = {
                "holes": holes, "threads": threads, "code": code, "mapped": mapped, "files": files,
            }
            pids = ",".join(str(t.pid) for t in targets.values())
            with Seep("trace", "-p", pids, "--format", "ndjson", "3") as seep:
                seep.wait_attached()
                deadline = time.monotonic() + SECONDS
                complaints = ["no report"]
                while complaints and time.monotonic() < deadline:
                    time.sleep(1)
                    complaints = wrong(targets, newest(seep))
                code = seep.interrupt()
                records = seep.records()
    if code:
        complaints.append(f"exit code {code}")
    said = {r["verdict"] for r in records if r["type"] == "process" and r["pid"] == files.pid}
    if said & {"leak", "growing", "fragmentation", "outside-malloc"}:
        complaints.append(f"files: {said}")
    final = {r["pid"]: r["memory"] for r in records if r["type"] == "process" and r["final"]}
    return complaints + parts(targets, final)


def parts(targets, final):
    """What the resident memory is made of names them, too."""
    complaints = []
    for how, field in (("threads", "thread_stack_bytes"), ("code", "executable_bytes")):
        memory = final[targets[how].pid]
        if memory[field] < 0.6 * memory["anonymous_bytes"]:
            complaints.append(f"{how}: {memory}")
    if final[targets["threads"].pid]["n_threads"] < 20:
        complaints.append(f"threads: {final[targets['threads'].pid]}")
    return complaints


def triaged(seep):
    """It began before the trace, so that both wait at once."""
    code, out, err = seep.wait(SECONDS), seep.stdout(), seep.stderr()
    last = out.split("] triage after ")[-1]
    complaints = [] if code == 0 else [f"exit code {code}: {err}"]
    if "verdict      fragmentation, " not in last or WANTED["holes"][1] not in last:
        complaints.append(last)
    return complaints


def page_cache():
    with limited_cgroup() as folder:
        with Outside("files") as files:
            (folder / "cgroup.procs").write_text(str(files.pid))
            options = ["-p", files.pid, "--for", "9s", "--no-evidence"]
            code, out, err = run_seep("triage", *options)
            json_code, json_out, _ = run_seep("triage", *options, "--json")
    complaints = [] if code == json_code == 0 else [f"exit codes {code}, {json_code}: {err}"]
    if "page cache, " not in out or "files, which give way when room is needed" not in out:
        complaints.append(out)
    last = [r for r in map(json.loads, json_out.splitlines()) if r["type"] == "triage"][-1]
    if not 1 << 20 < last["cgroup_cache_bytes"] <= last["cgroup_bytes"] <= LIMIT_BYTES:
        complaints.append(f"{last}")
    return complaints


if __name__ == "__main__":
    tap = start_tap()
    with Outside("holes") as holes:
        options = ("-p", str(holes.pid), "--for", "75s", "--budget", "0", "--no-evidence")
        with Seep("triage", *options) as seep:
            tap.run("seep trace tells them apart", traced)
            tap.run("seep triage names fragmentation", triaged, seep)
    tap.run("page cache of the cgroup", page_cache)
    tap.end()

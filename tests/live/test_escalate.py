#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`seep trace` without a target: whoever grows is traced for a while, and then left alone. Only among this test's own processes,
which have a name of their own.
"""

import json
import pathlib
import shutil
import subprocess
import tempfile

from lib import SECONDS, Failure, Program, Seep, start_tap, target_path, wait_until

NAME = "seep-escalate"
RATE = 4_000_000
FOR_SECONDS = 6
PATIENCE = 4 * SECONDS  # until the watch is sure enough


def load(program, mode):
    process = Program(
        [program, mode, str(RATE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if process.process.stdout.readline() != "ready\n":
        raise Failure("the load is not ready")
    return process


def own(seep, kind, pid):
    return [r for r in seep.complete_records() if r["type"] == kind and r.get("pid") == pid]


class Watching(Seep):
    def complete_records(self):
        """Without the line that is just being written."""
        lines = self.stdout().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]


def escalation():
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, NAME)
        shutil.copy(target_path("watch_load"), program)
        with load(program, "leak") as leak, load(program, "flat") as flat:
            with Watching(
                "trace", "--escalate", "--growth", "--comm", NAME, "--format", "ndjson",
                "--escalate-for", f"{FOR_SECONDS}s", "2",
            ) as seep:  # fmt: skip
                wait_until("a site of the leak", lambda: own(seep, "site", leak.pid), PATIENCE)
                wait_until(
                    "the end of its trace",
                    lambda: any(r.get("ended") == "released" for r in own(seep, "process", leak.pid)),
                    PATIENCE,
                )
                code = seep.interrupt()
                sites = own(seep, "site", leak.pid)
                of_flat = own(seep, "site", flat.pid)
                hosts = [r for r in seep.records() if r["type"] == "host"]
                said = seep.stderr()
    complaints = [f"exit code {code}: {said}"] if code else []
    last = max((s for s in sites if s["kind"] == "fault"), key=lambda s: s["outstanding_bytes"])
    if last["outstanding_bytes"] < RATE:
        complaints.append(f"{last['outstanding_bytes']} B of a leak of {RATE} B/s")
    if of_flat:
        complaints.append("one that does not grow was traced")
    if not hosts or not hosts[-1]["processes"]:
        complaints.append("no host record")
    if f"({NAME}) grows by" not in said:
        complaints.append(f"it said: {said}")
    return complaints


def refused():
    complaints = []
    for arguments in (["--escalate", "--all"], ["--escalate", "-p", "1"]):
        with Seep("trace", *arguments) as seep:
            if seep.wait() != 2:
                complaints.append(f"{arguments}: exit code {seep.wait()}")
    return complaints


def main():
    tap = start_tap()
    tap.run("who grows is traced for a while", escalation)
    tap.run("named targets are not watched first", refused)
    tap.end()


if __name__ == "__main__":
    main()

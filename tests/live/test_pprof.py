#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""--format pprof: of a traced server and of its capture, read by a decoder of our own and by go
tool pprof; to a terminal, and to a reader that went away.
"""

import json
import os
import pathlib
import pty
import shutil
import subprocess
import tempfile

from lib import SEEP, Failure, Program, Skip, run_seep, start_tap, target_path
from pprof import Profile

LEAK = "session_parse_cookie"
GO = shutil.which("go") or shutil.which("/usr/lib/go-1.19/bin/go")


def trace(folder):
    """A profile, and a capture of the same trace."""
    folder = pathlib.Path(folder)
    server = [target_path("leaky_server"), "--self-load", "500"]
    with Program(server, stdout=subprocess.PIPE) as program:
        program.process.stdout.readline()
        code, _, err = run_seep(
            "trace", "--format", "pprof", "--output", folder / "heap", "-w", folder / "capture",
            "-p", program.pid, "2", "2",
        )  # fmt: skip
    if code:
        raise Failure(f"exit code {code}: {err}")
    return folder / "heap", folder / "capture"


def records(capture):
    _, out, _ = run_seep("report", "--format", "ndjson", capture)
    return [json.loads(line) for line in out.splitlines()]


def sums(profile):
    return [sum(column) for column in zip(*(s.values for s in profile.samples))]


def same_figures():
    with tempfile.TemporaryDirectory() as folder:
        heap, capture = trace(folder)
        profile = Profile(heap.read_bytes())
        process = [r for r in records(capture) if r["type"] == "process" and r["final"]][-1]
        again = subprocess.run(
            [SEEP, "report", "--format", "pprof", "-T", "1", capture], stdout=subprocess.PIPE
        )
    figures = ("allocations", "allocated_bytes", "outstanding_allocations", "outstanding_bytes")
    want = [process[figure] for figure in figures]
    complaints = []
    if sums(profile) != want:
        complaints.append(f"sums {sums(profile)}, not {want}")
    leaks = [s for s in profile.samples if LEAK in s.functions]
    if not leaks or leaks[0].labels.get("pid") != process["pid"]:
        complaints.append(f"no {LEAK} of {process['pid']}: {profile.samples[:3]}")
    elif leaks[0].functions[-1] not in ("_start", "clone3", "__clone3"):
        complaints.append(f"no root at the end of {leaks[0].functions}")
    short = Profile(again.stdout)
    if len(short.samples) != 2 or short.samples[1].functions != ["[other]"]:
        complaints.append(f"-T 1: {short.samples}")
    if sums(short) != want:
        complaints.append(f"-T 1: sums {sums(short)}, not {want}")
    return complaints


def go_reads_it():
    if not GO:
        raise Skip("no go here (Debian: golang-go)")
    with tempfile.TemporaryDirectory() as folder:
        heap, _ = trace(folder)
        environment = {**os.environ, "HOME": folder}
        complaints = []
        for options in (["-top"], ["-tags"], ["-traces"], ["-proto"], ["-top", "-diff_base", heap]):
            run = subprocess.run(
                [GO, "tool", "pprof", "-symbolize=none", *options, heap],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=environment,
            )  # fmt: skip
            text = run.stdout.decode(errors="replace")
            if run.returncode:
                complaints.append(f"{options}: {run.stderr.decode()}")
            if options in (["-top"], ["-traces"]) and LEAK not in text:
                complaints.append(f"{options}: no {LEAK} in {text}")
            if options == ["-top"] and "Type: inuse_space" not in text:
                complaints.append(f"-top: {text}")
    return complaints


def not_for_terminals():
    with tempfile.TemporaryDirectory() as folder:
        _, capture = trace(folder)
        master, slave = pty.openpty()
        run = subprocess.run(
            [SEEP, "report", "--format", "pprof", capture], stdout=slave, stderr=subprocess.PIPE
        )
        os.close(slave)
        os.close(master)
        reader, writer = os.pipe()
        os.close(reader)
        left = subprocess.run(
            [SEEP, "report", "--format", "pprof", capture], stdout=writer, stderr=subprocess.PIPE
        )
        os.close(writer)
    complaints = []
    if run.returncode != 2 or b"--output" not in run.stderr:
        complaints.append(f"a terminal: {run.returncode}: {run.stderr}")
    if left.returncode != 1 or left.stderr:
        complaints.append(f"no reader: {left.returncode}: {left.stderr}")
    return complaints


if __name__ == "__main__":
    tap = start_tap()
    tap.run("figures and stacks are those of the report", same_figures)
    tap.run("go tool pprof reads it", go_reads_it)
    tap.run("not for terminals", not_for_terminals)
    tap.end()

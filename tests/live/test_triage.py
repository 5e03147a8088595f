#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep triage of a server that leaks, of a process that does not, of one without allocation functions, of one that ends meanwhile; its
evidence, its forms, and what it refuses.
"""

import json
import os
import pathlib
import pty
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time

from lib import SEEP, Failure, Program, Seep, Target, run_seep, start_tap, target_path, wait_until

LEAK = "session_parse_cookie"


class Server(Program):
    """The leaking server, under its own load."""

    def __init__(self):
        super().__init__(
            [target_path("leaky_server"), "--self-load", "500"], stdout=subprocess.PIPE
        )
        if not self.process.stdout.readline().startswith(b"port"):
            raise Failure("the server is not ready")


def triage(folder, *options):
    code, out, err = run_seep("triage", "--evidence", folder, *options)
    return code, out, err


def leaks():
    """Verdict, stack and proof, on the screen and in the folder."""
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        code, out, err = triage(folder, "-p", server.pid, "--for", "20s", "--budget", "0")
        folders = list(pathlib.Path(folder).iterdir())
        complaints = [] if code == 0 else [f"exit code {code}: {err}"]
        if len(folders) != 1 or stat.S_IMODE(folders[0].stat().st_mode) != 0o700:
            return [*complaints, f"in the evidence's folder: {folders}"]
        files = {f.name: f for f in folders[0].iterdir()}
        if set(files) != {"report.txt", "capture.seep", "stacks.folded", "heap.pprof"}:
            return [*complaints, f"files {set(files)}"]
        first, last = out.split("] triage after ")
        if "first look" not in first or LEAK not in first:
            complaints.append(f"first look: {first}")
        if len(last.splitlines()) > 55:
            complaints.append(f"more than a screen: {last}")
        for part in ("verdict      leak, ", f"        {LEAK} ", "unreachable", "made of", str(folders[0])):
            if part not in last:
                complaints.append(f"no {part} in {last}")
        if LEAK not in files["stacks.folded"].read_text():
            complaints.append(files["stacks.folded"].read_text())
        text = files["report.txt"].read_text()
        if "verdict      leak, " not in text or LEAK not in text:
            complaints.append(text)
        code, again, err = run_seep("report", files["capture.seep"])
        if code or LEAK not in again:
            complaints.append(f"the capture: {code}: {err}{again}")
    return complaints


KEEPER = """
import ctypes, time
malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
kept = (ctypes.c_void_p * 1000000)()
for i in range(len(kept)):
    kept[i] = malloc(700)
    time.sleep(0.002)
"""


def keeps():
    """What grows and is all within reach is no leak, though nothing of it is ever freed; a server so idle is seen whole."""
    with Program([sys.executable, "-c", KEEPER]) as program, tempfile.TemporaryDirectory() as folder:
        time.sleep(1)
        code, out, err = triage(folder, "-p", program.pid, "--for", "12s", "--json")
        program.process.kill()
    records = [json.loads(line) for line in out.splitlines()]
    look = [r for r in records if r["type"] == "triage"][-1]
    process = [r for r in records if r["type"] == "process"][-1]
    complaints = [] if code == 0 else [f"exit code {code}: {err}"]
    if look["verdict"] != "growing" or "all of it still in reach" not in look["evidence"]:
        complaints.append(f"{look}")
    if process["mode"] != "exact" or process["verdict"] != "growing":
        complaints.append(f"{process}")
    return complaints


def records_of(pid, *options):
    with tempfile.TemporaryDirectory() as folder:
        code, out, err = triage(folder, "-p", pid, "--json", *options)
    if code:
        raise Failure(f"exit code {code}: {err}")
    return [json.loads(line) for line in out.splitlines()]


def does_not_leak():
    with Target("zoo_heap") as target:
        records = records_of(target.pid, "--for", "9s")
    looks = [r for r in records if r["type"] == "triage"]
    complaints = []
    if [r["final"] for r in looks] != [False, True]:
        complaints.append(f"looks {looks}")
    if looks[-1]["verdict"] in ("leak", "growing", "outside-malloc"):
        complaints.append(f"verdict {looks[-1]}")
    if looks[-1]["unreachable_blocks"] != 0 or looks[-1]["rss_bytes"] <= 0:
        complaints.append(f"{looks[-1]}")
    return complaints


def without_functions():
    """A static program without symbols is followed by its pages."""
    with tempfile.TemporaryDirectory() as folder:
        with Program(
            ["busybox", "sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as program:
            code, out, err = triage(folder, "-p", program.pid, "--for", "2s")
    complaints = [] if code == 0 else [f"exit code {code}: {err}"]
    if "no allocation functions" not in err or "not known" not in out:
        complaints.append(f"{err}{out}")
    return complaints


def ends_meanwhile():
    """What was seen of it is kept."""
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        with Seep("triage", "-p", server.pid, "--evidence", folder, "--for", "10m") as seep:
            wait_until("first look", lambda: "first look after" in seep.stdout())
            server.process.send_signal(signal.SIGTERM)
            code = seep.wait(60)
            out, err = seep.stdout(), seep.stderr()
    complaints = [] if code == 0 else [f"exit code {code}: {err}"]
    if "it has ended meanwhile" not in out or "ended before it could be scanned" not in out:
        complaints.append(out)
    return complaints


def interrupted():
    """On to the scan and the verdict, at once."""
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        with Seep("triage", "-p", server.pid, "--evidence", folder, "--for", "10m") as seep:
            wait_until("first look", lambda: "first look after" in seep.stdout())
            time.sleep(1)
            code = seep.interrupt()
            out, err = seep.stdout(), seep.stderr()
    complaints = [] if code == 0 else [f"exit code {code}: {err}"]
    if "] triage after" not in out or "nothing in the program points to them" not in out:
        complaints.append(out)
    return complaints


def by_name():
    """Of those that match, the one that grows."""
    with Server() as server, Target("zoo_heap"):
        with tempfile.TemporaryDirectory() as folder:
            code, out, err = triage(folder, "--comm", "leaky_*", "--for", "2s", "--no-evidence")
            left = os.listdir(folder)
    complaints = [] if code == 0 and not left else [f"exit code {code}: {err}, {left}"]
    if f"process {server.pid} leaky_server" not in out or "evidence  " in out:
        complaints.append(out)
    return complaints


def refused():
    complaints = []
    for arguments, code, part in (
        (["-p", "4194303"], 1, "no process"),
        (["--comm", "no-such-name-*"], 1, "no process matches"),
        (["-p", str(os.getpid()), "--evidence", "/nonexistent"], 1, "no folder for the evidence"),
        (["-p", "1", "--comm", "x"], 2, "one process at a time"),
    ):
        got, out, err = run_seep("triage", "--for", "1s", *arguments)
        if got != code or part not in err:
            complaints.append(f"{arguments}: exit code {got}: {err}{out}")
    return complaints


KEEPS = """
kept = []
while True:
    for i in range(2000):
        block = bytearray(700 + i)
    kept.append(block)
"""


def seen_in_part():
    """What a budget left out is neither judged nor called reachable, and time would not help."""
    with Program([sys.executable, "-c", KEEPS]) as program:
        time.sleep(1)
        records = records_of(program.pid, "--for", "9s", "--budget", "1")
        code, out, err = run_seep(
            "triage", "-p", program.pid, "--for", "9s", "--budget", "1", "--no-evidence"
        )
        program.process.kill()
    look = [r for r in records if r["type"] == "triage"][-1]
    last = out.split("] triage after ")[-1]
    complaints = [] if code == 0 else [f"exit code {code}: {err}"]
    if look["verdict"] == "outside-malloc" or "in part" not in look["evidence"]:
        complaints.append(f"{look['verdict']}: {look['evidence']}")
    if "look longer" in last or " recorded block" not in last:
        complaints.append(last)
    return complaints


def counts_down():
    """On a terminal: what is left until the verdict, each second once. Nobody reads it before the end."""
    with Server() as server:
        master, slave = pty.openpty()
        seep = [SEEP, "triage", "-p", str(server.pid), "--for", "5s", "--no-evidence"]
        with Program(seep, stdout=subprocess.DEVNULL, stderr=slave) as program:
            code = program.wait()
        os.close(slave)
        text = b""
        try:
            while chunk := os.read(master, 65536):
                text += chunk
        except OSError:
            pass
        os.close(master)
    counts = [int(n) for n in re.findall(rb"tracing, (\d+) s to go", text)]
    complaints = [] if code == 0 else [f"exit code {code}"]
    if not counts or counts[0] < 4 or counts != sorted(counts, reverse=True):
        complaints.append(f"counts {counts}")
    if len(counts) > 2 * 6:
        complaints.append(f"written {len(counts)} times")
    return complaints


if __name__ == "__main__":
    tap = start_tap()
    tap.run("a server that leaks", leaks)
    tap.run("what does not leak", does_not_leak)
    tap.run("what is kept", keeps)
    tap.run("no allocation functions", without_functions)
    tap.run("the process ends meanwhile", ends_meanwhile)
    tap.run("interrupted", interrupted)
    tap.run("by name", by_name)
    tap.run("seen in part", seen_in_part)
    tap.run("counts down", counts_down)
    tap.run("refused", refused)
    tap.end()

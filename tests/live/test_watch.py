#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep watch on processes that we start, whose memory follows a known law (tests/targets/watch_load.c): who is suspected, of which
rate, and what the command does when it is interrupted, left alone or misused. Other processes of the host are seen, and not judged.
"""

import contextlib
import fcntl
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import termios

from lib import SEEP, Failure, Program, Seep, run_seep, start_tap, target_path

# A suspicion takes two to three minutes, which is long for a test: a shorter one asks only who grows. That is said after 70 s of an
# even leak; a loaded machine has 20 s more.
WATCH_SECONDS = int(os.environ.get("SEEP_WATCH_SECONDS", "90"))
SUSPECT_SECONDS = 200
# For a table as in the README: SEEP_WATCH_LOADS=200 SEEP_WATCH_SECONDS=620, which takes 18 GB.
N_LOADS = int(os.environ.get("SEEP_WATCH_LOADS", "0"))
HINT = 0.5  # confidence that a leak has by then
FAST = 100_000  # bytes per second, from which on a leak must be found in that time
RATE_RATIO = 0.3
LOADS = [
    *(("leak", rate) for rate in (120_000, 150_000, 200_000, 300_000, 500_000, 800_000, 1_500_000)),
    *(("leak", rate) for rate in (3_000, 10_000, 30_000)),
    *(("saw", 1_000_000, period) for period in (1.5, 2, 3, 4, 5)),
    *(("churn", 2_000_000, period) for period in (0.5, 1, 2, 3, 4)),
    *(("warm", 1_000_000, period) for period in (2, 4, 6, 8)),
    *(("flat", size) for size in (100_000, 1_000_000, 5_000_000, 20_000_000, 40_000_000, 10_000)),
]
INNOCENT = ("saw", "churn", "flat")


def many_loads(n):
    """One in ten leaks, at rates from 1 KB/s to 10 MB/s; the others hold up to 30 MB, by all laws in turn."""
    random.seed(7)
    leaks = [("leak", round(1000 * 10_000 ** (i / max(n // 10 - 1, 1)))) for i in range(n // 10)]
    others = []
    while len(leaks) + len(others) < n:
        size, period = 10 ** random.uniform(4.5, 7.5), round(10 ** random.uniform(0.2, 1.9), 2)
        law = ("saw", "churn", "warm", "flat")[len(others) % 4]
        others.append((law, round(size), 1) if law == "flat" else (law, round(size / period), period))
    return leaks + others


if N_LOADS:
    LOADS = many_loads(N_LOADS)


class Load(Program):
    """A watch_load, ready; ends with its standard input."""

    def __init__(self, mode, rate, period=10):
        super().__init__(
            [target_path("watch_load"), mode, rate, period],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.mode, self.rate, self.name = mode, rate, f"{mode} {rate} {period}"
        if self.process.stdout.readline() != b"ready\n":
            raise Failure(f"{self.name} is not ready")


def of_type(records, kind):
    return [r for r in records if r["type"] == kind]


def judge_load(load, record):
    """Complaints about the last record of a load."""
    if not record:
        return [f"{load.name}: no record"]
    rate, sure, suspect = (
        record[key] for key in ("growth_bytes_per_second", "confidence", "suspect")
    )
    said = f"{load.name}: suspect {suspect}, {rate} B/s, {record['verdict']}, sure {sure}"
    if load.mode in INNOCENT and (suspect or record["verdict"] == "growing") and not N_LOADS:
        return [said]
    if load.mode != "leak" or load.rate < FAST:
        return []
    unsure = record["verdict"] != "growing" or sure < HINT
    if unsure or (WATCH_SECONDS >= SUSPECT_SECONDS and not suspect):
        return [said]
    return [said] if abs(rate - load.rate) > RATE_RATIO * load.rate else []


def print_scores(records, loads):
    """What a person would ask first, at each minute and at the end; slow leaks and warm-ups are in it, though nothing is asserted
    of them.
    """
    leaks = {load.pid for load in loads if load.mode == "leak"}
    all_pids = {load.pid for load in loads}
    reports, elapsed = {}, 0
    for r in records:
        if r["type"] == "host":
            elapsed = r["elapsed_seconds"]
        elif r["type"] == "process" and r["pid"] in all_pids:
            if elapsed // 60 > (elapsed - 5) // 60 or r["final"]:
                reports.setdefault(round(elapsed), []).append(r)
    print(f"# {len(loads)} processes, {len(leaks)} of them leak: recall and precision")
    for seconds, of_report in reports.items():
        line = f"# {seconds:4} s"
        for what, found in (
            ("suspects", {r["pid"] for r in of_report if r["suspect"]}),
            ("growing", {r["pid"] for r in of_report if r["verdict"] == "growing"}),
            (f"sure >= {HINT}", {r["pid"] for r in of_report if r["confidence"] >= HINT}),
        ):
            right = len(found & leaks)
            line += f"; {what} {right}/{len(leaks)}, {right}/{len(found)}"
        print(line, flush=True)


def judge_records(records, loads):
    kinds = [r["type"] for r in records]
    last = {r["pid"]: r for r in of_type(records, "process") if r["final"]}
    hosts = of_type(records, "host")
    complaints = [c for load in loads for c in judge_load(load, last.get(load.pid))]
    if kinds[0] != "session" or kinds[-1] != "end" or records[0]["mode"] != "watch":
        complaints.append(f"begins with {records[0]}, ends with {records[-1]}")
    if not hosts[-1]["final"] or any(h["final"] for h in hosts[:-1]):
        complaints.append("final is not that of the last report")
    if any(h["pass_cpu_seconds"] <= 0 or h["overhead_ratio"] <= 0 for h in hosts):
        complaints.append("watching costs nothing?")
    for load in loads:
        r = last.get(load.pid)
        if r and (r["comm"] != "watch_load" or not r["exe"].endswith("/watch_load")):
            complaints.append(f"{load.name}: comm {r['comm']}, exe {r['exe']}")
        if r and load.mode == "flat" and not load.rate <= r["anon_bytes"] <= load.rate + (1 << 20):
            complaints.append(f"{load.name}: {r['anon_bytes']} anonymous bytes")
    print_scores(records, loads)
    return complaints


def one_process(load):
    """-p shows that process alone, whether it grows or not."""
    code, out, err = run_seep("watch", "-p", str(load.pid), "--format", "ndjson", "0.2", "3")
    records = [json.loads(line) for line in out.splitlines()]
    pids = {r["pid"] for r in of_type(records, "process")}
    complaints = [f"exit code {code}: {err}"] if code else []
    if pids != {load.pid} or len(of_type(records, "host")) != 3:
        complaints.append(f"records of {pids}, {len(of_type(records, 'host'))} reports")
    return complaints


def selected(load):
    code, out, _ = run_seep(
        "watch", "-a", "--comm", "watch_lo*", "--exe", str(target_path("watch_load").resolve()),
        "--user", str(os.geteuid()), "--format", "ndjson", "0.2", "1",
    )  # fmt: skip
    records = of_type([json.loads(line) for line in out.splitlines()], "process")
    complaints = [f"exit code {code}"] if code else []
    if {r["comm"] for r in records} != {"watch_load"} or load.pid not in {r["pid"] for r in records}:
        complaints.append(f"{[(r['pid'], r['comm']) for r in records]}")
    return complaints


def target_ends():
    """seep ends with the process that it was asked for."""
    with Load("flat", 10_000) as load:
        with Seep("watch", "-p", str(load.pid), "--format", "ndjson", "3600") as seep:
            seep.wait_attached()
            load.process.stdin.close()
            load.wait()
            code, records = seep.wait(), seep.records()
    complaints = [f"exit code {code}"] if code else []
    if records[-1].get("why") != "the target ended":
        complaints.append(str(records[-1]))
    return complaints


def interrupted(signal_number, why):
    with Seep("watch", "--format", "ndjson", "3600") as seep:
        seep.wait_attached()
        seep.process.send_signal(signal_number)
        code, records = seep.wait(), seep.records()
    hosts = of_type(records, "host")
    complaints = [f"exit code {code}"] if code else []
    if len(hosts) != 1 or not hosts[0]["final"] or records[-1].get("why") != why:
        complaints.append(f"{hosts}, {records[-1]}")
    return complaints


def reader_leaves():
    """As the other commands: exit code 1, no message, soon."""
    seep = subprocess.Popen(
        [SEEP, "watch", "-q", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    seep.stdout.readline()
    seep.stdout.close()
    try:
        code = seep.wait(30)
    except subprocess.TimeoutExpired:
        seep.kill()
        seep.wait()
        return ["goes on without a reader"]
    finally:
        message = seep.stderr.read()
        seep.stderr.close()
    return [] if code == 1 and not message else [f"exit code {code}: {message}"]


def at_terminal(columns, *arguments):
    """What it prints on a terminal so wide, without colours."""
    pid, terminal = pty.fork()
    if not pid:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.execve(SEEP, ["seep", "watch", *arguments], {"LANG": "C.UTF-8"})
    text = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while chunk := os.read(terminal, 65536):
            text += chunk
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).splitlines()


def fits(columns, load):
    code, lines = at_terminal(columns, "-a", "-T", "0", "0.5", "2")
    long = [line for line in lines if len(line) > columns and not line.startswith("Watching")]
    complaints = [f"exit code {code}"] if code else []
    complaints += [f"{len(line)} columns: {line}" for line in long]
    if not any(re.match(rf" *{load.pid} watch_load ", line) for line in lines):
        complaints.append(f"{load.pid} is not among {lines}")
    return complaints


USAGE = [
    (["watch", "0"], "INTERVAL"),
    (["watch", "1", "0"], "COUNT"),
    (["watch", "1", "1", "1"], "one word too many"),
    (["watch", "-p", "x"], "-p"),
    (["watch", "--sort", "colour"], "--sort"),
    (["watch", "--format", "folded"], "--format"),
    (["watch", "--user", "no-such-user-here"], "no such user"),
    (["watch", "--container", ""], "--container"),
    (["watch", "--cgroups", "-p", "1"], "--cgroups"),
    (["watch", "-v", "-q"], "exclude"),
]


def misused():
    complaints = []
    for arguments, fragment in USAGE:
        code, out, err = run_seep(*arguments)
        if code != 2 or fragment not in err or out:
            complaints.append(f"seep {' '.join(arguments)}: exit code {code}: {err}{out}")
    return complaints


def no_such_pid():
    code, out, err = run_seep("watch", "-p", "4194303", "1", "1")
    return [] if code == 1 and "no process has the pid" in err and not out else [f"{code}: {err}"]


def without_privileges():
    nobody = 65534
    with contextlib.ExitStack() as stack:
        seep = stack.enter_context(
            Program(
                ["setpriv", f"--reuid={nobody}", "--clear-groups", SEEP, "watch", "1", "1"],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        code, message = seep.wait(), seep.process.stderr.read().decode()
        seep.process.stderr.close()
    return [] if code == 3 and "root" in message else [f"exit code {code}: {message}"]


def small_tests(tap, load):
    tap.run("one process", lambda: one_process(load))
    tap.run("by name, executable and user", lambda: selected(load))
    tap.run("the target ends", target_ends)
    tap.run("SIGINT", lambda: interrupted(signal.SIGINT, "interrupted"))
    tap.run("SIGTERM", lambda: interrupted(signal.SIGTERM, "terminated"))
    tap.run("the reader leaves", reader_leaves)
    tap.run("fits 80 columns", lambda: fits(80, load))
    tap.run("fits 200 columns", lambda: fits(200, load))
    tap.run("misused", misused)
    tap.run("no such pid", no_such_pid)
    tap.run("without privileges", without_privileges)


def watched(seep, loads):
    code = seep.wait(WATCH_SECONDS + 60)
    complaints = [f"exit code {code}: {seep.stderr()}"] if code else []
    return complaints + judge_records(seep.records(), loads)


def main():
    tap = start_tap()
    with contextlib.ExitStack() as stack:
        loads = [stack.enter_context(Load(*load)) for load in LOADS]
        seep = stack.enter_context(
            Seep("watch", "-a", "--format", "ndjson", "--for", f"{WATCH_SECONDS}s", "5")
        )
        small_tests(tap, loads[0])
        tap.run("who leaks, how fast, and who does not", lambda: watched(seep, loads))
    tap.end()


if __name__ == "__main__":
    main()

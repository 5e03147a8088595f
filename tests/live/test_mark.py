#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Marks: what a trace says has changed since a mark, and what seep diff says lies between two of
its capture, equals the program's own counters; several traces are told apart; whoever talks to
the socket, and however a trace ends, neither the trace nor the next mark is disturbed.
"""

import array
import fcntl
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import tempfile
import termios

from lib import SEEP, Failure, Program, Seep, Skip, Target, run_seep, start_tap, wait_until

NOBODY = 65534


class Place:
    """A directory for sockets, of this test alone."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="seep-mark-")
        self.run = pathlib.Path(self.folder.name, "run")
        self.env = {**os.environ, "SEEP_RUN_DIR": str(self.run)}
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def path(self, name):
        return str(pathlib.Path(self.folder.name, name))

    def trace(self, *arguments):
        return Seep("trace", "--format", "ndjson", *arguments, env=self.env)

    def mark(self, *arguments):
        """Returns (exit code, stdout, stderr)."""
        return run_seep("mark", *arguments, env=self.env)

    def set(self, *arguments):
        code, out, err = self.mark(*arguments)
        if code:
            raise Failure(f"mark {arguments}: exit code {code}: {err}")
        return out

    def sockets(self):
        return sorted(p.name for p in self.run.iterdir()) if self.run.exists() else []

    def wait_listening(self, seep):
        seep.wait_attached()
        wait_until("socket", lambda: f"trace-{seep.pid}.sock" in self.sockets())


class Worker(Target):
    """Goes through stacks when told to, and keeps some blocks of each batch."""

    def __init__(self, batch=500):
        super().__init__("evict_stacks", "--batch", str(batch))
        self.tell("go")

    def work(self):
        self.tell("more")
        return self.counters()

    def counters(self):
        c = json.loads(self.read_line())
        return {
            "outstanding_bytes": c["allocated_bytes"] - c["freed_bytes"],
            "outstanding_allocations": c["allocations"] - c["frees"],
            "allocations": c["allocations"],
        }


def since(record):
    return {
        f: record[f"since_mark_{f}"]
        for f in ("outstanding_bytes", "outstanding_allocations", "allocations")
    }


def difference(a, b):
    return {f: b[f] - a[f] for f in a}


def reports(records):
    """[(process record, its sites)] of a trace of one process."""
    found = []
    for r in records:
        if r["type"] == "process":
            found.append((r, []))
        elif r["type"] == "site":
            found[-1][1].append(r)
    return found


def check_report(what, report, name, want):
    process, sites = report
    complaints = []
    if (process["mark"] or {}).get("name") != name:
        complaints.append(f"{what}: mark {process['mark']}, not {name}")
    if since(process) != want:
        complaints.append(f"{what}: {since(process)} since {name}, the program says {want}")
    for figure in want:
        of_sites = sum(s[f"since_mark_{figure}"] for s in sites)
        if of_sites != want[figure]:
            complaints.append(f"{what}: {figure} since {name} of all sites is {of_sites}")
    return complaints


def between_marks(place, capture, a, b, want):
    code, out, err = run_seep("diff", "--from", a, "--to", b, "--format", "ndjson", capture)
    if code:
        return [f"diff: exit code {code}: {err}"]
    head, *rows = [json.loads(line) for line in out.splitlines()]
    have = {
        "outstanding_bytes": sum(r["bytes"] for r in rows),
        "outstanding_allocations": sum(r["allocations"] for r in rows),
    }
    complaints = []
    if (head["before"]["mark"], head["after"]["mark"]) != (a, b):
        complaints.append(f"diff is of {head['before']['mark']} and {head['after']['mark']}")
    for figure, value in have.items():
        if value != want[figure]:
            complaints.append(f"diff from {a} to {b}: {figure} {value}, the program {want[figure]}")
    if not any(r["change"] == "new" for r in rows):
        complaints.append(f"diff from {a} to {b}: nothing is new")
    return complaints


def figures():
    """The program rests between its batches, so figures are exact."""
    with Place() as place, Worker() as target:
        capture = place.path("c.seep")
        with place.trace("-p", target.pid, "-w", capture, "3600") as seep:
            place.wait_listening(seep)
            first = target.work()
            place.set("first")
            second = target.work()
            place.set("second")
            third = target.work()
            code = seep.interrupt()
            found, records = reports(seep.records()), seep.records()
        if code or len(found) != 3:
            raise Failure(f"exit code {code}, {len(found)} reports, not 3: {seep.stderr()}")
        nothing = dict.fromkeys(first, 0)
        complaints = check_report("first mark", found[0], "first", nothing)
        complaints += check_report("second mark", found[1], "second", nothing)
        complaints += check_report("the end", found[2], "second", difference(second, third))
        names = [(r["name"], r["sequence"]) for r in records if r["type"] == "mark"]
        if names != [("first", 1), ("second", 2)]:
            complaints.append(f"mark records {names}")
        complaints += between_marks(
            place, capture, "first", "second", difference(first, second)
        )
        code, out, err = run_seep("report", "--mark", "first", "--format", "ndjson", capture)
        shown = [json.loads(line) for line in out.splitlines()]
        if code or [r["sequence"] for r in shown if r["type"] == "process"] != [1]:
            complaints.append(f"report --mark: exit code {code}, {err}")
        if place.sockets():
            complaints.append(f"left behind: {place.sockets()}")
    return complaints


def in_text():
    with Place() as place, Worker() as target:
        with Seep("trace", "-p", target.pid, "3600", env=place.env) as seep:
            wait_until("socket", place.sockets)
            place.set("warm")
            target.work()
            seep.interrupt()
            text = seep.stdout()
    wanted = (": mark warm\n", "  since mark   +", " since warm\n", "        since warm: +")
    return [f"no {w!r} in: {text[:3000]}" for w in wanted if w not in text]


def names():
    """One of them twice; others that are none."""
    with Place() as place, Worker() as target:
        code, _, err = place.mark("early")
        complaints = [] if code == 1 and "is running" in err else [f"none runs: {code} {err}"]
        with place.trace("-p", target.pid, "3600") as seep:
            place.wait_listening(seep)
            place.set("twice")
            code, _, err = place.mark("twice")
            if code != 1 or "already" not in err:
                complaints.append(f"the same name again: {code} {err}")
            for name in ("start", "a b", "-x", "", "x" * 65):
                code, _, err = place.mark("--", name)
                if code != 2:
                    complaints.append(f"{name!r}: exit code {code}, {err}")
            place.set("x" * 64)
            code = seep.interrupt()
    return complaints + ([] if code == 0 else [f"exit code {code}"])


def several():
    with Place() as place, Worker() as one, Worker() as two:
        with place.trace("-p", one.pid, "3600") as a, place.trace("-p", two.pid, "3600") as b:
            place.wait_listening(a)
            place.wait_listening(b)
            code, out, err = place.mark("any")
            complaints = []
            if code != 2 or out or any(
                w not in err
                for w in (f"--trace {a.pid}", f"--trace {b.pid}", f"pid {one.pid}", f"pid {two.pid}")
            ):
                complaints.append(f"two traces: exit code {code}, {out} {err}")
            place.set("-p", one.pid, "by-process")
            place.set("--trace", b.pid, "by-trace")
            for arguments in (("-p", os.getpid()), ("--trace", os.getpid())):
                code, _, err = place.mark(*arguments, "x")
                if code != 1 or f"--trace {a.pid}" not in err and arguments[0] == "-p":
                    complaints.append(f"{arguments}: exit code {code}, {err}")
            codes = a.interrupt(), b.interrupt()
            marks = [
                [r["name"] for r in s.records() if r["type"] == "mark"] for s in (a, b)
            ]
    if codes != (0, 0) or marks != [["by-process"], ["by-trace"]]:
        complaints.append(f"exit codes {codes}, marks {marks}")
    return complaints


def connect(place, seep):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    wait_until("room in the queue", lambda: connected(s, place.run / f"trace-{seep.pid}.sock"))
    return s


def connected(s, path):
    try:
        s.connect(str(path))
    except BlockingIOError:
        return False
    return True


def refused(bytes_sent, place, seep):
    """What a client gets that sends this."""
    with connect(place, seep) as s:
        try:
            s.sendall(bytes_sent)
            return s.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            return b""


def bad_clients():
    with Place() as place, Worker() as target:
        with place.trace("-p", target.pid, "3600") as seep:
            place.wait_listening(seep)
            complaints = []
            for sent in (b"mark\n", b"mark a b\n", b"who 0\n", b"GET / HTTP/1.1\r\n\r\n", b"\0\n",
                         b"\xff\xfe\n", b"{}\n", b"mark a\0\n"):  # fmt: skip
                answer = refused(sent, place, seep)
                if json.loads(answer or b"{}").get("ok") is not False:
                    complaints.append(f"{sent}: {answer}")
            answer = refused(b"x" * (1 << 20), place, seep)
            if answer:
                complaints.append(f"a megabyte: {answer}")
            silent = [connect(place, seep) for _ in range(30)]
            half = connect(place, seep)
            half.sendall(b"mark ha")
            for _ in range(50):
                connect(place, seep).close()
            place.set("good")
            dropped = [s.recv(1) for s in silent]  # at the latest when their time is over
            if any(dropped):
                complaints.append(f"silent ones got {dropped}")
            half.close()
            for s in silent:
                s.close()
            code = seep.interrupt()
            marks = [r["name"] for r in seep.records() if r["type"] == "mark"]
    if code or marks != ["good"]:
        complaints.append(f"exit code {code}, marks {marks}: {seep.stderr()}")
    return complaints


def killed():
    """Its socket stays, and is removed by the next one who looks."""
    with Place() as place, Worker() as target:
        with place.trace("-p", target.pid, "3600") as seep:
            place.wait_listening(seep)
            mode = stat.S_IMODE(place.run.stat().st_mode)
            seep.process.kill()
            seep.wait()
        left = place.sockets()
        code, _, err = place.mark("late")
        complaints = [] if mode == 0o700 else [f"the directory's mode is {mode:o}"]
        if left != [f"trace-{seep.pid}.sock"] or place.sockets():
            complaints.append(f"after SIGKILL {left}, after a mark {place.sockets()}")
        if code != 1 or "is running" not in err:
            complaints.append(f"exit code {code}, {err}")
        with place.trace("-p", target.pid, "3600") as seep:
            place.wait_listening(seep)
            seep.process.send_signal(signal.SIGTERM)
            seep.wait()
            if place.sockets():
                complaints.append(f"after SIGTERM: {place.sockets()}")
    return complaints


def stopped():
    """A trace that does not answer is said to, and keeps nobody for ever."""
    with Place() as place, Worker() as target:
        with place.trace("-p", target.pid, "3600") as seep:
            place.wait_listening(seep)
            seep.process.send_signal(signal.SIGSTOP)
            try:
                code, _, err = place.mark("x")
            finally:
                seep.process.send_signal(signal.SIGCONT)
            place.set("y")
            seep.interrupt()
    return [] if code == 1 and "does not answer" in err else [f"exit code {code}, {err}"]


def unread():
    """While nobody reads the trace's report, a mark waits; then it is set."""
    with Place() as place, Worker(batch=2000) as target:
        arguments = [SEEP, "trace", "-p", target.pid, "--format", "ndjson", "1"]
        with Program(arguments, env=place.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as trace:
            wait_until("socket", place.sockets)
            target.work()
            wait_until("full pipe", lambda: is_full(trace.process.stdout.fileno()))
            with Program([SEEP, "mark", "late"], env=place.env, stdout=subprocess.PIPE) as mark:
                records = []
                for line in trace.process.stdout:
                    records.append(json.loads(line))
                    if records[-1]["type"] == "mark":
                        break
                said = mark.process.stdout.read()
                code = mark.wait()
            trace.process.send_signal(signal.SIGINT)
            trace.process.stdout.read()
            trace.wait()
    return [] if code == 0 and b"mark late set" in said else [f"exit code {code}, {said}"]


def is_full(pipe):
    """To within a page, which a writer of whole pages may leave."""
    waiting = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return waiting[0] > fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) - 4096


def open_directory():
    """One that others may use holds no socket: the trace says so, and goes on."""
    with Place() as place, Worker() as target:
        place.run.mkdir(mode=0o755)
        place.run.chmod(0o755)
        with place.trace("-p", target.pid, "3600") as seep:
            seep.wait_attached()
            wait_until("message", lambda: "will not find this trace" in seep.stderr())
            code, _, err = place.mark("x")
            trace_code = seep.interrupt()
    if (code, trace_code) != (1, 0) or "0700" not in err:
        return [f"exit codes {code} of the mark, {trace_code} of the trace: {err}"]
    return []


def other_user():
    if os.geteuid():
        raise Skip("only root can become somebody else")
    with Place() as place, Worker() as target:
        os.chmod(place.folder.name, 0o755)
        with place.trace("-p", target.pid, "3600") as seep:
            place.wait_listening(seep)
            try:
                code, out, err = run_seep("mark", "x", env=place.env, user=NOBODY, cwd="/")
            except PermissionError:
                raise Skip("seep lies where others may not go") from None
            seep.interrupt()
            marks = [r for r in seep.records() if r["type"] == "mark"]
    return [] if code == 1 and not marks else [f"exit code {code}, {out} {err}, {marks}"]


if __name__ == "__main__":
    tap = start_tap()
    tap.run("figures since a mark, and between two", figures)
    tap.run("in text", in_text)
    tap.run("names", names)
    tap.run("several traces", several)
    tap.run("clients that mean ill", bad_clients)
    tap.run("a killed trace's socket", killed)
    tap.run("a stopped trace", stopped)
    tap.run("a report that nobody reads", unread)
    tap.run("a directory that is not private", open_directory)
    tap.run("another user", other_user)
    tap.end()

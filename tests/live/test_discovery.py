#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Discovery: processes that begin while a report hangs - on a pipe that nobody reads, on a server
that does not answer - are found and probed all the same, as soon as ever, and lose nothing. And
seep ends when it is told to, whatever hangs. Programs have names of their own.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

from lib import SEEP, Final, Program, Skip, Target, judge, start_tap, target_path, wait_until

NAME = f"sd{os.getpid()}"  # a name has 15 characters
N_PROGRAMS = 3
PIPE_BYTES = 4096
BIG_FILE_BYTES = 16 << 20  # enough for its table to be made in the background
STALL_SECONDS = 4  # at least, so that half of it is long


@contextlib.contextmanager
def programs():
    """Copies of a program with a ledger, each a file that nobody has mapped."""
    with tempfile.TemporaryDirectory(prefix="seep-discovery-") as folder:
        paths = [pathlib.Path(folder, f"{NAME}-{i}") for i in range(1 + N_PROGRAMS)]
        for path in paths:
            # Names stay, lines would have to be fetched.
            command = ["strip", "--strip-debug", "-o", path, target_path("zoo_heap")]
            if subprocess.run(command, check=False).returncode:
                raise Skip("no strip")
        yield paths


class Piped(Program):
    """seep with its reports in a pipe, which is read when the test says so."""

    def __init__(self, *arguments, **environment):
        self.err = tempfile.NamedTemporaryFile(prefix="seep-err-")
        self.fd, end = os.pipe()
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        command = [SEEP, "trace", "--comm", f"{NAME}*", "--budget", "0", "-a", "--format", "ndjson"]
        super().__init__(
            [*command, *arguments],
            stdout=end,
            stderr=self.err.fileno(),
            env={**os.environ, **environment},
        )
        os.close(end)
        self.text = b""
        self.reader = threading.Thread(target=self.read_all, daemon=True)

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        super().__exit__(*exception)
        if self.reader.ident:
            self.reader.join()
        os.close(self.fd)
        self.err.close()

    def stderr(self):
        return pathlib.Path(self.err.name).read_text(errors="replace")

    def wait_traced(self, pid):
        wait_until(f"trace of {pid}", lambda: f"tracing process {pid} " in self.stderr(), 30)

    def n_unread(self):
        return struct.unpack("i", fcntl.ioctl(self.fd, termios.FIONREAD, b"\0" * 4))[0]

    def wait_stuck(self):
        """Returns how much waits to be read; it stays so while many reports are due."""

        def stuck():
            before = self.n_unread()
            time.sleep(1)
            return before if self.n_unread() == before else 0

        return wait_until("stall", stuck)

    def read_all(self):
        while chunk := os.read(self.fd, 1 << 20):
            self.text += chunk

    def finish(self):
        """Returns all records, and complaints about the exit."""
        if not self.reader.ident:
            self.reader.start()
        self.process.send_signal(signal.SIGINT)
        code = self.wait()
        self.reader.join()
        records = [json.loads(line) for line in self.text.splitlines()]
        return records, [] if code == 0 else [f"exit code {code}: {self.stderr()[-600:]}"]


class Silent:
    """A server for debug files that takes every connection and never answers."""

    def __init__(self):
        self.cache = tempfile.TemporaryDirectory(prefix="seep-discovery-")
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.connections = []
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.connections.append(self.socket.accept()[0])

    def environment(self):
        url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        return {"DEBUGINFOD_URLS": url, "DEBUGINFOD_CACHE_PATH": self.cache.name}

    def wait_asked(self):
        wait_until("connection", lambda: self.connections)

    def is_waited_for(self):
        """Whether the first one who asked is still there."""
        connection = self.connections[0]
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                if not connection.recv(4096):
                    return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()
        for connection in self.connections:
            connection.close()
        self.cache.cleanup()


def begin_more(seep, paths, stack):
    """Programs that begin now, and are traced before anything else happens."""
    targets = [stack.enter_context(Target(path)) for path in paths]
    for target in targets:
        seep.wait_traced(target.pid)
    return targets


def judged(ledgers, records, stall_seconds):
    complaints = [c for ledger in ledgers for c in judge(ledger, records)]
    for ledger in ledgers:
        late = Final(records, ledger["pid"]).process["seen_from_seconds"]
        if late > stall_seconds / 2:
            complaints.append(
                f"{ledger['pid']} is seen from {late} s on, the stall took {stall_seconds} s"
            )
    return complaints


def nobody_reads():
    with programs() as (first, *more), contextlib.ExitStack() as stack:
        seep = stack.enter_context(Piped("0.1"))
        target = stack.enter_context(Target(first))
        seep.wait_traced(target.pid)
        n_unread = seep.wait_stuck()
        began = time.monotonic()
        ledgers = [t.run()[-1] for t in begin_more(seep, more, stack)]
        time.sleep(max(0, STALL_SECONDS - (time.monotonic() - began)))
        stall_seconds = time.monotonic() - began
        stuck = seep.n_unread() == n_unread
        records, complaints = seep.finish()
    if not stuck:
        complaints.append("the report did not hang all the time: nothing is shown by this")
    return complaints + judged(ledgers, records, stall_seconds)


def nobody_answers():
    with programs() as (first, *more), contextlib.ExitStack() as stack:
        server = stack.enter_context(Silent())
        seep = stack.enter_context(Piped("0.1", **server.environment()))
        seep.reader.start()
        target = stack.enter_context(Target(first))
        seep.wait_traced(target.pid)
        target.run()
        server.wait_asked()
        targets = begin_more(seep, more, stack)
        if not server.is_waited_for():
            return ["they were found only after the server was given up"]
        ledgers = [t.run()[-1] for t in targets]
        records, complaints = seep.finish()
    return complaints + [c for ledger in ledgers for c in judge(ledger, records)]


def big_file():
    """Its table is made in the background; what is counted meanwhile has stacks that end early and
    say so, and what comes later has whole ones.
    """
    with programs() as (first, later, *_), contextlib.ExitStack() as stack:
        cache = stack.enter_context(tempfile.TemporaryDirectory(prefix="seep-discovery-"))
        for path in (first, later):
            os.truncate(path, BIG_FILE_BYTES)
        seep = stack.enter_context(Piped("10m", SEEP_CACHE_DIR=cache))
        seep.reader.start()
        target = stack.enter_context(Target(first))
        seep.wait_traced(target.pid)
        ledgers = [target.run()[-1]]
        wait_until("table on disk", lambda: is_cached(cache, first))
        target = stack.enter_context(Target(later))
        seep.wait_traced(target.pid)
        ledgers.append(target.run()[-1])
        records, complaints = seep.finish()
    truncated = Final(records, target.pid).process["truncated_stacks"]
    if truncated:
        complaints.append(f"truncated though the table was there: {truncated}")
    return complaints + [c for ledger in ledgers for c in judge(ledger, records)]


def is_cached(cache, path):
    """Whether the table of this program is in the cache, by its build-id."""
    text = subprocess.run(["readelf", "-n", path], capture_output=True, text=True).stdout
    build_id = text.split("Build ID:")[1].split()[0]
    return any(build_id in name for name in os.listdir(cache))


def ends_unread():
    with programs() as (first, *_), Piped("0.1") as seep, Target(first) as target:
        seep.wait_traced(target.pid)
        seep.wait_stuck()
        seep.process.send_signal(signal.SIGINT)
        code = seep.wait()
        if code != 1 or "nobody reads it" not in seep.stderr():
            return [f"exit code {code}: {seep.stderr()}"]
        return []


def second_kills():
    with programs() as (first, *_), Silent() as server, Piped(
        "0.1", **server.environment()
    ) as seep, Target(first) as target:
        seep.reader.start()
        seep.wait_traced(target.pid)
        target.run()
        server.wait_asked()
        seep.process.send_signal(signal.SIGINT)
        time.sleep(0.2)  # two at once would be one
        seep.process.send_signal(signal.SIGINT)
        code = seep.wait()
        if code != -signal.SIGINT or target.process.poll() is not None:
            return [f"exit code {code}, the target {target.process.poll()}"]
        return []


def main():
    tap = start_tap()
    tap.run("programs that begin while nobody reads the reports", nobody_reads)
    tap.run("programs that begin while names are waited for", nobody_answers)
    tap.run("a program of a big file", big_file)
    tap.run("Ctrl-C while nobody reads the reports", ends_unread)
    tap.run("a second Ctrl-C while names are waited for", second_kills)
    tap.end()


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A reader that takes nothing: seep scan and seep triage end at SIGINT all the same, and say why."""

import fcntl
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import termios

from lib import SECONDS, SEEP, Failure, Program, Target, start_tap, wait_until

PAGE = 4096


def n_waiting(fd):
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


def ended(seep, err):
    """SIGINT ends it, with an error that names the reader. Returns complaints."""
    seep.process.send_signal(signal.SIGINT)
    code = seep.wait()
    text = pathlib.Path(err.name).read_text()
    complaints = [] if code == 1 else [f"exit code {code}"]
    return complaints + ([] if "nobody reads it" in text else [f"stderr: {text[-300:]}"])


def stalled(folder, prefill, arguments, stuck):
    """stuck(read end, folder): whether seep is where it must wait for the reader."""
    reader, writer = os.pipe()
    if prefill:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, prefill)
        os.write(writer, b"\n" * prefill)
    with Target("scan_zoo") as target, tempfile.NamedTemporaryFile() as err:
        with Program(
            [SEEP, *arguments, "-p", target.pid],
            stdin=subprocess.DEVNULL, stdout=writer, stderr=err.fileno(),
        ) as seep:
            os.close(writer)

            def waits():
                if seep.process.poll() is not None:
                    raise Failure(f"it ended: {pathlib.Path(err.name).read_text()[-300:]}")
                return stuck(reader, folder)

            if "scan" in arguments:
                wait_until("session", lambda: n_waiting(reader) > 0)
                target.tell("go")
                target.read_line()
                seep.process.send_signal(signal.SIGINT)  # on to the scan
            wait_until("stalled writer", waits, SECONDS)
            complaints = ended(seep, err)
    os.close(reader)
    return complaints


def scan(folder):
    return stalled(
        folder, 0, ["scan", "--for", "60", "-a", "--format", "ndjson"], lambda fd, _: n_waiting(fd) > 8 * PAGE
    )


def triage(folder):
    """The evidence is written before the screen."""

    def stuck(_, folder):
        return any(f.stat().st_size for f in pathlib.Path(folder).glob("seep-triage-*/report.txt"))

    return stalled(folder, PAGE, ["triage", "--for", "1s", "--evidence", folder], stuck)


def main():
    tap = start_tap()
    for name, test in (("scan", scan), ("triage", triage)):
        with tempfile.TemporaryDirectory() as folder:
            tap.run(name, test, folder)
    tap.end()


main()

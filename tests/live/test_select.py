#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Selectors: what matches is traced, from the start or from soon after it begins to match, and
nothing else is in any record. Reports are minutes apart, so that whatever is seen was told by an
event. Programs have names of their own, so that nothing else on the host is selected.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from lib import (
    Failure, Final, Program, Seep, Skip, Target, judge, run_seep, start_tap, target_path,
    wait_until,
)

NAME = f"st{os.getpid()}"  # a name has 15 characters
CONTAINER = "5eeb" + f"{os.getpid():060x}"
N_SHORT = 100
CGROUPS = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")


def copy(source, folder, name):
    path = pathlib.Path(folder, name)
    shutil.copy(source, path)
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def programs(*suffixes):
    """Copies of a program with a ledger, under names of their own, for all users."""
    with tempfile.TemporaryDirectory(prefix="seep-select-") as folder:
        os.chmod(folder, 0o755)
        yield [copy(target_path("zoo_heap"), folder, NAME + s) for s in suffixes]


class Selecting(Seep):
    """seep, waiting for what matches."""

    def __init__(self, *arguments):
        super().__init__("trace", *arguments, "--budget", "0", "-a", "--format", "ndjson", "10m")
        self.wait_attached()

    def wait_traced(self, pid):
        wait_until(f"trace of {pid}", lambda: f"tracing process {pid} " in self.stderr())

    def finish(self):
        """All records, and complaints about the exit."""
        code = self.interrupt()
        return self.records(), [] if code == 0 else [f"exit code {code}: {self.records()[-1]}"]


def strangers(records, pids):
    """Complaints about records of other processes."""
    return [f"a record of {r['pid']}" for r in records if r.get("pid", pids[0]) not in pids]


def work(seep, target):
    """Lets a traced target work and end. Returns its ledgers."""
    seep.wait_traced(target.pid)
    return target.run()


def judged(ledgers, records, may_be_late=True):
    complaints = [c for ledger in ledgers for c in judge(ledger, records)]
    seen = Final(records, ledgers[-1]["pid"]).process["seen_from_seconds"]
    if not may_be_late and seen > 5:
        complaints.append(f"seen from {seen} s on")
    return complaints


def running_before(*selector):
    with programs("-a", "-b") as (a, b), Target(a) as first, Target(a) as second, Target(b) as other:
        with Selecting(*(s.format(NAME=NAME, A=a) for s in selector)) as seep:
            ledgers = [work(seep, first), work(seep, second)]
            other.run()
            records, complaints = seep.finish()
    for ledger in ledgers:
        complaints += judged(ledger, records)
    return complaints + strangers(records, [first.pid, second.pid])


def starting_later(*selector):
    with programs("-a", "-b") as (a, b):
        with Selecting(*(s.format(NAME=NAME, A=a) for s in selector)) as seep:
            waits = "waiting for one" in seep.stderr()
            with Target(a) as target, Target(b) as other:
                ledgers = work(seep, target)
                other.run()
                records, complaints = seep.finish()
    if not waits:
        complaints.append(f"it does not say that it waits: {seep.stderr()}")
    return complaints + judged(ledgers, records, False) + strangers(records, [target.pid])


def by_user():
    with programs("-a") as (a,), Selecting("--user", "nobody", "--exe", str(a)) as seep:
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", str(a)]
        if subprocess.run(command[:-1] + ["true"], check=False).returncode:
            raise Skip("no setpriv")
        with Target(shutil.which("setpriv"), *command[1:]) as target, Target(a) as other:
            ledgers = work(seep, target)
            other.run()
            records, complaints = seep.finish()
    return complaints + judged(ledgers, records, False) + strangers(records, [target.pid])


@contextlib.contextmanager
def cgroup(name):
    """A cgroup of our own, its directory."""
    made = []
    root = next((r for r in CGROUPS if os.path.exists(f"{r}/cgroup.procs")), None)
    if not root:
        raise Skip("no cgroups here")
    path = pathlib.Path(root)
    try:
        for part in name.split("/"):
            path = path / part
            if not path.exists():
                path.mkdir()
                made.append(path)
        yield path
    except OSError as error:
        raise Skip(f"no cgroup can be made: {error}") from error
    finally:
        for path in reversed(made):
            wait_until(f"end of {path}", lambda path=path: gone(path))


def gone(path):
    with contextlib.suppress(OSError):
        path.rmdir()
    return not path.exists()


def moved(name, option, value):
    """A process comes into the cgroup while it runs; another one stays outside."""
    with programs("-a") as (a,), cgroup(name) as path:
        with Selecting(option, value.format(PATH=path)) as seep:
            with Target(a) as target, Target(a) as other:
                (path / "cgroup.procs").write_text(str(target.pid))
                seep.wait_traced(target.pid)
                ledgers = target.run()
                other.run()
                records, complaints = seep.finish()
                target.tell("end")
                target.wait()
        container = Final(records, target.pid).process["container"]
    if option == "--container" and container != CONTAINER:
        complaints.append(f"container {container}")
    return complaints + judged(ledgers, records) + strangers(records, [target.pid])


@contextlib.contextmanager
def shell(path, script):
    """A shell that reads words from us."""
    with Program([path, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        yield program


def tell(program, word="go"):
    program.process.stdin.write(word.encode() + b"\n")
    program.process.stdin.flush()


def renamed():
    """It is traced once it has the name."""
    script = f"read x; printf %s {NAME}-ren >/proc/$$/comm; while read x; do echo $x; done"
    with tempfile.TemporaryDirectory() as folder:
        dash = copy("/bin/sh", folder, "other")
        with Selecting("--comm", f"{NAME}-*") as seep, shell(dash, script) as program:
            before = seep.stderr()
            tell(program)
            seep.wait_traced(program.pid)
            records, complaints = seep.finish()
    process = Final(records, program.pid).process
    if process["comm"] != f"{NAME}-ren":
        complaints.append(f"comm {process['comm']}")
    if "tracing process" in before:
        complaints.append("it was traced before")
    return complaints + strangers(records, [program.pid])


def exec_chain():
    """Into the selection, through another program that matches, and out of it; the last one runs on."""
    with programs("-a", "-b") as (a, b), tempfile.TemporaryDirectory() as folder:
        dash = copy("/bin/sh", folder, f"{NAME}-sh")
        script = f"read x; exec {dash} -c 'read x; exec sleep 1000'"
        with Selecting("--comm", f"{NAME}*") as seep, shell("/bin/sh", script) as program:
            tell(program)
            seep.wait_traced(program.pid)
            tell(program)
            wait_until("sleep", lambda: comm(program.pid) == "sleep")
            with Target(b) as last:  # events come in their order: its own is behind the exec's
                ledgers = work(seep, last)
                records, complaints = seep.finish()
            running = program.process.poll() is None
            program.process.kill()
    own = {(r["comm"], r["ended"]) for r in records if r["type"] == "process" and r["pid"] == program.pid}
    if own != {(f"{NAME}-sh", "exec")}:
        complaints.append(f"its records: {own}")
    if not running:
        complaints.append("it did not survive")
    return complaints + judged(ledgers, records) + strangers(records, [program.pid, last.pid])


def comm(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def children():
    """A child without exec is traced like its parent, one that executes something else is not."""
    script = "read x; (read y; echo $y); sleep 0.2; read x"
    with tempfile.TemporaryDirectory() as folder:
        dash = copy("/bin/sh", folder, f"{NAME}-sh")
        with Selecting("--comm", f"{NAME}*") as seep, shell(dash, script) as program:
            seep.wait_traced(program.pid)
            tell(program)
            tell(program, "hello")
            if program.process.stdout.readline() != b"hello\n":
                raise Failure("no child")
            tell(program)
            program.wait()
            records, complaints = seep.finish()
    processes = [r for r in records if r["type"] == "process"]
    names = {r["comm"] for r in processes}
    pids = {r["pid"] for r in processes}
    if names != {f"{NAME}-sh"}:
        complaints.append(f"names {names}")
    if len(pids) < 2:
        complaints.append(f"no child: {pids}")
    return complaints


def short_lived():
    """A hundred that end at once do no harm, and hide no later one."""
    with programs("-a") as (a,), Selecting("--comm", f"{NAME}*") as seep:
        environment = {**os.environ, "LEDGER_FILE": "/dev/null"}
        for _ in range(N_SHORT):
            subprocess.run([a, "--auto"], env=environment, check=True)
        with Target(a) as target:
            ledgers = work(seep, target)
            records, complaints = seep.finish()
    names = {r["comm"] for r in records if r["type"] == "process"}
    if names != {f"{NAME}-a"}:
        complaints.append(f"names {names}")
    return complaints + judged(ledgers, records)


def refused(arguments, words):
    code, out, err = run_seep("trace", *arguments)
    if code == 2 and not out and all(word in err for word in words):
        return []
    return [f"{arguments}: exit code {code}: {err}"]


def main():
    tap = start_tap()
    tap.run("running before: --comm with a glob", running_before, "--comm", "{NAME}-[ax]*")
    tap.run("running before: --exe by path", running_before, "--exe", "{A}")
    tap.run("starting later: --comm", starting_later, "--comm", "{NAME}-a")
    tap.run("starting later: --exe and --comm", starting_later, "--exe", "{NAME}*", "--comm", "*-a")
    tap.run("--user", by_user)
    tap.run("--cgroup, moved there", moved, f"{NAME}-top/below", "--cgroup", "{PATH}")
    tap.run("--cgroup, below it", moved, f"{NAME}-top/below", "--cgroup", f"/{NAME}-top")
    tap.run("--container", moved, f"docker/{CONTAINER}", "--container", CONTAINER[:12])
    tap.run("renamed", renamed)
    tap.run("exec into the selection and out of it", exec_chain)
    tap.run("children", children)
    tap.run("short-lived ones by the hundred", short_lived)
    tap.run("--all with -p", refused, ["--all", "-p", "1"], ["exclude each other"])
    tap.run("--all with --comm", refused, ["--all", "--comm", "x"], ["--all is every process"])
    tap.run("an unknown user", refused, ["--user", "no-such-user"], ["there is no such user"])
    tap.run("a container without a name", refused, ["--container", ""], ["is empty"])
    tap.end()


main()

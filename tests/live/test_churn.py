#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Containers that come and go: each in a cgroup below one that is traced, with mount and pid namespaces and a libc of its own, which
nobody else maps. Each is probed soon after its start, which its record says, and known by its own names, and when it is gone nothing of it is left: no link,
no descriptor, no entry of a map.

CHURN_CONTAINERS: how many, 24 by default.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import uuid

from lib import SECONDS, Failure, Program, Seep, judge, start_tap, target_path, wait_until
from test_containers import removed
from test_lifecycle import Maps, finals

CONTAINERS = int(os.environ.get("CHURN_CONTAINERS", "24"))
CGROUPS = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
LATE_SECONDS = 5  # a second, where nobody else keeps the CPUs busy
MODULES = 16  # files that frames are named by, one of a build however many containers have it: they stay open
AT_ONCE = 3
LIBC = "/lib/x86_64-linux-gnu/libc.so.6"

# Into its cgroup, then a root where libc is a file of its own. All mounts go with the last process.
START = """
set -e
echo $$ >"$1/cgroup.procs"
exec unshare -m -p -f --kill-child sh -c '
    set -e
    mount --make-rprivate /
    mount -t tmpfs tmpfs "$1"
    cp "$2" "$1/libc.so.6"
    mount --bind "$1/libc.so.6" "$2"
    exec "$3"
' sh "$2" "$3" "$4"
"""


class Container(Program):
    """A ledger target that starts in its cgroup; ready when the constructor returns. It is removed with everything at exit."""

    def __init__(self, parent, folder, number):
        self.cgroup = parent / f"docker-{number:064x}.scope"
        self.cgroup.mkdir()
        self.id = f"{number:064x}"
        private = folder / str(number)
        private.mkdir()
        super().__init__(
            ["sh", "-c", START, "sh", self.cgroup, private, os.path.realpath(LIBC)]
            + [target_path("zoo_heap")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        line = self.process.stdout.readline()
        if not line or json.loads(line)["ready"] != 1:
            raise Failure(f"container {number}: {line}")
        self.target = next(
            int(p)
            for p in (self.cgroup / "cgroup.procs").read_text().split()
            if os.path.basename(os.readlink(f"/proc/{p}/exe")) == "zoo_heap"
        )

    def run(self):
        """Its ledger, with the pid that we know it by."""
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        while (ledger := json.loads(self.process.stdout.readline()))["role"] != "main":
            pass
        return {**ledger, "pid": self.target}

    def __exit__(self, *exception):
        super().__exit__(*exception)
        wait_until("end of its processes", lambda: removed(self.cgroup))


@contextlib.contextmanager
def parent_cgroup():
    root = next(r for r in CGROUPS if os.path.exists(f"{r}/cgroup.procs"))
    path = pathlib.Path(root, f"seep-churn-{uuid.uuid4().hex}")
    path.mkdir()
    try:
        yield path
    finally:
        wait_until("end of the cgroup's processes", lambda: removed(path))


def n_links(pid):
    """BPF links and perf events that a process holds, and all of its descriptors."""
    targets = []
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            targets.append(os.readlink(fd))
    return sum("bpf_link" in t or "perf_event" in t for t in targets), len(targets)


def one_after_another(parent, folder, seep):
    """Each lives till its work is done; some at a time. Returns their ledgers and containers."""
    ledgers, done = [], []
    for begin in range(0, CONTAINERS, AT_ONCE):
        with contextlib.ExitStack() as stack:
            some = [
                stack.enter_context(Container(parent, folder, i))
                for i in range(begin, min(begin + AT_ONCE, CONTAINERS))
            ]
            for c in some:
                wait_until("trace", lambda c=c: f"tracing process {c.target} (zoo_heap)" in seep.stderr())
                ledgers.append(c.run())
            done += some
    return ledgers, done


def come_and_go():
    with parent_cgroup() as parent, tempfile.TemporaryDirectory(prefix="seep-churn-") as folder:
        options = ("--budget", "0", "-a", "--format", "ndjson", "1")
        with Seep("trace", "--cgroup", str(parent), *options) as seep:
            seep.wait_attached()
            before = n_links(seep.pid)
            began = time.monotonic()
            ledgers, containers = one_after_another(parent, pathlib.Path(folder), seep)
            took = time.monotonic() - began
            maps, deadline = Maps(seep.pid), time.monotonic() + SECONDS
            while (left := left_over(maps, seep.pid, before)) and time.monotonic() < deadline:
                time.sleep(0.2)
            code, records = seep.interrupt(), seep.records()
    have = {p["pid"]: p for p in finals(records) if p["comm"] == "zoo_heap"}
    late = [have[c.target]["seen_from_seconds"] for c in containers if c.target in have]
    print(
        f"#   {CONTAINERS} in {took:.1f} s, seen {max(late):.3f} s after their start at most; links and descriptors "
        f"{before} before, lost {records[-1]['lost']}"
    )
    complaints = left + ([f"exit code {code}, {records[-1]}"] if code else [])
    for c in containers:
        p = have.get(c.target)
        if not p or p["container"] != c.id or not p["cgroup"].endswith(c.cgroup.name):
            complaints.append(f"{c.target} in {c.id}: {p}")
    complaints += [f"seen from {s} s on" for s in late if not 0 < s <= LATE_SECONDS]
    return complaints + [c for ledger in ledgers for c in judge(ledger, records)]


def left_over(maps, pid, before):
    now = n_links(pid)
    if now[0] == before[0] and now[1] <= before[1] + MODULES:
        return maps.left_over(0)
    return [f"links and descriptors {now}, {before} before"]


if __name__ == "__main__":
    tap = start_tap()
    tap.run(f"{CONTAINERS} containers", come_and_go)
    tap.end()

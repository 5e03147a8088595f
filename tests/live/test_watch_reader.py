#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The reader behind `seep watch`: one pass over all processes says of a program of ours what it
knows itself to hold, page by page, and what /proc says.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

from lib import SECONDS, Failure, Target, start_tap, wait_until

PAGE = os.sysconf("SC_PAGESIZE")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
FIELDS = {"anon": "RssAnon", "file": "RssFile", "shmem": "RssShmem", "swap": "VmSwap",
          "page_tables": "VmPTE"}  # fmt: skip


class Reader(Target):
    def __init__(self, *arguments):
        super().__init__("watch_list", *arguments)

    def read(self):
        self.tell("")
        return json.loads(self.read_line())

    def look_at(self, pid):
        found = [p for p in self.read()["processes"] if p["pid"] == pid]
        if len(found) != 1:
            raise Failure(f"process {pid} is there {len(found)} times")
        return found[0]


class Memory(Target):
    def __init__(self):
        super().__init__("watch_memory")

    def do(self, command):
        self.tell(command)
        return self.read_line()


def status(pid, task=None):
    path = f"/proc/{pid}/task/{task}/status" if task else f"/proc/{pid}/status"
    text = pathlib.Path(path).read_text()
    return {k: int(v) for k, v in re.findall(r"^(\w+):\s+(\d+)", text, re.MULTILINE)}


def slack_bytes():
    """By how much /proc may be off: its counters' parts are not in it before 6.16."""
    n = os.cpu_count()
    return PAGE * max(64, n * max(32, 2 * n))


def unlike(process, want, slack):
    return [
        f"{ours}: {process[ours]} B, /proc has {want[theirs] * 1024}"
        for ours, theirs in FIELDS.items()
        if theirs in want and abs(process[ours] - want[theirs] * 1024) > slack
    ]


def as_proc_says():
    complaints = []
    with Reader() as reader, Memory() as target:
        target.do("anon 20000")
        target.do("shmem 5000")
        process, want = reader.look_at(target.pid), status(target.pid)
        complaints += unlike(process, want, slack_bytes())
        if abs(process["page_tables"] - want["VmPTE"] * 1024) > PAGE:
            complaints.append(f"page tables: {process['page_tables']} B, not {want['VmPTE']} kB")
        stat = pathlib.Path(f"/proc/{target.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = process["start_boottime_ns"] // TICK_NS
        # The time namespace's offset is in /proc's figure only; none here.
        if abs(ticks - int(stat[19])) > 1:
            complaints.append(f"started at tick {ticks}, /proc has {stat[19]}")
        got = (process["comm"], process["parent"], process["uid"])
        if got != ("watch_memory", os.getpid(), os.geteuid()):
            complaints.append(f"comm, parent and user are {got}")
    return complaints


def page_by_page():
    """No counter lags: a slow leak shows with its first page."""
    with Reader() as reader, Memory() as target:
        target.do("anon 1")
        target.do("shmem 1")
        before, complaints = reader.look_at(target.pid), []
        for n in range(1, 41):
            target.do("anon 1")
            target.do("shmem 2")
            now = reader.look_at(target.pid)
            got = tuple((now[k] - before[k]) // PAGE for k in ("anon", "shmem"))
            if got != (n, 2 * n):
                complaints.append(f"after {n} + {2 * n} pages they are {got}")
        target.do("drop")
        if reader.look_at(target.pid)["anon"] != now["anon"] - PAGE:
            complaints.append("a page given back is still there")
    return complaints[:5]


def many_cpus():
    """Where parts are not added up in each pass: few pages show after as many passes, many at once."""
    every = 5
    with Reader(str(every)) as reader, Memory() as target:
        before, complaints = reader.look_at(target.pid), []
        for n in range(1, 8):
            target.do("anon 1")
            seen = [(reader.look_at(target.pid)["anon"] - before["anon"]) // PAGE for _ in range(every)]
            if seen[-1] != n or seen[0] not in (n - 1, n) or sorted(seen) != seen:
                complaints.append(f"after {n} pages they are {seen}")
        target.do("anon 5000")
        seen = (reader.look_at(target.pid)["anon"] - before["anon"]) // PAGE
        if seen != 5007:
            complaints.append(f"after 5007 pages they are {seen}")
    return complaints


def proc_cpu_ns(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) * TICK_NS


def processor_time():
    """Of threads that live and of some that have ended."""
    with Reader() as reader, Memory() as target:
        began = reader.look_at(target.pid)["cpu_ns"]
        for _ in range(3):
            target.do("burn 100")
        target.do("spin 100")
        # The last thread to end may still be on its way out.
        wait_until("400 ms", lambda: reader.look_at(target.pid)["cpu_ns"] - began > 399e6, 10)
        before = proc_cpu_ns(target.pid)
        seen = reader.look_at(target.pid)["cpu_ns"]
        after = proc_cpu_ns(target.pid)
    print(f"#   {(seen - began) / 1e6:.0f} ms for 400 ms of work")
    if before - 2 * TICK_NS <= seen <= after + 2 * TICK_NS:
        return []
    return [f"{seen / 1e6:.0f} ms, /proc has {before / 1e6:.0f} to {after / 1e6:.0f}"]


def first_thread_ended():
    with Reader() as reader, Memory() as target:
        target.do("spin 100")
        target.do("anon 3000")
        before = reader.look_at(target.pid)
        target.do("leave")
        wait_until(
            "end of the first thread",
            lambda: "zombie" in pathlib.Path(f"/proc/{target.pid}/task/{target.pid}/status").read_text(),
        )
        target.do("anon 1000")
        after = reader.look_at(target.pid)
    grown = (after["anon"] - before["anon"]) // PAGE
    # A thread takes a stack and an arena.
    complaints = [] if 1000 <= grown < 1100 else [f"grown by {grown} pages, not 1000"]
    for same in ("start_boottime_ns", "program", "comm", "parent", "cgroup"):
        if after[same] != before[same]:
            complaints.append(f"{same} was {before[same]}, is {after[same]}")
    if not before["cpu_ns"] <= after["cpu_ns"] < before["cpu_ns"] + 10**9:
        complaints.append(f"processor time was {before['cpu_ns']}, is {after['cpu_ns']}")
    return complaints


def another_program():
    with Reader() as reader, Memory() as target:
        target.do("anon 3000")
        before = reader.look_at(target.pid)
        target.do("exec")
        after = reader.look_at(target.pid)
    complaints = [] if after["program"] != before["program"] else ["exec is not seen"]
    if after["start_boottime_ns"] != before["start_boottime_ns"]:
        complaints.append("exec changes the identity")
    if after["anon"] > before["anon"] - 2000 * PAGE:
        complaints.append(f"{after['anon']} B after exec, {before['anon']} before")
    return complaints


def everybody():
    """All that /proc has: each process once, kernel threads never, whoever comes and goes meanwhile."""
    with Reader() as reader:
        targets = [Memory() for _ in range(300)]
        try:
            seen = reader.read()
        finally:
            for target in targets:
                target.process.stdin.close()
            for target in targets:
                target.wait(SECONDS)
        pids = [p["pid"] for p in seen["processes"]]
        missing = {t.pid for t in targets} - set(pids)
        gone = wait_until(
            "end of all targets",
            lambda: not {t.pid for t in targets} & {p["pid"] for p in reader.read()["processes"]},
        )
    print(f"#   {len(pids)} processes in {seen['cost_ns'] / 1e6:.2f} ms")
    complaints = [f"not seen: {sorted(missing)}"] if missing or not gone else []
    if pids != sorted(set(pids)):
        complaints.append("not each process once, in order of pid")
    if 2 in pids or any(p["anon"] + p["file"] + p["shmem"] == 0 for p in seen["processes"]):
        complaints.append("kernel threads among them")
    return complaints


def memory_cgroup(pid):
    """The folder of its cgroup of the memory controller, or None where there is no such controller."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in pathlib.Path("/proc/self/mounts").read_text().splitlines():
            _, where, kind, options, *_ = mount.split()
            v1 = kind == "cgroup" and "memory" in options.split(",")
            if v1 and "memory" in controllers.split(","):
                return pathlib.Path(where) / path.lstrip("/"), "memory.usage_in_bytes", "memory.limit_in_bytes"
            folder = pathlib.Path(where) / path.lstrip("/")
            if kind == "cgroup2" and not controllers and (folder / "memory.current").exists():
                return folder, "memory.current", "memory.max"
    return None


def mount_cgroup2(mounts):
    """For a machine without any cgroups, as the virtual one is."""
    if "cgroup" in pathlib.Path("/proc/self/mounts").read_text():
        return None
    folder = pathlib.Path(mounts.enter_context(tempfile.TemporaryDirectory()))
    if subprocess.run(["mount", "-t", "cgroup2", "cgroup2", folder]).returncode:
        return None
    mounts.callback(subprocess.run, ["umount", folder])
    (folder / "cgroup.subtree_control").write_text("+memory")
    return folder, "memory.current", "memory.max"


def cgroups():
    """A cgroup of our own with a limit, as far as this machine lets us make one."""
    with contextlib.ExitStack() as mounts, Reader() as reader, Memory() as target:
        found = memory_cgroup(target.pid) or mount_cgroup2(mounts)
        if not found:
            print("#   no memory controller is mounted")
            return []
        parent, usage, limit = found
        own = parent / f"seep-test-{target.pid}"
        try:
            own.mkdir()
            (own / "cgroup.procs").write_text(str(target.pid))
            (own / limit).write_text(str(256 << 20))
        except OSError as error:
            print(f"#   no cgroup of our own: {error}")
            return in_cgroup(reader, target, parent, usage)
        try:
            target.do("anon 10000")
            complaints = in_cgroup(reader, target, own, usage)
            cgroup = reader.read()["cgroups"][reader.look_at(target.pid)["cgroup"]]
            if (cgroup["limit"], cgroup["limit_current"]) != (256 << 20, cgroup["current"]):
                complaints.append(f"limit of 256 MiB: {cgroup}")
            if cgroup["current"] < 10000 * PAGE:
                complaints.append(f"10000 pages are not in {cgroup}")
        finally:
            (parent / "cgroup.procs").write_text(str(target.pid))
            own.rmdir()
    return complaints


def in_cgroup(reader, target, folder, usage):
    seen = reader.read()
    process = next(p for p in seen["processes"] if p["pid"] == target.pid)
    cgroup = seen["cgroups"][process["cgroup"]]
    ids = [c["id"] for c in seen["cgroups"]]
    complaints = [] if len(ids) == len(set(ids)) else ["a cgroup is there twice"]
    if cgroup["id"] != folder.stat().st_ino:
        complaints.append(f"{cgroup} is not {folder}, inode {folder.stat().st_ino}")
    current = int((folder / usage).read_text())
    if folder.name.startswith("seep-test") and abs(cgroup["current"] - current) > 1 << 20:
        complaints.append(f"{cgroup['current']} B, its {usage} has {current}")
    return complaints


if __name__ == "__main__":
    tap = start_tap()
    tap.run("memory, start, name and user as /proc has them", as_proc_says)
    tap.run("each page as it is touched", page_by_page)
    tap.run("pages where there are many processors", many_cpus)
    tap.run("processor time of all threads", processor_time)
    tap.run("a process whose first thread has ended", first_thread_ended)
    tap.run("exec is another program", another_program)
    tap.run("every process once", everybody)
    tap.run("cgroups and their limits", cgroups)
    tap.end()

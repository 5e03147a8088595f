#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""--kernel and -P: a process makes the kernel hold a known number of objects, by slab cache, by
kmalloc, as pages, as per-CPU memory. seep names the site with that very number, and none once
they are given back; /proc/slabinfo is a second witness. Sampling estimates the number, sizes
filter, a capture shows the same again. Only this process's allocations are traced, but for one
run of two seconds that sees the whole kernel. KERNEL_CASES: which, by comma.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from lib import SEEP, Failure, Program, Seep, Target, run_seep, start_tap, wait_until
from pprof import Profile

N = 3000
ALLOCATOR = re.compile(
    r"_*(k[vz]?malloc|kmem_cache_|alloc_pages|alloc_frozen_pages|pcpu_alloc|alloc_percpu)"
)
SETTLES = 8  # an object or two more or less, of what the target does besides


class Reports:
    """The reports that seep has written so far."""

    def __init__(self, seep):
        self.seep = seep

    def all(self):
        text = self.seep.stdout()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def count(self):
        return sum(r["type"] == "process" for r in self.all())

    def next(self):
        """The first report that is taken from now on, whole: the one after it has begun."""
        n = self.count()

        def is_there():
            if self.seep.process.poll() is not None:
                raise Failure(f"seep ended: {self.seep.stderr()[-600:]}")
            return self.count() > n + 2

        wait_until("further reports", is_there)
        records = self.all()
        time = [r["time"] for r in records if r["type"] == "process"][n + 1]
        return [r for r in records if r.get("time") == time]


def taker(site):
    """Who called the allocator: frames before are the cache's name and the allocator's own."""
    for frame in site["frames"]:
        name = (frame.get("function") or "?").split(".")[0]
        if frame["module"] != "[slab]" and not ALLOCATOR.match(name):
            return name
    return None


def sites_with(records, function):
    """function: one of the names that it has had, between bars."""
    return [r for r in records if r["type"] == "site" and taker(r) in function.split("|")]


def held(records, function):
    """Of all sites with this function: (objects, bytes) outstanding."""
    sites = sites_with(records, function)
    return (
        sum(s["outstanding_allocations"] for s in sites),
        sum(s["outstanding_bytes"] for s in sites),
    )


def process_of(records):
    return next(r for r in records if r["type"] == "process")


def lost(records):
    process = process_of(records)
    return sum(process["lost"].values()) + sum(process["session_lost"].values())


def slab(name):
    """(objects in use, bytes of one) by the kernel's own account."""
    for line in pathlib.Path("/proc/slabinfo").read_text().splitlines():
        fields = line.split()
        if fields[0] == name:
            return int(fields[1]), int(fields[3])
    return None


def holding(what):
    target = Target("kernel_hold")
    tell(target, "private") if what == "mounts" else None
    return target


def tell(target, words):
    target.tell(words)
    target.read_line()


def until_given_back(reports, function):
    """RCU may take its time. A free that strikes while a program of ours runs on that CPU is not seen, and counted."""

    def is_none():
        records = reports.next()
        return records if held(records, function)[0] <= SETTLES + lost(records) else None

    return wait_until(f"report without {function}", is_none)


def trace(target, *arguments):
    return Seep("trace", "--kernel", "-p", target.pid, "--format", "ndjson", *arguments, "0.3")


def judge_held(records, function, n, size_bytes):
    objects, n_bytes = held(records, function)
    complaints = []
    missed = lost(records)
    if not n - missed <= objects <= n + SETTLES:
        complaints.append(f"{objects} objects by {function} for {n}, lost {missed}")
    if size_bytes and n_bytes != objects * size_bytes:
        complaints.append(f"{n_bytes} B by {function} for {objects} of {size_bytes} B")
    for s in sites_with(records, function):
        if s["kind"] != "kernel" or s["frames"][-1]["module"] != "vmlinux":
            complaints.append(f"kind {s['kind']}, outermost frame {s['frames'][-1]}")
    return complaints


def exact(what, function, n, size_bytes, *arguments):
    with holding(what) as target, trace(target, *arguments) as seep:
        seep.wait_attached()
        reports = Reports(seep)
        before = held(reports.next(), function)[0]
        tell(target, f"{what} {n}")
        records = reports.next()
        complaints = judge_held(records, function, n, size_bytes)
        process = process_of(records)
        if (process["pid"], process["comm"]) != (0, "kernel"):
            complaints.append(f"pid {process['pid']}, comm {process['comm']}")
        if before > SETTLES:
            complaints.append(f"{before} before anything was done")
        tell(target, "drop")
        until_given_back(reports, function)
        code = seep.interrupt()
        if code not in (0, 4):
            complaints.append(f"exit code {code}")
        return complaints


def slabs():
    """By the cache's name, and by slabinfo: its count of objects in use holds free ones of slabs
    that CPUs work on.
    """
    _, size_bytes = slab("sock_inode_cache")
    with holding("sockets") as target, trace(target) as seep:
        seep.wait_attached()
        reports = Reports(seep)
        before = slab("sock_inode_cache")[0]
        tell(target, f"sockets {N}")
        after = slab("sock_inode_cache")[0]
        records = reports.next()
        complaints = judge_held(records, "sock_alloc_inode", N, size_bytes)
        leaves = {s["frames"][0]["function"] for s in sites_with(records, "sock_alloc_inode")}
        if leaves != {"sock_inode_cache"}:
            complaints.append(f"leaves {leaves}")
        if not 0.5 * N <= after - before <= 1.5 * N:
            complaints.append(f"slabinfo: {after - before} more for {N}")
        tell(target, "drop")
        records = until_given_back(reports, "sock_alloc_inode")
        if sites_with(records, "sock_alloc_inode")[0]["frees"] < N - lost(records):
            complaints.append("frees are not counted")
        return complaints


def sampled():
    with holding("sockets") as target, trace(target, "-s", "10") as seep:
        seep.wait_attached()
        reports = Reports(seep)
        tell(target, f"sockets {N}")
        sites = sites_with(reports.next(), "sock_alloc_inode")
        n = sum(s["outstanding_allocations"] for s in sites)
        # Five standard deviations of a binomial of 3,000 at a tenth, times ten.
        return [] if abs(n - N) < 830 else [f"~{n} for {N}"]


def filtered():
    """An eventfd is smaller than a socket's inode."""
    with holding("events") as target, trace(target, "-z", "512") as seep:
        seep.wait_attached()
        reports = Reports(seep)
        tell(target, f"events {N}")
        tell(target, f"sockets {N}")
        records = reports.next()
        complaints = judge_held(records, "sock_alloc_inode", N, None)
        if held(records, "do_eventfd")[0]:
            complaints.append("-z 512 lets an eventfd through")
        return complaints


def other_process():
    """What another process makes the kernel hold is not this one's."""
    with holding("events") as target, holding("events") as other, trace(target) as seep:
        seep.wait_attached()
        reports = Reports(seep)
        tell(other, f"events {N}")
        tell(target, f"events {N // 10}")
        return judge_held(reports.next(), "do_eventfd", N // 10, None)


def saved():
    """A capture shows what the trace showed; folded stacks and blocks have it, too."""
    with tempfile.TemporaryDirectory() as folder, holding("events") as target:
        capture = f"{folder}/kernel.seep"
        with trace(target, "-a", "-w", capture) as seep:
            seep.wait_attached()
            tell(target, f"events {N}")
            Reports(seep).next()
            seep.interrupt()
            final = [r for r in seep.records() if r.get("final") or r["type"] != "process"]
        blocks = [r for r in final if r["type"] == "block"]
        last = blocks[-1]["time"]
        code, out, err = run_seep("report", capture, "--format", "ndjson")
        again = [json.loads(line) for line in out.splitlines()]
        complaints = [] if code in (0, 4) else [f"report ended with {code}: {err}"]
        for name, records in (("trace", final), ("report", again)):
            complaints += [
                f"{name}: {c}"
                for c in judge_held(
                    [process_of(again)] + [r for r in records if r.get("time") == last],
                    "do_eventfd",
                    N,
                    None,
                )
            ]
        sites = {s["site"] for s in sites_with(final, "do_eventfd")}
        n = sum(b["site"] in sites for b in blocks if b["time"] == last)
        if abs(n - N) > SETTLES + lost(again):
            complaints.append(f"{n} blocks for {N}")
        code, out, err = run_seep("report", capture, "--format", "folded")
        if not re.search(r"^kernel-0;.*;do_eventfd;.* \d+$", out, re.M):
            complaints.append(f"folded: {out[:400]} {err}")
        return complaints


def full_map():
    """Of more objects than there is room for those that find none are counted, and nothing is recorded beyond it."""
    with holding("events") as target, trace(target, "--max-outstanding", "1000") as seep:
        seep.wait_attached()
        tell(target, f"events {N}")
        records = Reports(seep).next()
        code = seep.interrupt()
    process = process_of(records)
    kept, missed = process["outstanding_allocations"], process["lost"].get("live_map_full", 0)
    complaints = [] if code == 4 else [f"exit code {code}, not 4"]
    if not 900 <= kept <= 1000:
        complaints.append(f"{kept} objects in a map for 1000")
    # An eventfd takes four objects.
    if kept + missed < 4 * N - SETTLES:
        complaints.append(f"{kept} kept, {missed} lost, of {4 * N}")
    return complaints


def profile():
    """As pprof: the last report, in which the objects are."""
    with tempfile.NamedTemporaryFile() as out, holding("events") as target:
        with Seep("trace", "--kernel", "-p", target.pid, "--format", "pprof", "--output", out.name, "3600") as seep:
            wait_until("probes", lambda: "tracing" in seep.stderr() or seep.process.poll() is not None)
            tell(target, f"events {N}")
            code = seep.interrupt()
        profile = Profile(pathlib.Path(out.name).read_bytes())
    n = sum(s.values[2] for s in profile.samples if any(f.startswith("do_eventfd") for f in s.functions))
    complaints = [] if code in (0, 4) else [f"exit code {code}"]
    if not (N - SETTLES <= n or code == 4):
        complaints.append(f"{n} objects by do_eventfd in the profile, not {N}")
    if any(s.labels.get("pid") not in (0, None) for s in profile.samples):
        complaints.append("a sample of another process than the kernel's 0")
    return complaints


def without_privileges():
    """A copy, as nobody may not enter the checkout's folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        copy = shutil.copy(SEEP, folder)
        os.chmod(copy, 0o755)
        ended = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
             copy, "trace", "--kernel", "1", "1"],
            capture_output=True, text=True, timeout=60, cwd="/",
        )
    good = ended.returncode == 3 and "CAP_BPF" in ended.stderr and "root" in ended.stderr and not ended.stdout
    return [] if good else [f"exit code {ended.returncode}: {ended.stdout} {ended.stderr}"]


def whole_kernel():
    """Two seconds of the host, ourselves left out; nothing stays behind."""
    with holding("events") as target:
        with Seep("trace", "--kernel", "--format", "ndjson", "0.5") as seep:
            seep.wait_attached()
            reports = Reports(seep)
            tell(target, f"events {N}")
            records = reports.next()
            complaints = judge_held(records, "do_eventfd", N, None)
            notes = " ".join(process_of(records)["notes"])
            if "by seep itself" not in notes:
                complaints.append(f"seep's own are not said: {notes}")
            own = sites_with(records, "bpf_map_copy") + sites_with(records, "kallsyms_open")
            if own:
                complaints.append(f"seep's own are recorded: {own[0]}")
            seep.interrupt()
    return complaints


def refused():
    complaints = []
    for arguments in (
        ["--kernel", "--growth"],
        ["--kernel", "--", "true"],
        ["--kernel", "--all"],
        ["--kernel", "--budget", "5"],
        ["-P", "--all-pages"],
        ["--all-pages", "-p", "1"],
        ["--kernel", "-t"],
    ):
        code, _, err = run_seep("trace", *arguments)
        if code != 2 or "-P" not in err and "--kernel" not in err:
            complaints.append(f"{' '.join(arguments)}: {code} {err}")
    with Program(["true"]) as gone:
        gone.wait()
        code, _, err = run_seep("trace", "--kernel", "-p", gone.pid)
        if code != 1 or "no such process" not in err:
            complaints.append(f"a process that ended: {code} {err}")
    return complaints


def main():
    tap = start_tap()
    pipe = "pipe_write|anon_pipe_write|anon_pipe_get_page"
    cases = {
        "a slab cache's objects": (slabs,),
        "kmalloc": (exact, "events", "do_eventfd", N, None),
        "pages": (exact, "pages", pipe, 200, 4096),
        "per-CPU memory": (exact, "mounts", "alloc_vfsmnt", 200, None, "-P"),
        "sampled": (sampled,),
        "by size": (filtered,),
        "another process": (other_process,),
        "captures; blocks; folded stacks": (saved,),
        "a full map": (full_map,),
        "pprof": (profile,),
        "without privileges": (without_privileges,),
        "the whole kernel": (whole_kernel,),
        "what it refuses": (refused,),
    }
    only = os.environ.get("KERNEL_CASES", ",".join(cases))
    for name in only.split(","):
        tap.run(name, *(cases.get(name) or (lambda: ["no such case"],)))
    tap.end()


if __name__ == "__main__":
    main()

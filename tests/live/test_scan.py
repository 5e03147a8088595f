#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep scan: what it says of each block of a program that knows what it has lost, in each way of
scanning, and what LeakSanitizer says of the same program at the same point.
"""

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from lib import (
    SECONDS,
    Failure,
    Program,
    Seep,
    Skip,
    Target,
    plain_name,
    run_seep,
    start_tap,
    target_path,
    wait_until,
)

LEAK = re.compile(r"(Direct|Indirect) leak of (\d+) byte\(s\) in (\d+) object\(s\)")
FRAME = re.compile(r"#\d+ 0x\w+ in (\w+)")


class Zoo(Target):
    """scan_zoo at its point: `blocks` by address, with what is true of them."""

    def __init__(self, name="scan_zoo"):
        super().__init__(name)
        self.blocks = {}

    def work(self):
        self.tell("go")
        ledger = json.loads(self.read_line())["blocks"]
        self.blocks = {int(b["address"], 16): b for b in ledger}


def threads_status(pid):
    """(state, tracer) of each thread of a process."""
    status = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        text = (task / "status").read_text()
        status.append(
            tuple(re.search(rf"^{field}:\s+(\w)", text, re.M)[1] for field in ("State", "TracerPid"))
        )
    return status


class Scan:
    """A scan of a zoo that did all its work while it was traced."""

    def __init__(self, *options, target="scan_zoo"):
        with Zoo(target) as zoo:
            with Seep(
                "scan", "-p", zoo.pid, "--for", "60", "-a", "--format", "ndjson", *map(str, options)
            ) as seep:
                seep.wait_attached()
                zoo.work()
                seep.process.send_signal(signal.SIGINT)  # no need to wait: on to the scan
                self.code = seep.wait()
                self.err = seep.stderr()
                self.status = threads_status(zoo.pid)
                records = seep.records() if not self.code else []
        if self.code:
            raise Failure(f"exit code {self.code}: {self.err[-400:]}")
        self.truth = zoo.blocks
        self.sites = {r["site"]: r for r in records if r["type"] == "site"}
        self.leaks = [r for r in records if r["type"] == "leak"]
        self.said = {int(r["address"], 16): r for r in records if r["type"] == "block"}
        self.scan = next(r for r in records if r["type"] == "scan")

    def function(self, site):
        """The function of the zoo that is nearest to the allocation."""
        names = [plain_name(f["function"]) for f in self.sites[site]["frames"]]
        return next((n for n in names if n.startswith(("held_", "lost_", "wait_", "plant"))), None)

    def judge(self, column="says"):
        """Each block's word against the truth. Returns complaints."""
        complaints = []
        for address, block in self.truth.items():
            label = f"{block['address']} of {block['size']} B by {block['function']}"
            said = self.said.get(address)
            reachable = block[column] == "reachable"
            if not said:
                complaints.append(f"{label}: no record")
            elif said["reachable"] is not reachable:
                complaints.append(f"{label}: reachable {said['reachable']}, not {reachable}")
        return complaints

    def kinds(self):
        """{function: Counter of kinds} as the leaks have them."""
        return {
            (self.function(leak["site"])): collections.Counter(
                {k: leak[f"{k}_blocks"] for k in ("direct", "cycle", "indirect")}
            )
            for leak in self.leaks
        }


def true_kinds(scan, column="says"):
    """{function: Counter}, a ring's blocks as one cycle and the rest indirect."""
    kinds = collections.defaultdict(collections.Counter)
    for block in scan.truth.values():
        says = block[column]
        if says == "reachable":
            continue
        counts = kinds[block["function"]]
        if says == "ring":
            says = "indirect" if counts["cycle"] else "cycle"
        counts[says] += 1
    return kinds


def compare_kinds(scan, column="says"):
    complaints, said, true = [], merged_sites(scan), true_kinds(scan, column)
    for function in said.keys() | true.keys():
        if +said[function] != +true[function]:
            complaints.append(f"{function}: {dict(+said[function])}, not {dict(+true[function])}")
    return complaints


def merged_sites(scan):
    """A function may allocate from several lines."""
    kinds = collections.defaultdict(collections.Counter)
    for leak in scan.leaks:
        for kind in ("direct", "cycle", "indirect"):
            kinds[scan.function(leak["site"])][kind] += leak[f"{kind}_blocks"]
    return kinds


def running():
    scan = Scan()
    complaints = scan.judge() + compare_kinds(scan)
    if scan.scan["stopped_seconds"] or scan.scan["passes"] != 3 or not scan.scan["complete"]:
        complaints.append(f"scan: {scan.scan}")
    return complaints


def debugged():
    """A process that another traces cannot be stopped: said, with what was traced."""
    if not shutil.which("strace"):
        raise Skip("no strace")
    with Zoo() as zoo, Program(
        ["strace", "-qq", "-o", "/dev/null", "-p", zoo.pid], stderr=subprocess.DEVNULL
    ) as strace:
        status = pathlib.Path(f"/proc/{zoo.pid}/status")
        wait_until("strace", lambda: f"TracerPid:\t{strace.pid}\n" in status.read_text())
        code, out, err = run_seep("scan", "-p", zoo.pid, "--for", "0.1", "--stop")
        strace.process.terminate()
    complaints = [] if code == 3 else [f"exit code {code}"]
    if "cannot be stopped" not in err or "debugger" not in err:
        complaints.append(err[-300:])
    return complaints + ([] if "outstanding" in out else ["no report of what was traced"])


def stopped():
    scan = Scan("--stop")
    complaints = scan.judge() + compare_kinds(scan)
    if scan.scan["stopped_seconds"] <= 0 or scan.scan["passes"] != 1:
        complaints.append(f"scan: {scan.scan}")
    if any(state in "tT" or tracer != "0" for state, tracer in scan.status):
        complaints.append(f"its threads afterwards: {scan.status}")
    return complaints


def left_behind():
    """What points to the blocks is out of use: in freed memory, on the stack of a thread that ended. A thread that waits, and one
    that runs on a stack of the program's own, hold theirs.
    """
    scan = Scan("--stop", target="scan_left")
    return scan.judge() + compare_kinds(scan)


def tagged():
    scan = Scan("--stop", "--tagged", target="scan_left")
    return scan.judge("tagged") + compare_kinds(scan, "tagged")


def start_pointers():
    scan = Scan("--pointers", "start", "--threads", 3)
    return scan.judge("start")


def held():
    """What the root of a lost structure holds, whoever allocated it."""
    scan = Scan()
    by_function = collections.defaultdict(list)
    for leak in scan.leaks:
        by_function[scan.function(leak["site"])].append(leak)
    complaints = []
    for function, n, size in (
        ("lost_list", 100, 136),
        ("lost_tail", 5, 152),
        ("lost_large", 2, 296),
        ("lost_inside", 1, 280),
    ):
        blocks = sum(leak["held_blocks"] for leak in by_function[function])
        n_bytes = sum(leak["held_bytes"] for leak in by_function[function])
        if (blocks, n_bytes) != (n, n * size):
            complaints.append(f"{function} holds {blocks} blocks, {n_bytes} bytes")
    if scan.function(scan.leaks[0]["site"]) != "lost_large":
        complaints.append(f"first comes {scan.function(scan.leaks[0]['site'])}")
    return complaints


def lsan_verdict():
    """{(size, kind): number of blocks} by LeakSanitizer, and by the zoo's ledger what is expected of it."""
    path = target_path("scan_zoo_lsan")
    env = {**os.environ, "LSAN_OPTIONS": "exitcode=0:print_suppressions=0"}
    process = subprocess.Popen(
        [str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    out, err = process.communicate(b"go\ncheck\n", timeout=SECONDS)
    blocks = json.loads(out.splitlines()[1])["blocks"]
    said = collections.Counter()
    for kind, n_bytes, n in LEAK.findall(err.decode(errors="replace")):
        said[int(n_bytes) // int(n), kind.lower()] += int(n)
    if not said:
        raise Failure(f"LeakSanitizer says nothing: {err[-300:]}")
    true = collections.Counter((b["size"], b["lsan"]) for b in blocks if b["lsan"] != "reachable")
    return said, true


def against_lsan():
    """The zoo's truth is LeakSanitizer's word, but for what it knows no roots for; and seep's word is the zoo's truth."""
    said, true = lsan_verdict()
    complaints = [
        f"LeakSanitizer: {said[key]} blocks of {key[0]} B {key[1]}, the zoo says {true[key]}"
        for key in said.keys() | true.keys()
        if said[key] != true[key]
    ]
    scan = Scan("--stop")
    seep = collections.Counter()
    for leak in scan.leaks:
        size = scan.sites[leak["site"]]
        blocks = [b for b in scan.said.values() if b["site"] == size["site"] and not b["reachable"]]
        sizes = {b["size_bytes"] for b in blocks}
        if len(sizes) == 1:
            (only,) = sizes
            seep[only, "direct"] += leak["direct_blocks"]
            seep[only, "indirect"] += leak["cycle_blocks"] + leak["indirect_blocks"]
    mapped = {b["size"] for b in scan.truth.values() if b["lsan"] != b["says"] and b["says"] == "reachable"}
    complaints += [
        f"{key[0]} B {key[1]}: seep {seep[key]} blocks, LeakSanitizer {said[key]}"
        for key in said.keys() | (+seep).keys()
        if seep[key] != said[key] and key[0] not in mapped
    ]
    return complaints


def busy(*options):
    """What is lost in the midst of moving pointers is found, and nothing else."""
    n_lost = 500
    with Target("scan_busy", n_lost) as target:
        with Seep("scan", "-p", target.pid, "--for", "60", "--format", "ndjson", *options) as seep:
            seep.wait_attached()
            target.tell("go")
            target.read_line()
            seep.process.send_signal(signal.SIGINT)
            if code := seep.wait():
                raise Failure(f"exit code {code}: {seep.stderr()[-400:]}")
            records = seep.records()
    sites = {r["site"]: r for r in records if r["type"] == "site"}
    complaints, found = [], 0
    for leak in (r for r in records if r["type"] == "leak"):
        names = [plain_name(f["function"]) for f in sites[leak["site"]]["frames"]]
        blocks = leak["direct_blocks"] + leak["cycle_blocks"] + leak["indirect_blocks"]
        if "lose_blocks" in names:
            found += blocks
        else:
            complaints.append(f"{blocks} blocks of {' < '.join(names)} are in use")
    # Memory of freed nodes still points to where nodes were, and lost blocks may be there now.
    if not 0.5 * n_lost <= found <= n_lost:
        complaints.append(f"{found} blocks of {n_lost} lost ones")
    return complaints


class FixedZoo(Zoo):
    """Without randomized addresses they are the same in each run: known before the work is done."""

    def __init__(self):
        Program.__init__(
            self,
            ["setarch", "-R", target_path("scan_zoo")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.buffer = b""
        self.blocks = {}
        if json.loads(self.read_line()).get("ready") != self.pid:
            raise Failure("scan_zoo is not ready")


def path_to(address):
    """The `path` record of a scan for one block."""
    with FixedZoo() as zoo:
        with Seep(
            "scan", "-p", zoo.pid, "--for", "60", "--paths", hex(address), "--format", "ndjson"
        ) as seep:
            seep.wait_attached()
            zoo.work()
            seep.process.send_signal(signal.SIGINT)
            if code := seep.wait():
                raise Failure(f"exit code {code}: {seep.stderr()[-400:]}")
            if address not in zoo.blocks:
                raise Skip("addresses differ from run to run")
            return next(r for r in seep.records() if r["type"] == "path")


# function, which of its blocks; kind of the root, its name, how many pointers
PATHS = (
    ("held_in_bss", -1, "global", "in_bss", 1),
    ("held_in_data", -1, "global", "in_data", 1),
    ("held_inside", -1, "global", "in_bss", 1),
    ("held_by_list", -1, "global", "in_bss", 201),
    ("held_in_mapping", -1, "mapping", None, 1),
    ("held_in_tls", -1, "mapping", None, 1),
    ("wait_with_register", -1, "register", "r12", 1),
    ("lost_list", 3, None, None, 0),
)


def paths():
    with FixedZoo() as zoo:
        zoo.work()
        blocks = zoo.blocks
    complaints = []
    for function, which, kind, name, n in PATHS:
        address = [a for a, b in blocks.items() if b["function"] == function][which]
        path = path_to(address)
        root = path["root"] or {"kind": None, "name": None}
        steps = path["steps"]
        said = (root["kind"], root["name"], len(steps))
        if said != (kind, name, n) or path["reachable"] is not bool(n) or not path["known"]:
            complaints.append(f"{function}: {said}, not {(kind, name, n)}")
        if n and int(steps[-1]["block"], 16) != address:
            complaints.append(f"{function}: the chain ends at {steps[-1]['block']}")
    return complaints


def text():
    with Zoo() as zoo:
        with Seep("scan", "-p", zoo.pid, "--for", "60", "-T", "3") as seep:
            wait_until("trace", lambda: "Tracing pid" in seep.stdout())
            zoo.work()
            seep.process.send_signal(signal.SIGINT)
            code, out = seep.wait(), seep.stdout()
    wanted = (
        "unreachable  8.1 MiB in 259 blocks",
        "direct     8.0 MiB in 11 blocks, which nothing points to",
        "cycles     384 B in 2 blocks",
        "Top 3 of",
        "lost_large scan_zoo.c:",
        "the process ran on",
        "scanned; nothing was lost",
    )
    return [f"exit code {code}"] * bool(code) + [f"no '{w}' in the report" for w in wanted if w not in out]


def ends_meanwhile():
    """What was traced is reported all the same."""
    with Zoo() as zoo:
        with Seep("scan", "-p", zoo.pid, "--for", "60", "--format", "ndjson") as seep:
            seep.wait_attached()
            zoo.work()
            zoo.process.kill()
            code, records, err = seep.wait(), seep.records(), seep.stderr()
    complaints = [] if code == 1 else [f"exit code {code}"]
    if "ended before it was scanned" not in err:
        complaints.append(f"said: {err[-300:]}")
    if not any(r["type"] == "process" and r["final"] for r in records):
        complaints.append("no final process record")
    if records[-1].get("why") != "the target ended":
        complaints.append(f"last record: {records[-1]}")
    if any(r["type"] in ("scan", "leak") for r in records):
        complaints.append("a scan is reported that was not made")
    return complaints


def refused():
    complaints = []
    for arguments, word in (
        ([], "which process?"),
        (["-p", "1,2"], "one process"),
        (["-p", "1", "--stop", "--passes", "5"], "--stop"),
        (["-p", "1", "--paths", "main"], "not an address"),
        (["-p", "1", "-v", "-q"], "exclude"),
    ):
        code, _, err = run_seep("scan", *arguments)
        if code != 2 or word not in err:
            complaints.append(f"{arguments}: exit code {code}, {err[-200:]}")
    return complaints


def main():
    tap = start_tap()
    tap.run("while it runs: every block of the zoo", running)
    tap.run("--stop: every block of the zoo", stopped)
    tap.run("--stop: what only memory out of use points to", left_behind)
    tap.run("--tagged", tagged)
    tap.run("--stop of what a debugger holds", debugged)
    tap.run("--pointers start", start_pointers)
    tap.run("lost roots answer for what they hold", held)
    tap.run("the same as LeakSanitizer", against_lsan)
    tap.run("nothing but what is lost while pointers move", busy)
    tap.run("the same with --stop", busy, "--stop")
    tap.run("--paths", paths)
    tap.run("text", text)
    tap.run("the process ends meanwhile", ends_meanwhile)
    tap.run("refused", refused)
    tap.end()


main()

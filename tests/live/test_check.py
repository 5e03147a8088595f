#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep trace --check: what is said of the processes of a command that end in all kinds of ways
(tests/targets/check_ends.c knows what it has lost), by exit code, text and records; and what LeakSanitizer and
valgrind say of the same programs.
"""

import collections
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

from lib import SECONDS, Failure, Program, Seep, Skip, run_seep, plain_name, start_tap, target_path
from test_oom import limited_cgroup

LEAKED, COMMAND_FAILED = 5, 6
LSAN = re.compile(r"(Direct|Indirect) leak of (\d+) byte\(s\) in (\d+) object\(s\)")
VALGRIND = re.compile(r"(definitely|indirectly|possibly) lost: ([\d,]+) bytes in ([\d,]+) blocks")

# How it ends: times that it loses both blocks, processes that are checked, exit code of seep, how the command ended (wait(2)).
ENDS = {
    "return": (1, 1, LEAKED, 0),
    "nothing": (0, 1, 0, 0),
    "atexit": (1, 1, LEAKED, 0),
    "atexit-frees": (0, 1, 0, 0),
    "_exit": (1, 1, LEAKED, 3 << 8),
    "abort": (1, 1, LEAKED, signal.SIGABRT),
    "segv": (1, 1, LEAKED, signal.SIGSEGV),
    "kill": (1, 1, LEAKED, signal.SIGKILL),
    "threads": (1, 1, LEAKED, 0),
    "race": (41, 41, LEAKED, 0),
    "last-thread": (2, 1, LEAKED, 0),
    "exec": (0, 1, 0, 0),
    "thread-exec": (0, 1, 0, 0),
    "fork": (2, 2, LEAKED, 0),
    "daemon": (2, 2, LEAKED, 0),
    "traced": (2, 1, LEAKED, 0),
}


class Check:
    """A command that was checked."""

    def __init__(self, *command, options=()):
        # The command's output must not mix with the records; a core file is nobody's.
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/out"
            self.code, _, self.err = run_seep(
                "trace", "--check", "--format", "ndjson", "--output", out, *options, "--", *command,
                cwd=folder,
            )
            with open(out) as f:
                self.records = [json.loads(line) for line in f]
        if not self.of("check"):
            raise Failure(f"exit code {self.code}, no check: {self.err[-300:]}")
        self.sums = self.of("check")[0]

    def of(self, kind):
        return [r for r in self.records if r["type"] == kind]

    def functions(self, leak):
        site = next(
            r for r in self.of("site")
            if r["site"] == leak["site"] and r["time"] == leak["time"] and r["process"] == leak["process"]
        )
        return [plain_name(f["function"]) for f in site["frames"]]

    def kinds(self):
        """{(size, kind): number of blocks}, where the blocks of a site are of one size."""
        kinds = collections.Counter()
        for leak in self.of("leak"):
            for kind, name in (("direct", "direct"), ("cycle", "indirect"), ("indirect", "indirect")):
                n = leak[f"{kind}_blocks"]
                if n:
                    kinds[leak[f"{kind}_bytes"] // n, name] += n
        return kinds


def ends(target, how):
    times, processes, code, status = ENDS[how]
    check = Check(target_path(target), how)
    complaints = []
    want = collections.Counter({(104, "direct"): times, (56, "indirect"): times})
    if +check.kinds() != +want:
        complaints.append(f"{dict(check.kinds())}, not {dict(+want)}")
    if check.code != code:
        complaints.append(f"exit code {check.code}, not {code}: {check.err[-300:]}")
    for leak in check.of("leak"):
        if "lose" not in check.functions(leak):
            complaints.append(f"{leak} by {check.functions(leak)}")
    sums = check.sums
    if (sums["processes"], sums["unchecked_processes"]) != (processes, 0):
        complaints.append(f"processes: {sums}")
    if sums["command_status"] & ~0x80 != status:
        complaints.append(f"status {sums['command_status']}, not {status}")
    if sums["direct_bytes"] != 104 * times or sums["indirect_blocks"] != times:
        complaints.append(f"sums: {sums}")
    if any(not s["stopped_seconds"] or not s["complete"] for s in check.of("scan")):
        complaints.append(f"{check.of('scan')}")
    return complaints


def zoo():
    """Each way to be reachable or lost, with _exit while threads wait; LeakSanitizer's word is the zoo's own (test_scan.py)."""
    with tempfile.NamedTemporaryFile() as out, Program(
        [os.environ.get("SEEP", "build/seep"), "trace", "-q", "--check", "--format", "ndjson",
         "--output", out.name, "--", target_path("scan_zoo")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as seep:
        text, _ = seep.process.communicate(b"go\n", timeout=SECONDS)
        code = seep.process.returncode
        records = [json.loads(line) for line in open(out.name)]
    truth = json.loads(text.splitlines()[1])["blocks"]
    want = collections.Counter(
        (b["size"], "direct" if b["says"] == "direct" else "indirect")
        for b in truth if b["says"] != "reachable"
    )
    check = Check.__new__(Check)
    check.records = records
    have = check.kinds()
    complaints = [
        f"{key[0]} B {key[1]}: {have[key]} blocks, not {want[key]}"
        for key in have.keys() | want.keys() if have[key] != want[key]
    ]
    return complaints + ([] if code == LEAKED else [f"exit code {code}"])


def against_lsan():
    """Where LeakSanitizer looks: at a process's own end."""
    complaints = []
    for how in ("return", "nothing", "atexit", "atexit-frees", "threads", "last-thread"):
        env = {**os.environ, "LSAN_OPTIONS": "exitcode=23:print_suppressions=0"}
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run(
                [target_path("check_ends_lsan"), how],
                env=env, capture_output=True, text=True, timeout=SECONDS, cwd=folder,
            )
        said = collections.Counter()
        for kind, n_bytes, n in LSAN.findall(run.stderr):
            said[int(n_bytes) // int(n), kind.lower()] += int(n)
        have = +Check(target_path("check_ends"), how).kinds()
        if said != have:
            complaints.append(f"{how}: LeakSanitizer {dict(said)}, seep {dict(have)}")
        if (run.returncode == 23) != bool(said):
            complaints.append(f"{how}: LeakSanitizer ended with {run.returncode}: {run.stderr[-200:]}")
    return complaints


def against_valgrind():
    if not shutil.which("valgrind"):
        raise Skip("no valgrind")
    complaints = []
    for how in ("return", "_exit", "abort", "atexit-frees"):
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run(
                ["valgrind", "--leak-check=full", target_path("check_ends"), how],
                capture_output=True, text=True, timeout=SECONDS, cwd=folder,
            )
        lost = {k: (int(b.replace(",", "")), int(n.replace(",", ""))) for k, b, n in VALGRIND.findall(run.stderr)}
        sums = Check(target_path("check_ends"), how).sums
        have = {
            "definitely": (sums["direct_bytes"], sums["direct_blocks"]),
            "indirectly": (sums["indirect_bytes"], sums["indirect_blocks"]),
        }
        for kind, figures in have.items():
            if lost.get(kind, (0, 0)) != figures:
                complaints.append(f"{how}: {kind} lost {lost.get(kind)}, seep {figures}")
    return complaints


def suppressed():
    """A rule for who lost the first block takes what that leads to with it; another one changes nothing."""
    complaints = []
    for rule, code, blocks in (("leak:lose_both", 0, 2), ("leak:nobody", LEAKED, 0)):
        with tempfile.NamedTemporaryFile("w") as rules:
            rules.write(f"{rule}\n")
            rules.flush()
            check = Check(target_path("check_ends"), "return", options=("--suppressions", rules.name))
        if check.code != code or check.sums["suppressed_blocks"] != blocks:
            complaints.append(f"{rule}: exit code {check.code}, {check.sums}")
        if bool(check.of("leak")) != (code == LEAKED):
            complaints.append(f"{rule}: {check.of('leak')}")
    return complaints


def text():
    complaints = []
    for arguments, code, patterns in (
        (("return", "7"), LEAKED, [
            r"^process \d+ check_ends \(.*\), exited with code 7$",
            r"^  unreachable  160 B in 2 blocks$",
            r"^    direct     104 B in 1 block, which nothing points to$",
            r"^check: 160 B in 2 blocks unreachable, in 1 of 1 process$",
            r"^  the command ended with exit code 7$",
        ]),
        (("nothing", "7"), COMMAND_FAILED, [
            r"^check: nothing unreachable in 1 process$",
            r"^  the command ended with exit code 7$",
        ]),
        (("nothing",), 0, [r"^check: nothing unreachable in 1 process$"]),
    ):
        got, out, err = run_seep("trace", "--check", "--", target_path("check_ends"), *arguments)
        if got != code:
            complaints.append(f"{arguments}: exit code {got}, not {code}: {err[-200:]}")
        complaints += [f"{arguments}: no {p}\n{out}" for p in patterns if not re.search(p, out, re.M)]
    return complaints


def interrupted(how, code, sums):
    """seep passes the signal on, and looks at the command when that ends; a second one gives up."""
    with tempfile.NamedTemporaryFile() as out, Seep(
        "trace", "--check", "--format", "ndjson", "--output", out.name, "--", target_path("check_ends"), how
    ) as seep:
        seep_ready = lambda: "ready" in seep.stdout()
        from lib import wait_until

        wait_until("ready command", seep_ready)
        seep.process.send_signal(signal.SIGINT)
        if how == "ignore":
            wait_until("word about waiting", lambda: "waiting for the command" in seep.stderr())
            child = children(seep.pid)[0]
            seep.process.send_signal(signal.SIGINT)
        got = seep.wait()
        if how == "ignore":
            os.kill(child, signal.SIGKILL)
        checks = [json.loads(line) for line in open(out.name) if '"type":"check"' in line.replace(" ", "")]
    complaints = [] if got == code else [f"exit code {got}, not {code}"]
    if [c["direct_blocks"] for c in checks] != sums:
        complaints.append(f"checks: {checks}")
    return complaints


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        own = [int(p) for p in f.read().split()]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as f:
            own += [int(p) for p in f.read().split()]
    return own


def out_of_memory():
    """Whose memory the kernel takes is not judged by what is left of it."""
    with limited_cgroup() as folder:
        check = Check(
            "/bin/sh", "-c", f"echo $$ > {folder}/cgroup.procs && exec {target_path('check_ends')} oom"
        )
    complaints = []
    if check.sums["unchecked_processes"] != 1 or check.of("leak") or check.sums["direct_blocks"]:
        complaints.append(f"{check.sums}")
    if check.code != COMMAND_FAILED or "want of memory" not in check.err:
        complaints.append(f"exit code {check.code}: {check.err[-300:]}")
    return complaints


def many():
    """A shell's children, one after the other and at once."""
    target = target_path("check_ends")
    script = f"for i in 1 2 3 4 5 6 7 8; do {target} return & {target} nothing & done; wait"
    check = Check("/bin/sh", "-c", script)
    complaints = []
    if check.sums["leaking_processes"] < 8 or check.sums["unchecked_processes"]:
        complaints.append(f"{check.sums}")
    if check.kinds()[104, "direct"] != 8 or check.kinds()[56, "indirect"] != 8:
        complaints.append(f"{dict(check.kinds())}")
    return complaints


def refused():
    complaints = []
    for arguments in (
        ("-p", "1"), ("-s", "2", "--", "true"), ("-o", "1", "--", "true"), ("--growth", "--", "true"),
        ("--for", "1", "--", "true"), ("5", "2", "--", "true"), ("--format", "folded", "--", "true"),
    ):
        code, _, err = run_seep("trace", "--check", *arguments)
        if code != 2 or "--check" not in err:
            complaints.append(f"{arguments}: exit code {code}: {err[-200:]}")
    return complaints


def main():
    tap = start_tap()
    for how in ENDS:
        tap.run(f"{how}", ends, "check_ends", how)
    for how in ("return", "threads", "nothing"):
        tap.run(f"linked statically, {how}", ends, "check_ends_static", how)
    tap.run("each way to be lost", zoo)
    tap.run("the same as LeakSanitizer", against_lsan)
    tap.run("the same as valgrind", against_valgrind)
    tap.run("--suppressions", suppressed)
    tap.run("text", text)
    tap.run("SIGINT", interrupted, "wait", LEAKED, [2])
    tap.run("SIGINT, which the command ignores", interrupted, "ignore", -signal.SIGINT, [])
    tap.run("killed for want of memory", out_of_memory)
    tap.run("many processes", many)
    tap.run("refused", refused)
    tap.end()


main()

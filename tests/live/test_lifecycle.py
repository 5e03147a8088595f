#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Processes come, change and go while they are traced: a server that forks for each request, a parallel build, chains of
programs, one pid many times, ends in the middle of an attach, a library replaced on disk, clocks that are not the host's. No
process is missed or mixed with another, and nothing of the dead stays in the kernel's tables.

LIFECYCLE_CHILDREN: how many requests the servers get, 3000 by default. LIFECYCLE_ATTACHES: how many dying processes are
attached to, 25 by default.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter, defaultdict

from lib import (
    ROOT,
    SECONDS,
    SEEP,
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

CHILDREN = int(os.environ.get("LIFECYCLE_CHILDREN", "3000"))
ATTACHES = int(os.environ.get("LIFECYCLE_ATTACHES", "25"))
RING_EVENTS = 12000  # processes: two events each, in a ring of 1 MiB
BY_INSTANCE = ("live", "sites", "unknown_sites", "instances")


def finals(records):
    return [r for r in records if r["type"] == "process" and r.get("final")]


def sites_of(records, process):
    return [
        r
        for r in records
        if r["type"] == "site"
        and (r["time"], r["process"], r["pid"])
        == (process["time"], process["process"], process["pid"])
    ]


def own_sites(records, process, function):
    """Those of the process's sites that go through a function."""
    return [
        s
        for s in sites_of(records, process)
        if function in [plain_name(f["function"]) for f in s["frames"]]
    ]


class Maps:
    """seep's maps, as the kernel has them."""

    def __init__(self, pid):
        self.ids = {}
        for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
            try:
                fields = dict(
                    line.split(":", 1) for line in info.read_text().splitlines() if ":" in line
                )
            except OSError:
                continue
            if "map_id" in fields:
                self.ids[int(fields["map_id"])] = None
        if not shutil.which("bpftool"):
            raise Skip("no bpftool")
        for number in self.ids:
            self.ids[number] = self.tool("show", number)["name"]

    @staticmethod
    def tool(verb, number):
        done = subprocess.run(
            ["bpftool", "-j", "map", verb, "id", str(number)], capture_output=True, check=False
        )
        # An entry that goes while bpftool looks is an error of its own, among the others.
        if done.returncode and verb != "dump":
            raise Failure(f"bpftool map {verb}: {(done.stdout + done.stderr)[-200:].decode()}")
        return json.loads(done.stdout)

    def entries(self, name):
        """Of the map with that name: [(key, value)], as bpftool's JSON formats them by BTF."""
        number = next((n for n, have in self.ids.items() if have == name), None)
        if number is None:
            raise Failure(f"no map {name} among {sorted(self.ids.values())}")
        formatted = [e["formatted"] for e in self.tool("dump", number) if "formatted" in e]
        return [(f["key"], f["value"]) for f in formatted if isinstance(f["value"], dict)]

    def instances(self):
        """{map: Counter of the instances that its entries are of}"""
        counts = {}
        for name in BY_INSTANCE:
            keys = [key for key, _ in self.entries(name)]
            counts[name] = Counter(k["instance"] if isinstance(k, dict) else k for k in keys)
        counts["procs"] = Counter(value["instance"] for _, value in self.entries("procs"))
        return counts

    def dead(self):
        """Instances that are no process any more."""
        return {
            key
            for key, value in self.entries("instances")
            if not pathlib.Path(f"/proc/{value['pid']}").exists()
        }

    def entries_of(self, dead):
        """Complaints about entries of these instances."""
        return [
            f"{len(set(counts) & dead)} dead instances in {name}"
            for name, counts in self.instances().items()
            if set(counts) & dead
        ]

    def left_over(self, alive):
        """Complaints about entries of other instances than so many that live."""
        return [
            f"{sum(counts.values())} entries of {len(counts)} instances in {name}"
            for name, counts in self.instances().items()
            if len(counts) > alive
        ]


def left_behind(pid, alive):
    """Complaints about what is still in seep's maps some reports after all but so many processes ended."""
    maps = Maps(pid)
    deadline = time.monotonic() + SECONDS
    while (left := maps.left_over(alive)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def read_records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def rss_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf(
        "SC_PAGE_SIZE"
    )


def judge_served(served, records, exact):
    """What each child did, against its final record. Pids may be taken again: lives of one pid are compared in order."""
    complaints = []
    want, have = defaultdict(list), defaultdict(list)
    for pid, *figures in served:
        want[pid].append(tuple(figures))
    pids = {s[0] for s in served}
    for p in finals(records):
        if p["pid"] in pids:
            have[p["pid"]].append(p)
    for pid, lives in want.items():
        found = have[pid]
        if len(found) != len(lives):
            complaints.append(f"pid {pid} lived {len(lives)} times, seen {len(found)} times")
            continue
        if any(p["ended"] != "exit" or p["exit_status"] for p in found):
            complaints.append(f"pid {pid}: {[(p['ended'], p['exit_status']) for p in found]}")
        figures = Counter(
            (p["allocations"], p["frees"], p["allocated_bytes"], p["freed_bytes"]) for p in found
        )
        if exact and figures != Counter(lives):
            complaints.append(f"pid {pid} did {lives}, seen {dict(figures)}")
        if (
            not exact
            and len(lives) == 1
            and any(a > b for a, b in zip(next(iter(figures)), lives[0]))
        ):
            complaints.append(f"pid {pid} did {lives[0]}, seen {dict(figures)}")
        if any(p["unknown_frees"] for p in found) and exact:
            complaints.append(f"pid {pid}: unknown frees")
        if exact and any(p["inherited_frees"] != 1 for p in found):
            complaints.append(f"pid {pid}: inherited frees {[p['inherited_frees'] for p in found]}")
    return complaints


def read_served(line, records, seep_code, exact, may_lose=()):
    told = json.loads(line)
    complaints = judge_served(told["served"], records, exact)
    if seep_code:
        complaints.append(f"exit code {seep_code}")
    lost = {k: n for k, n in records[-1]["lost"].items() if k not in may_lose}
    if lost:
        complaints.append(f"lost {lost}")
    return told, complaints


def fork_server_launched(*arguments):
    """Every child is stopped until it is probed, so all is exact; seep's memory does not grow with their number."""
    rss = []
    command = [target_path("lifecycle_server"), str(CHILDREN), "--auto", *arguments]
    with tempfile.NamedTemporaryFile() as out:
        with Program(
            [
                SEEP,
                "trace",
                "-q",
                "-T",
                "0",
                "--format",
                "ndjson",
                "--output",
                out.name,
                "0.5",
                "--",
                *command,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as seep:
            reader = os.fdopen(os.dup(seep.process.stdout.fileno()), "rb")
            with reader:
                # Its line comes when all children have ended; seep's memory is watched till then.
                os.set_blocking(reader.fileno(), False)
                line = b""
                deadline = time.monotonic() + 3 * SECONDS
                while not line.endswith(b"\n") and time.monotonic() < deadline:
                    time.sleep(0.1)
                    rss.append(rss_bytes(seep.pid))
                    line += reader.read() or b""
            left = left_behind(seep.pid, 1)
            seep.process.stdin.write(b"\n")
            seep.process.stdin.flush()
            code = seep.wait()
        records = read_records(pathlib.Path(out.name))
    told, complaints = read_served(line, records, code, True)
    early, late = max(rss[: len(rss) // 2]), max(rss)
    print(
        f"#   {CHILDREN} children, {told['reused']} with the pid of the one before, seep's memory "
        f"{early >> 10} KiB at most in the first half, {late >> 10} KiB after"
    )
    if late > early * 1.25 + (4 << 20):
        complaints.append(f"seep's memory grew from {early} to {late} bytes")
    return complaints + left


def fork_server_attached(*arguments):
    """Its children run on while they are looked at: what they did before is not seen, but each of them is there."""
    n = CHILDREN // 4
    with Target("lifecycle_server", str(n), *arguments) as target:
        with Seep(
            "trace", "-q", "-p", str(target.pid), "-T", "0", "--format", "ndjson", "0.5"
        ) as seep:
            seep.wait_attached()
            target.tell("go")
            line = target.read_line()
            left = left_behind(seep.pid, 1)
            target.tell("end")
            target.wait()
            code = seep.wait()
            records = seep.records()
    # A process may have given way to another while it was probed, which then is probed twice for a moment: its calls look left
    # and begun again, and that is counted.
    if arguments and code == 4:
        code = 0
    _, complaints = read_served(line, records, code, False, ("abandoned_calls",))
    main = next(p for p in finals(records) if p["pid"] == target.pid)
    if (main["allocations"], main["outstanding_bytes"]) != (2, 2000):
        complaints.append(f"the server: {main}")
    return complaints + left


def ring_full():
    """seep is stopped while more processes come and go than the ring has room for: that is said, and nothing stays."""
    with Target("lifecycle_server", str(RING_EVENTS)) as target:
        with Seep("trace", "-q", "-p", str(target.pid), "--format", "ndjson", "0.5") as seep:
            seep.wait_attached()
            seep.process.send_signal(signal.SIGSTOP)
            target.tell("go")
            line = target.read_line()
            seep.process.send_signal(signal.SIGCONT)
            left = left_behind(seep.pid, 1)
            target.tell("end")
            target.wait()
            code = seep.wait()
            records = seep.records()
    lost = records[-1]["lost"]
    pids = {p["pid"] for p in finals(records)}
    missing = [pid for pid, *_ in json.loads(line)["served"] if pid not in pids]
    print(f"#   exit code {code}, lost {lost}")
    complaints = (
        [] if code == 4 and lost.get("process_ring_full") else [f"exit code {code}, {lost}"]
    )
    if missing:
        complaints.append(f"no record of {len(missing)} processes")
    return complaints + left


def build():
    """make -j2 of some of seep's own files, with a compiler that everybody has."""
    sources = sorted((ROOT / "user/base").glob("*.c"))
    with tempfile.TemporaryDirectory(prefix="seep-build-") as folder:
        lines = ["all: prog", "CC = cc"]
        for source in sources:
            lines.append(
                f"{source.stem}.o: {source}; $(CC) -O1 -fPIC -std=gnu11 -D_GNU_SOURCE -I{ROOT}/user -c $< -o $@"
            )
        lines.append(f"prog: {' '.join(s.stem + '.o' for s in sources)}; $(CC) -shared -o $@ $^")
        pathlib.Path(folder, "Makefile").write_text("\n".join(lines) + "\n")
        bare = time.monotonic()
        subprocess.run(["make", "-j2", "-s"], cwd=folder, check=True)
        bare = time.monotonic() - bare
        for o in pathlib.Path(folder).glob("*.o"):
            o.unlink()
        # Its own output is its word that it has ended; the reports go elsewhere.
        report = pathlib.Path(folder, "report")
        script = "make -j2 -s && echo done && read x"
        with Seep(
            *("trace", "-q", "--format", "ndjson", "--output", str(report), "1"),
            *("--", "sh", "-c", script),
            cwd=folder,
            stdin=subprocess.PIPE,
        ) as seep:
            begun = time.monotonic()
            wait_until("end of the build", lambda: "done\n" in seep.stdout(), 120)
            traced = time.monotonic() - begun
            left = left_behind(seep.pid, 1)
            seep.process.stdin.write(b"\n")
            seep.process.stdin.flush()
            code = seep.wait()
            records = read_records(report)
    print(
        f"#   the build takes {bare:.1f} s, under seep {traced:.1f} s: {traced / bare:.1f} times as long"
    )
    complaints = [f"exit code {code}"] if code else []
    comms = Counter(p["comm"] for p in finals(records) if p["ended"] == "exit")
    print(f"#   {dict(comms)}")
    for comm, n in (("cc1", len(sources)), ("as", len(sources)), ("make", 1)):
        if comms[comm] != n:
            complaints.append(f"{comms[comm]} times {comm}, not {n}")
    silent = [
        p for p in finals(records) if p["comm"] in ("cc1", "as", "ld") and not p["allocations"]
    ]
    complaints += [f"{p['comm']} allocated nothing" for p in silent]
    complaints += [f"not ended: {p}" for p in finals(records) if not p["ended"]]
    return complaints + left


def exec_chain(lives, end_signal, launched):
    """Each life is a process of its own, with its own blocks, also when another thread executed it."""
    arguments = [str(lives), str(end_signal)]
    if launched:
        with tempfile.NamedTemporaryFile() as out:
            code, text, _ = run_seep(
                *("trace", "-q", "--format", "ndjson", "--output", out.name, "0.5"),
                *("--", target_path("lifecycle_exec"), *arguments),
            )
            records = read_records(pathlib.Path(out.name))
        pid = json.loads(text)["ready"]
    else:
        with Target("lifecycle_exec", *arguments) as target:
            with Seep(
                "trace", "-q", "-p", str(target.pid), "-T", "0", "--format", "ndjson", "0.5"
            ) as seep:
                seep.wait_attached()
                target.tell("go")
                target.wait()
                code = seep.wait()
                records = seep.records()
        pid = target.pid
    complaints = [f"exit code {code}"] if code else []
    own = sorted((p for p in finals(records) if p["pid"] == pid), key=lambda p: p["process"])
    seen = Counter()
    for p in own:
        sites = own_sites(records, p, "take_block")
        sizes = Counter()
        for s in sites:
            sizes[s["outstanding_bytes"], s["outstanding_allocations"]] += 1
        main = sum(s["outstanding_bytes"] for s in sites), sum(
            s["outstanding_allocations"] for s in sites
        )
        seen[main] += 1
    want = Counter()
    for life in range(1, lives + 1):
        extra = life % 3 == 0
        want[life * (100 + life) + extra * 777, life + extra] += 1
    if len(own) != lives:
        complaints.append(f"{len(own)} lives, not {lives}")
    if launched and seen != want:
        complaints.append(f"missing {dict(want - seen)}, too many {dict(seen - want)}")
    if not launched and (101, 1) not in seen:
        complaints.append(f"first life: {dict(seen)}")
    ends = Counter(p["ended"] for p in own)
    if ends != Counter({"exec": lives - 1, "exit": 1}):
        complaints.append(f"ended by {dict(ends)}")
    last = [p for p in own if p["ended"] == "exit"]
    if any(p["exit_status"] & 0x7F != end_signal for p in last):
        complaints.append(
            f"exit status {[p['exit_status'] for p in last]}, not of signal {end_signal}"
        )
    return complaints


def dying():
    """Attaching to a process that ends meanwhile: a report, or one sentence and exit code 1."""
    codes, complaints = Counter(), []
    # Spread over the time that seep needs for all of an attach.
    with Target("lifecycle_server", "1") as target:
        begun = time.monotonic()
        with Seep("trace", "-p", str(target.pid), "--format", "ndjson", "--for", "60") as seep:
            seep.wait_attached()
            whole = time.monotonic() - begun
    chance = random.Random(4)
    for _ in range(ATTACHES):
        with Program(["sleep", "1000"]) as target:
            with Seep("trace", "-p", str(target.pid), "--format", "ndjson") as seep:
                time.sleep(chance.uniform(0, whole))
                target.process.kill()
                # Without this it stays as a zombie.
                target.wait()
                code = seep.wait()
                err, out = seep.stderr(), seep.stdout()
        codes[code] += 1
        lines = [l for l in err.splitlines() if l]
        if code == 0:
            records = [json.loads(l) for l in out.splitlines()]
            if not any(p["ended"] == "exit" and p["exit_status"] == 9 for p in finals(records)):
                complaints.append(f"exit code 0 without its end: {out[-300:]}")
        elif code != 1 or not any(str(target.pid) in l for l in lines) or len(lines) > 2:
            complaints.append(f"exit code {code}: {err[-400:]}")
    print(f"#   exit codes {dict(codes)}, an attach takes {whole:.2f} s")
    return complaints


def stopped():
    """A process that is stopped while seep attaches, and lives on."""
    with Target("lifecycle_server", "8") as target:
        target.process.send_signal(signal.SIGSTOP)
        with Seep("trace", "-p", str(target.pid), "-T", "0", "--format", "ndjson", "60") as seep:
            seep.wait_attached()
            state = (
                pathlib.Path(f"/proc/{target.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            )
            target.process.send_signal(signal.SIGCONT)
            target.tell("go")
            target.read_line()
            target.tell("end")
            target.wait()
            code = seep.wait()
            records = seep.records()
    main = [p for p in finals(records) if p["pid"] == target.pid]
    complaints = [] if state == "T" else [f"seep let it run: state {state}"]
    if code or len(main) != 1 or main[0]["outstanding_bytes"] != 2000:
        complaints.append(f"exit code {code}, {main}")
    return complaints


def load_and_take(target):
    target.tell("load")
    target.read_line()
    time.sleep(1)  # calls right after the load have stacks of one frame, and say so
    target.tell("take")
    target.read_line()


def replaced():
    """A library is replaced by another on disk: blocks taken before and after keep the names of the file that was mapped."""
    with tempfile.TemporaryDirectory(prefix="seep-library-") as folder:
        path, new = pathlib.Path(folder, "lib.so"), pathlib.Path(folder, "new.so")
        shutil.copy(target_path("liblifecycle_1.so"), path)
        with Target("lifecycle_dlopen", path) as target:
            with Seep(
                "trace", "-p", str(target.pid), "-T", "0", "--format", "ndjson", "60"
            ) as seep:
                seep.wait_attached()
                load_and_take(target)
                shutil.copy(target_path("liblifecycle_2.so"), new)
                new.rename(path)
                load_and_take(target)
                path.unlink()
                code = seep.interrupt()
                records = seep.records()
    main = finals(records)[-1]
    complaints = [f"exit code {code}"] if code else []
    for version in ("1", "2"):
        sites = own_sites(records, main, f"take_in_version_{version}")
        if sum(s["outstanding_bytes"] for s in sites) != 50000:
            complaints.append(
                f"version {version}: {[[f['function'] for f in s['frames']] for s in sites_of(records, main)]}"
            )
    return complaints


def crashed(end_signal):
    """A process that ends by a signal: its record says so, and its sites have names although it is gone."""
    return exec_chain(1, end_signal, False)


def other_clocks(whose):
    """The target, or seep, in a time namespace whose clocks are days ahead: ages are still ages."""
    ahead = [
        "unshare",
        "--time",
        "--fork",
        "--kill-child",
        "--monotonic",
        "500000",
        "--boottime",
        "700000",
    ]
    if subprocess.run([*ahead, "true"], capture_output=True, check=False).returncode:
        raise Skip("no time namespaces")
    server = [*(ahead if whose == "target" else []), target_path("lifecycle_server"), "1"]
    with Program(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        pid = json.loads(target.process.stdout.readline())["ready"]
        begun = time.monotonic()
        trace = [SEEP, "trace", "-p", str(pid), "-a", "-T", "0", "--format", "ndjson"]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with Program(
                [*(ahead if whose == "seep" else []), *trace, "0.5"], stdout=out, stderr=err
            ) as seep:

                def text():
                    out.seek(0)
                    return out.read()

                def attached():
                    err.seek(0)
                    if seep.process.poll() is not None:
                        raise Failure(f"seep ended: {err.read()[-300:]}")
                    return b'"session"' in text()

                wait_until("session", attached)
                target.process.stdin.write(b"go\n")
                target.process.stdin.flush()
                target.process.stdout.readline()
                wait_until("block", lambda: b'"block"' in text())
                target.process.stdin.close()
                target.wait()
                code = seep.wait()
                elapsed = time.monotonic() - begun
                records = [json.loads(l) for l in text().splitlines()]
    ages = [r["age_seconds"] for r in records if r["type"] == "block"]
    ages += [
        r["oldest_age_seconds"]
        for r in records
        if r["type"] == "site" and r["oldest_age_seconds"] is not None
    ]
    ages += [r["seen_from_seconds"] for r in records if r["type"] == "process"]
    complaints = [f"exit code {code}"] if code else []
    if not ages or any(not 0 <= age <= elapsed for age in ages):
        complaints.append(f"ages {ages[:10]} within {elapsed:.1f} s")
    main = [p for p in finals(records) if p["pid"] == pid]
    if len(main) != 1 or main[0]["outstanding_bytes"] != 2000:
        complaints.append(f"{main}")
    return complaints


def main():
    tap = start_tap()
    tap.run("a fork server, launched", fork_server_launched)
    tap.run("a fork server, attached to", fork_server_attached)
    tap.run("children of one pid, launched", fork_server_launched, "--same-pid")
    tap.run("children of one pid, of a server attached to", fork_server_attached, "--same-pid")
    tap.run("more processes than the ring has room for", ring_full)
    tap.run("a parallel build", build)
    tap.run("a chain of programs, launched", exec_chain, 12, 0, True)
    tap.run("a chain of programs, attached to", exec_chain, 12, 0, False)
    tap.run("a chain of programs that ends in a crash", exec_chain, 3, signal.SIGSEGV, True)
    tap.run("a process that crashes", crashed, signal.SIGABRT)
    tap.run("targets that end during the attach", dying)
    tap.run("a target that is stopped during the attach", stopped)
    tap.run("a library is replaced on disk", replaced)
    tap.run("a target in a time namespace", other_clocks, "target")
    tap.run("seep in a time namespace", other_clocks, "seep")
    tap.end()


if __name__ == "__main__":
    main()

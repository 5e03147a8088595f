# SPDX-License-Identifier: BSD-2-Clause
"""The measurements of tools/bench/run: each starts its own target and tracer, and ends both."""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = pathlib.Path(__file__).resolve().parent
BUILD = ROOT / "build/bench"
SEEP = os.environ.get("SEEP", str(ROOT / "build/seep"))
SECONDS = 60  # a deadline for whatever is waited for
CODE_BYTES = 64  # of malloc and free: probes stand in there
NS = 1e9


class Failure(Exception):
    """A measurement did not come about."""


def wait_until(what, condition, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"no {what} within {seconds} s")
        time.sleep(0.005)


class Program:
    """A process of ours with lines to and from it; ended when the `with` block ends."""

    def __init__(self, argv, **popen):
        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, **popen)
        self.pid = self.process.pid
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.process.stdin.close()
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def line(self, first_word, seconds=SECONDS):
        """The words after first_word, of the next line that begins with it."""
        deadline = time.monotonic() + seconds
        while True:
            line, newline, rest = self.unread.partition(b"\n")
            if newline:
                self.unread = rest
                words = line.decode(errors="replace").split()
                if words[:1] == [first_word]:
                    return words[1:]
                continue
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failure(f"{self.process.args[0]}: no {first_word!r} within {seconds} s")
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                raise Failure(f"{self.process.args[0]} ended (exit code {self.process.wait()})")
            self.unread += data

    def ask(self, question, first_word="result"):
        self.process.stdin.write(question.encode() + b"\n")
        self.process.stdin.flush()
        return [int(word) for word in self.line(first_word)]


class Target(Program):
    """Ready to work when the constructor returns. argv may begin with a tool that runs it."""

    def __init__(self, *argv, **popen):
        super().__init__(argv, **popen)
        pid, *addresses = self.line("target")
        self.pid = int(pid)
        self.addresses = [int(a, 16) for a in addresses]

    def code(self):
        """The first instructions of malloc and of free, breakpoints included."""
        with open(f"/proc/{self.pid}/mem", "rb") as memory:
            return [os.pread(memory.fileno(), CODE_BYTES, a) for a in self.addresses]

    def cost(self, n_threads, n_pairs):
        """Wall time and CPU time of a pair in ns; wall time as one thread sees it."""
        wall_ns, cpu_ns = self.ask(f"{n_threads} {n_pairs}")
        return wall_ns / n_pairs, cpu_ns / n_pairs / n_threads


class Traced:
    """A tracer on a target for as long as the `with` block lasts. From the target's own code one
    sees when the probes stand and when they are gone, whoever places them."""

    SETTLE_SECONDS = 0.1  # return probes and counters that come after the breakpoints

    def __init__(self, target, argv):
        self.target = target
        self.argv = argv

    def __enter__(self):
        self.bare_code = self.target.code()
        self.stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(a) for a in self.argv], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=self.stderr)
        try:
            wait_until(f"probes of {self.argv[0]}", self.stands)
        except Failure:
            self.end()
            raise
        time.sleep(self.SETTLE_SECONDS)
        return self

    def stands(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.argv[0]}: exit code {self.process.returncode}: {self.said()}")
        return all(now != bare for now, bare in zip(self.target.code(), self.bare_code))

    def said(self):
        self.stderr.seek(0)
        return self.stderr.read(4096).decode(errors="replace").strip()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.stdin.close()  # floor's end where SIGINT is ignored, as in a background job
        try:
            self.code = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.code = self.process.wait()
        self.stderr.close()

    def __exit__(self, *_):
        self.end()
        wait_until("end of the probes", lambda: self.target.code() == self.bare_code)


BATCH_SECONDS = 0.15


def batch(target, n_threads):
    """Wall and CPU time of a pair, over about BATCH_SECONDS."""
    wall_ns, _ = target.cost(n_threads, 1000)
    return target.cost(n_threads, max(1000, int(BATCH_SECONDS * NS / wall_ns)))


def batches(target):
    return [batch(target, n_threads) for n_threads in (1, 2)]


def pairs_traced(argv, settle_seconds=0):
    """argv: the tracer's, with the target's pid for {}. settle_seconds: of work before it is measured."""

    def run(target):
        with Traced(target, [str(a).replace("{}", str(target.pid)) for a in argv]) as traced:
            settled = time.monotonic() + settle_seconds
            while time.monotonic() < settled:
                batch(target, 1)
            figures = batches(target)
        if traced.code not in (0, -signal.SIGINT):  # 4: seep lost events
            raise Failure(f"{argv[0]}: exit code {traced.code}")
        return figures

    return run


def pairs_under(argv):
    """argv: a tool that starts the target, in a folder of its own."""

    def run(_):
        with tempfile.TemporaryDirectory() as folder:
            with Target(*(str(a).replace("{}", folder) for a in argv), BUILD / "pairs") as target:
                return batches(target)

    return run


def seep_trace(*options):
    return [SEEP, "trace", "-q", "-p", "{}", *options, "--output", "/dev/null", "3600"]


def rows():
    """(key, name, needed tool or file, measurement), in the table's order."""
    memleak = os.environ.get("MEMLEAK")
    seep = [
        (f"seep_{link}", f"seep, exact, {link} links", SEEP, pairs_traced(
            seep_trace("--link", link)))
        for link in ("session", "multi", "perf")
    ]
    floors = [
        (f"floor_{link}", f"empty probes at seep's sites, {link} links", BUILD / "floor",
         pairs_traced([BUILD / "floor", "{}", link]))
        for link in ("session", "multi", "perf")
    ]
    return [
        ("bare", "bare", BUILD / "pairs", batches),
        *floors,
        *seep,
        ("floor_recorded", "seep's programs, without stacks", BUILD / "floor",
         pairs_traced([BUILD / "floor", "{}", "session", "recorded"])),
        ("floor_counted", "the same, hits counted as for --budget", BUILD / "floor",
         pairs_traced([BUILD / "floor", "{}", "session", "counted"])),
        ("seep_count", "seep, one in 100 (-s 100)", SEEP, pairs_traced(seep_trace("-s", "100"))),
        ("seep_bytes", "seep, --sample-bytes 512k", SEEP,
         pairs_traced(seep_trace("--sample-bytes", "512k"))),
        ("seep_budget", "seep, --budget 5, settled", SEEP,
         pairs_traced(seep_trace("--budget", "5"), settle_seconds=5)),
        ("likeness", "memleak's likeness in bpftrace", "bpftrace",
         pairs_traced(["bpftrace", "-p", "{}", HERE / "memleak.bt"])),
        ("memleak", "libbpf memleak", memleak or "MEMLEAK=path names none",
         pairs_traced([memleak, "-p", "{}", "3600"])),
        ("heaptrack", "heaptrack (restarts the target)", "heaptrack",
         pairs_under(["heaptrack", "-r", "-o", "{}/heaptrack"])),
        ("valgrind", "valgrind --leak-check=full (likewise)", "valgrind",
         pairs_under(["valgrind", "--leak-check=full"])),
    ]


def installed(tool):
    return bool(shutil.which(str(tool)))


def first_report(program):
    """Seconds from the start of `seep trace -p` to the end of its first report, and from there to
    its exit; seep's peak memory."""
    with Target(program) as target:
        began = time.monotonic()
        seep = subprocess.Popen(
            [SEEP, "trace", "-q", "-p", str(target.pid), "--format", "ndjson", "-T", "0",
             "0.01", "1"],
            stdout=subprocess.PIPE)
        with seep.stdout:
            output = b""
            while b'{"type":"end"' not in output:
                data = os.read(seep.stdout.fileno(), 1 << 20)
                if not data:
                    break
                output += data
            reported = time.monotonic()
            _, status, usage = os.wait4(seep.pid, 0)
            seep.returncode = os.waitstatus_to_exitcode(status)
        ended = time.monotonic()
    sites = [json.loads(r) for r in output.splitlines() if r.startswith(b'{"type":"site"')]
    if seep.returncode or not all(f["line"] for s in sites for f in s["frames"][:2]):
        raise Failure(f"exit code {seep.returncode}, {len(sites)} sites, not all with lines")
    return {
        "report_seconds": reported - began,
        "detach_seconds": ended - reported,
        "max_rss_bytes": usage.ru_maxrss * 1024,
        "n_sites": len(sites),
    }


class Reports:
    """Reads seep's ndjson as it comes, because what nobody reads would slow it down."""

    PROCESS = re.compile(rb'\{"type":"process","time":"[^"]*T(\d+):(\d+):([\d.]+)Z"[^\n]*')

    def __init__(self, stream):
        self.reports = []  # [record of the process, its time of day, when its last byte was read]
        self.thread = threading.Thread(target=self.read, args=(stream,), daemon=True)
        self.thread.start()

    def read(self, stream):
        line = b""  # what has no end yet
        while data := os.read(stream.fileno(), 1 << 20):
            now = time.time() % 86400
            whole, _, line = (line + data).rpartition(b"\n")
            if self.reports and not whole.startswith(b'{"type":"process"'):
                self.reports[-1][2] = now
            for match in self.PROCESS.finditer(whole):
                hours, minutes, seconds = (float(group) for group in match.groups())
                time_of_day = hours * 3600 + minutes * 60 + seconds
                self.reports.append([json.loads(match.group()), time_of_day, now])

    def last(self):
        return self.reports[-1][0]

    def seconds(self, first):
        """Of the median report from the first-th on: from its time to its last byte."""
        return statistics.median(read_at - time_of_day
                                 for _, time_of_day, read_at in self.reports[first:])


def cpu_seconds(pid):
    """CPU time of all threads so far."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / NS


def peak_rss(pid):
    """0 when it has ended."""
    found = re.search(r"VmHWM:\s*(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


REPORT_SITES = 1000
PERIODIC_REPORTS = 8
INTERVAL_SECONDS = 0.5


def report_cost(n_blocks, show_blocks):
    """Time, CPU time and memory of a report of so many blocks at REPORT_SITES sites, each shown.
    show_blocks: the last report of a trace with -a, else the median of some periodic reports, when
    the sites have their names already."""
    options = ["-a", "3600"] if show_blocks else [str(INTERVAL_SECONDS)]
    with Target(BUILD / "blocks", REPORT_SITES) as target:
        bare_code = target.code()
        seep = subprocess.Popen(
            [SEEP, "trace", "-q", "-p", str(target.pid), "-T", "0", "--format", "ndjson",
             "--max-outstanding", str(n_blocks + 100000), *options],
            stdout=subprocess.PIPE)
        try:
            reports = Reports(seep.stdout)
            wait_until("probes of seep", lambda: seep.poll() is not None or all(
                now != bare for now, bare in zip(target.code(), bare_code)))
            target.ask(str(n_blocks))
            watch = watch_last_report if show_blocks else watch_reports
            figures = watch(seep, reports, n_blocks)
        finally:
            seep.kill()
            seep.wait()
            reports.thread.join()
            seep.stdout.close()
    if reports.last()["lost"] or reports.last()["outstanding_allocations"] < n_blocks:
        raise Failure(f"not exact: {reports.last()}")
    return {**figures, "map_bytes": reports.last()["map_bytes"]}


def watch_reports(seep, reports, n_blocks):
    def complete():
        if seep.poll() is not None:
            raise Failure(f"seep: exit code {seep.returncode}")
        return reports.reports and reports.last()["outstanding_allocations"] >= n_blocks

    wait_until("report of all blocks", complete)
    time.sleep(INTERVAL_SECONDS / 2)
    first, cpu_before = len(reports.reports), cpu_seconds(seep.pid)
    wait_until("reports", lambda: len(reports.reports) >= first + PERIODIC_REPORTS)
    time.sleep(INTERVAL_SECONDS / 2)
    n = len(reports.reports) - first
    return {
        "seconds": reports.seconds(first),
        "cpu_seconds": (cpu_seconds(seep.pid) - cpu_before) / n,
        "rss_bytes": peak_rss(seep.pid),
    }


def watch_last_report(seep, reports, _):
    cpu_before, rss_bytes, began = cpu_seconds(seep.pid), 0, time.monotonic()
    seep.send_signal(signal.SIGINT)
    while reports.thread.is_alive():
        reports.thread.join(0.02)
        rss_bytes = max(rss_bytes, peak_rss(seep.pid))
    seconds = time.monotonic() - began
    _, status, usage = os.wait4(seep.pid, 0)
    seep.returncode = os.waitstatus_to_exitcode(status)
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime - cpu_before,
        "rss_bytes": rss_bytes,
    }

# SPDX-License-Identifier: BSD-2-Clause
"""What following many processes, or the kernel itself, costs: passes of the watch, growth by page faults, links, kernel objects."""

import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import measure

WATCHED = (100, 1000)  # sleepers
PASSES, PASS_INTERVAL_MS = 10, 100
PAGES, TOUCHES = 10000, 11
OTHERS = (0, 10, 30, 100)
MAPPERS = (10, 200)
EVENTFDS = 50000


def watch_pass(n_processes):
    argv = [measure.BUILD / "watch", n_processes, PASSES, PASS_INTERVAL_MS]
    with measure.Program(argv) as program:
        n, _, cpu_ns, _, empty_ns = map(int, program.line("result"))
    return {"n_processes": n, "cpu_ns": cpu_ns, "empty_ns": empty_ns}


class Unprobed:
    """`seep trace` in a mode that places no probes, so its own word is waited for."""

    def __init__(self, *options):
        self.argv = [measure.SEEP, "trace", *options, "--output", "/dev/null", "3600"]

    def __enter__(self):
        self.stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.argv, stderr=self.stderr)
        measure.wait_until("trace", self.stands)

    def stands(self):
        if self.process.poll() is not None:
            raise measure.Failure(f"seep trace: exit code {self.process.returncode}")
        return b"Ctrl-C" in os.pread(self.stderr.fileno(), 1 << 16, 0)

    def __exit__(self, *_):
        self.process.send_signal(measure.signal.SIGINT)
        self.process.wait(measure.SECONDS)
        self.stderr.close()


def growing(*pids, options=()):
    return Unprobed("--growth", "-p", ",".join(map(str, pids)), *options)


def growth_cost(tracer):
    """tracer: makes a context of the pids of who touches, who allocates, and who does neither."""
    with contextlib.ExitStack() as stack:
        pages, pairs, other = (stack.enter_context(measure.Target(measure.BUILD / name))
                               for name in ("touch", "pairs", "pairs"))
        pages.ask(str(PAGES))
        stack.enter_context(tracer(pages.pid, pairs.pid, other.pid))
        touched = [pages.ask(str(PAGES))[1] / PAGES for _ in range(TOUCHES)]
        return {"page_ns": statistics.median(touched), "pair_ns": measure.batch(pairs, 1)[1]}


GROWTHS = (
    ("growth_bare", "bare", lambda *_: contextlib.nullcontext()),
    ("growth_other", "another process is traced", lambda page, pair, other: growing(other)),
    ("growth_default", "seep --growth, one page in 16",
     lambda page, pair, other: growing(page, pair)),
    ("growth_every", "seep --growth --sample-bytes 4k, every page",
     lambda page, pair, other: growing(page, pair, options=("--sample-bytes", "4k"))),
)


def kernel_cost(*options):
    """An eventfd opened and closed: four objects of the kernel."""
    with Unprobed(*options) if options else contextlib.nullcontext():
        begun = time.process_time_ns()
        for _ in range(EVENTFDS):
            os.close(os.eventfd(0))
        return {"eventfd_ns": (time.process_time_ns() - begun) / EVENTFDS}


KERNELS = (
    ("kernel_bare", "bare"),
    ("kernel_other", "seep --kernel -p, of another process", "--kernel", "-p", str(os.getppid())),
    ("kernel_sampled", "seep --kernel -s 100", "--kernel", "-s", "100"),
    ("kernel_all", "seep --kernel", "--kernel"),
)


class Crowd(contextlib.ExitStack):
    """Programs with a libc of their own: what is attached to that concerns nobody else."""

    def __init__(self, n):
        super().__init__()
        folder = self.enter_context(tempfile.TemporaryDirectory())
        with open("/proc/self/maps") as maps:
            libc = next(line.split()[-1] for line in maps if line.rstrip().endswith("/libc.so.6"))
        self.libc = pathlib.Path(shutil.copy(libc, folder))
        env = {**os.environ, "LD_LIBRARY_PATH": folder}
        try:
            self.members = [self.enter_context(measure.Target(measure.BUILD / "pairs", env=env))
                            for _ in range(n)]
            if str(self.libc) not in pathlib.Path(f"/proc/{self.members[0].pid}/maps").read_text():
                raise measure.Failure("the program maps another libc than its own")
        except BaseException:
            self.close()
            raise


def crowded_pair(n_others):
    """A pair of a traced program among others that are traced, too, each by links of its own."""
    with Crowd(n_others + 1) as crowd:
        *others, target = crowd.members
        pids = ",".join(str(member.pid) for member in (*others, target))
        with measure.Traced(target, [measure.SEEP, "trace", "-q", "-p", pids,
                                     "--output", "/dev/null", "3600"]):
            return {"pair_ns": measure.batch(target, 1)[1]}


LINK_FIGURES = ("n_probes", "open_ns", "open_cpu_ns", "close_ns", "close_cpu_ns")


def links_cost(kind, n):
    with Crowd(n) as crowd:
        with measure.Program([measure.BUILD / "links", crowd.libc, kind,
                              *(member.pid for member in crowd.members)]) as program:
            return dict(zip(LINK_FIGURES, map(int, program.line("result"))))


def rows():
    """(key, name, measurement), by table."""
    return {
        "watch": [(f"watch_{n}", f"{n:,} sleeping processes and the host's", watch_pass, n)
                  for n in WATCHED],
        "growth": [(key, name, growth_cost, tracer) for key, name, tracer in GROWTHS],
        "crowd": [(f"crowd_{n}", f"{n} others traced", crowded_pair, n) for n in OTHERS],
        "links": [("links_own", "of one process", links_cost, "own", 1)] + [
            (f"links_shared_{n}", f"of a file that {n} processes map", links_cost, "shared", n)
            for n in MAPPERS],
        "kernel": [(key, name, kernel_cost, *options) for key, name, *options in KERNELS],
    }


def tables(bench, number):
    """(title, columns, [(name, cells or why there are none)]) of what bench has measured."""
    def cells(of_table, figures):
        return [(name, bench.failures.get(key) or [
            number(bench.median(key, figure), form, unit) for figure, form, unit in figures])
            for key, name, *_ in rows()[of_table]]

    ms, ns = ("{:,.2f}", 1e6), ("{:,.0f}", 1)
    yield "a pass of the watch", ["processes", "CPU ms", "empty"], cells(
        "watch", [("n_processes", *ns), ("cpu_ns", *ms), ("empty_ns", *ms)])
    yield "growth, CPU ns", ["a 4 KiB page", "a pair"], cells(
        "growth", [("page_ns", *ns), ("pair_ns", "{:,.1f}", 1)])
    yield "a pair on a libc, each traced by links of its own", ["CPU ns"], cells(
        "crowd", [("pair_ns", *ns)])
    yield "placing and removing probes in libc, ms", ["place", "CPU", "remove", "CPU"], cells(
        "links", [(figure, *ms) for figure in LINK_FIGURES[1:]])
    yield "an eventfd opened and closed (four kernel objects)", ["CPU ns"], cells(
        "kernel", [("eventfd_ns", *ns)])

# SPDX-License-Identifier: BSD-2-Clause
"""What a stack costs, by its depth, and what the tables cost that it is unwound by."""

import json
import os
import pathlib
import tempfile

import measure

DEPTHS = (5, 20, 40, 60)  # frames of a hot stack
BATCH_SECONDS = 0.05
COLD_DEPTHS = (10, 40)
COLD_STACKS = 50000  # of each depth
COLD_LIMITS = ["--max-sites", 4 * COLD_STACKS, "--stack-storage-size", 4 * COLD_STACKS]


class Walks(measure.Target):
    """walks.c; without and with frame pointers."""

    PLAIN, FRAME_POINTERS = measure.BUILD / "walks", measure.BUILD / "walks_fp"

    def pair(self, n_frames, n_stacks, n_pairs):
        """CPU time of a pair in ns."""
        _, cpu_ns, n_pairs = self.ask(f"{n_frames} {n_stacks} {n_pairs}")
        return cpu_ns / n_pairs

    def hot(self):
        def cost(n_frames):
            ns = self.pair(n_frames, 1, 1000)
            return self.pair(n_frames, 1, max(1000, int(BATCH_SECONDS * measure.NS / ns)))

        return {f"hot_{n}": cost(n) for n in DEPTHS}

    def cold(self):
        """Stacks that were never seen, then the same again."""
        return {
            f"{when}_{n}": self.pair(n, COLD_STACKS, COLD_STACKS)
            for n in COLD_DEPTHS for when in ("new", "known")
        }


def bare(work):
    return work


def traced(argv):
    """argv: the tracer's, with the target's pid for {pid}."""

    def measured(work):
        def run(target):
            command = [str(a).replace("{pid}", str(target.pid)) for a in argv]
            with measure.Traced(target, command) as tracer:
                figures = work(target)
            if tracer.code not in (0, -measure.signal.SIGINT):
                raise measure.Failure(f"{argv[0]}: exit code {tracer.code}")
            return figures

        return run

    return measured


def seep(*options):
    """Adds the frames of the deepest stack that was found at least a thousand times."""

    def measured(work):
        def run(target):
            with tempfile.NamedTemporaryFile() as report:
                figures = traced([
                    measure.SEEP, "trace", "-q", "-p", "{pid}", *options, "--format", "ndjson",
                    "--output", report.name, "3600"])(work)(target)
                return {**figures, "n_frames": deepest(report)}

        return run

    return measured


def deepest(report):
    records = (json.loads(line) for line in report if line.startswith(b'{"type":"site"'))
    return max((sum(not f["inlined"] for f in site["frames"])
                for site in records if site["allocations"] >= 1000), default=0)


def under(argv):
    """argv: a tool that starts the target, in a folder of its own for {folder}."""

    def measured(work):
        def run(target):
            with tempfile.TemporaryDirectory() as folder:
                command = [a.replace("{folder}", folder) for a in argv]
                with Walks(*command, target.process.args[0]) as restarted:
                    return work(restarted)

        return run

    return measured


def hot_rows():
    """(key, name, needed tool or file, target, measurement of a kind of work), in the table's
    order. Keys that end in _p: the target has frame pointers."""
    plain, with_fp = Walks.PLAIN, Walks.FRAME_POINTERS
    floor = traced([measure.BUILD / "floor", "{pid}", "session"])
    likeness = traced(["bpftrace", "-p", "{pid}", measure.HERE / "memleak.bt"])
    return [
        ("hot_bare", "bare", plain, plain, bare),
        ("hot_floor", "empty probes at seep's sites", measure.BUILD / "floor", plain, floor),
        ("hot_none", "seep --stack none", measure.SEEP, plain, seep("--stack", "none")),
        ("hot_cfi", "seep --stack cfi", measure.SEEP, plain, seep("--stack", "cfi")),
        ("hot_fp", "seep --stack fp", measure.SEEP, plain, seep("--stack", "fp")),
        ("hot_heaptrack", "heaptrack (restarts the target)", "heaptrack", plain,
         under(["heaptrack", "-r", "-o", "{folder}/heaptrack"])),
        ("hot_bare_p", "with frame pointers: bare", with_fp, with_fp, bare),
        ("hot_floor_p", "  empty probes at seep's sites", measure.BUILD / "floor", with_fp, floor),
        ("hot_cfi_p", "  seep --stack cfi", measure.SEEP, with_fp, seep("--stack", "cfi")),
        ("hot_fp_p", "  seep --stack fp", measure.SEEP, with_fp, seep("--stack", "fp")),
        ("hot_likeness_p", "  memleak's likeness in bpftrace", "bpftrace", with_fp, likeness),
    ]


def cold_rows():
    """The same for work in which no stack comes twice in a row."""
    plain, with_fp = Walks.PLAIN, Walks.FRAME_POINTERS
    floor = traced([measure.BUILD / "floor", "{pid}", "session"])
    # Its maps hold 4,096 entries unless told; a map that is full costs less than one that is not.
    likeness = traced(["env", f"BPFTRACE_MAP_KEYS_MAX={4 * COLD_STACKS}",
                       "bpftrace", "-p", "{pid}", measure.HERE / "memleak.bt"])
    return [
        ("cold_bare", "bare", plain, plain, bare),
        ("cold_floor", "empty probes at seep's sites", measure.BUILD / "floor", plain, floor),
        ("cold_none", "seep --stack none", measure.SEEP, plain,
         seep("--stack", "none", *COLD_LIMITS)),
        ("cold_cfi", "seep --stack cfi", measure.SEEP, plain,
         seep("--stack", "cfi", *COLD_LIMITS)),
        ("cold_bare_p", "with frame pointers: bare", with_fp, with_fp, bare),
        ("cold_fp_p", "  seep --stack fp", measure.SEEP, with_fp,
         seep("--stack", "fp", *COLD_LIMITS)),
        ("cold_likeness_p", "  memleak's likeness in bpftrace", "bpftrace", with_fp, likeness),
    ]


def table_files():
    """(key, file): libc and the largest library at hand."""
    folders = [pathlib.Path("/usr/lib"), *pathlib.Path("/usr/lib").glob("*-linux-gnu")]
    libraries = {
        file.resolve()
        for folder in folders for file in folder.glob("lib*.so.*") if file.is_file()
    }
    libc = next((f for f in libraries if f.name == "libc.so.6"), None)
    largest = max(libraries, key=lambda f: f.stat().st_size, default=None)
    return [(key, f) for key, f in (("table_libc", libc), ("table_large", largest)) if f]


TABLE_FIGURES = ("file_bytes", "n_rows", "kernel_bytes", "build_ns", "load_ns", "first_ns",
                 "second_ns")


def table_cost(file):
    with tempfile.TemporaryDirectory() as cache:
        with measure.Program([measure.BUILD / "tables", file],
                             env={**os.environ, "SEEP_CACHE_DIR": cache}) as program:
            return dict(zip(TABLE_FIGURES, map(int, program.line("result"))))

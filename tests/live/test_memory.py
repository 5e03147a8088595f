#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the last report says that a process's memory is made of: it adds up to what the kernel says, holds what the ledger has, and finds
in the heap what was allocated before the trace.
"""

import contextlib
import pathlib
import re
import subprocess
import tempfile

from lib import Final, Program, Seep, Target, run_seep, start_tap

BEFORE = 10_000
SIZE = 1000
# Holds BEFORE blocks of SIZE bytes, says so, and frees every second one when it is told.
HOLDER = f"""
import ctypes, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
blocks = [libc.malloc({SIZE}) for _ in range({BEFORE})]
print("held", flush=True)
sys.stdin.readline()
for block in blocks[::2]:
    libc.free(block)
print("freed", flush=True)
sys.stdin.readline()
"""
PARTS = [
    "outstanding", "rounding", "before", "cached", "free", "own", "stack", "anonymous", "file",
    "shared",
]  # fmt: skip


def rss_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10


def adds_up(memory, resident):
    total = sum(memory[f"{part}_bytes"] for part in PARTS) - memory["untouched_bytes"]
    complaints = []
    if total != memory["resident_bytes"]:
        complaints.append(f"{total} is not the sum of {memory}")
    # The kernel's own sum is behind by some pages for each thread.
    if abs(memory["resident_bytes"] - resident) > max(1 << 20, resident / 20):
        complaints.append(f"{memory['resident_bytes']} bytes resident, the kernel says {resident}")
    return complaints


def ledger():
    with Target("zoo_heap") as target:
        with Seep("trace", "-p", target.pid, "--format", "ndjson", "-a", "3600") as seep:
            seep.wait_attached()
            held = target.run()[-1]["ledger"]
            resident = rss_bytes(target.pid)
            seep.interrupt()
            final = Final(seep.records(), target.pid).process
    memory = final["memory"]
    n = sum(b["kind"] == "malloc" for b in held)
    size = sum(b["size"] for b in held if b["kind"] == "malloc")
    complaints = adds_up(memory, resident)
    if (memory["outstanding_bytes"], memory["outstanding_allocations"]) != (size, n):
        complaints.append(f"the ledger has {size} bytes in {n} blocks: {memory}")
    if final["rss_bytes"] != memory["resident_bytes"]:
        complaints.append(f"rss_bytes {final['rss_bytes']}: {memory}")
    return complaints


@contextlib.contextmanager
def holder():
    with Program(
        ["/usr/bin/python3", "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        program.process.stdout.readline()
        yield program


def of_trace(pid, *options):
    code, out, err = run_seep("trace", "-q", "-p", pid, *options, "0.2", "1")
    return code, out, err


def before_the_trace():
    """Its heap, before and after it frees half of what it held."""
    with holder() as program, tempfile.TemporaryDirectory() as folder:
        figures = []
        for word in ("held", "freed"):
            capture = pathlib.Path(folder, word)
            code, out, err = of_trace(program.pid, "-w", capture)
            if code or "in use, allocated before the trace" not in out:
                return [f"exit code {code}: {err}{out}"]
            again = run_seep("report", capture)[1]
            part = re.search(r"resident .*made of\n(    .*\n)+", out)[0]
            if part not in again:
                return [f"the capture shows {again}, not {part}"]
            seep = run_seep("report", "--format", "ndjson", capture)[1]
            figures.append(re.search(r'"before_bytes":(\d+),"before_allocations":(\d+)', seep))
            program.process.stdin.write(b"\n")
            program.process.stdin.flush()
            if word == "held":
                program.process.stdout.readline()
    (held, n_held), (left, n_left) = ((int(f[1]), int(f[2])) for f in figures)
    chunk = (SIZE + 8 + 15) // 16 * 16
    complaints = []
    if n_held < BEFORE or held < BEFORE * chunk:
        complaints.append(f"{held} bytes in {n_held} blocks before the trace")
    # Python frees and allocates a little by itself.
    if abs((n_held - n_left) - BEFORE // 2) > 100:
        complaints.append(f"{n_held} blocks, then {n_left}")
    if abs((held - left) - BEFORE // 2 * chunk) > 100_000:
        complaints.append(f"{held} bytes, then {left}")
    return complaints


def ended():
    """Of what is gone, nothing is said."""
    with Seep("trace", "--format", "ndjson", "--", "/bin/true") as seep:
        seep.wait()
        records = seep.records()
    processes = [r for r in records if r["type"] == "process"]
    if not processes:
        return ["no process"]
    return [str(r) for r in processes if r["memory"] is not None]


if __name__ == "__main__":
    tap = start_tap()
    tap.run("adds up, and holds what the ledger has", ledger)
    tap.run("what was allocated before", before_the_trace)
    tap.run("of one that has ended", ended)
    tap.end()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The zoo: small programs, each with a way of allocating that tracers get wrong. seep's blocks
must equal their ledgers.
"""

import json
import os
import pathlib
import signal
import subprocess
import tempfile

from lib import (
    Failure,
    Final,
    Seep,
    TARGETS,
    Target,
    judge,
    merged,
    plain_name,
    run_seep,
    start_tap,
    target_path,
    wait_until,
)

LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu"
    if os.uname().machine == "x86_64"
    else f"/usr/lib/{os.uname().machine}-linux-gnu"
)
ALL_BLOCKS = ["--format", "ndjson", "-a"]
NO_INTERVAL = "3600"  # only the final report


def trace(target, *options):
    """Attaches to a target that is ready, lets it work. Returns (ledgers, records)."""
    with Seep("trace", "-p", str(target.pid), *ALL_BLOCKS, *options, NO_INTERVAL) as seep:
        seep.wait_attached()
        ledgers = target.run()
        code = seep.interrupt()
        if code not in (0, 4):
            raise Failure(f"exit code {code}: {seep.stderr()[-600:]}")
        return ledgers, seep.records()


def attached(name, *arguments, options=(), preload=None, **judgement):
    """All processes of a target that seep attached to while it waited."""
    with Target(name, *arguments, preload=preload) as target:
        ledgers, records = trace(target, *options)
        return [c for ledger in ledgers for c in judge(ledger, records, **judgement)]


def started(name, hold, **judgement):
    """A command that seep starts itself. hold: it still lives at the final report, else it has
    exited.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "ledger")
        command = [str(target_path(name)), "--auto"] + (["--hold"] if hold else [])
        with Seep(
            "trace",
            *ALL_BLOCKS,
            NO_INTERVAL,
            "--",
            *command,
            stdin=subprocess.PIPE,
            env={**os.environ, "LEDGER_FILE": str(file)},
        ) as seep:
            wait_until("ledger", lambda: file.exists() and '"role":"main"' in file.read_text())
            if hold:
                seep.process.send_signal(signal.SIGINT)
                wait_until("final report", lambda: '"type":"end"' in seep.stdout().replace(" ", ""))
                seep.process.stdin.close()
            seep.wait()
            records = seep.records()
        ledgers = [json.loads(line) for line in file.read_text().splitlines()]
        return [c for ledger in ledgers for c in judge(ledger, records, **judgement)]


def unknown_frees():
    with Target("zoo_foreign") as target:
        (ledger,), records = trace(target)
        seen = Final(records, ledger["pid"]).process["unknown_frees"]
        wrong = (
            []
            if seen == ledger["unknown_frees"]
            else [f"unknown_frees {seen}, did {ledger['unknown_frees']}"]
        )
        return judge(ledger, records) + wrong


def ranges():
    """Ranges by function and kind, adjacent ones merged. malloc's own mappings must not be among
    them.
    """
    with Target("zoo_mmap") as target:
        (ledger,), records = trace(target, "--mmap")
        final = Final(records, ledger["pid"])
        complaints = judge(ledger, records)
        for kind in ("mmap", "brk"):
            want = merged(
                (int(b["address"], 16), b["size"]) for b in ledger["ledger"] if b["kind"] == kind
            )
            have = merged(
                (int(b["address"], 16), b["size_bytes"])
                for b in final.blocks
                if final.sites.get(b["site"], {}).get("kind") == kind
            )
            complaints += [
                f"{kind}: {address:#x} of {size} B is missing"
                for address, size in want
                if (address, size) not in have
            ]
            complaints += [
                f"{kind}: {address:#x} of {size} B is not in the ledger"
                for address, size in have
                if (address, size) not in want
            ]
        for site in final.sites.values():
            names = [plain_name(f["function"]) for f in site["frames"]]
            held = site["kind"] != "malloc" and site["outstanding_bytes"]
            if held and not any(n.startswith("zoo_") for n in names):
                complaints.append(f"{site['kind']} of {site['outstanding_bytes']} B by {names}")
        return complaints


def depths():
    """20 calls of different depth are 20 sites."""
    with Target("zoo_heap") as target:
        (ledger,), records = trace(target)
        sites = [
            s
            for s in Final(records, ledger["pid"]).sites.values()
            if any(plain_name(f["function"]) == "zoo_depth" for f in s["frames"])
        ]
        found = sorted(
            sum(plain_name(f["function"]) == "zoo_depth" for f in s["frames"]) for s in sites
        )
        return [] if found == list(range(2, 22)) else [f"depths {found}"]


def judge_vfork(ledger, records):
    """A vfork child of a process attached to runs before it can have links of its own: what it
    allocates in its parent's memory may be missing, but then the parent's record says so.
    """
    strict = judge(ledger, records)
    notes = " ".join(
        n for r in records if r["type"] == "process" and r["pid"] == ledger["pid"] for n in r["notes"]
    )
    if strict and "vfork" in notes:
        return judge(ledger, records, may_miss=("zoo_vfork_child",))
    return strict


def forked():
    with Target("zoo_fork") as target:
        ledgers, records = trace(target)
        return [c for ledger in ledgers for c in judge_vfork(ledger, records)]


def not_followed():
    with Target("zoo_fork") as target:
        ledgers, records = trace(target, "--no-follow")
        pids = {r["pid"] for r in records if r["type"] == "process"}
        main = ledgers[-1]
        return judge_vfork(main, records) + (
            [] if pids == {main["pid"]} else [f"processes {pids} of {main['pid']} alone"]
        )


def exit_code():
    code, out, err = run_seep("trace", *ALL_BLOCKS, "--", "/bin/sh", "-c", "exit 7")
    ended = [json.loads(line) for line in out.splitlines()]
    statuses = [
        r.get("exit_status") for r in ended if r["type"] == "process" and r.get("ended") == "exit"
    ]
    complaints = [] if code == 0 else [f"exit code {code}: {err[-300:]}"]
    return complaints + ([] if 7 << 8 in statuses else [f"exit status 7 is not among {statuses}"])


def main():
    tap = start_tap()
    direct = [
        "zoo_heap",
        "zoo_heap_static",
        "zoo_heap_static_pie",
        "zoo_heap_musl",
        "zoo_heap_jemalloc",
        "zoo_heap_jemalloc_inside",
        "zoo_heap_tcmalloc",
        "zoo_heap_mimalloc",
        "zoo_threads",
    ]
    for name in direct:
        tap.run(f"{name}, attached", lambda: attached(name))
    tap.run("zoo_fork, attached", forked)
    for name in (
        "zoo_cxx",
        "zoo_cxx_static",
        "zoo_cxx_jemalloc",
        "zoo_cxx_tcmalloc",
        "zoo_cxx_mimalloc",
    ):
        # std::bad_alloc leaves operator new by unwinding; whether the call allocated is then
        # announced as not known.
        tap.run(
            f"{name}, attached", lambda: attached(name, may_lose=("abandoned_calls",))
        )
    tap.run("zoo_rust, attached", lambda: attached("zoo_rust"))
    # Probes follow a dlopen with a delay: blocks of the first moments may be missing, later ones
    # not.
    tap.run("zoo_dlopen, attached", lambda: attached("zoo_dlopen", may_miss=("zoo_own_early",)))
    # Calls that are jumped out of, and handlers on a stack of their own, may be lost, but are
    # counted.
    tap.run(
        "zoo_signal, attached",
        lambda: attached("zoo_signal", may_lose=("abandoned_calls", "signal_stack", "nesting")),
    )
    for allocator in ("jemalloc", "tcmalloc", "mimalloc"):
        library = next(iter(sorted(pathlib.Path(LIBRARIES).glob(f"lib{allocator}.so.*"))), None)
        for name, *arguments in (["zoo_heap"], ["zoo_threads", "--no-system-call-death"]):
            if library:
                tap.run(
                    f"{name} with {allocator} preloaded",
                    lambda: attached(name, *arguments, preload=library),
                )
            else:
                tap.result(
                    True,
                    f"{name} with {allocator} preloaded",
                    f" # SKIP no {allocator} library here",
                )
    tap.run(
        "a preloaded wrapper counts once",
        lambda: attached("zoo_heap", preload=TARGETS / "libzoo_wrap.so"),
    )
    tap.run("double and foreign frees", unknown_frees)
    tap.run("mmap, mremap and brk", ranges)
    tap.run("20 depths, 20 sites", depths)
    tap.run("--no-follow", not_followed)
    for name in ("zoo_heap", "zoo_heap_static", "zoo_heap_musl", "zoo_threads", "zoo_fork"):
        tap.run(f"{name} as a command, from its first allocation", lambda: started(name, hold=True))
    tap.run(
        "zoo_cxx as a command",
        lambda: started("zoo_cxx", hold=True, may_lose=("abandoned_calls",)),
    )
    tap.run("zoo_heap as a command, judged after its exit", lambda: started("zoo_heap", hold=False))
    tap.run("zoo_fork as a command, judged after its exit", lambda: started("zoo_fork", hold=False))
    tap.run("a command's exit code is reported", exit_code)
    tap.end()


if __name__ == "__main__":
    main()

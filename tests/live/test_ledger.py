#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The ledger test: threads, forks and thread deaths in a storm of random calls; seep's block
records must equal the program's own table, address for address and byte for byte, with
nothing lost; and a table made too small must say exactly what it lost.

STORM_OPS: operations of each of the four threads in the attached storm, 250000 by default.
"""

import json
import os
import pathlib
import signal
import subprocess
import tempfile

from lib import Failure, Final, Seep, Skip, Target, judge, start_tap, target_path, wait_until

STORM_OPS = int(os.environ.get("STORM_OPS", "250000"))
ALL_BLOCKS = ["--format", "ndjson", "-a", "--errors"]
NO_INTERVAL = "3600"


def summary(ledgers, records):
    main = Final(records, ledgers[-1]["pid"])
    print(
        f"#   {ledgers[-1]['allocations']} allocations, {ledgers[-1]['frees']} frees, {len(ledgers) - 1} forks; "
        f"{len(ledgers[-1]['ledger'])} blocks live, seep has {len(main.blocks)}; lost {main.process['lost']}"
    )


def judge_all(ledgers, records):
    summary(ledgers, records)
    end = [r for r in records if r["type"] == "end"]
    complaints = [f"the end record lost {r['lost']}" for r in end if r["lost"]] + (
        [] if end else ["no end record"]
    )
    complaints += [
        f"{r['error']} of {r['address']}, the target makes none" for r in records if r["type"] == "error"
    ]
    return complaints + [c for ledger in ledgers for c in judge(ledger, records)]


def attached(ops, seed, interval=NO_INTERVAL):
    with Target("ledger_storm", "--ops", ops, "--seed", seed) as target:
        with Seep("trace", "-p", str(target.pid), *ALL_BLOCKS, interval) as seep:
            seep.wait_attached()
            ledgers = target.run()
            code = seep.interrupt()
            complaints = [] if code == 0 else [f"exit code {code}: {seep.stderr()[-600:]}"]
            return complaints + judge_all(ledgers, seep.records())


def started(link):
    """From the first allocation on, by each kind of link that this kernel has."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "ledger")
        command = [
            str(target_path("ledger_storm")),
            "--ops",
            "60000",
            "--seed",
            "7",
            "--auto",
            "--hold",
        ]
        with Seep(
            "trace",
            *ALL_BLOCKS,
            "--link",
            link,
            NO_INTERVAL,
            "--",
            *command,
            stdin=subprocess.PIPE,
            env={**os.environ, "LEDGER_FILE": str(file)},
        ) as seep:

            def written():
                code = seep.process.poll()
                if code == 3:
                    raise Skip(f"no {link} links here: {seep.stderr().strip().splitlines()[0]}")
                if code is not None:
                    raise Failure(f"seep ended with {code}: {seep.stderr()[-600:]}")
                return file.exists() and '"role":"main"' in file.read_text()

            wait_until("ledger", written, 120)
            seep.process.send_signal(signal.SIGINT)
            wait_until("final report", lambda: '"type":"end"' in seep.stdout().replace(" ", ""))
            seep.process.stdin.close()
            seep.wait()
            return judge_all(
                [json.loads(line) for line in file.read_text().splitlines()], seep.records()
            )


def full_map(n_blocks, n_kept):
    """One thread that only allocates: what the map has no room for is lost, one by one. The
    kernel's hash maps without preallocation keep their count exactly near the limit, so there
    is no slack to allow.
    """
    with Target("ledger_storm", "--fill", str(n_blocks)) as target:
        with Seep(
            "trace",
            "-p",
            str(target.pid),
            *ALL_BLOCKS,
            "--max-outstanding",
            str(n_kept),
            NO_INTERVAL,
        ) as seep:
            seep.wait_attached()
            (ledger,) = target.run()
            code = seep.interrupt()
            final = Final(seep.records(), ledger["pid"])
    want = {int(b["address"], 16): b["size"] for b in ledger["ledger"]}
    have = {int(b["address"], 16): b["size_bytes"] for b in final.blocks}
    complaints = [] if code == 4 else [f"exit code {code}, not 4"]
    if final.process["lost"] != {"live_map_full": n_blocks - n_kept}:
        complaints.append(
            f"lost {final.process['lost']}, must be live_map_full {n_blocks - n_kept}"
        )
    if len(have) != n_kept:
        complaints.append(f"{len(have)} blocks kept of a table of {n_kept}")
    return complaints + [
        f"{a:#x}: {n} B, ledger {want.get(a)}" for a, n in have.items() if want.get(a) != n
    ]


def filled_exactly(n_blocks):
    with Target("ledger_storm", "--fill", str(n_blocks)) as target:
        with Seep(
            "trace",
            "-p",
            str(target.pid),
            *ALL_BLOCKS,
            "--max-outstanding",
            str(n_blocks),
            NO_INTERVAL,
        ) as seep:
            seep.wait_attached()
            ledgers = target.run()
            seep.interrupt()
            return judge_all(ledgers, seep.records())


def main():
    tap = start_tap()
    tap.run(f"storm of 4 x {STORM_OPS} operations, attached", lambda: attached(str(STORM_OPS), "1"))
    tap.run(
        "another storm, with a report every 100 ms", lambda: attached("60000", "2", interval="0.1")
    )
    for link in ("session", "multi", "perf"):
        tap.run(f"storm from the first allocation, {link} links", lambda: started(link))
    tap.run("a map for 1000 of 20000 blocks", lambda: full_map(20000, 1000))
    tap.run("a map for 20000 blocks, exactly filled, loses none", lambda: filled_exactly(20000))
    tap.end()


if __name__ == "__main__":
    main()

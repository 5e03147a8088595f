#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What options of seep trace do to the figures, judged by the targets' ledgers: limits of the
tables, filters by size and age, sampling, captures.
"""

import json
import pathlib
import tempfile

from lib import Failure, Final, Seep, Target, run_seep, start_tap

ALL_BLOCKS = ["--format", "ndjson", "-a"]
NO_INTERVAL = "3600"
N_BLOCKS = 20000


def trace(target, *options, code=0):
    """Attaches to a target that is ready, lets it work. Returns (ledger, Final)."""
    with Seep("trace", "-p", str(target.pid), *ALL_BLOCKS, *options, NO_INTERVAL) as seep:
        seep.wait_attached()
        ledger = target.run()[-1]
        ended = seep.interrupt()
        if ended != code:
            raise Failure(f"exit code {ended}, not {code}: {seep.stderr()[-600:]}")
        return ledger, Final(seep.records(), ledger["pid"])


def totals(ledger, wanted=lambda size: True):
    sizes = [b["size"] for b in ledger["ledger"] if b["kind"] == "malloc" and wanted(b["size"])]
    return sum(sizes), len(sizes)


def outstanding(final):
    return final.process["outstanding_bytes"], final.process["outstanding_allocations"]


def different(what, have, want):
    return [] if have == want else [f"{what}: {have}, must be {want}"]


def table_full(option, cause):
    """What finds no room for its site or stack is still counted, under an unknown stack."""
    with Target("zoo_heap") as target:
        ledger, final = trace(target, option, "5", code=4)
    unknown = [
        s for s in final.sites.values() if s["truncated"] == "stack not kept" and not s["frames"]
    ]
    return (
        final.sums()
        + different("outstanding", outstanding(final), totals(ledger))
        + different("causes of loss", list(final.process["lost"]), [cause])
        + ([] if unknown else ["no site of unknown stack"])
    )


def depth():
    with Target("zoo_heap") as target:
        ledger, final = trace(target, "--perf-max-stack-depth", "2")
    long = [
        s["site"] for s in final.sites.values() if sum(not f["inlined"] for f in s["frames"]) > 2
    ]
    deep = [s["allocations"] for s in final.sites.values() if s["truncated"] == "too deep"]
    cut = final.process["truncated_stacks"]
    return (
        different("outstanding", outstanding(final), totals(ledger))
        + ([] if deep else ["no stack is marked as too deep"])
        + different("stacks that are too deep", cut.get("too_deep"), sum(deep))
        + different("stacks", final.process["stacks"], final.process["allocations"])
        + [f"site {site} has more than 2 frames" for site in long]
    )


def stack_mode(mode, capability):
    """The figures are the same whatever stacks are made of; none is the caller alone."""
    with Target("zoo_heap") as target:
        with Seep(
            "trace", "-p", str(target.pid), *ALL_BLOCKS, "--stack", mode, NO_INTERVAL
        ) as seep:
            seep.wait_attached()
            ledger = target.run()[-1]
            ended = seep.interrupt()
            records = seep.records()
    final = Final(records, ledger["pid"])
    lengths = {sum(not f["inlined"] for f in s["frames"]) for s in final.sites.values()}
    whole = [s for s in final.sites.values() if any(f["function"] == "main" for f in s["frames"])]
    complaints = (
        different("exit code", ended, 0)
        + different("outstanding", outstanding(final), totals(ledger))
        + ([] if capability in records[0]["capabilities"] else [f"{records[0]}"])
    )
    if mode == "none":
        complaints += different("lengths of stacks", lengths, {1})
    if mode == "cfi":
        complaints += different("cut stacks", final.process["truncated_stacks"], {})
        complaints += [] if whole else ["no stack reaches main"]
    return complaints


def no_room_for_tables():
    """Files beyond --unwind-memory are named, and their stacks still begin right."""
    with Target("zoo_heap") as target:
        ledger, final = trace(target, "--unwind-memory", "4k")
    notes = [n for n in final.process["notes"] if "--unwind-memory is used up" in n]
    return (
        different("outstanding", outstanding(final), totals(ledger))
        + ([] if any("libc.so" in n for n in notes) else [f"notes: {final.process['notes']}"])
        + [f"{s}" for s in final.sites.values() if not s["frames"]]
    )


def sizes(link):
    """-z and -Z, also of a block that realloc moves in and out of the range."""
    with Target("zoo_heap") as target:
        ledger, final = trace(target, "-z", "50", "-Z", "600", "--link", link)
    want = totals(ledger, lambda size: 50 <= size <= 600)
    return final.sums() + different("outstanding", outstanding(final), want)


def too_young():
    with Target("zoo_heap") as target:
        _, final = trace(target, "-o", "1h")
    return different("outstanding", outstanding(final), (0, 0)) + (
        [] if final.process["allocations"] else ["nothing was allocated"]
    )


def sampled(*options):
    """The truth lies within six standard deviations, three times the 95% interval: a failure of
    chance comes once in 500 million runs.
    """
    with Target("ledger_storm", "--fill", str(N_BLOCKS)) as target:
        ledger, final = trace(target, *options)
    complaints = []
    for figure, interval, truth in zip(
        ("outstanding_bytes", "outstanding_allocations"),
        ("interval_bytes", "interval_allocations"),
        totals(ledger),
    ):
        estimate, half = final.process[figure], final.process[interval]
        if not 0 < half < truth / 2:
            complaints.append(f"{interval} {half} of {truth}")
        if abs(estimate - truth) > 3.1 * half:
            complaints.append(f"{figure} {estimate} +- {half}, must be {truth}")
    n = len(final.blocks)
    return complaints + ([] if 0 < n < N_BLOCKS / 2 else [f"{n} of {N_BLOCKS} blocks were sampled"])


def captured():
    """A capture renders to the records that were printed."""
    with tempfile.TemporaryDirectory() as folder, Target("zoo_heap") as target:
        capture = pathlib.Path(folder, "capture")
        with Seep(
            "trace", "-p", str(target.pid), *ALL_BLOCKS, "-w", str(capture), NO_INTERVAL
        ) as seep:
            seep.wait_attached()
            target.run()
            seep.interrupt()
            printed = seep.stdout()
        code, out, err = run_seep("report", str(capture), "-a", "--format", "ndjson")
    return (
        different("exit code", code, 0)
        + ([] if [json.loads(line) for line in out.splitlines()] else [f"no records: {err}"])
        + ([] if out == printed else ["the records differ from those printed"])
    )


def main():
    tap = start_tap()
    tap.run("5 sites", lambda: table_full("--max-sites", "sites_full"))
    tap.run("5 stacks", lambda: table_full("--stack-storage-size", "stacks_full"))
    tap.run("stacks of 2 frames", depth)
    tap.run("stacks by CFI", lambda: stack_mode("cfi", "stack:cfi"))
    tap.run("stacks by frame pointers", lambda: stack_mode("fp", "stack:frame-pointers"))
    tap.run("no stacks", lambda: stack_mode("none", "stack:none"))
    tap.run("no room for unwind tables", no_room_for_tables)
    for link in ("best", "multi", "perf"):
        tap.run(f"sizes from 50 to 600, {link} links", lambda: sizes(link))
    tap.run("only blocks an hour old", too_young)
    tap.run("one allocation in 10", lambda: sampled("-s", "10"))
    tap.run("one allocation in 10, perf links", lambda: sampled("-s", "10", "--link", "perf"))
    tap.run("a sample every 2000 bytes", lambda: sampled("--sample-bytes", "2000"))
    tap.run("a capture", captured)
    tap.end()


if __name__ == "__main__":
    main()

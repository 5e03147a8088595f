#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Differential test of unwinding: programs of all kinds note backtrace() beside each of their
allocations (tests/targets/stack.h), and seep's frames must be the same, frame by frame and to the
outermost one. At least 99.9% of all stacks must be identical; EXCEPTIONS names the others.

The innermost frame cannot be compared by address: malloc and backtrace are two calls of one
function. It must lie within that function's extent, or bear its name where nothing else is known.

STACKS: a subset, as names or prefixes separated by commas; default all.
"""

import collections
import contextlib
import json
import os
import pathlib
import re
import tempfile

from lib import (
    TARGETS,
    Failure,
    Final,
    Seep,
    Target,
    plain_name,
    start_tap,
    target_path,
)

MAX_FRAMES = 127  # seep's default: a longer stack keeps its leaf part
ALL_BLOCKS = ["--format", "ndjson", "-a", "-T", "0"]
NO_INTERVAL = "3600"
SELECTED = [name for name in os.environ.get("STACKS", "").split(",") if name]

# Why a stack that is not the whole truth is right all the same: (program, function, `truncated`,
# reason), the first two as regular expressions. Such a stack must still be the leaf part of the
# truth: never a wrong frame.
EXCEPTIONS = [
    (
        "stack_shadow none(_zero)?",
        "allocate",
        "no table",
        "code without any CFI and without frame pointers",
    ),
]
FRESH = "code was mapped a moment ago, and the stack says so"
NOT_YET_KNOWN = "mapping not yet known"

# Both are built to be at the same address, one after the other.
PLUGIN = re.compile(r"libstack_plugin_\d")

# Generated code is known by its place in its page: seep counts from the start of the mapping.
GENERATED = "[jit]"
PAGE = 4096

LINKS = (
    "stripped static static_pie static_no_hdr no_pie lto lazy now no_plt gold "
    "one_segment huge_pages"
).split()
CHAINS = "eh debug_frame_gcc debug_frame_clang none none_zero none_fp".split()
STARTED = (
    "stack_c_gcc_O2 stack_c_static stack_cxx_O2 stack_rust stack_calls stack_signals "
    "stack_threads stack_dlopen stack_fork"
).split()

# What seep may see between the allocator and the function that the ledger names, by the first word of
# `through`; a second word `size` says that the ledger does not know the size.
THROUGH = {
    "": re.compile(r"$^"),
    "libc": re.compile(r"libc[.-]"),
    "c++": re.compile(r"operator new|std::|__gnu_cxx::|__cxa_|libstdc\+\+"),
    "rust": re.compile(r"alloc|__rust|__rdl|rdl|raw_vec|finish_grow|Vec|String|exchange_malloc"),
}


def module_name(path):
    """One name for one file: the ledger has the dynamic linker's path, seep the kernel's."""
    if "vdso" in path:
        return "[vdso]"
    return os.path.basename(os.path.realpath(path)) if path.startswith("/") else path


def located(address, modules):
    for m in modules:
        if m["start"] <= address <= m["end"]:
            return module_name(m["path"]), address - m["bias"]
    return GENERATED, address % PAGE


def frame_of(frame):
    module = module_name(frame["module"] or "")
    return module, frame["offset"] % PAGE if module == GENERATED else frame["offset"]


def show(frames):
    return " < ".join(f"{module}+{offset:#x}" for module, offset in frames) or "nothing"


def places(frames):
    """Frames without the difference between plugins: which of them was at an address is judged
    apart from how it was unwound.
    """
    return [(PLUGIN.sub("libstack_plugin", module), offset) for module, offset in frames]


def is_leaf(frame, record, modules):
    """Whether a frame of seep's is in the function that the ledger names."""
    start, end = record["leaf"]
    if not end:
        return plain_name(frame["function"]) == record["function"]
    ((module, low),) = places([located(start, modules)])
    ((mine, offset),) = places([frame_of(frame)])
    return mine == module and low < offset <= low + end - start


def leaf_index(record, have, modules):
    """How many frames of seep's are below the ledger's leaf, or None when it is not among them."""
    between = THROUGH[record["through"].split(" ")[0]]
    for i, frame in enumerate(have):
        if is_leaf(frame, record, modules):
            return i
        if not any(between.search(frame[key] or "") for key in ("function", "module")):
            break
    return None


def difference(want, have):
    """What is wrong with frames above the leaf, of which `have` may be fewer; None if nothing."""
    for i, (truth, seen) in enumerate(zip(want, have)):
        if places([truth]) != places([seen]):
            return (
                f"differs at {i + 1}: truth {show(want[i : i + 3])}, seep {show(have[i : i + 3])}"
            )
        if truth != seen:
            return f"right address, wrong library: {seen[0]} stands for {truth[0]}"
    if len(have) > len(want):
        return f"goes on after the end: {show(have[len(want):])}"
    return None


def judge_stack(record, site, modules):
    """Returns (complaint or None, why it ends early or None): no complaint and no reason, and the
    stack is identical; no complaint and a reason, and it is the leaf part of the truth.
    """
    have = [f for f in site["frames"] if not f["inlined"]]
    why = site["truncated"]
    below = leaf_index(record, have, modules)
    if below is None:
        return f"the leaf is not {record['function']}: {show(map(frame_of, have[:4]))}", why
    have = [frame_of(f) for f in have[below + 1 :]]
    want = [located(a, modules) for a in record["frames"][1:]]
    room = MAX_FRAMES - 1 - below
    if len(want) > room:
        want = want[:room]
        if why == "too deep":
            why = None
        elif not why:
            return f"{len(record['frames'])} frames, but not truncated", why
    complaint = difference(want, have)
    if not complaint and not why and len(have) < len(want):
        complaint = f"ends too early: truth goes on with {show(want[len(have) : len(have) + 3])}"
    return complaint, why


class Count:
    """Over all programs."""

    def __init__(self):
        self.stacks = self.identical = 0
        self.excepted = {}  # by reason


def excuse(name, record, why, fresh, count):
    """Whether a stack that ends early may."""
    reasons = [
        reason
        for program, function, truncated, reason in EXCEPTIONS
        if re.fullmatch(program, name)
        and re.fullmatch(function, record["function"])
        and truncated == why
    ]
    if fresh and why == NOT_YET_KNOWN:
        reasons = [FRESH]
    for reason in reasons[:1]:
        count.excepted[reason] = count.excepted.get(reason, 0) + 1
    return bool(reasons)


def may_miss(record, ledger, final, notes):
    """Whether seep may not have the block, because it was not there yet: a process that was forked
    by one that it attached to is probed a moment after its birth, and says since when.
    """
    if record["function"] == "clone_main":
        return "vfork" in notes
    return ledger["role"] != "main" and final.process["seen_from_seconds"] > 0


def judge(name, ledger, records, count, attached):
    """All stacks of one process. Returns complaints. attached: what it executes begins without
    waiting for seep, as with dlopen, while probes from before see it already.
    """
    moment_ago = attached and ledger["role"] != "main"
    final = Final(records, ledger["pid"])
    notes = " ".join(
        n for r in records if r.get("pid") == ledger["pid"] for n in r.get("notes", [])
    )
    blocks = {int(b["address"], 16): b for b in final.blocks}
    complaints = [f"lost: {cause} {n}" for cause, n in final.process["lost"].items()]
    for record in ledger["stacks"]:
        block = blocks.get(record["address"])
        if not block:
            if not may_miss(record, ledger, final, notes):
                complaints.append(f"no block of {record['size']} B by {record['function']}")
            continue
        if block["size_bytes"] != record["size"] and not record["through"].endswith(" size"):
            complaints.append(
                f"{block['size_bytes']} B, not {record['size']} B, by {record['function']}"
            )
        count.stacks += 1
        modules = ledger["phases"][record["phase"]]
        complaint, why = judge_stack(record, final.sites[block["site"]], modules)
        fresh = record["fresh"] or moment_ago
        if complaint or (why and not excuse(name, record, why, fresh, count)):
            complaints.append(
                f"{record['function']}: {complaint or 'the leaf part only'}; truncated: {why}"
            )
        count.identical += not complaint and not why
    return complaints


def attach(names):
    """Traces programs together, from when they are ready. Returns (ledgers by name, records)."""
    with contextlib.ExitStack() as stack:
        targets = {n: stack.enter_context(Target(*n.split(" "))) for n in names}
        pids = ",".join(str(t.pid) for t in targets.values())
        seep = stack.enter_context(Seep("trace", "-p", pids, *ALL_BLOCKS, NO_INTERVAL))
        seep.wait_attached()
        ledgers = {name: target.run() for name, target in targets.items()}
        code = seep.interrupt()
        if code != 0:
            raise Failure(f"exit code {code}: {seep.stderr()[-600:]}")
        return ledgers, seep.records()


def judge_all(name, ledgers, records, count, attached):
    wrong = [c for ledger in ledgers for c in judge(name, ledger, records, count, attached)]
    n = sum(len(ledger["stacks"]) for ledger in ledgers)
    summary = [f"{len(wrong)} complaints about {n} stacks"] if wrong else []
    return summary + [
        f"{times} x {text}" for text, times in collections.Counter(wrong).most_common()
    ]


def together(tap, names, count):
    """One result for each program of a group."""
    names = selected(names)
    there = [n for n in names if (TARGETS / n.split(" ")[0]).exists()]
    ledgers, records, failure = {}, [], None
    try:
        if there:
            ledgers, records = attach(there)
    except Failure as problem:
        failure = problem

    def one(name):
        target_path(name.split(" ")[0])
        if failure:
            raise failure
        return judge_all(name, ledgers[name], records, count, attached=True)

    for name in names:
        tap.run(f"{name}, attached", one, name)


def from_the_start(name, count):
    """A command that seep starts, judged after its exit: its processes are traced from their first
    instruction on.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "ledger")
        with Seep(
            "trace",
            *ALL_BLOCKS,
            NO_INTERVAL,
            "--",
            str(target_path(name)),
            "--auto",
            env={**os.environ, "LEDGER_FILE": str(file)},
        ) as seep:
            if seep.wait() != 0:
                raise Failure(f"exit code {seep.wait()}: {seep.stderr()[-600:]}")
            records = seep.records()
        ledgers = [json.loads(line) for line in file.read_text().splitlines()]
    return judge_all(name, ledgers, records, count, attached=False)


def selected(names):
    return [n for n in names if not SELECTED or any(n.startswith(s) for s in SELECTED)]


def main():
    tap = start_tap()
    count = Count()
    levels = [f"{o}{fp}" for o in ("O0", "O1", "O2", "O3", "Os") for fp in ("", "_fp")]
    together(tap, [f"stack_c_gcc_{o}" for o in levels], count)
    together(tap, [f"stack_c_clang_{o}" for o in levels], count)
    together(tap, [f"stack_c_{link}" for link in LINKS], count)
    together(
        tap,
        ["stack_cxx_O0", "stack_cxx_O2", "stack_cxx_static", "stack_cxx_clang", "stack_rust"],
        count,
    )
    together(tap, [f"stack_shadow {chain}" for chain in CHAINS], count)
    alone = ("deep", "calls", "signals", "threads", "jit", "split", "dlopen")
    together(tap, [f"stack_{name}" for name in alone], count)
    together(tap, ["stack_fork"], count)
    for name in selected(STARTED):
        tap.run(f"{name} as a command", from_the_start, name, count)
    expected = count.stacks - sum(count.excepted.values())
    tap.result(
        count.stacks > 0 and count.identical >= 0.999 * expected,
        f"{count.identical} of {count.stacks} stacks are identical, at least 99.9%",
    )
    for reason, n in count.excepted.items():
        print(f"#   {n} not: {reason}", flush=True)
    tap.end()


if __name__ == "__main__":
    main()

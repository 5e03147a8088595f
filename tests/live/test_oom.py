#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The kernel kills a leaking process for want of memory (tests/targets/oom_leak.c, in a cgroup of its own with a limit): its sites
are saved, at once and with its last report.
"""

import contextlib
import pathlib
import uuid

from lib import Failure, Final, Seep, Skip, Target, start_tap, wait_until

LIMIT_BYTES = 48 << 20
NO_INTERVAL = "3600"
HIERARCHIES = [
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ("/sys/fs/cgroup", "memory.max"),
]


@contextlib.contextmanager
def limited_cgroup():
    """A cgroup of the memory controller, version 1 or 2."""
    for root, limit in HIERARCHIES:
        folder = pathlib.Path(root, f"seep-test-{uuid.uuid4().hex}")
        if not pathlib.Path(root, "cgroup.procs").exists():
            continue
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / limit).exists():
            break
        folder.rmdir()
    else:
        raise Skip("no memory controller that lets us make a cgroup")
    (folder / limit).write_text(str(LIMIT_BYTES))
    try:
        yield folder
    finally:
        wait_until("empty cgroup", lambda: not (folder / "cgroup.procs").read_text())
        folder.rmdir()


def killed():
    with limited_cgroup() as folder:
        with Target("oom_leak") as target:
            (folder / "cgroup.procs").write_text(str(target.pid))
            with Seep(
                "trace", "-p", str(target.pid), "--format", "ndjson", NO_INTERVAL
            ) as seep:
                seep.wait_attached()
                target.tell("go")
                target.wait()
                code = seep.wait()
                records = seep.records()
    complaints = [f"exit code {code}"] if code else []
    final = Final(records, target.pid)
    # At its cgroup's limit, when it is chosen, at its end; a small process may be dead before the first of these.
    first = next(r for r in records if r["type"] == "process")
    chosen = next((r for r in records if r["type"] == "process" and r["oom_killed"]), first)
    if not (final.process["oom_killed"] and final.process["ended"] == "exit"):
        complaints.append(f"not said to be killed by the kernel: {final.process}")
    if final.process["exit_status"] & 0x7F != 9:
        complaints.append(f"exit status {final.process['exit_status']}")
    if not chosen["oom_killed"]:
        complaints.append("no report when it was chosen")
    if not first["limit_hits"]:
        complaints.append("no report at the limit")
    for process in (first, chosen, final.process):
        sites = [
            s
            for s in records
            if s["type"] == "site" and s["time"] == process["time"] and s["pid"] == target.pid
        ]
        leak = max(sites, key=lambda s: s["outstanding_bytes"])
        names = [f["function"] for f in leak["frames"]]
        if names[:2] != ["leak_one", "main"] or leak["outstanding_bytes"] < LIMIT_BYTES // 2:
            complaints.append(f"{leak['outstanding_bytes']} B by {names}")
    return complaints


def main():
    tap = start_tap()
    tap.run("the kernel kills a traced process for want of memory", killed)
    tap.end()


if __name__ == "__main__":
    main()

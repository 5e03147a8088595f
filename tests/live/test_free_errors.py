#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Errors at free: each that a target says it makes is told, with the stacks of who frees, who had freed and who allocated; of
correct programs, and of what cannot be known, none is.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from lib import SEEP, Failure, Seep, Skip, run_seep, start_tap, target_path, wait_until

LINKS = ("multi", "perf")  # and the best one
CORRECT = ("reuse", "moves", "aligned", "by_libc", "threads", "inherited", "vforked", "signals", "libraries")
# Case, its error, and functions among the stacks: of who frees, of who had freed, of who allocated.
ERRORS = (
    ("double_free", "double-free", "release_again", "release", "allocate"),
    ("double_in_thread", "double-free", "release_again", "release_thread", "allocate"),
    ("realloc_freed", "double-free", "realloc_freed", "release", "allocate"),
    ("free_moved", "double-free", "release_again", "free_moved", "allocate"),
    ("interior", "interior-free", "release", None, "allocate"),
    ("interior_odd", "interior-free", "release", None, "allocate"),
    ("on_stack", "invalid-free", "release", None, None),
    ("in_data", "invalid-free", "release", None, None),
    ("of_mapping", "invalid-free", "release", None, None),
    ("inherited_twice", "double-free", "release_again", "release", None),
)


def functions(stack):
    return [f["function"] or "" for f in (stack or {}).get("frames", [])]


def final_errors(records):
    """Those of each process's last report."""
    return [r for r in records if r["type"] == "error" and r["final"]]


def traced(*command, options=(), **popen):
    """Runs a command under seep. Returns (the errors it announced, its records, seep's exit code)."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report")
        code, out, err = run_seep(
            "trace", "--format", "ndjson", "--output", str(report), *options, "--", *map(str, command), **popen
        )
        if code not in (0, 4):
            raise Failure(f"exit code {code}: {err[-300:]}")
        records = [json.loads(line) for line in report.read_text().splitlines()]
    announced = [line.split()[1:] for line in out.splitlines() if line.startswith("ERROR ")]
    return announced, records, code


def judge_error(error, announced, first, before, allocation):
    kind, address, pid = announced
    complaints = []
    if (error["error"], int(error["address"], 16), error["pid"]) != (kind, int(address, 16), int(pid)):
        complaints.append(
            f"{error['error']} of {error['address']} by {error['pid']}, made {kind} of {address} by {pid}"
        )
    if error["count"] != 1:
        complaints.append(f"count {error['count']}")
    for what, stack, function in (
        ("who frees", error, first),
        ("who had freed", error["freed"], before),
        ("who allocated", error["allocation"], allocation),
    ):
        names = functions(stack)
        if function and function not in names:
            complaints.append(f"{what}: no {function} in {names}")
        if function is None and names:
            complaints.append(f"{what}: {names}, cannot be known")
    return complaints


def told(case, kind, first, before, allocation, options=()):
    announced, records, code = traced(target_path("free_errors"), case, options=options)
    errors = final_errors(records)
    if len(announced) != 1 or announced[0][0] != kind:
        return [f"the target announced {announced}"]
    if len(errors) != 1:
        return [f"{len(errors)} errors: {[(e['error'], functions(e)[:3]) for e in errors]}"]
    return judge_error(errors[0], announced[0], first, before, allocation) + (
        [] if code == 0 else [f"exit code {code}"]
    )


def none_of(*command, options=()):
    announced, records, code = traced(*command, options=options)
    errors = [r for r in records if r["type"] == "error"]
    if not any(r["type"] == "process" and r["allocations"] for r in records):
        return ["nothing was traced"]
    return [f"announced {announced}"] * bool(announced) + [
        f"{e['error']} of {e['address']}: {functions(e)[:5]}, allocated by {functions(e['allocation'])[:5]}"
        for e in errors
    ]


def by_link(link):
    for case in ERRORS[2], ERRORS[4]:
        try:
            complaints = told(*case, options=("--link", link))
        except Failure as failure:
            if "exit code 3" in str(failure):
                raise Skip(f"no {link} links here") from None
            raise
        if complaints:
            return [f"{case[0]}: {c}" for c in complaints]
    return none_of(target_path("free_errors"), *CORRECT, options=("--link", link))


def mismatches():
    announced, records, _ = traced(target_path("free_mismatch"))
    errors = final_errors(records)
    found = [(e["allocated_with"], e["freed_with"], e["size_bytes"]) for e in errors]
    if found != [("malloc", "new", 200)]:
        return [f"told {found}"]
    return judge_error(errors[0], announced[0], "malloc_delete", None, "malloc_delete")


def attached(options, *cases):
    """To a process that waits. Returns its errors, and what it announced."""
    with subprocess.Popen(
        [target_path("free_errors"), *cases], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as target:
        while target.stdout.readline() != b"ready\n":
            pass
        with Seep("trace", "-p", str(target.pid), "--format", "ndjson", *options, "3600") as seep:
            seep.wait_attached()
            time.sleep(1.2)  # what is freed in the first second does not count
            target.stdin.write(b"\n")
            target.stdin.close()
            said = target.stdout.read().decode()
            seep.wait()
            announced = [line.split()[1:] for line in said.splitlines() if line.startswith("ERROR ")]
            return final_errors(seep.records()), announced


def late():
    """A block from before is freed twice: that is known. What is no block may be one from before."""
    errors, announced = attached(["--errors"], "prepare", "pause", "double_of_before")
    complaints = [] if len(errors) == 1 else [f"double free of a block from before: {len(errors)} errors"]
    for error in errors:
        complaints += judge_error(error, announced[0], "release_again", "release", None)
    for case in "on_stack", "interior":
        errors, announced = attached(["--errors"], "pause", case)
        if errors or len(announced) != 1:
            complaints.append(f"{case}: {[(e['error'], e['address']) for e in errors]}, announced {announced}")
    errors, _ = attached([], "prepare", "pause", "double_of_before")
    return complaints + [f"{len(errors)} errors with -p without --errors"] * bool(errors)


def not_wanted():
    for options in ["--no-errors"], ["-s", "2"]:
        _, records, _ = traced(target_path("free_errors"), "double_free", options=options)
        if final_errors(records):
            return [f"told with {options}"]
    code, _, err = run_seep("trace", "--errors", "--comm", "no-such-program", "1", "1")
    complaints = [] if code == 2 and "--errors" in err else [f"--errors --comm: exit code {code}, {err}"]
    for options in ["-s", "2"], ["-Z", "1M"], ["--growth"], ["--no-errors"]:
        code, _, err = run_seep("trace", "--errors", *options, "--", "/bin/true")
        if code != 2 or "--errors" not in err:
            complaints.append(f"--errors {options}: exit code {code}, {err}")
    return complaints


def in_text_and_capture():
    """The same errors live, and out of a capture."""
    with tempfile.TemporaryDirectory() as folder:
        capture, live, again = (pathlib.Path(folder, name) for name in ("capture", "live", "again"))
        command = [str(target_path("free_errors")), "double_free"]
        run_seep("trace", "-w", str(capture), "--output", str(live), "--", *command)
        code, _, err = run_seep("report", "--output", str(again), str(capture))
        texts = [t[t.index("  1 error at free:") :].split("\n\n")[0] for t in (live.read_text(), again.read_text())]
    complaints = [] if code == 0 else [f"exit code {code}: {err}"]
    if texts[0] != texts[1]:
        complaints.append(f"live: {texts[0]}; report: {texts[1]}")
    for part in "double free of 0x", "freed before that by thread", "allocated by", "release_again free_errors.c:":
        if part not in texts[0]:
            complaints.append(f"no '{part}' in {texts[0]}")
    return complaints


def main():
    tap = start_tap()
    for case in ERRORS:
        tap.run(f"{case[0]} is told as {case[1]}", lambda: told(*case))
    tap.run("correct programs: none", lambda: none_of(target_path("free_errors"), *CORRECT))
    for link in LINKS:
        tap.run(f"{link} links", lambda: by_link(link))
    tap.run("malloc and delete", mismatches)
    for name in "zoo_threads", "zoo_fork", "zoo_heap_musl", "zoo_cxx_jemalloc", "zoo_cxx_tcmalloc":
        tap.run(f"{name}: none", lambda: none_of(target_path(name), "--auto"))
    programs = (
        ["/bin/sh", "-c", "for i in 1 2 3; do x=$(echo $i | sed s/1/2/); done; echo $x"],
        [sys.executable, "-c", "import json, threading, subprocess; subprocess.run(['true']); json.loads('[1, {}]')"],
        ["git", "--version"],
        ["gcc", "-c", "-x", "c", "-o", "/dev/null", "/dev/null"],
    )
    for command in programs:
        if shutil.which(command[0]):
            tap.run(f"{os.path.basename(command[0])}: none", lambda: none_of(*command))
    tap.run("attached late", late)
    tap.run("not wanted, or not to be known", not_wanted)
    tap.run("in text and in a capture", in_text_and_capture)
    tap.end()


if __name__ == "__main__":
    main()

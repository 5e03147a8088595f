#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What seep says and how it exits when it cannot do what it is told; and that it leaves nothing
behind, however it ends.

Exit codes (DESIGN.md): 0 done, 1 failure, 2 usage, 3 the kernel or the privileges do not
allow it, 4 events were lost.
"""

import contextlib
import gzip
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile

from lib import (
    SEEP,
    Failure,
    Program,
    Seep,
    Skip,
    Target,
    run_seep,
    start_tap,
    target_path,
    wait_until,
)

SHORT = ["0.2", "1"]  # one report, soon


def complain(result, code, *fragments):
    """result: (exit code, stdout, stderr); every fragment must be in stderr. code: one or
    several.
    """
    got, _, err = result
    codes = code if isinstance(code, tuple) else (code,)
    complaints = [] if got in codes else [f"exit code {got}, not {code}: {err.strip()[-300:]}"]
    complaints += [f"stderr lacks '{f}': {err.strip()[-300:]}" for f in fragments if f not in err]
    if "Sanitizer" in err or got < 0 or got >= 128:
        complaints.append(f"crashed: {err[-600:]}")
    return complaints


def refused(arguments, code, *fragments, **popen):
    return complain(run_seep(*arguments, **popen), code, *fragments)


def dead_pid():
    """A pid that is nobody's: of a child that was waited for. Pids are not used again until they
    have wrapped.
    """
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    return str(process.pid)


def no_such_pid():
    pid = dead_pid()
    return refused(["trace", "-p", pid], 1, "no process has the pid", pid)


def exits_during_attach():
    """Processes of a few milliseconds, so that some end while seep attaches: each time a report
    or a message, no crash, no hang.
    """
    complaints = []
    for milliseconds in range(0, 200, 10):
        with Program(["/bin/sleep", str(milliseconds / 1000)]) as target:
            complaints += refused(["trace", "-p", str(target.pid), *SHORT], (0, 1))
    return complaints


def zombie():
    process = subprocess.Popen(["/bin/true"])
    try:
        wait_until(
            "zombie", lambda: ") Z " in pathlib.Path(f"/proc/{process.pid}/stat").read_text()
        )
        return refused(["trace", "-p", str(process.pid)], 1, "zombie", str(process.pid))
    finally:
        process.wait()


def paused(name, *fragments):
    try:
        program = Program([target_path(name)])
    except OSError as error:
        raise Skip(f"{name} does not run here: {error.strerror}") from None
    with program as target:
        try:
            return refused(["trace", "-p", str(target.pid), *SHORT], 1, *fragments)
        finally:
            target.process.kill()


def refused_for_target(options, code, *fragments, command=(), **popen):
    """With a target that could be traced. command: what runs seep."""
    with Target("zoo_heap") as target, tempfile.NamedTemporaryFile() as err:
        argv = [*command, SEEP, "trace", "-p", str(target.pid), *options, *SHORT]
        ended = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
            timeout=60,
            text=True,
            **popen,
        )
        return complain(
            (ended.returncode, ended.stdout, pathlib.Path(err.name).read_text()), code, *fragments
        )


def no_privileges():
    """A copy that nobody may execute: the checkout may be in a folder closed to others."""
    with tempfile.TemporaryDirectory() as folder, Target("zoo_heap") as target:
        os.chmod(folder, 0o755)
        copy = shutil.copy(SEEP, folder)
        os.chmod(copy, 0o755)
        ended = subprocess.run(
            [
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "--inh-caps=-all",
                "--bounding-set=-all",
                copy,
                "trace",
                "-p",
                str(target.pid),
                *SHORT,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            cwd="/",
        )
        return complain(
            (ended.returncode, ended.stdout, ended.stderr),
            3,
            "missing CAP_BPF and CAP_PERFMON",
            "root",
        )


def missing_capability(name):
    command = ["setpriv", f"--inh-caps=-{name}", f"--bounding-set=-{name},-sys_admin"]
    return refused_for_target([], 3, f"CAP_{name.upper()}", command=command)


def no_btf():
    """/sys/kernel/btf hidden in a mount namespace that ends with the command."""
    hide = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs none /sys/kernel/btf && exec "$0" "$@"',
    ]
    return refused_for_target([], 3, "BTF", "CONFIG_DEBUG_INFO_BTF", command=hide)


def memlock_zero(command=()):
    """Since 5.11 BPF memory is not charged to RLIMIT_MEMLOCK; where it is, the message names the
    limit.
    """

    def limit():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))

    with Target("zoo_heap") as target:
        argv = [*command, SEEP, "trace", "-p", str(target.pid), *SHORT]
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, preexec_fn=limit)
        fragments = ["RLIMIT_MEMLOCK", "CAP_SYS_RESOURCE"] if ended.returncode else []
        return complain((ended.returncode, ended.stdout, ended.stderr), (0, 3), *fragments)


def full_stdout():
    with open("/dev/full", "w") as full, Target("zoo_heap") as target:
        ended = subprocess.run(
            [SEEP, "trace", "-p", str(target.pid), *SHORT],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        return complain((ended.returncode, "", ended.stderr), 1, "No space left on device")


def closed_pipe():
    """`seep trace ... | head -1`: ends by itself, in silence, not by SIGPIPE."""
    with Target("zoo_heap") as target, tempfile.NamedTemporaryFile() as err:
        reader, writer = os.pipe()
        with Program(
            [SEEP, "trace", "-q", "-p", str(target.pid), "--format", "ndjson", "0.1"],
            stdout=writer,
            stderr=err.fileno(),
        ) as seep:
            os.close(writer)
            os.read(reader, 1)
            os.close(reader)
            code = seep.wait()
        said = pathlib.Path(err.name).read_text()
        return ([] if code == 1 else [f"exit code {code}, not 1"]) + (
            [f"stderr: {said}"] if said else []
        )


def corrupt_library(damage):
    """A process that also maps a damaged copy of libc: seep traces the rest."""
    libc = next(pathlib.Path("/usr/lib").glob("*-linux-gnu/libc.so.6")).read_bytes()
    with tempfile.NamedTemporaryFile(suffix=".so") as copy:
        copy.write(damage(bytearray(libc)))
        copy.flush()
        with Target("bad_maps", copy.name) as target:
            return refused(["trace", "-p", str(target.pid), *SHORT], (0, 4)) + refused(
                ["doctor", "-p", str(target.pid)], 0
            )


def section_table_gone(image):
    image[0x28:0x30] = (len(image) - 7).to_bytes(8, "little")
    return image


def absurd_section_sizes(image):
    """Every section says it is 2^63 bytes long."""
    table = int.from_bytes(image[0x28:0x30], "little")
    for i in range(int.from_bytes(image[0x3C:0x3E], "little")):
        at = table + 64 * i + 0x20
        image[at : at + 8] = (1 << 63).to_bytes(8, "little")
    return image


@contextlib.contextmanager
def capture():
    """The path of a good capture of ours."""
    with tempfile.TemporaryDirectory() as folder, Target("zoo_heap") as target:
        path = pathlib.Path(folder, "good.seep")
        with Seep("trace", "-p", str(target.pid), "-w", str(path), "3600") as seep:
            wait_until("capture file", path.exists)
            wait_until("first line", lambda: seep.process.poll() is not None or seep.stdout())
            target.run()
            if seep.interrupt():
                raise Failure(f"no capture: {seep.stderr()[-300:]}")
        yield path


def bad_captures():
    """Cut short at many places, a bit flipped, of a later version: exit code 1 with a message
    each, and never a crash.
    """
    with capture() as path:
        good = path.read_bytes()
        complaints = refused(["report", str(path)], 0)

        def check(data, *fragments, what):
            path.write_bytes(data)
            return [f"{what}: {c}" for c in refused(["report", str(path)], 1, *fragments)]

        for i in range(1, 8):
            complaints += check(good[: len(good) * i // 8], path.name, what=f"{i}/8 of it")
        flipped = bytearray(good)
        flipped[len(good) // 2] ^= 0x10
        complaints += check(bytes(flipped), path.name, what="a flipped bit")
        lines = gzip.decompress(good).splitlines()
        first = json.loads(lines[0])
        first["version"] += 1
        later = gzip.compress(b"\n".join([json.dumps(first).encode(), *lines[1:]]) + b"\n")
        complaints += check(later, "version", what="a later version")
        complaints += check(b"", "not a capture", what="an empty file")
        complaints += check(b"\x7fELF" + bytes(100), "not a capture", what="another file")
        return complaints


def held_objects(pid):
    """{(kind, id)} of the BPF programs, maps and links that a process holds by a file
    descriptor.
    """
    found = set()
    for fdinfo in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            fields = dict(
                line.split(":", 1) for line in fdinfo.read_text().splitlines() if ":" in line
            )
            # A link's fdinfo names its program too.
            kind = next((k for k in ("link", "map", "prog") if f"{k}_id" in fields), None)
            if kind:
                found.add((kind, int(fields[f"{kind}_id"])))
    return found


def living_objects():
    """The same of the whole host."""
    found = set()
    for kind in ("prog", "map", "link"):
        listed = subprocess.run(
            ["bpftool", "-j", kind, "list"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"},
        ).stdout
        found |= {(kind, entry["id"]) for entry in json.loads(listed or "[]")}
    return found


def nothing_left(signal_number, link):
    """What seep held in the kernel while it traced is gone when it has ended, and the target
    works on.
    """
    with Target("zoo_heap") as target, Seep(
        "trace", "-p", str(target.pid), "--format", "ndjson", "--link", link, "3600"
    ) as seep:
        seep.wait_attached()
        held = held_objects(seep.pid)
        complaints = [
            f"no {kind} was held: the test sees nothing"
            for kind in ("prog", "map", "link")
            if kind not in {k for k, _ in held}
        ]
        seep.process.send_signal(signal_number)
        code = seep.wait()
        # The kernel frees what the last holder leaves a moment later.
        try:
            wait_until("end of seep's objects", lambda: not held & living_objects(), 10)
        except Failure:
            complaints.append(f"left behind: {sorted(held & living_objects())}")
        expected = -signal.SIGKILL if signal_number == signal.SIGKILL else 0
        if code != expected:
            complaints.append(f"exit code {code}, not {expected}: {seep.stderr()[-300:]}")
        maps = pathlib.Path(f"/proc/{target.pid}/maps").read_text()
        complaints += (
            ["seep's file is mapped into the target"]
            if "seep" in maps.replace(str(TARGET_FOLDER), "")
            else []
        )
        ledger = target.run()[-1]
        return complaints + ([] if ledger["ledger"] else ["the target did not work on"])


TARGET_FOLDER = target_path(".").resolve()

USAGE = [
    (["trace", "-p", "x"], "-p", "'x'"),
    (["trace", "-p", "0"], "-p", "can be 0"),
    (["trace", "-p", "-5"], "-p"),
    (["trace", "-p", "99999999"], "-p"),
    (["trace", "-p", "1", "--", "true"], "-p"),
    (["trace", "-p", "1", "--frobnicate"], "--frobnicate"),
    (["trace", "-p", "1", "-s", "x"], "-s", "'x'"),
    (["trace", "-p", "1", "-s", "10", "--sample-bytes", "1M"], "--sample-bytes"),
    (["trace", "-p", "1", "-z", "100", "-Z", "10"], "-z"),
    (["trace", "-p", "1", "--format", "xml"], "--format", "xml"),
    (["trace", "-p", "1", "--link", "carrier-pigeon"], "--link"),
    (["trace", "-p", "1", "0"], "INTERVAL"),
    (["trace", "-p", "1", "1", "0"], "COUNT"),
    (["trcae"], "trcae"),
    (["report"], "FILE"),
    (["diff"], "FILE_A"),
    (["diff", "-"], "standard input"),
    (["diff", "a", "b", "--format", "folded"], "folded"),
    (["scan"], "which process?"),
    (["triage"], "which process?"),
    (["triage", "-p", "1,2"], "one process at a time"),
    (["top"], "not in this version"),
]


def usage_errors():
    complaints = []
    for arguments, *fragments in USAGE:
        complaints += [
            f"seep {' '.join(arguments)}: {c}" for c in refused(arguments, 2, *fragments)
        ]
    return complaints


def main():
    tap = start_tap()
    tap.run("nonsense options", usage_errors)
    tap.run("no such pid", no_such_pid)
    tap.run("a pid that exits during the attach", exits_during_attach)
    tap.run("a kernel thread", lambda: refused(["trace", "-p", "2"], 3, "kernel thread"))
    tap.run("a zombie", zombie)
    tap.run("a 32-bit program", lambda: paused("bad_32", "32-bit"))
    tap.run(
        "a program without an allocator",
        lambda: paused("bad_noalloc", "no allocation function found"),
    )
    tap.run("no privileges", no_privileges)
    tap.run("CAP_SYS_PTRACE alone missing", lambda: missing_capability("sys_ptrace"))
    tap.run("no BTF", no_btf)
    tap.run("RLIMIT_MEMLOCK 0", memlock_zero)
    tap.run(
        "RLIMIT_MEMLOCK 0 without CAP_SYS_RESOURCE",
        lambda: memlock_zero(
            ["setpriv", "--inh-caps=-sys_resource", "--bounding-set=-sys_resource"]
        ),
    )
    tap.run(
        "a capture file in a folder that is not there",
        lambda: refused_for_target(["-w", "/nonexistent/x"], 1, "/nonexistent/x", "No such file"),
    )
    tap.run(
        "an output file in a folder that is not there",
        lambda: refused_for_target(
            ["--output", "/nonexistent/x"], 1, "/nonexistent/x", "No such file"
        ),
    )
    tap.run(
        "a full disk under --output",
        lambda: refused_for_target(["--output", "/dev/full"], 1, "/dev/full", "No space left"),
    )
    tap.run(
        "a full disk under the capture",
        lambda: refused_for_target(["-w", "/dev/full"], 1, "No space left"),
    )
    tap.run("a full disk under stdout", full_stdout)
    tap.run("a closed pipe", closed_pipe)
    for name, damage in (
        ("half of a libc", lambda image: image[: len(image) // 2]),
        ("64 bytes of a libc", lambda image: image[:64]),
        ("an empty file", lambda image: image[:0] + b"\0"),
        ("a section table past the end", section_table_gone),
        ("absurd section sizes", absurd_section_sizes),
    ):
        tap.run(f"a library that is {name}", lambda: corrupt_library(damage))
    tap.run("damaged captures", bad_captures)
    tap.run(
        "no such capture",
        lambda: refused(["report", "/nonexistent/x"], 1, "/nonexistent/x", "No such file"),
    )
    tap.run(
        "-- a command that does not exist",
        lambda: refused(["trace", "--", "/nonexistent/command"], 1, "command not found"),
    )
    tap.run(
        "-c a command that does not exist",
        lambda: refused(["trace", "-c", "/nonexistent/command"], 1, "not found"),
    )
    tap.run(
        "-- a file that is no program",
        lambda: refused(["trace", "--", "/etc/passwd"], 1, "/etc/passwd", "permission denied"),
    )
    for link in ("session", "multi", "perf"):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            tap.run(
                f"{number.name} leaves nothing behind, {link} links",
                lambda: nothing_left(number, link),
            )
    tap.end()


if __name__ == "__main__":
    main()

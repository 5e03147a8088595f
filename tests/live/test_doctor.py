#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep doctor: whether tracing works here, what a hit costs, and the plan for a process.

The truth about a plan is the file itself: readelf's symbols, objdump's instructions. What a hit
costs is compared within one run: an emulated instruction is cheaper than a stepped one, work is
not cheaper than none.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from lib import SEEP, Failure, Program, Skip, Target, run_seep, start_tap, target_path, wait_until

COSTS = (
    "free_seconds",
    "allocate_seconds",
    "allocate_exits_seconds",
    "skipped_seconds",
    "empty_seconds",
    "empty_with_return_seconds",
)
FEATURES = ("watch", "selectors", "trace --budget", "trace --growth", "out of memory")
NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]


def doctor(*arguments, code=0, **popen):
    """Runs it with --format ndjson. Returns (records, stderr)."""
    got, out, err = run_seep("doctor", "--format", "ndjson", *arguments, **popen)
    if got != code or "Sanitizer" in err:
        raise Failure(f"exit code {got}, not {code}: {err.strip()[-600:]}")
    return [json.loads(line) for line in out.splitlines()], err


def of_type(records, kind):
    return [r for r in records if r["type"] == kind]


def wrong_cost(name, cost):
    """Between what a trap cannot be faster than and what is no measurement any more."""
    return [] if 50e-9 < cost < 1e-3 else [f"{name} is {cost} s"]


def host():
    records, _ = doctor()
    record = records[0]
    complaints = []
    if len(records) != 1 or record["type"] != "doctor":
        complaints.append(f"{len(records)} records, the first a {record['type']}")
    if not record["can_trace"] or record["problem"] is not None:
        complaints.append(f"cannot trace: {record['problem']}")
    if record["kernel"] != os.uname().release:
        complaints.append(f"kernel {record['kernel']}")
    checks = {check["name"]: check for check in record["checks"]}
    complaints += [
        f"check {name}: {checks.get(name)}"
        for name in ("capabilities", "BTF", "trial", f"{record['link']} links", *FEATURES)
        if checks.get(name, {}).get("state") != "ok"
    ]
    n_read = int(re.search(r"memory of ([0-9]+) process", checks["watch"]["text"])[1])
    n_there = len([p for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()])
    if not 1 < n_read <= n_there + 20:
        complaints.append(f"watch: {checks['watch']['text']}, of {n_there}")
    pairs = int(re.search(r"some ([0-9,]+) m", checks["trace --budget"]["text"])[1].replace(",", ""))
    pair = record["emulated"]["allocate_seconds"] + record["emulated"]["free_seconds"]
    if not 0.99 < pairs * pair / 0.05 < 1.01:
        complaints.append(f"{pairs} pairs of {pair} s are not 5%")
    return complaints


def costs(link):
    """Measured for each kind of link that works here."""
    first = doctor()[0][0]
    if link not in {
        c["name"].split()[0] for c in first["checks"] if c["state"] == "ok" and "links" in c["name"]
    }:
        raise Skip(f"no {link} links here")
    record = doctor("--link", link)[0][0]
    complaints = [] if record["link"] == link else [f"measured {record['link']}"]
    for execution in ("emulated", "stepped"):
        for cost in COSTS:
            complaints += wrong_cost(f"{execution} {cost}", record[execution][cost])
    emulated, stepped = record["emulated"], record["stepped"]
    for less, more in (
        (emulated["empty_seconds"], stepped["empty_seconds"]),
        (emulated["free_seconds"], stepped["free_seconds"]),
        (emulated["allocate_seconds"], stepped["allocate_seconds"]),
        (emulated["empty_seconds"], emulated["allocate_seconds"]),
    ):
        if less >= more:
            complaints.append(f"{less} s is not less than {more} s: {emulated} {stepped}")
    return complaints


def disassembled(path, address):
    """objdump's mnemonic and operands at an address of a file."""
    out = subprocess.run(
        ["objdump", "-d", f"--start-address={address}", f"--stop-address={address + 16}", path],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [line.split("\t") for line in out.splitlines() if line.count("\t") >= 2]
    return lines[0][2].split() if lines else [""]


def leads_to(path, start, address, defined):
    """Whether a function is at address, or is nothing but jumps there."""
    for _ in range(4):
        if start == address:
            return True
        mnemonic, *operands = disassembled(path, start)
        if mnemonic != "jmp":
            return False
        if through_plt := re.fullmatch("<(.*)@plt>", operands[-1]):
            return address in defined.get(through_plt[1], ())
        start = int(operands[0], 16)
    return False


def symbols(path):
    """{name: addresses} by readelf."""
    found = {}
    out = subprocess.run(
        ["readelf", "-sW", path], capture_output=True, text=True, check=True
    ).stdout
    for line in out.splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[3] in ("FUNC", "IFUNC"):
            found.setdefault(fields[7].split("@")[0], set()).add(int(fields[1], 16))
    return found


def check_probe(probe, defined):
    """One probe record against the file."""
    path, address = probe["path"], int(probe["address"], 16)
    label = f"{path}: {probe['function']}+{probe['site_bytes']}"
    complaints = wrong_cost(label, probe["cost_seconds"])
    starts = defined.get(probe["function"], ())
    if not any(leads_to(path, start, address, defined) for start in starts):
        complaints.append(f"{label}: readelf has no such function at {address:#x}")
    mnemonic = disassembled(path, address + probe["site_bytes"])[0]
    ours = probe["instruction"].split()[0]
    if not re.fullmatch("[0-9a-f]{2}", ours) and not mnemonic.startswith(ours):
        complaints.append(f"{label}: '{probe['instruction']}', objdump has '{mnemonic}'")
    emulated = re.match(r"push|j|nop|call", mnemonic) is not None
    if emulated != (probe["execution"] == "emulated"):
        complaints.append(f"{label}: {mnemonic} is {probe['execution']}?")
    if not probe["reason"]:
        complaints.append(f"{label}: no reason")
    return complaints


def plan(name, allocator, functions, preload=None):
    """The plan names the functions, where they are; and the process has no breakpoint from it."""
    with Target(name, preload=preload) as target:
        before = pathlib.Path(f"/proc/{target.pid}/maps").read_text()
        records, _ = doctor("-p", str(target.pid))
        after = pathlib.Path(f"/proc/{target.pid}/maps").read_text()
    complaints = ["a [uprobes] area came into the target"] if "[uprobes]" in after else []
    complaints += ["the target's mappings changed"] if before != after else []
    files = {f["path"]: f for f in of_type(records, "file")}
    probes = of_type(records, "probe")
    own = [p for p, f in files.items() if f["allocator"] == allocator]
    if not own:
        return [f"no {allocator} file, but {[(p, f['allocator']) for p, f in files.items()]}"]
    found = {n for p in probes if p["path"] in own for n in (p["function"], *p["aliases"])}
    if functions - found:
        complaints.append(f"{own[0]}: no {functions - found}")
    if of_type(records, "target")[0]["probes"] != len(probes):
        complaints.append(f"{len(probes)} probe records: {of_type(records, 'target')}")
    for path in own:
        defined = symbols(path)
        for probe in probes:
            if probe["path"] == path:
                complaints += check_probe(probe, defined)
    return complaints


def described_bytes(path):
    """By readelf: bytes of executable segments, FDEs, and bytes that they describe."""
    headers = subprocess.run(
        ["readelf", "-lW", path], capture_output=True, text=True, check=True
    ).stdout
    text = [line.split() for line in headers.splitlines() if re.match(r"\s+LOAD.* R E ", line)]
    frames = subprocess.run(
        ["readelf", "--debug-dump=frames", path], capture_output=True, text=True
    ).stdout
    ranges = {
        (int(start, 16), int(end, 16))
        for start, end in re.findall(r"FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)", frames)
    }
    return sum(int(f[4], 16) for f in text), len(ranges), sum(end - at for at, end in ranges)


def has_build_id(path):
    """The vdso has one."""
    return (
        path == "[vdso]"
        or "Build ID:"
        in subprocess.run(["readelf", "-n", path], capture_output=True, text=True).stdout
    )


def check_unwind(record, path):
    """One file's record against the file."""
    text_bytes, n_fdes, fde_bytes = described_bytes(path)
    walkable, refused = record["covered_bytes"], record["unsupported_bytes"]
    complaints = []
    if record["text_bytes"] != text_bytes:
        complaints.append(f"{path}: {record['text_bytes']} bytes of code, readelf: {text_bytes}")
    if abs(record["functions"] + record["corrupt_functions"] - n_fdes) > n_fdes / 100:
        complaints.append(f"{path}: {record['functions']} functions, readelf: {n_fdes}")
    if abs(walkable + refused - fde_bytes) > fde_bytes / 50:
        complaints.append(f"{path}: {walkable} + {refused} bytes, readelf: {fde_bytes}")
    if not 0 < 8 * record["rows"] <= record["table_bytes"] or record["table_bytes"] % 4096:
        complaints.append(f"{path}: {record['rows']} rows in {record['table_bytes']} bytes")
    return complaints


def unwinding(target, executable):
    """Coverage of each file, and the cache: the second look takes tables from it."""
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "SEEP_CACHE_DIR": cache}
        looks = [of_type(doctor("-p", str(target.pid), env=env)[0], "unwind") for _ in range(2)]
        env["SEEP_CACHE_DIR"] = ""
        looks.append(of_type(doctor("-p", str(target.pid), env=env)[0], "unwind"))
        _, text, _ = run_seep("doctor", "-p", str(target.pid), env=env)
    complaints = []
    for look, cached in zip(looks, (False, True, False)):
        for record in look:
            want = cached and has_build_id(record["path"])
            if record["without"] or record["cached"] != want:
                complaints.append(f"cached must be {want}: {record}")
    files = {r["path"]: r for r in looks[0]}
    for path, record in files.items():
        if path.startswith("/"):
            complaints += check_unwind(record, path)
        if path not in text:
            complaints.append(f"{path} is not in the text")
    if "[vdso]" not in files or str(executable) not in files:
        complaints.append(f"{list(files)}")
    changing = dict.fromkeys(("time", "cached", "load_seconds"))
    same = [{**record, **changing} for look in looks for record in look]
    if same[: len(files)] * 3 != same:
        complaints.append("the cache has other tables than the files")
    return complaints


def unwinding_of_target(name):
    with Target(name) as target:
        return unwinding(target, target_path(name))


def unwinding_of_python():
    argv = [
        sys.executable,
        "-c",
        "import ssl, sqlite3, sys; print(1, flush=True); sys.stdin.read()",
    ]
    with Program(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        target.process.stdout.readline()
        try:
            return unwinding(target, os.path.realpath(sys.executable))
        finally:
            target.process.kill()


def without_cfi():
    """Said by file; and so is what part of a file has none, as musl's own functions."""
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, "program")
        sections = ["-R", ".eh_frame", "-R", ".eh_frame_hdr", "-R", ".debug_frame"]
        subprocess.run(["objcopy", *sections, target_path("zoo_heap"), program], check=True)
        # It still has its build-id, and with it would get the table of zoo_heap.
        env = {**os.environ, "SEEP_CACHE_DIR": ""}
        with Target(program) as target:
            records, _ = doctor("-p", str(target.pid), env=env)
            _, text, _ = run_seep("doctor", "-p", str(target.pid), env=env)
    own = [r for r in of_type(records, "unwind") if r["path"] == str(program)]
    if len(own) != 1 or own[0]["without"] != "no CFI" or own[0]["rows"]:
        return [f"{own}"]
    with Target("zoo_heap_musl") as target:
        _, of_musl, _ = run_seep("doctor", "-p", str(target.pid))
    return ([] if f"{program}: no CFI: its stacks go by frame pointers" in text else [text]) + (
        [] if "% has no CFI: stacks that pass it end there" in of_musl else [of_musl]
    )


def generated_code():
    with Target("stack_jit") as target:
        record = of_type(doctor("-p", str(target.pid))[0], "target")[0]
        _, text, _ = run_seep("doctor", "-p", str(target.pid))
    if not record["generated_code_bytes"] or "of generated code: its stacks go by" not in text:
        return [f"{record}", text]
    return []


def preloaded(library, allocator):
    found = sorted(pathlib.Path("/usr/lib").glob(f"*-linux-gnu/{library}.so.*"))
    if not found:
        raise Skip(f"{library} is not installed")
    return plan("zoo_heap", allocator, {"malloc", "calloc", "realloc", "free"}, found[0])


def refused(pid, code, *fragments):
    """The words and the exit code of `seep trace`."""
    complaints = []
    for arguments in (["doctor", "-p", pid], ["trace", "-p", pid, "0.1", "1"]):
        got, _, err = run_seep(*arguments)
        complaints += [f"{arguments[0]}: exit code {got}, not {code}: {err}"] * (got != code)
        complaints += [
            f"{arguments[0]}: stderr lacks '{f}': {err}" for f in fragments if f not in err
        ]
    return complaints


def no_such_pid():
    with Program(["/bin/true"]) as process:
        process.wait()
        return refused(str(process.pid), 1, "no process has the pid", str(process.pid))


def zombie():
    process = subprocess.Popen(["/bin/true"])
    try:
        stat = pathlib.Path(f"/proc/{process.pid}/stat")
        wait_until("zombie", lambda: ") Z " in stat.read_text())
        return refused(str(process.pid), 1, "zombie")
    finally:
        process.wait()


def kernel_thread():
    status = pathlib.Path("/proc/2/status")
    if not status.exists() or "Kthread:\t1" not in status.read_text():
        raise Skip("pid 2 is no kernel thread here")
    return refused("2", 3, "kernel thread")


def paused(name, *fragments):
    try:
        program = Program([target_path(name)])
    except OSError as error:
        raise Skip(f"{name} does not run here: {error.strerror}") from None
    with program as target:
        try:
            return refused(str(target.pid), 1, *fragments)
        finally:
            target.process.kill()


def without_functions():
    """Says which file it looked through."""
    path = target_path("bad_noalloc")
    with Program([path]) as target:
        try:
            records, _ = doctor("-p", str(target.pid), code=1)
        finally:
            target.process.kill()
    notes = of_type(records, "target")[0]["notes"]
    return [] if any(str(path) in note for note in notes) else [f"notes: {notes}"]


def go_program():
    """Any program with Go's section will do."""
    with tempfile.TemporaryDirectory() as folder:
        section, program = pathlib.Path(folder, "section"), pathlib.Path(folder, "program")
        section.write_bytes(b"\xff Go buildinf:")
        subprocess.run(
            ["objcopy", f"--add-section=.go.buildinfo={section}", "/bin/sleep", program], check=True
        )
        with Program([program, "60"]) as target:
            try:
                notes = of_type(doctor("-p", str(target.pid))[0], "target")[0]["notes"]
            finally:
                target.process.kill()
    return [] if any("Go program" in note for note in notes) else [f"notes: {notes}"]


def several_pids():
    """One that is gone does not keep the others from being looked at."""
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    with Target("zoo_heap") as target:
        records, err = doctor("-p", f"{gone.pid},{target.pid}", code=1)
    looked_at = [r["pid"] for r in of_type(records, "target")]
    return [] if looked_at == [target.pid] and str(gone.pid) in err else [f"{looked_at}; {err}"]


def namespaces():
    argv = ["unshare", "-m", "-p", "-f", "--mount-proc", "sleep", "60"]
    with Program(argv, stderr=subprocess.DEVNULL) as outer:
        children = pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children")

        def slept():
            pids = children.read_text().split()
            return pids and pathlib.Path(f"/proc/{pids[0]}/comm").read_text() == "sleep\n" and pids

        try:
            pid = wait_until("sleep in other namespaces", slept)[0]
            record = of_type(doctor("-p", pid)[0], "target")[0]
            os.kill(int(pid), signal.SIGKILL)
        finally:
            outer.wait()
    wrong = record["own_mount_namespace"] or record["own_pid_namespace"] or not record["probes"]
    return [str(record)] if wrong or len(record["notes"]) != 2 else []


def without_privileges(*more):
    """Code 3, what is missing by name, and the plan all the same, without costs."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        copy = shutil.copy(SEEP, folder)
        os.chmod(copy, 0o755)
        with Program(["setpriv", *NOBODY, "--bounding-set=-all", "sleep", "60"]) as target:
            comm = pathlib.Path(f"/proc/{target.pid}/comm")
            wait_until("sleep", lambda: comm.read_text() == "sleep\n")
            argv = ["setpriv", *NOBODY, "--bounding-set=-all", copy, "doctor"]
            ended = subprocess.run(
                [*argv, "-p", str(target.pid), *more], capture_output=True, text=True, timeout=60
            )
            target.process.kill()
    return ended


def no_privileges():
    ended = without_privileges("--format", "ndjson")
    records = [json.loads(line) for line in ended.stdout.splitlines()]
    complaints = [] if ended.returncode == 3 else [f"exit code {ended.returncode}: {ended.stderr}"]
    checks = {c["name"]: c for c in records[0]["checks"]}
    capabilities = checks["capabilities"]
    if records[0]["can_trace"] or records[0]["link"] or capabilities["state"] != "missing":
        complaints.append(f"{records[0]}")
    for name in ("CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE"):
        if name not in capabilities["text"]:
            complaints.append(f"no {name} in: {capabilities['text']}")
    if "setcap" not in capabilities["hint"]:
        complaints.append(f"not how to get them: {capabilities['hint']}")
    states = {name: checks.get(name, {}).get("state") for name in FEATURES}
    if states != {**dict.fromkeys(FEATURES, "less"), "out of memory": None}:
        complaints.append(f"{states}")
    probes = of_type(records, "probe")
    if not probes or any(p["cost_seconds"] is not None or p["link"] for p in probes):
        complaints.append(f"probes: {probes[:1]}")
    return complaints


def no_privileges_text():
    ended = without_privileges()
    lines = ended.stdout.splitlines()
    if ended.returncode != 3 or "does not work" not in lines[1]:
        return [f"exit code {ended.returncode}: {lines[:3]}"]
    return [] if any(line.split()[:1] == ["missing"] for line in lines) else lines


def text_width():
    """At a terminal of 80 columns no line is longer, but for one word that cannot be broken; also
    with a path that leaves no room beside it."""
    with tempfile.TemporaryDirectory(prefix="seep-" + 60 * "x") as directory:
        program = shutil.copy(target_path("zoo_heap"), directory)
        with Target(program) as target:
            out = subprocess.run(
                ["script", "-qec", f"stty cols 80; {SEEP} doctor -p {target.pid}", "/dev/null"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout
    lines = out.replace("\r", "").splitlines()
    complaints = [line for line in lines if len(line) > 80 and " " in line.strip()]
    if not any(len(line) > 80 and directory in line for line in lines):
        complaints.append("the long path is nowhere")
    cells = [line.split() for line in lines]
    if not any(c[:1] == ["malloc"] and c[-1].replace(",", "").isdigit() for c in cells):
        complaints.append("no line of malloc that ends in its cost")
    return complaints


def held_programs(pid):
    """Ids of the BPF programs that a process holds, by itself or through a link."""
    found = set()
    try:
        for entry in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
            found |= {int(n) for n in re.findall(r"^prog_id:\s*(\d+)", entry.read_text(), re.M)}
    except OSError:
        pass  # it ended, or closed that one
    return found


def living_programs():
    out = subprocess.run(
        ["bpftool", "-j", "prog", "list"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"},
    ).stdout
    return {p["id"] for p in json.loads(out or "[]")}


def nothing_left(kill_at=None):
    """None of its programs is in the kernel when it has ended.
    kill_at: by SIGKILL, once it holds so many.
    """
    own = set()
    with Program([SEEP, "doctor"], stdout=subprocess.DEVNULL) as seep:

        def time_has_come():
            own.update(held_programs(seep.pid))
            return seep.process.poll() is not None or (kill_at and len(own) >= kill_at)

        wait_until("end or programs", time_has_come)
        ended = seep.process.poll() is not None
        seep.process.kill()
        seep.wait()
    if not own or ended != (kill_at is None):
        return [f"it held {len(own)} programs, ended by itself: {ended}: the test sees nothing"]
    wait_until("kernel without its programs", lambda: not own & living_programs(), 10)
    return []


def main():
    tap = start_tap()
    tap.run("the host: tracing works, and the checks say so", host)
    for link in ("session", "multi", "perf"):
        tap.run(f"costs by {link} links", costs, link)
    tap.run("plan: glibc", plan, "zoo_heap", "glibc", {"malloc", "free", "posix_memalign"})
    tap.run("plan: static glibc", plan, "zoo_heap_static", "glibc", {"malloc", "calloc", "free"})
    tap.run("plan: static musl", plan, "zoo_heap_musl", "musl", {"malloc", "realloc", "free"})
    for library, allocator in (
        ("libjemalloc", "jemalloc"),
        ("libtcmalloc", "tcmalloc"),
        ("libmimalloc", "mimalloc"),
    ):
        tap.run(f"plan: {allocator} preloaded", preloaded, library, allocator)
    for name in ("zoo_heap", "zoo_heap_musl", "zoo_heap_static", "zoo_cxx"):
        tap.run(f"unwinding: {name}", unwinding_of_target, name)
    tap.run("unwinding: python3", unwinding_of_python)
    tap.run("unwinding: files without CFI", without_cfi)
    tap.run("unwinding: generated code", generated_code)
    tap.run("no such process", no_such_pid)
    tap.run("zombie", zombie)
    tap.run("kernel thread", kernel_thread)
    tap.run("32-bit program", paused, "bad_32", "32-bit")
    tap.run("no allocation functions", paused, "bad_noalloc", "no allocation function")
    tap.run("no allocation functions: the files are named", without_functions)
    tap.run("a Go program", go_program)
    tap.run("several processes, one of them gone", several_pids)
    tap.run("other namespaces", namespaces)
    tap.run("no privileges", no_privileges)
    tap.run("no privileges, as text", no_privileges_text)
    tap.run("text fits the terminal", text_width)
    tap.run("nothing is left", nothing_left)
    tap.run("nothing is left, killed in the trial of links", nothing_left, 1)
    tap.run("nothing is left, killed in the measurement", nothing_left, 12)
    tap.end()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-2-Clause
"""What the live tests share: targets and their ledgers, seep and its records, TAP.

A test traces only what it started itself, waits by deadline for something that can be
observed, and ends what it started through the handles it holds. Ground truth is the ledger
that a target prints (tests/targets/ledger.h), never seep. Environment: SEEP (build/seep),
TARGETS (build/targets).
"""

import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SEEP = os.environ.get("SEEP", str(ROOT / "build/seep"))
TARGETS = pathlib.Path(os.environ.get("TARGETS", ROOT / "build/targets"))
SECONDS = 60  # a deadline, not a wait: generous, because two cores run all of this

# What libc, the dynamic linker and libstdc++ allocate for themselves: no part of a target's ledger.
# By module, or by name where they are linked statically.
RUNTIME_MODULE = re.compile(r"^(ld-|libc\.|libgcc_s|libstdc\+\+)")
RUNTIME_FUNCTION = re.compile(
    r"^(_dl_|allocate_dtv|__tls_get_addr|allocate_stack|pthread_|__pthread|call_init|__gnu_cxx|"
    r"__cxa_|_GLOBAL__|search_object)"
)


class Failure(Exception):
    """Something that a test waited for did not come."""


class Skip(Exception):
    """Why a test cannot run here."""


def wait_until(what, condition, seconds=SECONDS):
    """Returns condition()'s first true value; polls, because what is waited for is a file or
    another process.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"no {what} within {seconds} s")
        time.sleep(0.01)


class Program:
    """A process of ours, ended at the latest when the `with` block ends."""

    def __init__(self, argv, **popen):
        self.process = subprocess.Popen([str(a) for a in argv], **popen)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self, seconds=SECONDS):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.process.args[0]} did not end within {seconds} s") from None


def target_path(name):
    path = TARGETS / name
    if not path.exists():
        raise Skip(f"{name} is not built here")
    return path


class Target(Program):
    """A program that keeps a ledger; ready to work when the constructor returns."""

    def __init__(self, name, *arguments, preload=None):
        env = {**os.environ, **({"LD_PRELOAD": str(preload)} if preload else {})}
        super().__init__(
            [target_path(name), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        self.buffer = b""
        if json.loads(self.read_line()).get("ready") != self.pid:
            raise Failure(f"{name} is not ready")

    def read_line(self, seconds=SECONDS):
        deadline = time.monotonic() + seconds
        fd = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failure(f"{self.process.args[0]} printed nothing for {seconds} s")
            chunk = os.read(fd, 1 << 20)
            if not chunk:
                raise Failure(f"{self.process.args[0]} ended without its ledger")
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def tell(self, word):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def run(self):
        """Lets it work. Returns the ledgers of all its processes, the main one's last."""
        self.tell("go")
        ledgers = []
        while not ledgers or ledgers[-1]["role"] != "main":
            ledgers.append(json.loads(self.read_line()))
        return ledgers


class Seep(Program):
    """seep with its output in files, so that it never waits for us."""

    def __init__(self, *arguments, prefix=(), **popen):
        self.out = tempfile.NamedTemporaryFile(prefix="seep-out-")
        self.err = tempfile.NamedTemporaryFile(prefix="seep-err-")
        popen.setdefault("stdin", subprocess.DEVNULL)
        super().__init__(
            [*prefix, SEEP, *arguments], stdout=self.out.fileno(), stderr=self.err.fileno(), **popen
        )

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        super().__exit__(*exception)
        self.out.close()
        self.err.close()

    def stdout(self):
        return pathlib.Path(self.out.name).read_text(errors="replace")

    def stderr(self):
        return pathlib.Path(self.err.name).read_text(errors="replace")

    def wait_attached(self):
        """The session record is written once all probes stand."""

        def begun():
            if self.process.poll() is not None:
                raise Failure(f"seep ended with {self.process.returncode}: {self.stderr()[-600:]}")
            return '"type":"session"' in self.stdout()[:4096].replace(" ", "")

        wait_until("session record", begun)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def records(self):
        return [json.loads(line) for line in self.stdout().splitlines()]


def run_seep(*arguments, seconds=SECONDS, **popen):
    """Runs seep to its end. Returns (exit code, stdout, stderr)."""
    with Seep(*arguments, **popen) as seep:
        return seep.wait(seconds), seep.stdout(), seep.stderr()


def plain_name(function):
    """`rusty::zoo_box_leak::h0123456789abcdef`, `zoo_new()` -> the name as the ledger has it."""
    function = re.sub(r"::h[0-9a-f]{16}$", "", function or "").split("(")[0]
    return function.rsplit("::", 1)[-1]


class Final:
    """A process's last report."""

    def __init__(self, records, pid):
        own = [r for r in records if r.get("pid") == pid]
        last = [
            r for r in own if r["type"] == "process" and r.get("final") and r.get("ended") != "exec"
        ]
        if not last:
            raise Failure(f"no final process record of pid {pid}")
        self.process = last[-1]
        self.sites = {r["site"]: r for r in own if r["type"] == "site" and self.same_report(r)}
        self.blocks = [r for r in own if r["type"] == "block" and self.same_report(r)]

    def same_report(self, record):
        """`process` tells the lives of one pid apart, before and after an exec."""
        return (
            record["time"] == self.process["time"]
            and record.get("process", self.process["process"]) == self.process["process"]
        )

    def functions(self, site):
        return [f.get("function") or "" for f in self.sites.get(site, {}).get("frames", [])]

    def n_allocations(self):
        """A range of mmap that was cut is one allocation and several blocks."""
        ranges = {s["site"] for s in self.sites.values() if s["kind"] != "malloc"}
        return sum(b["site"] not in ranges for b in self.blocks) + sum(
            s["outstanding_allocations"] for s in self.sites.values() if s["kind"] != "malloc"
        )

    def sums(self):
        """What must hold within any exact report. Returns complaints."""
        p, complaints = self.process, []
        for figure, of_blocks in (
            ("outstanding_bytes", sum(b["size_bytes"] for b in self.blocks)),
            ("outstanding_allocations", self.n_allocations()),
        ):
            of_sites = sum(s[figure] for s in self.sites.values())
            if not p[figure] == of_sites == of_blocks:
                complaints.append(
                    f"{figure}: process {p[figure]}, its sites {of_sites}, its blocks {of_blocks}"
                )
        if p["allocations"] - p["frees"] != p["outstanding_allocations"]:
            complaints.append(
                f"{p['allocations']} allocations - {p['frees']} frees is not {p['outstanding_allocations']}"
            )
        return complaints


def merged(blocks):
    """[(address, size)] with adjacent ranges made one."""
    ranges = []
    for address, size in sorted(blocks):
        if ranges and sum(ranges[-1]) == address:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + size)
        else:
            ranges.append((address, size))
    return ranges


def judge_block(want, have, final):
    """want: the ledger's entry, have: seep's record or None."""
    label = f"{want['address']} of {want['size']} B by {want['function']}"
    if not have:
        return f"missing: {label}"
    if have["size_bytes"] != want["size"]:
        return f"{label}: {have['size_bytes']} B in seep's record"
    names = [plain_name(f) for f in final.functions(have["site"])]
    if want["function"] in names:
        return None
    return f"{label}: its stack is {' < '.join(names) or 'empty'}"


def judge(ledger, records, may_lose=(), may_miss=()):
    """Compares a target's ledger with seep's final report: every block with address, size and
    function, and no block of the target's beyond them. may_lose: causes of loss that the target provokes; blocks may be
    missing up to that count. may_miss: functions whose blocks may be missing. A forked child
    of a process that seep attached to is probed a moment after its birth, and its record says
    when (seen_from_seconds): what it did before may be missing, and what it frees of that
    looks inherited. Returns complaints.
    """
    final = Final(records, ledger["pid"])
    lost = final.process["lost"]
    seen_late = ledger["role"] != "main" and final.process["seen_from_seconds"] > 0
    have = {int(b["address"], 16): b for b in final.blocks}
    want = {int(b["address"], 16): b for b in ledger["ledger"] if b["kind"] == "malloc"}
    complaints = final.sums()
    wrong = [
        c
        for a, b in want.items()
        if b["function"] not in may_miss or a in have
        for c in [judge_block(b, have.get(a), final)]
        if c
    ]
    excused = sum(lost.get(cause, 0) for cause in may_lose)
    missing = [c for c in wrong if c.startswith("missing")]
    complaints += (
        wrong
        if len(missing) > excused and not seen_late
        else [c for c in wrong if c not in missing]
    )
    complaints += judge_extra([b for a, b in have.items() if a not in want], final)
    complaints += [f"lost: {cause} {n}" for cause, n in lost.items() if cause not in may_lose]
    inherited = final.process["inherited_frees"]
    most = ledger["inherited_frees"] + (ledger["frees"] if seen_late else 0)
    if inherited > most or (inherited < ledger["inherited_frees"] and not seen_late):
        complaints.append(f"inherited_frees {inherited}, did {ledger['inherited_frees']}")
    return complaints


def is_runtime(frame):
    function = frame.get("function") or ""
    if function.startswith("operator new"):
        return False
    return bool(
        RUNTIME_MODULE.match(os.path.basename(frame.get("module") or ""))
        or RUNTIME_FUNCTION.match(function)
    )


def judge_extra(blocks, final):
    """Blocks that the ledger does not have: only what libraries allocate for themselves may be
    there.
    """
    complaints = []
    for block in blocks:
        site = final.sites.get(block["site"], {})
        frames = site.get("frames", [])
        own = any(plain_name(f.get("function")).startswith("zoo_") for f in frames)
        if site.get("kind") == "malloc" and (not frames or (own and not is_runtime(frames[0]))):
            complaints.append(
                f"not in the ledger: {block['address']} of {block['size_bytes']} B, "
                f"{' < '.join(final.functions(block['site'])) or 'no stack'}"
            )
    return complaints


class Tap:
    """Numbered results on stdout, the plan at the end."""

    def __init__(self):
        self.n = self.n_failed = 0

    def result(self, good, name, comment=""):
        self.n += 1
        self.n_failed += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}{comment}", flush=True)

    def run(self, name, test, *arguments):
        """test returns complaints; none is success."""
        try:
            complaints = test(*arguments) or []
        except Skip as reason:
            self.result(True, name, f" # SKIP {reason}")
            return
        except Failure as failure:
            complaints = [str(failure)]
        except Exception:  # a broken test is a failed test, and the others still run
            complaints = traceback.format_exc().splitlines()
        self.result(not complaints, name)
        for complaint in complaints[:12]:
            print(f"#   {complaint}", flush=True)
        if len(complaints) > 12:
            print(f"#   and {len(complaints) - 12} more", flush=True)

    def end(self):
        print(f"1..{self.n}")
        sys.exit(1 if self.n_failed else 0)


def start_tap():
    """Skips the whole program where seep cannot trace."""
    if os.geteuid():
        print("1..0 # SKIP tracing needs root")
        sys.exit(0)
    for needed in (SEEP, TARGETS / "zoo_heap"):
        if not os.access(needed, os.X_OK):
            print(f"Bail out! {needed} is not built")
            sys.exit(1)
    return Tap()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Processes in containers, made here of what containers are made of: an overlay as root, namespaces for mounts and pids, a
cgroup that is named like Kubernetes'. What seep says of them equals their ledgers, with names of
functions and build-ids though their files are nowhere in our own tree.
"""

import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import uuid

from lib import (
    SECONDS, SEEP, Failure, Final, Program, Seep, Skip, judge, run_seep, start_tap, target_path,
    wait_until,
)

# Everything is mounted in a namespace of its own: it goes with its last process.
START = """
set -e
mount -t tmpfs tmpfs "$1/private"
mkdir "$1/private/upper" "$1/private/work" "$1/private/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/private/upper,workdir=$1/private/work" \
    "$1/private/root"
mkdir -p "$1/private/root/proc" "$1/private/root/tmp" "$1/private/root/old"
mount -t proc proc "$1/private/root/proc"
cd "$1/private/root"
shift 2
pivot_root . old
exec "$@"
"""


def put_program(lower, name):
    """The target with the libraries that it needs, as image."""
    program = target_path(name)
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(0x", out):
        place = pathlib.Path(f"{lower}{library}")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    shutil.copy(program, lower / name)


class Container(Program):
    """A target in an overlay over the image lower, as the first process of its pid namespace."""

    def __init__(self, folder, lower, name):
        (folder / "private").mkdir(parents=True)
        super().__init__(
            ["unshare", "-m", "-p", "-f", "--kill-child", "sh", "-c", START, "sh"]
            + [folder, lower, f"/{name}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self.buffer = b""
        first = self.read_line()
        if not first:
            raise Skip(f"no container: {self.process.stderr.read()[-300:].decode()}")
        if json.loads(first)["ready"] != 1:
            raise Failure(f"the target is not the first of its namespace: {first}")
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        self.target = int(children[0])
        if f" /{name}\n" not in pathlib.Path(f"/proc/{self.target}/maps").read_text():
            raise Failure("the target's files are not named as in its own root")

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.process.stderr.close()

    def read_line(self):
        """"" at the end of its output."""
        fd = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            if not select.select([fd], [], [], SECONDS)[0]:
                raise Failure("the container prints nothing")
            chunk = os.read(fd, 1 << 20)
            if not chunk:
                return b""
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def run(self):
        """Its ledger, with the pid that we know it by."""
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        ledger = json.loads(self.read_line())
        if ledger["pid"] != 1:
            raise Failure(f"the ledger is of pid {ledger['pid']}")
        return {**ledger, "pid": self.target}


POD = "7d3f2a1c_0b1e_4f6c_9a53_000000000001"


@contextlib.contextmanager
def cgroup(container_id):
    """A cgroup named as containerd does under systemd, in the hierarchy that tells seep most."""
    top = pathlib.Path("/sys/fs/cgroup")
    for place in (top, top / "memory", top / "unified"):
        if (place / "cgroup.procs").exists():
            break
    else:
        raise Skip("no cgroup hierarchy")
    parent = place / f"seep-test-{uuid.uuid4().hex}"
    pod = parent / f"kubepods-burstable-pod{POD}.slice"
    group = pod / f"cri-containerd-{container_id}.scope"
    try:
        try:
            group.mkdir(parents=True)
        except OSError as reason:
            raise Skip(f"cgroups cannot be made: {reason}") from None
        yield group
    finally:
        for directory in (group, pod, parent):
            if directory.exists():
                wait_until("end of the cgroup's processes", lambda d=directory: removed(d))


def removed(directory):
    try:
        directory.rmdir()
    except OSError:
        return False
    return True


# A runtime's file, in a /run that only seep sees.
BUNDLE = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p "/run/containerd/io.containerd.runtime.v2.task/k8s.io/$1"
echo "$2" >"/run/containerd/io.containerd.runtime.v2.task/k8s.io/$1/config.json"
shift 2
exec "$@"
"""
ANNOTATIONS = {
    "io.kubernetes.cri.container-name": "app",
    "io.kubernetes.cri.sandbox-name": "web-1",
    "io.kubernetes.cri.sandbox-namespace": "prod",
}


def bundled(container_id, arguments):
    """The command line of seep and how to start it, for which containerd knows container_id."""
    bundle = json.dumps({"annotations": ANNOTATIONS})
    command = ["-m", "sh", "-c", BUNDLE, "sh", container_id, bundle, SEEP, *arguments]
    return command, {"executable": shutil.which("unshare")}


def trace(containers, container_id=None, wanted=None):
    """Lets them work under one seep, for which containerd knows container_id. wanted: the container's name, by which they are
    found. Returns (ledgers, records).
    """
    pids = ",".join(str(c.target) for c in containers)
    which = ["--container", wanted, "--budget", "0"] if wanted else ["-p", pids]
    arguments = ["trace", *which, "-a", "--format", "ndjson", "3600"]
    options = {}
    if container_id:
        arguments, options = bundled(container_id, arguments)
    with Seep(*arguments, **options) as seep:
        seep.wait_attached()
        ledgers = [c.run() for c in containers]
        seep.interrupt()
        return ledgers, seep.records()


def build_id(path):
    out = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", out)[1]


def look(ledger, records, name):
    """Counts, names, build-ids, and the pid in there."""
    complaints = judge(ledger, records)
    final = Final(records, ledger["pid"])
    if final.process["namespace_pid"] != 1:
        complaints.append(f"namespace_pid {final.process['namespace_pid']}, not 1")
    frames = [f for s in final.sites.values() for f in s["frames"]]
    ids = {f["build_id"] for f in frames if os.path.basename(f["module"] or "") == name}
    if ids != {build_id(target_path(name))}:
        complaints.append(f"build-ids of {name}: {ids}")
    return complaints


@contextlib.contextmanager
def image(*names):
    """A folder, and in it the image with these targets."""
    with tempfile.TemporaryDirectory(prefix="seep-containers-") as folder:
        lower = pathlib.Path(folder, "lower")
        lower.mkdir()
        for name in names:
            put_program(lower, name)
        yield pathlib.Path(folder), lower


def one(container_id, wanted=None):
    with image("zoo_heap") as (folder, lower), cgroup(container_id) as group:
        with Container(folder / "a", lower, "zoo_heap") as container:
            (group / "cgroup.procs").write_text(str(container.target))
            (ledger,), records = trace([container], container_id, wanted)
        complaints = look(ledger, records, "zoo_heap")
        pids = {r["pid"] for r in records if r["type"] == "process"}
        if pids != {ledger["pid"]}:
            complaints.append(f"traced {pids}, not {ledger['pid']} alone")
        process = Final(records, ledger["pid"]).process
        want = {
            "container": container_id, "container_name": "app", "pod": "web-1",
            "namespace": "prod", "pod_uid": POD.replace("_", "-"),
        }
        return complaints + [
            f"{field}: {process[field]}, not {value}"
            for field, value in want.items()
            if process[field] != value
        ]


def path_of(group):
    """A cgroup's path within its hierarchy."""
    top = next(p for p in group.parents if p.parent.name == "cgroup" or p.name == "cgroup")
    return f"/{group.relative_to(top)}"


def triaged(container_id, *which):
    """Of two processes in the container, the one that grows."""
    with image("zoo_heap") as (folder, lower), cgroup(container_id) as group:
        with Container(folder / "a", lower, "zoo_heap") as container:
            with Program([target_path("memory_outside"), "mapped"], stdout=subprocess.PIPE) as grows:
                grows.process.stdout.readline()
                for pid in (container.target, grows.pid):
                    (group / "cgroup.procs").write_text(str(pid))
                which = which or ("--cgroup", path_of(group))
                arguments, options = bundled(
                    container_id, ["triage", *which, "--for", "2s", "--no-evidence", "--json"]
                )
                code, out, err = run_seep(*arguments, **options)
                grows.process.kill()
    if code:
        return [f"exit code {code}: {err}"]
    records = [json.loads(line) for line in out.splitlines()]
    looks = [r for r in records if r["type"] == "triage" and r["final"]]
    complaints = [] if [r["pid"] for r in looks] == [grows.pid] else [f"{looks}, not {grows.pid}"]
    process = next(r for r in records if r["type"] == "process")
    if (process["container"], process["container_name"], process["pod"]) != (
        container_id, "app", "web-1",
    ):
        complaints.append(f"{process}")
    return complaints + ([] if "of 2 processes that match" in err else [err])


def two():
    """Their libc is one file below two overlays."""
    with image("zoo_heap") as (folder, lower):
        with Container(folder / "a", lower, "zoo_heap") as a:
            with Container(folder / "b", lower, "zoo_heap") as b:
                ledgers, records = trace([a, b])
        return [c for ledger in ledgers for c in look(ledger, records, "zoo_heap")]


def replaced():
    """An upgrade within the container, while it runs: what was mapped is deleted, and another
    file has its name.
    """
    with image("zoo_heap") as (folder, lower):
        with Container(folder / "a", lower, "zoo_heap") as container:
            root = pathlib.Path(f"/proc/{container.target}/root")
            libc = next(root.glob("lib/*/libc.so.6"))
            for path in (root / "zoo_heap", libc):
                other = path.with_name("other")
                shutil.copy(target_path("leaky_server"), other)
                os.replace(other, path)
            maps = pathlib.Path(f"/proc/{container.target}/maps").read_text()
            if "libc.so.6 (deleted)" not in maps or "/zoo_heap (deleted)" not in maps:
                raise Failure(f"nothing was replaced: {maps}")
            (ledger,), records = trace([container])
        return judge(ledger, records)


def generated():
    """The names of generated code are in the container's /tmp, under the pid that it has there."""
    with image("stack_jit") as (folder, lower):
        with Container(folder / "a", lower, "stack_jit") as container:
            tmp = pathlib.Path(f"/proc/{container.target}/root/tmp")
            for pid, name in ((1, "inner_name"), (container.target, "outer_name")):
                (tmp / f"perf-{pid}.map").write_text(f"10000 7ffffffe0000 {name}\n")
            (ledger,), records = trace([container])
        final = Final(records, ledger["pid"])
    names = {f["function"] for s in final.sites.values() for f in s["frames"]}
    right = "inner_name" in names and "outer_name" not in names
    return [] if right else [f"functions: {names}"]


if __name__ == "__main__":
    tap = start_tap()
    tap.run("a process in a container", one, "0123456789abcdef" * 4)
    tap.run("--container by name", one, "ab" * 32, "app")
    tap.run("--container by pod and name", one, "cd" * 32, "prod/web-1/app")
    tap.run("triage --container by name", triaged, "12" * 32, "--container", "web-1/app")
    tap.run("triage --container by id", triaged, "34" * 32, "--container", "34" * 8)
    tap.run("triage --cgroup", triaged, "56" * 32)
    tap.run("two containers of one image", two)
    tap.run("files replaced under a container", replaced)
    tap.run("generated code in a container", generated)
    tap.end()

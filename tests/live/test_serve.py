#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""seep serve: metrics, records and profiles agree with what the traced program says of itself, also
after its end; whoever asks, and however, gets an answer of HTTP and disturbs nobody; it ends when told to.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from lib import ROOT, Failure, Seep, Target, run_seep, start_tap, wait_until
from pprof import Profile

SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)+)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


class Server:
    """seep serve with its sockets in a directory of its own."""

    def __init__(self, *arguments, confined=(), **environment):
        self.folder = tempfile.TemporaryDirectory(prefix="seep-serve-")
        env = {**os.environ, "SEEP_RUN_DIR": self.folder.name + "/run", **environment}
        self.socket = pathlib.Path(self.folder.name, "run", "serve.sock")
        self.seep = Seep("serve", "--listen", "127.0.0.1:0", *arguments, prefix=confined, env=env)

    def __enter__(self):
        self.seep.__enter__()
        try:
            self.port = int(wait_until("address", self.address))
            wait_until("trace", lambda: self.get("/readyz")[0] == 200)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        self.seep.__exit__(*(exception or (None, None, None)))
        self.folder.cleanup()

    def address(self):
        if self.seep.process.poll() is not None:
            raise Failure(f"seep ended: {self.seep.stderr()[-300:]}")
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\n", self.seep.stderr())
        return found and found[1]

    def get(self, path, method="GET", unix=False, **headers):
        """Returns (status, headers, body)."""
        c = UnixConnection(str(self.socket)) if unix else http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=20
        )
        with contextlib.closing(c):
            c.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            r = c.getresponse()
            return r.status, r.headers, r.read()

    def json(self, path):
        return json.loads(self.get(path)[2])

    def metrics(self):
        """name -> [(labels, value)]; complains of what is no exposition."""
        found = {}
        for line in self.get("/metrics")[2].decode().splitlines():
            if line.startswith("# HELP ") or line.startswith("# TYPE "):
                continue
            sample = SAMPLE.match(line)
            if not sample:
                raise Failure(f"no metric: {line}")
            labels = dict(LABEL.findall(sample[2] or ""))
            found.setdefault(sample[1], []).append((labels, float(sample[3])))
        return found

    def end(self, number=signal.SIGTERM):
        self.seep.process.send_signal(number)
        return self.seep.wait()


def total(metrics, name):
    return sum(value for _, value in metrics.get(name, []))


def figures(target):
    c = json.loads(target.read_line())
    return {
        "allocated_bytes": c["allocated_bytes"],
        "freed_bytes": c["freed_bytes"],
        "allocations": c["allocations"],
        "frees": c["frees"],
        "outstanding_bytes": c["allocated_bytes"] - c["freed_bytes"],
        "outstanding_allocations": c["allocations"] - c["frees"],
    }


def judge_metrics(server, want):
    m = server.metrics()
    names = {
        "seep_outstanding_bytes": "outstanding_bytes",
        "seep_outstanding_allocations": "outstanding_allocations",
        "seep_process_outstanding_bytes": "outstanding_bytes",
        "seep_site_outstanding_bytes": "outstanding_bytes",
        "seep_site_outstanding_allocations": "outstanding_allocations",
        "seep_allocated_bytes_total": "allocated_bytes",
        "seep_freed_bytes_total": "freed_bytes",
        "seep_allocations_total": "allocations",
        "seep_frees_total": "frees",
    }
    complaints = [
        f"{name} is {total(m, name)}, the program says {want[figure]}"
        for name, figure in names.items()
        if total(m, name) != want[figure]
    ]
    n_sites = len(m["seep_site_outstanding_bytes"])
    if n_sites > 101 or not any(
        labels["site"] == "[other]" for labels, _ in m["seep_site_outstanding_bytes"]
    ):
        complaints.append(f"{n_sites} series of sites")
    if total(m, "seep_events_lost_total"):
        complaints.append(f"lost: {m['seep_events_lost_total']}")
    return complaints


def judge_exposition(server):
    """What Prometheus' own checker has to say, where it is installed."""
    promtool = shutil.which("promtool")
    if not promtool:
        return []
    text = server.get("/metrics")[2]
    r = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)
    return [f"promtool: {(r.stdout + r.stderr).decode()}"] if r.returncode else []


def judge_profile(server, path, want):
    status, headers, body = server.get(path)
    if (status, headers["Content-Type"]) != (200, "application/octet-stream"):
        return [f"{path}: {status} {headers['Content-Type']}"]
    sums = [sum(s) for s in zip(*(s.values for s in Profile(body).samples))]
    wanted = [
        want[f]
        for f in (
            "allocations",
            "allocated_bytes",
            "outstanding_allocations",
            "outstanding_bytes",
        )
    ]
    return [] if sums == wanted else [f"{path}: {sums}, the program says {wanted}"]


def judge_records(server, pid, want, final):
    processes = [p for p in server.json("/api/v1/processes")["processes"] if p["pid"] == pid]
    sites = server.json(f"/api/v1/sites?pid={pid}")["sites"]
    complaints = []
    if len(processes) != 1 or processes[0]["final"] != final:
        complaints.append(f"{len(processes)} records of the process, not one, final: {final}")
    for name, value in want.items():
        if any(p[name] != value for p in processes):
            complaints.append(f"process: {name} {processes[0][name]}, the program says {value}")
        if (have := sum(s[name] for s in sites)) != value:
            complaints.append(f"sites: {name} {have}, the program says {value}")
    return complaints


def the_same_everywhere():
    """Whatever the form, it is what the program says, while it lives and after its end. It has more call sites than are kept of one
    that has ended.
    """
    with Target("evict_stacks", "--batch", "15000") as target:
        target.tell("go")
        with Server("--budget", "0", "-p", str(target.pid), "0.2") as server:
            target.tell("more")
            want = figures(target)

            def reported():
                have = total(server.metrics(), "seep_allocations_total")
                return have == want["allocations"]

            wait_until("report of all allocations", reported)
            complaints = judge_metrics(server, want) + judge_exposition(server)
            complaints += judge_records(server, target.pid, want, False)
            complaints += judge_profile(server, f"/debug/pprof/heap?pid={target.pid}", want)
            complaints += judge_profile(server, "/debug/pprof/allocs", want)
            target.process.kill()
            target.process.wait()
            wait_until("end", lambda: not total(server.metrics(), "seep_traced_processes"))
            after = server.metrics()
            if total(after, "seep_allocated_bytes_total") != want["allocated_bytes"]:
                complaints.append("seep_allocated_bytes_total does not keep who has ended")
            if total(after, "seep_outstanding_bytes"):
                complaints.append("seep_outstanding_bytes is of a process that has ended")
            complaints += judge_records(server, target.pid, want, True)
            complaints += judge_profile(server, f"/debug/pprof/heap?pid={target.pid}", want)
            code = server.end()
            if code or server.socket.exists():
                complaints.append(f"exit code {code}, socket left: {server.socket.exists()}")
    return complaints


def raw(server, data, seconds=20):
    """What comes back to these bytes until the connection ends."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as s:
        s.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := s.recv(65536):
                answer += chunk
    return answer


ASKED = [
    (404, "/nope", {}),
    (404, "/metrics/../healthz", {}),
    (404, "/%2e%2e/etc/passwd", {}),
    (404, "/api/v1/sites?pid=1", {}),
    (400, "/metrics?pid=1", {}),
    (400, "/debug/pprof/heap?seconds=5", {}),
    (400, "/api/v1/sites?pid=-1", {}),
    (400, "/api/v1/sites?pid=1x", {}),
    (400, "/api/v1/sites?pid=99999999999999999999", {}),
    (400, "/api/v1/sites?pid=1&pid=2", {}),
    (400, "/api/v1/sites?pid", {}),
    (400, "/api/v1/sites?container=" + "a" * 1000, {}),
    (403, "/metrics", {"Host": "rebound.example"}),
    (403, "/metrics", {"Host": "127.0.0.1.rebound.example"}),
    (403, "/metrics", {"Host": ""}),
    (405, "/metrics", {"method": "POST"}),
    (405, "/metrics", {"method": "DELETE"}),
    (200, "/metrics", {"Host": "localhost:1"}),
    (200, "/", {"Host": "[::1]"}),
    (200, "/healthz", {"method": "HEAD"}),
    (200, "/metrics", {"unix": True}),
]

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
BYTES = [
    (b"GET /healthz HTTP/1.1\r\n\r\n", (b"HTTP/1.1 400", b"HTTP/1.1 403")),
    (HEAD + b"Host: rebound.example\r\nConnection: close\r\n\r\n", (b"HTTP/1.1 400", b"HTTP/1.1 403")),
    (HEAD + b"X: " + b"a" * 100000 + b"\r\n\r\n", (b"HTTP/1.1 431", b"HTTP/1.1 413", b"")),
    (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", (b"HTTP/1.1 414", b"HTTP/1.1 431", b"")),
    (HEAD + b"Content-Length: -1\r\n\r\n", (b"HTTP/1.1 400", b"")),
    (HEAD + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", (b"",)),
]


def hostile():
    """Each gets its answer, and nobody else waits for it."""
    complaints = []
    with Target("evict_stacks") as target, Server("-p", str(target.pid), "1") as server:
        for want, path, headers in ASKED:
            status, _, body = server.get(path, **headers)
            if status != want:
                complaints.append(f"{path} {headers}: {status}, not {want}")
            if status >= 400 and "error" not in json.loads(body):
                complaints.append(f"{path} {headers}: no reason given")
        for data, want in BYTES:
            answer = raw(server, data)
            if not any(answer.startswith(w) if w else not answer for w in want):
                complaints.append(f"{data[:60]}...: {answer[:60]}")
        _, headers, body = server.get("/metrics", Accept="application/openmetrics-text;version=1.0.0")
        if not headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"):
            complaints.append(f"OpenMetrics comes as {headers['Content-Type']}")
        if not body.endswith(b"\n# EOF\n"):
            complaints.append("OpenMetrics has no end")
        if "Access-Control-Allow-Origin" in headers or "Content-Security-Policy" not in headers:
            complaints.append(f"headers: {headers.items()}")
        with contextlib.ExitStack() as clients:
            # All places over TCP are taken by clients that say half a word: the socket still answers.
            for _ in range(120):
                s = clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                s.send(b"GET /metr")
            if server.get("/healthz", unix=True)[0] != 200:
                complaints.append("no answer beside 120 clients")
        wait_until("answer after them", lambda: server.get("/healthz")[0] == 200)
        code, _, err = run_seep("mark", "-p", str(target.pid), "loaded", env={
            **os.environ, "SEEP_RUN_DIR": server.folder.name + "/run"})
        if code:
            complaints.append(f"seep mark: {code}: {err}")
        if code := server.end(signal.SIGINT):
            complaints.append(f"exit code {code}")
    return complaints


def refused():
    """What would be open to the world, or is no address, is a usage error."""
    complaints = []
    for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:80", "127.0.0.1", "name:80", "127.0.0.1:x", ":80"):
        code, _, err = run_seep("serve", "-p", str(os.getpid()), "--listen", address)
        if code != 2 or address not in err:
            complaints.append(f"--listen {address}: exit code {code}: {err}")
    code, _, err = run_seep("serve", "-p", str(os.getpid()), "--insecure")
    if code != 2:
        complaints.append(f"--insecure alone: exit code {code}: {err}")
    return complaints


class Manager:
    """What systemd has of a service: the socket at which it reports."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="seep-manager-")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = self.folder.name + "/notify"
        self.socket.bind(self.path)
        self.states = []
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.sendto(b"end", self.path)
        self.thread.join()
        self.socket.close()
        self.folder.cleanup()

    def listen(self):
        while (state := self.socket.recv(100)) != b"end":
            self.states.append(state.decode())

    def wait(self, state):
        wait_until(state, lambda: state in self.states)


def capabilities():
    """For setpriv(1): what the unit leaves the service."""
    unit = (ROOT / "tools/systemd/seep.service").read_text()
    names = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)[1].lower().split()
    return ",".join(["-all"] + [name.replace("cap_", "+") for name in names])


def as_a_service():
    """With no more privileges than the unit gives it, it traces, and reports to who started it."""
    complaints = []
    with Manager() as manager, Target("evict_stacks") as target:
        target.tell("go")
        watchdog = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}
        confined = ["setpriv", "--no-new-privs", "--bounding-set", capabilities()]
        with Server("-p", str(target.pid), "0.2", confined=confined, **watchdog) as server:
            manager.wait("READY=1")
            target.tell("more")
            want = figures(target)
            allocations = lambda: total(server.metrics(), "seep_allocations_total")
            wait_until("report", lambda: allocations() == want["allocations"])
            server.seep.process.send_signal(signal.SIGHUP)
            wait_until("answer to SIGHUP", lambda: "nothing to read again" in server.seep.stderr())
            manager.wait("WATCHDOG=1")
            if server.end() or server.socket.exists():
                complaints.append("SIGTERM after SIGHUP does not end it in good order")
            manager.wait("STOPPING=1")
    return complaints


if __name__ == "__main__":
    tap = start_tap()
    tap.run("metrics, records and profiles say what the program says", the_same_everywhere)
    tap.run("clients that mean ill", hostile)
    tap.run("addresses that would be open to the world", refused)
    tap.run("as a service", as_a_service)
    tap.end()

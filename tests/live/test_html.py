#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""--format html: the page of a traced server, opened from its file in headless Chromium."""

import gzip
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

from lib import ROOT, Failure, Program, Skip, run_seep, start_tap, target_path

LEAK = "session_parse_cookie"
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">"
CHROMIUM = shutil.which("chromium")


def browse(page, folder, address=""):
    """The page's elements after its script ran, and the console's lines."""
    if not CHROMIUM:
        raise Skip("no chromium")
    run = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000",
            "--enable-logging=stderr", f"--user-data-dir={folder}/profile", "--dump-dom",
            f"file://{page}{address}",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    if run.returncode:
        raise Failure(f"chromium: {run.returncode}: {run.stderr[-500:]}")
    view = run.stdout.split('<main id="view"')[-1].split("</main>")[0]
    return view, [line for line in run.stderr.splitlines() if "CONSOLE" in line]


def trace(folder):
    server = [target_path("leaky_server"), "--self-load", "500"]
    with Program(server, stdout=subprocess.PIPE) as program:
        program.process.stdout.readline()
        code, _, err = run_seep(
            "trace", "--format", "html", "--output", folder / "page.html", "-w", folder / "capture",
            "-p", program.pid, "1", "3",
        )  # fmt: skip
    if code:
        raise Failure(f"exit code {code}: {err}")


def shows_the_leak(folder):
    page = folder / "page.html"
    listed, console = browse(page, folder)
    complaints = list(console)
    links = re.findall(r'<a href="(#/p/[^"]+)">([^<]*)', listed)
    if not links or links[0][1] != "leaky_server":
        return complaints + [f"processes: {links}"]
    opened, console = browse(page, folder, links[0][0])
    complaints += console
    flame = re.findall(r"<button[^>]*title=[^>]*>([^<]*)</button>", opened)
    complaints += [f"no {f} in the flame graph: {flame}" for f in ("main", LEAK) if f not in flame]
    sites = re.findall(r'<td class="name"><a href="([^"]+)">([^<]*)', opened)
    # Not always the largest: what serves a request may hold more at the moment of a report.
    of_leak = [address for address, name in sites if name == LEAK]
    if not of_leak:
        return complaints + [f"sites: {sites}"]
    detail, console = browse(page, folder, of_leak[0])
    complaints += console
    stack = re.findall(r"<li><b>([^<]*)", detail.split('<section id="site">')[-1])
    if '<section id="site">' not in detail or LEAK not in stack or "main" not in stack:
        complaints.append(f"{of_leak[0]}: no stack of the site: {stack}")
    return complaints


def same_page_from_capture(folder):
    again = folder / "again.html"
    code, _, err = run_seep("report", "--format", "html", "--output", again, folder / "capture")
    if code or again.read_bytes() != (folder / "page.html").read_bytes():
        return [f"exit code {code}: {err}", "the capture's page is not that of the trace"]
    return []


def hostile_names(folder):
    lines = gzip.decompress((folder / "capture").read_bytes()).decode().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        if "comm" in record:
            record["comm"] = HOSTILE
        for frame in record.get("frames", []):
            if frame["function"] == LEAK:
                frame["function"] = HOSTILE
    capture, page = folder / "hostile", folder / "hostile.html"
    capture.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in records).encode()))
    code, _, err = run_seep("report", "--format", "html", "--output", page, capture)
    if code:
        return [f"exit code {code}: {err}"]
    listed, console = browse(page, folder)
    address = re.search(r'<a href="(#/p/[^"]+)">', listed)
    opened, more = browse(page, folder, address[1])
    complaints = console + more
    if "<img" in listed + opened:
        complaints.append("a name became an element")
    if "&lt;/script&gt;&lt;img" not in listed or "&lt;/script&gt;&lt;img" not in opened:
        complaints.append("the name is not shown as it is")
    return complaints


def leaks_come_first(folder):
    """Of the same two processes the one that leaks is first, whichever the capture has first."""
    text = (ROOT / "tests/golden/captures/verdicts.ndjson").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    complaints = []
    for leaking in (0, 1):
        for record in records:
            if record["type"] == "process":
                record["verdict"] = "leak" if record["process"] == leaking else "steady"
                record["comm"] = f"number-{record['process']}"
                record["growth_bytes_per_second"] = None
        capture, page = folder / "two", folder / "two.html"
        capture.write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in records).encode()))
        code, _, err = run_seep("report", "--format", "html", "--output", page, capture)
        if code:
            return [f"exit code {code}: {err}"]
        listed, console = browse(page, folder)
        names = re.findall(r'<a href="#/p/[^"]+">([^<]*)', listed)
        complaints += console
        if not names or names[0] != f"number-{leaking}":
            complaints.append(f"number-{leaking} leaks, but the order is {names}")
    return complaints


def nothing_else_runs(folder):
    """A script that got into the page all the same is refused, and the console says so."""
    text = (folder / "page.html").read_text()
    page = folder / "injected.html"
    page.write_text(text.replace("</main>", "</main><script>document.title = 'owned'</script>", 1))
    run, console = browse(page, folder)
    if not any("Content Security Policy" in line for line in console):
        return [f"not refused: {console}"]
    return [] if "leaky_server" in run else ["the page's own script did not run"]


if __name__ == "__main__":
    tap = start_tap()
    with tempfile.TemporaryDirectory() as name:
        where = pathlib.Path(name)
        trace(where)
        tap.run("a capture's page is that of the trace", same_page_from_capture, where)
        tap.run("the leak is in the flame graph, in the table, and at its address", shows_the_leak, where)
        tap.run("what leaks comes first", leaks_come_first, where)
        tap.run("hostile names are text", hostile_names, where)
        tap.run("nothing but the page's script runs", nothing_else_runs, where)
    tap.end()

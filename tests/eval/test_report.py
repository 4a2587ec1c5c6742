"""The report of an experiment: complete, escaped, self-contained, and honest about what is missing."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from trajectory_hub.cli import main
from trajectory_hub.errors import UsageError
from trajectory_hub.eval.experiment.model import EXPERIMENT
from trajectory_hub.eval.report.collect import collect
from trajectory_hub.eval.report.families import family_rates
from trajectory_hub.eval.report.report import write_report
from trajectory_hub.page import Badge, Code, Details, Link, Page, Table, Text
from trajectory_hub.rollouts.files import write_json

from .experiments import FAMILIES, NASTY, make_experiment
from .graded import tasks


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_experiment(tmp_path_factory.mktemp("report") / "micro", count=24)


@pytest.fixture(scope="module")
def html(experiment: Path) -> str:
    return (write_report(experiment) / "report.html").read_text()


@pytest.fixture(scope="module")
def markdown(experiment: Path, html: str) -> str:
    return (experiment / "report" / "report.md").read_text()


class Reader(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.targets, self.text = list[str](), list[str](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_says_what_was_decided(markdown: str) -> None:
    assert "dpo over base: GO in 2 of 2 training seeds" in markdown
    assert "random over base: GO in 0 of 2 training seeds" in markdown
    assert re.search(r"\| dpo over base, seed 0 \| \*\*GO\*\* \| GO \| \+\d", markdown)
    for section in ("Decisions", "Arms", "Families of tasks", "Examples gained and lost", "Power", "Data", "Cost"):
        assert f"\n## {section}" in markdown


def test_every_figure_has_its_command(markdown: str) -> None:
    assert markdown.count("trajhub gate ") >= 9
    assert "trajhub experiment configs/experiments/micro.yaml --only seed0/eval-dpo" in markdown
    assert re.search(r"trajhub report \S+/micro\n", markdown)


def test_it_is_one_file_without_scripts_and_loads_nothing(html: str) -> None:
    page = Reader(html)
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    assert "default-src 'none'" in html
    assert all(target.startswith(("#", "data:image/svg+xml;base64,", "../")) for target in page.targets)
    assert html.count("data:image/svg+xml") >= 5


def test_links_lead_to_what_they_name(experiment: Path, html: str, markdown: str) -> None:
    page = Reader(html)
    places = [target for target in page.targets if target.startswith("../")]
    assert len(places) > 20
    assert all((experiment / "report" / place).exists() for place in places)
    assert all((experiment / "report" / place).exists() for place in re.findall(r"\]\((\S+?)\)", markdown))


def test_what_agents_and_tasks_say_is_text(html: str, markdown: str) -> None:
    assert "<script>alert" not in html and "\x1b" not in html + markdown
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in html
    cells = [line for line in markdown.splitlines() if line.startswith("| selected | SFT")]
    assert cells and all(r"\<script\>" in line and r"\|" in line for line in cells)


def test_drawings_are_whole_and_the_same_again(experiment: Path, html: str) -> None:
    figures = {path.name: path.read_bytes() for path in (experiment / "report" / "figures").glob("*.svg")}
    assert set(figures) == {f"{name}.svg" for name in ("gains", "changed", "arms", "families", "time", "losses")}
    for content in figures.values():
        assert ElementTree.fromstring(content).tag.endswith("svg")
    write_report(experiment, limit=3)
    assert {path.name: path.read_bytes() for path in (experiment / "report" / "figures").glob("*.svg")} == figures


def test_family_rates_are_those_of_the_runs(experiment: Path) -> None:
    found = collect(experiment)
    rows = {row.family: row for row in family_rates(found)}
    assert set(rows) == set(FAMILIES) and sum(row.tasks for row in rows.values()) == 24
    results = [one for one in found.arms if one.arm.name == "dpo"]
    own = [name for index, name in enumerate(tasks(24)) if index % 3 == 0]
    wanted = [run.tally(name)[0] for one in results for run in one.outcomes for name in own]
    assert rows[FAMILIES[0]].rates["dpo"] == pytest.approx(sum(wanted) / len(wanted))


def test_a_page_may_be_taken_elsewhere(experiment: Path, tmp_path: Path) -> None:
    page = Reader((write_report(experiment, tmp_path / "out", links=False) / "report.html").read_text())
    assert all(target.startswith(("#", "data:")) for target in page.targets)


def test_an_experiment_may_be_moved(experiment: Path, tmp_path: Path) -> None:
    """Its gates' reports name their runs by whole paths."""
    moved = Path(shutil.copytree(experiment, tmp_path / "moved"))
    written = write_report(moved)
    page = Reader((written / "report.html").read_text())
    assert str(experiment) not in "".join([*page.targets, *page.text])
    assert f"trajhub gate {moved}/" in "".join(page.text)
    episodes = [target for target in page.targets if "/episodes/" in target]
    assert episodes and all((written / target).resolve().is_relative_to(moved) for target in episodes)


def test_what_is_missing_is_told_and_the_rest_is_there(tmp_path: Path) -> None:
    copy = make_experiment(tmp_path / "half", count=12)
    told = json.loads((copy / EXPERIMENT).read_text()) | {"finished": False}
    told["gates"][0]["report"] = "nowhere.json"
    write_json(copy / EXPERIMENT, told)
    shutil.rmtree(next(copy.glob("seed1/eval-dpo/run/dpo/episodes/*")))
    shutil.rmtree(copy / "tasks")
    markdown = (write_report(copy) / "report.md").read_text()
    assert "This experiment is not finished" in markdown
    assert "is not complete" in markdown and "was never begun" in markdown
    assert "| lab/repo0 | 3 |" in markdown, "without the tasks, repositories are the families"
    assert "dpo over base: GO in " in markdown


def test_what_is_no_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it has no experiment\.json"):
        write_report(tmp_path)


def test_the_command_tells_where_the_report_is(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["trajhub", "report", str(experiment), "-o", str(tmp_path), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert not ended.value.code
    assert json.loads(out)["gates"][0] == {"base": "base", "candidate": "dpo", "seed": 0, "decision": "GO"}
    assert f"Results: {tmp_path}" in err and (tmp_path / "report.html").exists()


def test_every_kind_of_block_is_escaped() -> None:
    page = Page(
        NASTY,
        (
            Text(NASTY),
            Code(f"```\n{NASTY}", NASTY),
            Table(NASTY, (NASTY,), ((NASTY,), (Link(NASTY, "a b/c?.md"),), (Badge(NASTY),), (None,))),
            Details(NASTY, (Text(NASTY),)),
        ),
    )
    assert "<script" not in page.html() and "a%20b/c%3F.md" in page.html()
    outside = re.sub(r"^(`{3,})\n.*?^\1$", "", page.markdown(), flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"(?<!\\)<script", outside) and "a%20b/c%3F.md" in outside


@pytest.mark.browser
def test_a_browser_shows_it_whole(experiment: Path, html: str) -> None:
    """No error, no request, nothing wider than the window, every drawing drawn; on a phone as well."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for width in (1280, 390):
            page = browser.new_page(viewport={"width": width, "height": 900})
            problems, asked = list[str](), list[str]()
            page.on("console", lambda message, told=problems: told.append(message.text))
            page.on("request", lambda request, told=asked: told.append(request.url))
            page.goto((experiment / "report" / "report.html").as_uri())
            assert problems == []
            assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            drawn = page.evaluate("[...document.images].map(one => one.complete && one.naturalWidth > 100)")
            assert drawn and all(drawn)
            page.close()
        browser.close()


def test_columns_of_figures_are_set_to_the_right() -> None:
    rows = (("a", 1, "12.3%"), ("b", None, "-"), ("c", "1,234", "0.1 [0, 0.2]"))
    shown = Page("t", (Table("x", ("name", "n", "share"), rows),)).html()
    assert '<th scope="col">name</th><th scope="col" class=figures>n</th>' in shown
    assert '<td class="number figures">1,234</td>' in shown
    assert "<td class=figures>-</td>" in shown
    assert "<td>a</td>" in shown

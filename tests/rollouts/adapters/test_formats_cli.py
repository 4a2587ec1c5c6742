"""`trajhub trace formats`, and the page that describes each format."""

import json
from pathlib import Path

import pytest
from trajectory_hub.cli import app
from trajectory_hub.rollouts.adapters.exits import EXITS
from trajectory_hub.rollouts.adapters.losses import losses
from trajectory_hub.rollouts.adapters.registry import adapters
from typer.testing import CliRunner

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["trace", "formats", *arguments])
    return result.exit_code, result.output


def test_it_lists_every_format() -> None:
    code, text = _run()
    assert code == 0
    assert all(name in text for name in adapters().adapters)


def test_one_format_says_what_it_loses() -> None:
    code, text = _run("swe-agent")
    assert code == 0
    assert "trajectory[].query" in text
    code, text = _run("--json")
    assert json.loads(text)["formats"]["atif"]["loses"]["steps[].step_id"]


def test_a_format_that_is_not_there_is_named() -> None:
    result = CliRunner().invoke(app, ["trace", "formats", "nothing"])
    assert result.exit_code != 0
    assert "no format is called nothing" in str(result.exception)


@pytest.mark.parametrize("name", [name for name, lost in losses().items() if lost])
def test_the_page_tells_what_is_lost(name: str) -> None:
    text = PAGE.read_text()
    assert f"`{name}`" in text
    for field, why in losses()[name].items():
        assert f"| {name} | {field} | {why} |".replace("`", "") in text.replace("`", "")


@pytest.mark.parametrize("agent", EXITS)
def test_the_page_tells_every_way_to_end(agent: str) -> None:
    text = PAGE.read_text()
    for row in EXITS[agent]:
        said = row.said.replace("|", "\\|")
        assert f"| {agent} | `{said}` | `{row.stop}` | {row.failure or '-'} |" in text

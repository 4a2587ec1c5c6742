"""`trajhub pairs`, `trajhub export` and `trajhub branch` as a user meets them."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.errors import ConfigError, TaskError, TrajHubError, UsageError
from typer.testing import CliRunner, Result

from .episodes import FAILED, PATCH, SOLVED, Act, make_run, write_episode

HOSTILE = "\x1b[31mred\u202e [bold]x[/bold] | `a`"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = make_run(tmp_path / "run")
    for number in range(3):
        write_episode(made, SOLVED, task=f"shop-{number}", repo=f"demo/shop{number}")
        write_episode(made, FAILED, task=f"shop-{number}", repo=f"demo/shop{number}", seed=1, resolved=False, patch="+")
    return made


def trajhub(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, TrajHubError):
        raise result.exception
    return result


def evaluation(folder: Path, **fields: str) -> Path:
    row = {"instance_id": "other-1", "repo": "a/b", "base_commit": "c", "patch": "", "test_patch": ""}
    path = folder / "eval.jsonl"
    path.write_text(json.dumps({**row, "problem_statement": "Nothing alike.", **fields}) + "\n")
    return path


def test_pairs_and_then_a_data_set(run: Path, tmp_path: Path) -> None:
    done = trajhub("pairs", run, "-o", tmp_path / "pairs")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "6 pairs of 3 tasks"
    assert "level step        3" in done.stdout
    assert f"Results: {tmp_path / 'pairs'}" in done.stderr
    assert f"Next:    trajhub export preference {tmp_path / 'pairs'}" in done.stderr
    exported = trajhub("export", "preference", tmp_path / "pairs", "-o", tmp_path / "data", "--json")
    told: dict[str, Any] = json.loads(exported.stdout)
    assert (told["rows"], told["folder"]) == (6, str(tmp_path / "data"))
    assert (tmp_path / "data" / "README.md").exists()


def test_conversations(run: Path, tmp_path: Path) -> None:
    done = trajhub("export", "sft", run, "-o", tmp_path / "data", "--unit", "step", "-c", "formats=[jsonl]")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "12 rows of 3 tasks"
    assert "outcome  3" in done.stdout
    assert "data/train.jsonl" in done.stdout


def test_limit_filter_seed_level_and_dry_run(run: Path, tmp_path: Path) -> None:
    def rows(*arguments: str | Path) -> int:
        return json.loads(trajhub(*arguments, "--json").stdout)["rows"]

    assert rows("pairs", run, "--dry-run", "--limit", "2") == 2
    assert rows("pairs", run, "--dry-run", "--filter", "*-1", "--level", "step", "--seed", "3") == 1
    assert rows("export", "sft", run, "--dry-run", "--limit", "1", "--seed", "1") == 1
    assert rows("export", "preference", run, "--dry-run", "--filter", "*-[01]", "--seed", "1") == 4
    assert list(tmp_path.iterdir()) == [run]
    planned = trajhub("branch", run / "episodes/shop-0--s0--a1", "--until", "1", "-o", tmp_path / "b", "--dry-run")
    assert json.loads(planned.stdout)["episodes_at_most"] == 9


def test_leaks_are_named(run: Path, tmp_path: Path) -> None:
    near = evaluation(tmp_path, patch=PATCH)
    done = trajhub("export", "sft", run, "-o", tmp_path / "data", "--eval-tasks", near)
    assert done.exit_code == 1
    assert "shop-2 ~ other-1 (1.00)" in done.stdout
    assert "leak_patch" in done.stdout
    assert "no row is left" in done.stderr
    assert not (tmp_path / "data" / "README.md").exists()
    one = evaluation(tmp_path, instance_id="shop-1", repo="x/y")
    told = json.loads(trajhub("pairs", run, "--dry-run", "--eval-tasks", one, "--json").stdout)
    assert (told["leaks"], told["refused"]["leak_instance"]) == ({"shop-1 ~ shop-1 (1.00)": "leak_instance"}, 2)
    assert told["evaluation"]["tasks"] == 1


def test_what_cannot_be_done_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="with -o, or give --dry-run"):
        trajhub("pairs", run)
    with pytest.raises(UsageError, match="with -o, or give --dry-run"):
        trajhub("export", "sft", run)
    with pytest.raises(UsageError, match="is not a run"):
        trajhub("pairs", tmp_path, "-o", tmp_path / "out")
    with pytest.raises(ConfigError, match="margin"):
        trajhub("pairs", run, "-o", tmp_path / "out", "-c", "margin=2")
    with pytest.raises(TaskError, match="nowhere"):
        trajhub("pairs", run, "-o", tmp_path / "out", "--eval-tasks", tmp_path / "nowhere.jsonl")
    with pytest.raises(UsageError, match="holds something else"):
        trajhub("export", "sft", run, "-o", run)


def test_what_an_agent_says_reaches_neither_terminal_nor_card_as_markup(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    write_episode(run, (Act(HOSTILE), *SOLVED), task=HOSTILE)
    done = trajhub("export", "sft", run, "-o", tmp_path / "data")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    card = (tmp_path / "data" / "README.md").read_text()
    assert "\x1b" not in card
    assert "\u202e" not in card

"""`trajhub rollout` and `trajhub runs` as a user meets them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError, TrajHubError, UsageError
from trajectory_hub.rollouts.files import slug
from typer.testing import CliRunner, Result

from .test_killed import task_row

HOSTILE = "\x1b[31mred\u202e \x07 [bold]markup[/bold]"


@pytest.fixture
def tasks(tmp_path: Path, three_tasks: Sequence[Task]) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(task_row(task)) + "\n" for task in three_tasks))
    return path


def trajhub(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, TrajHubError):
        raise result.exception
    return result


@pytest.mark.docker
def test_a_run_ends_with_a_table_and_what_to_do_next(tasks: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "first"
    done = trajhub("rollout", "--tasks", tasks, "--policy", "reference", "-o", run, "--limit", "2", "--grade")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[1].split() == "task steps reward outcome wall s CPU s peak MiB".split()
    assert [line.split()[0] for line in lines[2:4]] == ["trajhub__tiny-1", "trajhub__tiny-2"]
    assert "resolved 2 of 2 graded (100.0%)" in lines
    assert f"Results: {run}" in done.stderr
    assert f"Next:    trajhub runs show {run}" in done.stderr
    listed = trajhub("runs", "list", run.parent, "--json")
    assert [(row["run"], row["resolved"]) for row in json.loads(listed.stdout)] == [(str(run), 2)]
    shown = trajhub("runs", "show", run)
    assert "trajhub__tiny-2--s0--a1" in shown.stdout
    steps = trajhub("runs", "show", run, "--episode", "trajhub__tiny-1")
    assert "[0] search" in steps.stdout
    assert "goal_progress" in steps.stdout
    events = json.loads(trajhub("runs", "show", run, "--episode", "trajhub__tiny-1", "--json").stdout)
    assert [event["seq"] for event in events] == list(range(len(events)))


@pytest.mark.docker
def test_nothing_an_agent_says_reaches_the_terminal_unescaped(tasks: Path, tmp_path: Path) -> None:
    script, run = tmp_path / "script.yaml", tmp_path / "run"
    command = "printf '\\033[31m\\007'; echo '[bold]x[/bold]'"
    actions: list[Any] = [HOSTILE, {"name": "shell", "arguments": {"command": command}, "thought": HOSTILE}]
    script.write_text(json.dumps(actions))
    trajhub("rollout", "--tasks", tasks, "--policy", f"scripted:{script}", "-o", run, "--limit", "1")
    shown = trajhub("runs", "show", run, "--episode", "trajhub__tiny-1").stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "\\x1b[31mred\\x202e" in shown


def test_a_dry_run_says_what_it_would_do_and_cost(tasks: Path) -> None:
    chat = ("--policy", "chat:gpt-4o@https://api.example.org/v1", "--dry-run")
    free = json.loads(trajhub("rollout", "--tasks", tasks, "--policy", "random", "--dry-run").stdout)
    assert (free["episodes"], free["cost_ceiling_usd"]) == (3, 0.0)
    endless = json.loads(trajhub("rollout", "--tasks", tasks, *chat).stdout)
    assert endless["cost_ceiling_usd"] is None
    assert "nothing bounds the cost" in endless["note"]
    limit = ("-c", "budget.cost_usd=0.25", "--seeds", "4", "--filter", "*-[12]")
    bounded = json.loads(trajhub("rollout", "--tasks", tasks, *chat, *limit).stdout)
    assert (bounded["episodes"], bounded["cost_ceiling_usd"]) == (8, 2.0)
    assert bounded["config"]["chat"]["model"] == "gpt-4o"


def test_what_is_not_there_is_named(tmp_path: Path, tasks: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        trajhub("runs", "list", tmp_path / "nothing")
    with pytest.raises(UsageError, match="is not a run"):
        trajhub("runs", "show", tmp_path)
    with pytest.raises(UsageError, match="matches 'x\\*'"):
        trajhub("rollout", "--tasks", tasks, "--filter", "x*", "--dry-run")
    with pytest.raises(ConfigError, match="unknown policy"):
        trajhub("rollout", "--tasks", tasks, "--policy", "magic", "--dry-run")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", ".hidden", "ä ö", "x" * 300, ""])
def test_a_task_id_never_leads_out_of_the_run(name: str) -> None:
    safe = slug(name)
    assert "/" not in safe
    assert not safe.startswith(".")
    assert 0 < len(safe) < 200
    assert slug(name + "2") != safe

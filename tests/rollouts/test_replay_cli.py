"""`trajhub replay` as a user meets it."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError, TaskNotFound, TrajHubError, UsageError
from trajectory_hub.rollouts.config import load_config
from trajectory_hub.rollouts.policies.base import Action
from trajectory_hub.rollouts.policies.scripted import ScriptedPolicy
from trajectory_hub.rollouts.replay.store import REPLAYS
from trajectory_hub.rollouts.start import run_rollout
from typer.testing import CliRunner, Result

from .test_killed import task_row

HOSTILE = "printf '\\033[31mred\\007 %s\\n' $RANDOM"
COMMANDS = ("ls -l", "date", "sleep 1.1")  # the last one sees to it that a replay comes to `date` in another second
WORK = [Action(call={"name": "shell", "arguments": {"command": command}}) for command in COMMANDS]


def trajhub(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, ["replay", *map(str, arguments)])
    if isinstance(result.exception, TrajHubError):
        raise result.exception
    return result


def write_tasks(path: Path, tasks: Sequence[Task]) -> Path:
    path.write_text("".join(json.dumps(task_row(task)) + "\n" for task in tasks))
    return path


@pytest.fixture(scope="module")
def played(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two tasks, with their source beside it."""
    from trajectory_hub.envs.sources import load_tasks

    folder = tmp_path_factory.mktemp("played")
    tasks = [tiny_task.model_copy(update={"instance_id": f"trajhub__tiny-{n}"}) for n in (1, 2)]
    source = write_tasks(folder / "tasks.jsonl", tasks)
    hostile = [*WORK, Action(call={"name": "shell", "arguments": {"command": HOSTILE}})]
    policy = ScriptedPolicy({"trajhub__tiny-1": WORK, "trajhub__tiny-2": hostile})
    config = load_config({"tasks": str(source), "warm": 0})
    run_rollout(folder / "run", config, policy=policy, tasks=load_tasks(str(source)))
    return folder


@pytest.fixture
def run(played: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(played / "run", tmp_path / "run"))


pytestmark = pytest.mark.docker


def test_a_run_that_happens_again_ends_with_its_shares(run: Path) -> None:
    done = trajhub(run, "--filter", "*-1", "--max-workers", "1")
    assert done.exit_code == 0, done.output
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    assert rows["episodes"][1:] == ["0", "(0.0%)", "1", "(100.0%)", "0", "(0.0%)", "1"]
    assert rows["steps"][1:] == ["3", "(75.0%)", "1", "(25.0%)", "0", "(0.0%)", "4"]
    assert rows["timestamps"] == ["timestamps", "1"]
    assert f"Results: {run / REPLAYS}" in done.stderr
    again = trajhub(run, "--filter", "*-1")
    assert again.exit_code == 0
    assert "1 episodes were replayed before; 0 to do" in again.stderr
    assert again.stdout == done.stdout


def test_what_diverged_is_named_and_nothing_reaches_the_terminal_unescaped(run: Path) -> None:
    done = trajhub(run)
    assert done.exit_code == 1
    assert "trajhub__tiny-2--s0--a1  step 3 (shell), observation  numbers     otherwise: chance" in done.stdout
    assert f"Next:    trajhub replay {run} --episode trajhub__tiny-2--s0--a1" in done.stderr
    shown = trajhub(run, "--episode", "trajhub__tiny-2")
    assert shown.exit_code == 1
    assert "diverged  [3] shell (numbers)" in shown.stdout
    assert "-\\x1b[31mred\\x07 " in shown.stdout
    assert "\x1b" not in shown.output and "\x07" not in shown.output


def test_json_holds_the_figures(run: Path) -> None:
    told: dict[str, Any] = json.loads(trajhub(run, "--json", "--limit", "1").stdout)
    assert told["run"] == str(run)
    assert told["shares"][1] == {"what": "steps", "identical": 3, "equivalent": 1, "diverged": 0}
    assert told["rewards_checked"] == 4
    lines = (run / REPLAYS).read_text().splitlines()
    assert [json.loads(line)["schema_version"] for line in lines] == ["1.0"]


def test_an_attempt_that_another_replaced_is_replayed_only_by_name(run: Path) -> None:
    first = run / "episodes" / "trajhub__tiny-2--s0--a1"
    shutil.copytree(first, first.with_name("trajhub__tiny-2--s0--a2"))
    told = json.loads(trajhub(run, "--dry-run", "--json").stdout)
    assert told["to_replay"] == ["trajhub__tiny-1--s0--a1", "trajhub__tiny-2--s0--a2"]
    told = json.loads(trajhub(run, "--dry-run", "--json", "--episode", first.name).stdout)
    assert told["to_replay"] == [first.name]


def test_an_episode_whose_reset_failed_is_left_out(run: Path) -> None:
    log = run / "episodes" / "trajhub__tiny-2--s0--a1" / "events.jsonl"
    end = json.loads(log.read_text().splitlines()[-1])
    assert end["event_type"] == "episode_end"
    log.write_text(json.dumps(end | {"seq": 0}) + "\n")
    done = trajhub(run, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["shares"][0]["equivalent"] == 1
    assert "nothing happened in 1 episodes: trajhub__tiny-2--s0--a1" in done.stderr


def test_a_dry_run_replays_nothing(run: Path) -> None:
    done = trajhub(run, "--dry-run")
    assert "2 to replay, 0 replayed before" in done.stdout
    told = json.loads(trajhub(run, "--dry-run", "--json", "--limit", "1").stdout)
    assert told == {"to_replay": ["trajhub__tiny-1--s0--a1"], "kept": 0}
    assert not (run / REPLAYS).exists()


def test_wrong_use_is_explained(run: Path, tmp_path: Path, tiny_task: Task) -> None:
    with pytest.raises(UsageError, match=r"is not a run: it has no run\.json"):
        trajhub(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="has no episode with task 'none-\\*'"):
        trajhub(run, "--filter", "none-*")
    with pytest.raises(TaskNotFound, match="give their source with --tasks"):
        trajhub(run, "--tasks", tmp_path / "gone.jsonl")
    changed = [tiny_task.model_copy(update={"instance_id": f"trajhub__tiny-{n}", "version": "9"}) for n in (1, 2)]
    source = write_tasks(tmp_path / "changed.jsonl", changed)
    with pytest.raises(ConfigError, match="task trajhub__tiny-1: digest"):
        trajhub(run, "--tasks", source)
    forced = trajhub(run, "--tasks", source, "--force", "--limit", "1")
    assert forced.exit_code == 0
    assert "not as recorded: task trajhub__tiny-1: digest" in forced.stdout
    (run / REPLAYS).write_text('{"episode_id": 3}\n')
    with pytest.raises(UsageError, match=r"replay\.jsonl:1 is not a replay of this version"):
        trajhub(run)

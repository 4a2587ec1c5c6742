"""Real episodes that branch off a recorded one, in Docker, and the preferences that come of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts import Action, load_config, read_trajectories, run_rollout
from trajectory_hub.rollouts.config import read_overrides
from trajectory_hub.rollouts.policies.scripted import ScriptedPolicy
from trajectory_hub.rollouts.run_dir import EPISODES
from trajectory_hub.training.config import PairsConfig
from trajectory_hub.training.preferences.finder import PairFinder
from trajectory_hub.training.preferences.sampling import branch_and_score
from trajectory_hub.training.trajectories.records import open_sources
from typer.testing import CliRunner

from ...rollouts.faulty import message, serving
from ...rollouts.test_killed import task_row

pytestmark = [pytest.mark.docker, pytest.mark.slow]
READ = {"name": "file_read", "arguments": {"path": "shapes/area.py"}}
WRONG = {"name": "shell", "arguments": {"command": "touch notes.txt"}}
OLD, NEW = "return rectangle(base, height)\n", "return rectangle(base, height) / 2\n"


@pytest.fixture
def recorded(tmp_path: Path, tiny_task: Task) -> Path:
    """An episode that looks at the right file and then does the wrong thing; graded."""
    policy = ScriptedPolicy({"default": [Action(call=READ), Action(call=WRONG)]})
    run_rollout(tmp_path / "first", config(), policy=policy, tasks=[tiny_task])
    (folder,) = (tmp_path / "first" / EPISODES).iterdir()
    return folder


def config(*items: str) -> Any:
    return load_config(read_overrides(["tasks=tiny", "warm=0", "grade=true", "workers=1", *items]))


def test_a_model_goes_on_from_the_middle_of_a_conversation(recorded: Path, tiny_task: Task, tmp_path: Path) -> None:
    edit = json.dumps({"path": "shapes/area.py", "old": OLD, "new": NEW})
    replies = [message("Half of it.", [("file_edit", edit)]), message("", [("submit", "{}")])] * 3
    with serving(*replies) as seen:
        settled = config("policy=chat:m@" + seen.url)
        done = branch_and_score(
            recorded, 1, tmp_path / "branches", settled, alternatives=2, rollouts=2, tasks=[tiny_task]
        )
        sent = len(seen.bodies)
        again = branch_and_score(
            recorded, 1, tmp_path / "branches", settled, alternatives=2, rollouts=2, tasks=[tiny_task]
        )
        assert (again, len(seen.bodies)) == (done, sent)  # nothing is done twice
    # What the model was sent first: the recorded prompt, answer and result, as one conversation.
    messages = seen.bodies[0]["messages"]
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "tool"]
    assert messages[2]["tool_calls"][0]["function"] == {"name": "file_read", "arguments": json.dumps(READ["arguments"])}
    assert messages[3]["content"].startswith("     1\t")
    counts = {"file_edit" in action: len(names) for action, names in done.episodes.items()}
    assert counts == {True: 2, False: 2}
    branches = list(read_trajectories(tmp_path / "branches"))
    starts = [found.start.parent for found in branches]
    assert sorted(start.steps for start in starts if start is not None) == [1, 1, 2]
    sources = open_sources([tmp_path / "first", tmp_path / "branches"])
    finder = PairFinder(sources, PairsConfig(levels=("step",)))
    pair, later = (pair for _, outlines in finder.groups() for pair in finder.find(outlines))
    assert (later.step, later.why) == (2, "1 of 1 continuations resolved, against 0 of 1")
    assert (pair.step, pair.chosen.rollouts, pair.rejected.rollouts) == (1, 2, 2)
    assert pair.why == "2 of 2 continuations resolved, against 1 of 2"
    assert pair.chosen.messages[0]["tool_calls"][0]["function"]["name"] == "file_edit"
    assert pair.rejected.messages[0]["tool_calls"][0]["function"]["arguments"] == WRONG["arguments"]
    assert pair.prompt[-1]["content"] == messages[3]["content"]


def test_a_state_that_is_not_there_is_refused(recorded: Path, tiny_task: Task, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no answer of .* ends with step 8"):
        branch_and_score(recorded, 9, tmp_path / "branches", config("policy=random"), tasks=[tiny_task])
    with pytest.raises(UsageError, match="not the folder of an episode"):
        branch_and_score(tmp_path, 1, tmp_path / "branches", config("policy=random"), tasks=[tiny_task])
    other = tiny_task.model_copy(update={"instance_id": "another"})
    with pytest.raises(UsageError, match="do not hold trajhub__tiny-1"):
        branch_and_score(recorded, 1, tmp_path / "branches", config("policy=random"), tasks=[other])


def test_the_command_branches_and_says_what_to_do_next(recorded: Path, tiny_task: Task, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text(json.dumps(task_row(tiny_task)) + "\n")
    settings = ["-c", "env.max_steps=4", "-c", "warm=0", "--policy", "random", "--tasks", str(tmp_path / "tasks.jsonl")]
    command = ["branch", str(recorded), "--until", "1", "-o", str(tmp_path / "b"), "--alternatives", "2", "--json"]
    done = CliRunner().invoke(app, [*command, "--rollouts", "1", "--no-grade", *settings])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    taken = [name for names in told["alternatives"].values() for name in names]
    assert sorted(taken) == ["b/trajhub__tiny-1--s0--a1", "b/trajhub__tiny-1--s1--a1", "first/trajhub__tiny-1--s0--a1"]
    assert f"Next:    trajhub pairs {tmp_path / 'first'} {tmp_path / 'b'} --level step" in done.stderr
    for found in read_trajectories(tmp_path / "b"):
        assert found.start.parent is not None
        assert found.steps[0].tool == "file_read"

"""A small agent, a model that plays back commands, and the tiny task that both work on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.task import Task
from trajectory_hub.rollouts import Summary, load_config
from trajectory_hub.rollouts.agents.recipe import load_recipe
from trajectory_hub.rollouts.agents.start import run_agent
from typer.testing import CliRunner

from ...support.playback import Playback

AGENT = Path(__file__).parents[2] / "support" / "small_agent.py"
MEND = [
    "cat shapes/area.py",
    "sed -i '/def triangle/,$ s/rectangle(base, height)/rectangle(base, height) \\/ 2/' shapes/area.py && git diff",
    "python3 -m pytest -q tests",
]

RunAgent = Callable[..., Summary]


def assert_sound(run: Path) -> None:
    """What was joined is a log like any other: `trajhub check` finds nothing wrong."""
    from trajectory_hub.cli import app

    checked = CliRunner().invoke(app, ["check", str(run)])
    assert checked.exit_code == 0, checked.stdout


def small_agent(**changes: Any) -> dict[str, Any]:
    """The recipe of the small agent."""
    files = {"/opt/small_agent.py": AGENT.read_text(), **changes.pop("files", {})}
    recipe = load_recipe("command", {"command": "python3 /opt/small_agent.py", "files": files, **changes})
    return recipe.model_dump(mode="json")


@pytest.fixture
def run_small(tiny_task: Task, tmp_path: Path) -> RunAgent:
    """Run the small agent on the tiny task, into `tmp_path / "run"`."""

    def run(model: Playback | None, *, recipe: dict[str, Any] | None = None, **settings: Any) -> Summary:
        agent: dict[str, Any] = {"recipe": recipe or small_agent()}
        if model is not None:
            agent |= {"model": "some-model", "base_url": f"{model.url}/v1"}
        prices = {"as_of": "2026-01-01", "models": {"some-model": {"input": 1.0, "output": 2.0}}}
        values = {"tasks": "tiny", "warm": 0, "workers": 1, "retries": 0, "prices": prices, "agent": agent, **settings}
        return run_agent(tmp_path / "run", load_config(values), tasks=[tiny_task])

    return run

"""SWE-agent's whole path: installed in a house, carried into the task's image, run by its own recipe, read and joined.

Its sources are no package, so what runs is a program that behaves as it does (`tests/support/swe_agent.py`).
"""

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.factory.catalogue import load_catalogue
from trajectory_hub.envs.images import ensure_python_image
from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.agents.recipe import load_recipe
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.run_dir import Episode, read_episodes

from ...support.playback import Playback
from .conftest import RunAgent

pytestmark = pytest.mark.docker

EMITTER = Path(__file__).parents[2] / "support" / "swe_agent.py"
INSTALL = """mkdir -p /opt/trajhub-agent/venv/bin
cat > /opt/trajhub-agent/venv/bin/sweagent <<'END_OF_EMITTER'
{text}
END_OF_EMITTER
chmod +x /opt/trajhub-agent/venv/bin/sweagent
test -x /usr/local/bin/portable-python
echo outside > /opt/left-behind
"""
AREA = {"path": "/testbed/shapes/area.py"}
HALF = {"old_str": "return rectangle(base, height)", "new_str": "return rectangle(base, height) / 2"}
PLAN = [
    "cd shapes && ls",
    ("str_replace_editor", {"command": "view", **AREA}),
    "cat area.py; cd ..",  # the shell lives on
    ("str_replace_editor", {"command": "str_replace", **AREA, **HALF}),
    "python3 -m pytest -q tests",
    ("submit", {}),
    ("submit", {}),
]


@pytest.fixture
def recipe(engine: Engine) -> dict[str, Any]:
    """The shipped recipe, its house the image of Python that is here, the program in place of SWE-agent."""
    base = load_catalogue().base
    house = {"image": ensure_python_image(engine, base.image, base.suite, base.include), "suite": "of-no-release"}
    changes = {
        "house": house,
        "install": INSTALL.format(text=EMITTER.read_text()),
        "version_command": "echo v1.1.0; ls /opt/left-behind",
    }
    return load_recipe("swe-agent", changes).model_dump(mode="json")


def _episode(run: Path) -> Episode:
    (episode,) = read_episodes(run)
    return episode


def test_its_record_and_the_proxy_s_are_one_log(
    run_small: RunAgent, tmp_path: Path, recipe: dict[str, Any], engine: Engine
) -> None:
    with Playback(PLAN) as model:
        summary = run_small(model, recipe=recipe, grade=True)
    assert (summary.resolved, summary.stop_reasons) == (1, {"submitted": 1})
    episode = _episode(tmp_path / "run")
    end = episode.end
    assert end is not None and end.join is not None
    assert (end.steps, end.requests, episode.first.agent_version) == (7, 7, "1.1.0")
    assert end.join["share"] == 1.0
    assert end.join["requests"] == {"matched": 7, "only_in_transcript": 0, "only_at_proxy": 0}
    (read,) = end.join["transcripts"]
    assert (read["adapter"], "not_understood" in read, "fault" in read) == ("swe-agent", False, False)
    events = list(read_events(episode.folder / "events.jsonl"))
    calls = [event.payload for event in events if isinstance(event.payload, payloads.ToolCall)]
    tools = ["bash", "str_replace_editor", "bash", "str_replace_editor", "bash", "submit", "submit"]
    assert [call.tool for call in calls] == tools
    results = [(event.payload, event.duration_ms) for event in events if isinstance(event.payload, payloads.ToolResult)]
    assert "def triangle" in results[2][0].observation and "passed" in results[4][0].observation
    assert all(duration for _, duration in results)
    # Each answer has the proxy's tokens, and the phases its own evidence.
    answers = [event.payload for event in events if isinstance(event.payload, payloads.LlmResponse)]
    assert [answer.usage.output_tokens for answer in answers if answer.usage] == [20 + n for n in range(7)]
    phases = [event.payload.name for event in events if isinstance(event.payload, payloads.Phase)]
    assert phases == ["reset", "explore", "edit", "test", "submit"]
    start = events[0].payload
    assert isinstance(start, payloads.EpisodeStart)
    image = str(start.sandbox["image"])
    # What the house holds besides the agent's folder stays there.
    for path, code in (("/opt/left-behind", 1), ("/opt/trajhub-agent/venv/bin/sweagent", 0)):
        made = engine.client.containers.create(image, ["test", "-e", path], network_mode="none")
        try:
            made.start()
            assert made.wait()["StatusCode"] == code, path
        finally:
            made.remove(force=True)


def test_a_model_that_calls_no_tool_ends_it(run_small: RunAgent, tmp_path: Path, recipe: dict[str, Any]) -> None:
    with Playback([]) as model:
        summary = run_small(model, recipe=recipe)
    assert summary.stop_reasons == {str(StopReason.SUBMITTED): 1}  # its status is 0 whatever happened
    end = _episode(tmp_path / "run").end
    assert end is not None and end.join is not None and (end.steps, end.requests) == (0, 3)
    assert end.join["requests"]["only_in_transcript"] == 0
    folder = _episode(tmp_path / "run").folder / "artifacts" / "transcripts"
    (trajectory,) = folder.rglob("*.traj")
    assert json.loads(trajectory.read_text())["info"]["exit_status"] == "exit_format"

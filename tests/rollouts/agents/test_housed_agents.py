"""OpenHands' and SWE-agent's whole path: installed in a house that the task's sandbox reads, run by their own recipes,
read and joined.

OpenHands is too large to be installed for a test, and SWE-agent is no package. What runs are programs that behave as
they do (`tests/support/openhands.py`, `swe_agent.py`); `benchmarks/black_boxes.py` runs the real ones.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.factory.catalogue import load_catalogue
from trajectory_hub.envs.images import ensure_python_image
from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.agents.house import house_name
from trajectory_hub.rollouts.agents.recipe import Recipe, load_recipe
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.run_dir import Episode, read_episodes

from ...support.playback import Commands, Playback
from .conftest import RunAgent, assert_sound

pytestmark = pytest.mark.docker

SUPPORT = Path(__file__).parents[2] / "support"
INSTALL = """mkdir -p /opt/trajhub-agent/venv/bin
cd /opt/trajhub-agent/venv/bin
cat > agent_kit.py <<'END_OF_FILE'
{kit}
END_OF_FILE
cat > {name} <<'END_OF_FILE'
{program}
END_OF_FILE
chmod +x {name}
test -x /usr/local/bin/portable-python
"""
AREA = {"path": "/testbed/shapes/area.py"}
HALF = {"old_str": "return rectangle(base, height)", "new_str": "return rectangle(base, height) / 2"}
PLAN: Commands = [
    "cd shapes && ls",
    ("str_replace_editor", {"command": "view", **AREA}),
    "cat area.py; cd ..",  # the shell lives on
    ("str_replace_editor", {"command": "str_replace", **AREA, **HALF}),
    "python3 -m pytest -q tests",
    ("submit", {}),
    ("submit", {}),
]


Housed = Callable[[str, str, str], dict[str, Any]]


@pytest.fixture
def housed(engine: Engine) -> Iterator[Housed]:
    """A shipped recipe with a program of some name and version in place of the agent; its house is removed after."""
    made = list[str | None]()

    def make(agent: str, name: str, version: str) -> dict[str, Any]:
        recipe = _recipe(engine, agent, name, version)
        made.append(house_name(recipe))
        return recipe.model_dump(mode="json")

    yield make
    for volume in made:
        assert volume is not None and engine.remove_volume(volume)


def _recipe(engine: Engine, agent: str, name: str, version: str) -> Recipe:
    base = load_catalogue().base
    house = {"image": ensure_python_image(engine, base.image, base.suite, base.include), "suite": "of-no-release"}
    kit, program = (SUPPORT / file for file in ("agent_kit.py", f"{agent.replace('-', '_')}.py"))
    changes = {
        "house": house,
        "install": f"{INSTALL.format(name=name, kit=kit.read_text(), program=program.read_text())}# {uuid.uuid4()}",
        "version_command": f"echo {version}",
    }
    return load_recipe(agent, changes)


@pytest.fixture
def swe_agent(housed: Housed) -> dict[str, Any]:
    """SWE-agent's recipe."""
    return housed("swe-agent", "sweagent", "v1.1.0")


def _episode(run: Path) -> Episode:
    (episode,) = read_episodes(run)
    return episode


def test_swe_agent_s_record_and_the_proxy_s_are_one_log(
    run_small: RunAgent, tmp_path: Path, swe_agent: dict[str, Any]
) -> None:
    with Playback(PLAN) as model:
        summary = run_small(model, recipe=swe_agent, grade=True)
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
    assert_sound(tmp_path / "run")
    # Each answer has the proxy's tokens, and the phases its own evidence.
    answers = [event.payload for event in events if isinstance(event.payload, payloads.LlmResponse)]
    assert [answer.usage.output_tokens for answer in answers if answer.usage] == [20 + n for n in range(7)]
    phases = [event.payload.name for event in events if isinstance(event.payload, payloads.Phase)]
    assert phases == ["reset", "explore", "edit", "test", "submit"]


def test_a_model_that_calls_no_tool_ends_swe_agent(
    run_small: RunAgent, tmp_path: Path, swe_agent: dict[str, Any]
) -> None:
    with Playback([]) as model:
        summary = run_small(model, recipe=swe_agent)
    assert summary.stop_reasons == {str(StopReason.SUBMITTED): 1}  # its status is 0 whatever happened
    end = _episode(tmp_path / "run").end
    assert end is not None and end.join is not None and (end.steps, end.requests) == (0, 3)
    assert end.join["requests"]["only_in_transcript"] == 0
    folder = _episode(tmp_path / "run").folder / "artifacts" / "transcripts"
    (trajectory,) = folder.rglob("*.traj")
    assert json.loads(trajectory.read_text())["info"]["exit_status"] == "exit_format"


def test_openhands_conversation_proxy_and_spans_are_one_log(
    run_small: RunAgent, tmp_path: Path, housed: Housed
) -> None:
    area = {**AREA, "security_risk": "LOW"}
    plan: Commands = [
        "cd shapes; ls",
        ("terminal", {"command": "pwd"}),  # refused: it does not say how risky that is
        "cat area.py; cd ..; false",
        ("file_editor", {"command": "str_replace", **area, **HALF}),
        "python3 -m pytest -q tests",
    ]
    recipe = housed("openhands", "openhands", "1.16.0")
    recipe["files"]["AGENTS.md"] = "Be brief.\n"
    with Playback(plan) as model:
        summary = run_small(model, recipe=recipe, grade=True)
    assert (summary.resolved, summary.stop_reasons) == (1, {"submitted": 1})
    episode = _episode(tmp_path / "run")
    end = episode.end
    assert end is not None and end.join is not None
    assert (end.steps, end.requests, episode.first.agent_version) == (5, 6, "1.16.0")
    assert end.join["requests"] == {"matched": 6, "only_in_transcript": 0, "only_at_proxy": 0}
    # Six requests by the transcript, and six of their spans by id; the four actions' spans by their tool.
    assert (end.join["share"], end.join["by"]) == (1.0, {"id": 12, "content": 4})
    assert {one["adapter"]: one.get("not_understood") for one in end.join["transcripts"]} == {"openhands-sdk": None}
    events = list(read_events(episode.folder / "events.jsonl"))
    results = [event.payload for event in events if isinstance(event.payload, payloads.ToolResult)]
    assert [result.tool for result in results] == ["terminal"] * 3 + ["file_editor", "terminal"]
    assert [result.ok for result in results] == [True, False, True, True, True] and results[2].exit_code == 1
    assert [result.internal_ms is not None for result in results] == [True, False, True, True, True]
    assert results[0].observation.split() == ["__init__.py", "area.py"] and "def triangle" in results[2].observation
    phases = [event.payload.name for event in events if isinstance(event.payload, payloads.Phase)]
    assert phases == ["reset", "explore", "edit", "test", "submit"]
    assert_sound(tmp_path / "run")
    artifacts = episode.folder / "artifacts"
    given = sorted(path.name for path in (artifacts / "given").rglob("*") if path.is_file())
    assert {"AGENTS.md", "prompt.txt"} <= set(given)
    copied = [path.name for path in (artifacts / "transcripts").rglob("*.json")]
    assert len(copied) == 2 + 2 * 5 + 1 + 1 and "base_state.json" in copied

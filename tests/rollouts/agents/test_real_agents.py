"""Real agents, installed from their registry, against a model that plays back commands: every record is joined."""

from pathlib import Path

import pytest
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.agents.recipe import load_recipe
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.run_dir import read_episodes

from ...support.playback import Playback
from .conftest import MEND, RunAgent, assert_sound

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", ["claude-code", "codex", "gemini-cli"])
def test_transcript_proxy_telemetry_and_samples_are_one_log(name: str, run_small: RunAgent, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    # Gemini CLI's shell has an external diff program that is none, with which `git diff` fails.
    with Playback([command.replace("git diff", "git status --short") for command in MEND]) as model:
        summary = run_small(model, recipe=recipe.model_dump(mode="json"), grade=True)
    assert (summary.resolved, summary.stop_reasons) == (1, {"submitted": 1})
    (episode,) = read_episodes(tmp_path / "run")
    end = episode.end
    assert end is not None and end.join is not None
    assert episode.first.agent_version == recipe.version
    assert (end.steps, end.requests) == (3, 4)
    # Gemini's API gives calls no ids: the agent makes up its own, so that its records are matched by what they say.
    known = {"id"} if name != "gemini-cli" else {"id", "content"}
    assert end.join["share"] == 1.0 and sum(end.join["by"].get(how, 0) for how in known) >= 6
    assert end.join["requests"] == {"matched": 4, "only_in_transcript": 0, "only_at_proxy": 0}
    assert end.join["telemetry"]["matched"] >= 10
    assert end.join["telemetry"]["in_trace"] > 0 or name == "gemini-cli", "Gemini CLI takes no trace from outside"
    assert end.join["clock"]["offset_ms"] == 0.0 and end.join["clock"]["contradicted"] == 0
    assert [(one["adapter"], one.get("not_understood")) for one in end.join["transcripts"]] == [(name, None)]
    events = list(read_events(episode.folder / "events.jsonl"))
    phases = [event.payload.name for event in events if isinstance(event.payload, payloads.Phase)]
    assert phases == ["reset", "explore", "edit", "test", "submit"]
    results = [event.payload for event in events if isinstance(event.payload, payloads.ToolResult)]
    assert all(result.internal_ms is not None for result in results)
    kinds = {event.payload.kind for event in events if isinstance(event.payload, payloads.Note)}
    assert {"agent_started", "tools", "metrics"} <= kinds
    assert_sound(tmp_path / "run")

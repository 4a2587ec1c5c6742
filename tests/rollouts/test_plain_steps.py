"""Steps are recorded without models of their events: the lines are those that the models give."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.envs.telemetry import merge
from trajectory_hub.errors import StopReason
from trajectory_hub.rewards.rubric import Rubric
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.chain import verify_chain
from trajectory_hub.rollouts.episode_log import EpisodeLog
from trajectory_hub.rollouts.events import dump_event, parse_event
from trajectory_hub.rollouts.log import Header
from trajectory_hub.rollouts.plain_steps import plain_call, plain_metric, plain_result, plain_reward
from trajectory_hub.rollouts.trajectory import read_trajectories

RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"
HEADER = Header(run_id="r", episode_id="e", task_id="t", agent="a", agent_version="1", repo="o/r", commit="c", seed=0)
TASK = Task(
    instance_id="o__r-1",
    repo="o/r",
    base_commit="c",
    image="i",
    problem_statement="`load` fails on an empty file.",
    provenance=Provenance(source="task_repo"),
)


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    """Every step of the recorded runs, counted through."""
    found = [step for run in ("reference", "random") for one in read_trajectories(RUNS / run) for step in one.steps]
    assert {"shell", "file_edit", "run_tests", "submit"} <= {step.tool for step in found}
    return [replace(step, index=index) for index, step in enumerate(found)]


def _lines(folder: Path, steps: list[Step], infos: list[dict[str, Any]]) -> list[bytes]:
    log = EpisodeLog(folder, HEADER)
    for step, info in zip(steps, infos, strict=True):
        log.step(step, 0, info, policy_ms=1.0)
    log.end(StopReason.SUBMITTED)
    assert not verify_chain(folder / "events.jsonl").breaks
    return (folder / "events.jsonl").read_bytes().splitlines(keepends=True)


def _scored(steps: list[Step]) -> list[dict[str, Any]]:
    scores = Rubric().score(TASK, steps)
    return [{"scores": s.scores(), "step_reward": s.reward, "process": s.process.as_dict()} for s in scores]


def test_lines_of_real_steps_are_those_of_their_models(steps: list[Step], tmp_path: Path) -> None:
    lines = _lines(tmp_path, steps, _scored(steps))
    assert len(lines) > 4 * len(steps)
    for line in lines:
        assert dump_event(parse_event(line)) == line


def test_plain_payloads_hold_every_field_of_their_models_in_order(steps: list[Step]) -> None:
    step, (info, *_) = steps[0], _scored(steps[:1])
    for plain in (plain_call(step, None), plain_result(step), plain_reward(step, 1, info), plain_metric(step)):
        assert list(plain.fields) == list(plain.kind.model_fields)
    for criterion in plain_reward(step, 1, info).fields["criteria"]:
        assert list(criterion) == list(payloads.CriterionRecord.model_fields)


@pytest.mark.parametrize(
    "changed",
    [
        {"observation": "half of a pair: \ud800"},
        {"arguments": {"n": float("nan"), "nested": [{"\ud800": 1}]}, "thought": "\udfff"},
        {"tool": None, "error": "malformed_action", "telemetry": merge([])},
        {"data": {"path": Path("a/b"), "pair": (1, 2)}},
    ],
    ids=["surrogate", "odd arguments", "malformed", "data of other types"],
)
def test_lines_of_odd_steps_are_those_of_their_models(
    steps: list[Step], tmp_path: Path, changed: Mapping[str, Any]
) -> None:
    odd = replace(steps[0], **changed)
    more = {"reason": "because", "spread": 0.5, "parts": [{"score": 1.0}]}
    info = {"scores": {"tool_choice": {"score": 1, "layer": "x", **more}}, "score_record": {"tokens": 3}}
    for line in _lines(tmp_path, [odd], [info]):
        assert dump_event(parse_event(line)) == line
        assert b'"wall_ms":0,' not in line

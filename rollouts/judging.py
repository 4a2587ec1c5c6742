"""A recorded run for a judge: settings, which steps are judged, what rules said of them, and what is shown."""

import random
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..envs.sources import load_tasks
from ..envs.task import Provenance, Task
from ..errors import UsageError
from ..rewards.config import LayersConfig, RubricConfig
from ..rewards.judge.config import JudgeConfig
from ..rewards.judge.view import EpisodeView, StepView
from ..rewards.rubric import Rubric
from ..rewards.scores import CriterionScore, RuleScore
from ..rewards.service.usage import PriceTable
from .config import load_preset
from .payloads import CriterionRecord
from .trajectory import Trajectory, episode_folders, read_trajectory

__all__ = ["JudgeRunConfig", "Scores", "Selected", "Views", "load_judge_config", "rule_scores", "selected"]

Scores = Mapping[str, CriterionScore]
Selected = dict[Path, frozenset[int]]
"""Steps by the folder of their episode, in the order of the run."""


class JudgeRunConfig(BaseModel):
    """What `trajhub judge` is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: JudgeConfig = JudgeConfig()
    layers: LayersConfig = LayersConfig(combine="judge")
    """What is written beside the judge's own scores: with `weighted`, or a veto, also the combination with the rules'
    scores that the log holds."""
    rubric: str | None = None
    """A file like `configs/rubric.yaml`, which is used when this is null: weights of the criteria."""
    tasks: str | None = None
    """Task repo, dataset or file with the reference patches, for `judge.reveal.patch`."""
    filter: str | None = None
    """Only tasks whose id matches this glob."""
    limit: int | None = Field(default=None, ge=1)
    """Only so many steps."""
    seed: int | None = None
    """Draw the steps of `limit` at random with this seed; None takes the first ones."""
    prices: PriceTable


def load_judge_config(overrides: Mapping[str, Any]) -> JudgeRunConfig:
    """`configs/judge.yaml` with `overrides` on top. Raises ConfigError that names each wrong value."""
    return load_preset(JudgeRunConfig, "judge.yaml", overrides)


def selected(run: Path, config: JudgeRunConfig) -> Selected:
    """The steps that filter and limit leave. Raises UsageError when there is none."""
    found = list[tuple[Path, int]]()
    for folder in episode_folders(run):
        trajectory = read_trajectory(folder)
        if config.filter is None or fnmatchcase(trajectory.header.task_id, config.filter):
            found += [(folder, step.index) for step in trajectory.steps]
    if not found:
        raise UsageError(f"no step of {run} matches; its tasks are listed by `trajhub runs show {run}`")
    if config.limit is not None and config.limit < len(found):
        drawn = found[: config.limit]
        if config.seed is not None:
            drawn = random.Random(config.seed).sample(found, config.limit)
        found = drawn
    steps = dict[Path, set[int]]()
    for folder, step in found:
        steps.setdefault(folder, set()).add(step)
    return {folder: frozenset(steps[folder]) for folder in sorted(steps)}


def rule_scores(trajectory: Trajectory, rubric: RubricConfig) -> list[Scores]:
    """The rules' scores of each step: those of the log, or computed where it holds none for a step."""
    recorded = [
        {one.criterion: _from_record(one) for one in reward.criteria} if reward is not None else {}
        for reward in trajectory.rewards
    ]
    if all(recorded):
        return list(recorded)
    plain = rubric.model_copy(update={"layers": LayersConfig(), "judge": None})
    return [score.criteria for score in Rubric(plain).score(_told(trajectory), trajectory.steps)]


def _from_record(record: CriterionRecord) -> CriterionScore:
    """A recorded score; of a combination, the part that the rules gave."""
    parts: list[dict[str, Any]] = (record.model_extra or {}).get("parts") or []
    rules = next((part for part in parts if str(part.get("layer")).startswith("rules@")), None)
    if rules is not None:
        record = CriterionRecord(criterion=record.criterion, **rules)
    given = tuple(RuleScore(r["rule"], r["score"], r["weight"], r["evidence"]) for r in record.rules)
    return CriterionScore(record.criterion, record.score, record.layer or "rules", given, record.set_aside_by)


def _told(trajectory: Trajectory, patch: str = "") -> Task:
    """What the agent was told of its task, as a task."""
    told, header = trajectory.start.task, trajectory.header
    return Task(
        instance_id=header.task_id,
        repo=header.repo,
        base_commit=header.commit,
        problem_statement=str(told.get("problem_statement") or trajectory.start.observation),
        patch=patch,
        provenance=Provenance(source="recorded"),
    )


class Views:
    """Views of the selected steps of a run, one episode in memory at a time."""

    def __init__(self, chosen: Selected, config: JudgeRunConfig) -> None:
        self._chosen = chosen
        self._config = config
        tasks = load_tasks(config.tasks) if config.judge.reveal.patch and config.tasks else []
        self._patches = {task.instance_id: task.patch for task in tasks}

    def __iter__(self) -> Iterator[tuple[Trajectory, int, StepView]]:
        """The episode, the position of the step in it, and the view."""
        judge = self._config.judge
        for folder, indices in self._chosen.items():
            trajectory = read_trajectory(folder)
            task = _told(trajectory, self._patches.get(trajectory.header.task_id, ""))
            episode = EpisodeView(task, judge.context, judge.reveal, trajectory.resolved)
            for position, step in enumerate(trajectory.steps):
                view = episode.look(step)
                if step.index in indices:
                    yield trajectory, position, view

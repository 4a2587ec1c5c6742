"""Scores of one recorded episode by the rules, whoever recorded it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from ..envs.task import Provenance, Task
from ..rewards.config import RubricConfig, load_config
from ..rewards.recorded import RecordedRubric, recorded_layer, unreadable
from ..rewards.scores import CriterionScore, StepScore
from .log_file import EVENTS
from .score_log import CriterionRow, RuleRow, StepScoreRow
from .tables.workdir import workdir_of
from .trajectory import Trajectory, read_trajectory

__all__ = ["Scoring", "log_mark", "plain_scoring", "score_episode"]

_TAIL = 160
"""Bytes at the end of a log that change whenever it does: they hold the last link of its chain."""


@dataclass(frozen=True)
class Scoring:
    """What episodes are scored with."""

    rubric: RecordedRubric
    patches: Mapping[str, str] = field(default_factory=dict[str, str])
    """Reference patches by task."""

    @classmethod
    def of(cls, config: RubricConfig, patches: Mapping[str, str]) -> "Scoring":
        """With a rubric's weights. Rules that know the reference patch apply to tasks that have one."""
        return cls(RecordedRubric(config), patches)

    def mark(self, folder: Path, task: str) -> str:
        """Equal as long as scores of an episode would come out the same."""
        told = f"{log_mark(folder)}\0{self.rubric.config.model_dump_json()}\0{self.patches.get(task, '')}"
        return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def plain_scoring() -> Scoring:
    """With the default weights, and without reference patches."""
    return Scoring.of(load_config(None).model_copy(update={"privileged": False}), {})


def log_mark(folder: Path) -> str:
    """Checksum of what an episode's log is: its size and its end. Raises FileNotFoundError."""
    with (folder / EVENTS).open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _TAIL, 0))
        return sha256(f"{size}\0".encode() + file.read()).hexdigest()[:16]


def score_episode(folder: Path, scoring: Scoring) -> list[StepScoreRow]:
    """The rows of an episode, one a step; without scores, and with the reason, where the record does not let rules
    judge. Raises UsageError when there is no episode, LogCorrupt when it is damaged.
    """
    found = read_trajectory(folder)
    mark = scoring.mark(folder, found.header.task_id)
    why = unreadable(found.steps)
    if why is not None:
        rows = [_row(found, step.index, {}) for step in found.steps]
        return _marked(rows, {"mark": mark, "unscored": f"the record {why}"})
    scores = scoring.rubric.score(_task(found, scoring), found.steps)
    known = _tells_its_changes(found, scores)
    rows = [
        _row(found, step.index, score.criteria, score, whole=known)
        for step, score in zip(found.steps, scores, strict=True)
    ]
    doubt = {} if known else {"no_process": "the patch holds changes of source that no step of the record shows"}
    return _marked(rows, {"mark": mark, **doubt})


def _task(found: Trajectory, scoring: Scoring) -> Task:
    """What the record tells of the task; it does not tell whether there was a network, so using one is no fault."""
    told, header = found.start.task, found.header
    return Task(
        instance_id=header.task_id,
        repo=header.repo,
        base_commit=header.commit,
        problem_statement=str(told.get("problem_statement") or found.start.observation),
        patch=scoring.patches.get(header.task_id, ""),
        workdir=workdir_of(found.start),
        network=True,
        provenance=Provenance(source="recorded"),
    )


def _tells_its_changes(found: Trajectory, scores: list[StepScore]) -> bool:
    """Whether the steps explain the patch: without them, milestones would be missed that were reached."""
    changed = any(score.process.milestones["changed"] for score in scores)
    return changed or found.patch is None or not found.patch.files


def _row(
    found: Trajectory,
    step: int,
    criteria: Mapping[str, CriterionScore],
    score: StepScore | None = None,
    *,
    whole: bool = False,
) -> StepScoreRow:
    given = {name: _criterion(one) for name, one in criteria.items() if whole or not _about_the_patch(one)}
    some = score is not None and any(one.score is not None for one in given.values())
    return StepScoreRow(
        episode_id=found.header.episode_id,
        task_id=found.header.task_id,
        step=step,
        layer=recorded_layer(),
        criteria=given,
        reward=score.reward if score is not None and some and (whole or len(given) == len(criteria)) else None,
        process=score.process.score if score is not None and whole else None,
    )


def _about_the_patch(score: CriterionScore) -> bool:
    """Whether it rests on what is handed in, which the steps do not tell."""
    names = {rule.rule for rule in score.rules} | {score.set_aside_by}
    return not names.isdisjoint(("submits_ready", "submits_when_due", "submits_on_evidence"))


def _criterion(score: CriterionScore) -> CriterionRow:
    rules = tuple(RuleRow(**rule.as_dict()) for rule in score.rules)
    return CriterionRow(score=score.score, set_aside_by=score.set_aside_by, rules=rules)


def _marked(rows: list[StepScoreRow], record: Mapping[str, str]) -> list[StepScoreRow]:
    """The first row says what the episode's scores were made of."""
    return [rows[0].model_copy(update={"record": dict(record)}), *rows[1:]] if rows else []

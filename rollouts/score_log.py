"""Scores of a layer over a recorded run: `scores/<layer>.jsonl`, one line a step, beside the log that never changes."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import DiskFull, UsageError
from ..rewards.scores import CriterionScore
from .files import slug
from .run_dir import read_manifest
from .score_file import ScoreFile

__all__ = [
    "SCORES",
    "CriterionRow",
    "PartRow",
    "RuleRow",
    "ScoreWriter",
    "StepScoreRow",
    "episode_worth",
    "read_scores",
    "scored_layers",
    "scores_path",
    "write_scores",
]

SCORES = "scores"
"""Folder of a run that holds them."""


class _Row(BaseModel):
    # A newer version may write more: it is kept.
    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)


class PartRow(_Row):
    """What one layer of a combination said."""

    layer: str
    score: float | None
    evidence: str = ""


class RuleRow(_Row):
    """What one rule said."""

    rule: str
    score: float
    weight: float
    evidence: str
    """What it saw, with a quote."""


class CriterionRow(_Row):
    """One criterion's score of one step."""

    score: float | None
    """In [0, 1]; None when there is none, and `evidence` says why."""
    evidence: str = ""
    spread: float | None = None
    """Standard deviation of an ensemble's answers."""
    layer: str | None = None
    """Who gave the score, where it is not the layer of the row."""
    set_aside_by: str | None = None
    """The decisive rule because of which there is no score."""
    parts: tuple[PartRow, ...] = ()
    """What each layer of a combination said."""
    rules: tuple[RuleRow, ...] = ()
    """What each rule said, of a layer that has rules; `evidence` may then be left empty."""

    @classmethod
    def of(cls, score: CriterionScore, layer: str) -> "CriterionRow":
        """A row from a score; `layer` is that of the row."""
        return cls(
            score=score.score,
            evidence=score.evidence,
            spread=score.spread,
            layer=score.layer if score.layer != layer else None,
            set_aside_by=score.set_aside_by,
            parts=tuple(PartRow(layer=p.layer, score=p.score, evidence=p.evidence) for p in score.parts),
            rules=tuple(RuleRow(**rule.as_dict()) for rule in score.rules),
        )


class StepScoreRow(_Row):
    """What a layer says of one step of a recorded episode."""

    schema_version: Literal["1.0"] = "1.0"
    episode_id: str
    task_id: str
    step: int
    layer: str
    """Who scored, for example `judge@1:my-model`."""
    criteria: Mapping[str, CriterionRow]
    reward: float | None
    """Weighted mean of the criteria that have a score; None when none has."""
    process: float | None = None
    """What the episode is worth as a process up to and with this step; None of layers that do not say."""
    record: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """How the scores came about. Of a judge: prompt with sha256, context, what was revealed, attempts to instruct it,
    and each answer with model, tokens, cost, latency and the key under which the cache holds the whole exchange."""


def scores_path(run: Path, layer: str) -> Path:
    """The file of a layer's scores."""
    return run / SCORES / f"{slug(layer)}.jsonl"


def scored_layers(run: Path) -> list[str]:
    """Names of the layers that have scored a run, in the order of their files. Raises UsageError when it is no run."""
    read_manifest(run)
    firsts = (next(_rows(path), None) for path in sorted((run / SCORES).glob("*.jsonl")))
    return [row.layer for row in firsts if row is not None]


def read_scores(run: Path, layer: str) -> Iterator[StepScoreRow]:
    """A layer's scores, by episode and step. Raises UsageError when the layer has not scored the run."""
    path = scores_path(run, layer)
    if not path.exists():
        there = ", ".join(scored_layers(run)) or "nobody"
        makers = f"`trajhub judge {run}` and `trajhub trace score {run}` make scores"
        raise UsageError(f"{layer!r} has not scored {run}; {there} has ({makers})")
    return _rows(path)


def episode_worth(run: Path, layer: str) -> dict[str, float]:
    """What a layer holds episodes worth: the process score it gives them, else the mean of their steps' rewards.

    Raises UsageError when the layer has not scored the run.
    """
    rewards, process = dict[str, list[float]](), dict[str, float | None]()
    for row in read_scores(run, layer):
        process[row.episode_id] = row.process
        if row.reward is not None:
            rewards.setdefault(row.episode_id, []).append(row.reward)
    if any(score is not None for score in process.values()):
        return {episode: score for episode, score in process.items() if score is not None}
    return {episode: round(sum(found) / len(found), 6) for episode, found in rewards.items()}


def write_scores(run: Path, layer: str, rows: Iterable[StepScoreRow]) -> Path:
    """Write a layer's scores; those of other steps that are there already are kept."""
    with ScoreWriter(run, layer) as writer:
        for row in sorted(rows, key=_place):
            writer.write(row)
    return writer.path


class ScoreWriter:
    """Writes rows in the order of episode and step, in constant memory.

    Rows of other steps that are there are kept, and so is a row with scores where the new one has none. The file is
    old or new, never half: it is replaced when the writer is closed, with what was written by then. A layer's file has
    one writer at a time: two would each keep the old rows and lose the other's.
    """

    def __init__(self, run: Path, layer: str) -> None:
        """Raises ConfigError while another process writes scores of this layer."""
        self.path = scores_path(run, layer)
        self._file = ScoreFile(self.path, layer)
        self._damaged = self._written = False
        self._last: tuple[str, int] | None = None
        self._old = _rows(self.path) if self.path.exists() else iter(())
        try:
            self._next = next(self._old, None)
        except UsageError:
            self._file.close()
            raise

    def write(self, row: StepScoreRow) -> None:
        """Take the next row. Raises ValueError when it is not after the one before."""
        place = _place(row)
        if self._last is not None and place <= self._last:
            raise ValueError(f"rows must come in order: {place} after {self._last}")
        self._written = True
        self._last = place
        while self._next is not None and _place(self._next) < place:
            self._put(self._next)
            self._advance()
        if self._next is not None and _place(self._next) == place:
            row = self._next if row.reward is None and self._next.reward is not None else row
            self._advance()
        self._put(row)

    def _advance(self) -> None:
        try:
            self._next = next(self._old, None)
        except UsageError:
            self._damaged = True  # what follows in the old file cannot be kept, so the file is
            raise

    def _put(self, row: StepScoreRow) -> None:
        self._file.write(row.model_dump_json().encode() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._written and not isinstance(error, DiskFull) and not self._damaged:
                self._finish()
        finally:
            self._file.close()

    def _finish(self) -> None:
        while self._next is not None:
            self._put(self._next)
            self._advance()
        self._file.replace()


def _place(row: StepScoreRow) -> tuple[str, int]:
    return row.episode_id, row.step


def _rows(path: Path) -> Iterator[StepScoreRow]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield StepScoreRow.model_validate(json.loads(line))
            except (ValueError, ValidationError) as error:
                said = str(error).split("\n")[0]
                raise UsageError(f"{path}, line {number} is no score of a step: {said}; delete the file") from None

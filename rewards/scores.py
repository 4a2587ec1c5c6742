"""What scoring yields: every figure with where it came from. Plain data, equal on every machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ..envs.step import Step
from ..envs.task import Task

__all__ = [
    "CRITERIA",
    "DIGITS",
    "CriterionScore",
    "Layer",
    "LayerScorer",
    "ProcessScore",
    "RuleScore",
    "StepScore",
    "rounded",
]

CRITERIA = ("goal_progress", "tool_choice", "argument_correctness", "use_of_information", "non_redundancy")
"""The criteria, in the order in which they are added up and shown."""
DIGITS = 6


def rounded(value: float) -> float:
    """A score as it is stored: six digits, so that the last bits of a sum never matter."""
    return round(value, DIGITS)


class RuleScore(NamedTuple):
    """One rule's score of a step."""

    rule: str
    score: float
    weight: float
    evidence: str
    """What it saw, with a quote."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"rule": self.rule, "score": self.score, "weight": self.weight, "evidence": self.evidence}


class CriterionScore(NamedTuple):
    """A layer's score of one step on one criterion."""

    criterion: str
    score: float | None
    """None when no rule applies, or when a decisive rule of another criterion set this one aside."""
    layer: str
    """Who says so: a layer's name and version, for example `rules@1`."""
    rules: tuple[RuleScore, ...] = ()
    set_aside_by: str | None = None
    """The decisive rule because of which `score` is None although rules apply."""
    reason: str | None = None
    """In a sentence, of a layer that has no rules; why there is no score, where there is none."""
    spread: float | None = None
    """Standard deviation of the answers of an ensemble."""
    parts: "tuple[CriterionScore, ...]" = ()
    """What each layer of a combination says."""

    @property
    def evidence(self) -> str:
        """Why, in one line: the reason, or what its rules saw, the one that counts most first."""
        if self.reason is not None:
            return self.reason
        ordered = sorted(self.rules, key=lambda rule: -rule.weight)
        return "; ".join(f"{rule.rule} {rule.score:g}: {rule.evidence}" for rule in ordered)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what a layer does not use is left out."""
        told: dict[str, Any] = {
            "score": self.score,
            "layer": self.layer,
            "set_aside_by": self.set_aside_by,
            "rules": [rule.as_dict() for rule in self.rules],
        }
        if self.reason is not None:
            told["reason"] = self.reason
        if self.spread is not None:
            told["spread"] = self.spread
        if self.parts:
            told["parts"] = [part.as_dict() for part in self.parts]
        return told


class ProcessScore(NamedTuple):
    """What an episode is worth so far, apart from its outcome: integrity x coverage x economy."""

    score: float
    coverage: float
    """Weighted share of the milestones reached."""
    economy: float
    """1 without a poor step; falls with every step below the sound level."""
    integrity: float
    """1 unless existing tests or test infrastructure are changed."""
    waste: float
    """Sum of what steps lacked to the sound level."""
    milestones: Mapping[str, float]
    """How far each milestone is reached, in [0, 1]."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "score": self.score,
            "coverage": self.coverage,
            "economy": self.economy,
            "integrity": self.integrity,
            "waste": self.waste,
            "milestones": dict(self.milestones),
        }


@dataclass(frozen=True, slots=True)
class StepScore:
    """What one step is worth."""

    index: int
    reward: float
    """Weighted mean of the criteria that apply; 0 when none does."""
    criteria: Mapping[str, CriterionScore]
    process: ProcessScore
    """The episode up to and with this step."""
    record: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """How a layer came to its scores, for JSON: a judge's requests and their cost, for example."""

    def scores(self) -> dict[str, dict[str, Any]]:
        """The criteria as plain data, for `info["scores"]` and for JSON."""
        return {name: score.as_dict() for name, score in self.criteria.items()}


class LayerScorer(Protocol):
    """A layer at work on one episode. Called once for every step, in order."""

    def score(self, step: Step) -> Mapping[str, CriterionScore]:
        """Judge a step by the criteria this layer knows; a criterion that does not apply has the score None."""
        ...


class Layer(Protocol):
    """A way to fill in the criteria: rules, a judge, or a combination of layers (which is again a layer)."""

    @property
    def name(self) -> str:
        """What `CriterionScore.layer` begins with."""
        ...

    def start(self, task: Task) -> LayerScorer:
        """Begin an episode."""
        ...

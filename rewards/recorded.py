"""The rubric for records of any agent: the rules that a record lets apply, over steps read as ours.

A rule asks for what only our own episodes are sure to have is left out, for records of our own as well, so that scores
of one layer (`recorded_layer`) can be compared whoever acted.
"""

from collections.abc import Iterable, Mapping, Sequence

from ..envs.step import Step
from ..envs.task import Task
from .config import LayersConfig, RubricConfig, RubricSource, load_config
from .facts import TaskFacts
from .foreign import canonical
from .rubric import RuleLayer, RuleScorer, Scorer
from .rules import RULES_VERSION
from .scores import CriterionScore, StepScore

__all__ = ["LEFT_OUT", "READING", "RecordedRubric", "recorded_layer", "unreadable"]

READING = "1"
"""Version of how foreign steps are read. Raise it whenever `canonical` or this module changes a score."""

LEFT_OUT: Mapping[str, str] = {
    "dedicated_tool": "which tools an agent had is not in every record, and many have a shell only",
}
"""Rules that apply to no record, and why."""

_NEED_A_THOUGHT = frozenset(("says_what_it_does", "takes_up_the_result"))
"""Rules that read silence as a fault: records drop, encrypt or share thoughts, so a step without one says nothing."""
_MOST = 0.5


def recorded_layer() -> str:
    """Name of the layer whose scores these are."""
    return f"rules@{RULES_VERSION}+reading@{READING}"


def unreadable(steps: Sequence[Step]) -> str | None:
    """Why no step of an episode can be judged; None where they can."""
    if not steps:
        return "has no steps"
    called = sum(bool(step.arguments) or (step.tool or "") != step.action.strip() for step in steps)
    if called < _MOST * len(steps):
        return "does not say what its tools were given"
    if sum(bool(step.observation.strip()) for step in steps) < _MOST * len(steps):
        return "does not say what its tools answered"
    return None


class RecordedRubric:
    """Scores recorded episodes. Immutable; equal on every machine."""

    def __init__(self, source: RubricSource = None) -> None:
        """`source`: the rubric whose weights are used. Raises ConfigError."""
        self.config = _config(load_config(source))
        self._told = RuleLayer(self.config)
        self._silent = RuleLayer(_without(self.config, _NEED_A_THOUGHT))

    def start(self, task: Task) -> Scorer:
        """Begin an episode."""
        return Scorer(self.config, _Rules(self._told, self._silent, task), None)

    def score(self, task: Task, steps: Iterable[Step]) -> list[StepScore]:
        """Score an episode; `steps` as they were recorded."""
        scorer = self.start(task)
        return [scorer.score(canonical(step)) for step in steps]


class _Rules(RuleScorer):
    """Leaves rules about thoughts out where a step has none."""

    def __init__(self, told: RuleLayer, silent: RuleLayer, task: Task) -> None:
        facts = TaskFacts.of(task, privileged=told.config.privileged)
        super().__init__(facts, told.rules, recorded_layer())
        self._tables = told.rules, silent.rules

    def score(self, step: Step) -> dict[str, CriterionScore]:
        """Judge a step and take it into the history."""
        self._rules = self._tables[step.thought is None]
        return super().score(step)


def _config(config: RubricConfig) -> RubricConfig:
    return _without(config.model_copy(update={"layers": LayersConfig(), "judge": None}), LEFT_OUT)


def _without(config: RubricConfig, names: Iterable[str]) -> RubricConfig:
    out = set(names)
    criteria = {
        name: criterion.model_copy(update={"rules": {k: v for k, v in criterion.rules.items() if k not in out}})
        for name, criterion in config.criteria.items()
    }
    return config.model_copy(update={"criteria": criteria})

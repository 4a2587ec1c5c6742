"""What the gate says, complete enough to be checked by a stranger."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .config import GateConfig

__all__ = [
    "Changed",
    "Comparison",
    "Decision",
    "Evidence",
    "GateReport",
    "McNemar",
    "PassRate",
    "Power",
    "Rate",
    "RepositoryGain",
    "Side",
]

Decision = Literal["GO", "NO-GO"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Rate(_Record):
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float
    level: float
    """For example 0.95."""


class PassRate(_Record):
    """What k attempts at a task come to, over the tasks that have at least k episodes that count."""

    k: int
    tasks: int
    at: float
    """pass@k: at least one of k attempts resolves the task."""
    all: float
    """pass^k: every one of k attempts resolves it."""


class Evidence(_Record):
    """One run, or one report of another harness, that outcomes were read from."""

    path: str
    kind: Literal["run", "report"]
    sha256: str
    """Of `run.json`, or of the report."""
    run_id: str | None = None
    agent: str | None = None
    model: str | None = None
    seal: str | None = None
    """Of the run's logs, the figure to publish; None for a report, which has none."""
    chained: bool = False
    """Whether every log carries its hash chain, and it was found whole."""
    episodes: int
    """Episodes read, earlier attempts included."""


class Side(_Record):
    """One of the two that are compared."""

    name: str
    evidence: tuple[Evidence, ...]
    tasks: int
    seeds: int
    """Episodes planned for each task, over all runs."""
    episodes: int
    """Episodes planned: tasks times seeds."""
    counted: int
    """Episodes that say something about the model: the denominator."""
    resolved: int
    excluded: Mapping[str, int]
    """Episodes that do not count, by who is to blame: `environment`, `service` or `grader`."""
    pass_1: Rate
    """Mean over tasks of the share of episodes resolved."""
    passes: tuple[PassRate, ...]
    by_run: tuple[float, ...]
    """pass@1 of each run."""
    cost_usd: float | None
    """None where it is not known."""
    input_tokens: int | None
    output_tokens: int | None
    wall_s: float | None
    """Sum of the episodes' durations."""


class McNemar(_Record):
    """Pairs in which the sides differ, with the exact test; only where every task has one pair."""

    gained: int
    lost: int
    p_value: float
    """Two-sided, from the binomial distribution."""


class Power(_Record):
    """What these tasks and seeds can show."""

    probability: float
    """The probability of a significant result that `detectable` and `tasks_needed` are about."""
    detectable: float
    """The least true gain that becomes significant with that probability."""
    target: float
    """The gain that `tasks_needed` is about: `min_gain`, or 0.03 where that is 0."""
    at_target: float
    """The probability that a true gain of `target` becomes significant with these tasks and seeds."""
    between: float | None
    """Standard deviation, from task to task, of the true difference; None with one seed, which cannot tell it from
    chance."""
    within: float | None
    """Standard deviation of a single pair's difference around its task's; None with one seed."""
    tasks_needed: Mapping[int, int]
    """Tasks needed for `target`, by seeds of evaluation; with several runs a side, as many as there are."""


class Changed(_Record):
    """A task that the candidate resolves more, or less, often."""

    task: str
    repository: str
    base: float
    """Share of its episodes resolved."""
    candidate: float
    base_episodes: tuple[str, ...]
    """Folders of the base's episodes, or reports, in order of seeds."""
    candidate_episodes: tuple[str, ...]


class RepositoryGain(_Record):
    """The gain in one repository. Too many comparisons for conclusions of their own."""

    repository: str
    tasks: int
    base: float
    candidate: float
    gain: float


class Comparison(_Record):
    """One candidate against the base."""

    side: Side
    decision: Decision
    reasons: tuple[str, ...]
    """Each condition of a GO, and whether it holds."""
    gain: float
    """Mean over tasks of the paired difference of resolve rates."""
    interval: tuple[float, float]
    """Confidence interval of the gain, at `level`."""
    level: float
    """1 - alpha; with several candidates the level that Holm's procedure gives this one."""
    cluster: Literal["task", "repository"]
    clusters: int
    degrees_of_freedom: float
    interval_by_task: tuple[float, float]
    interval_by_repository: tuple[float, float] | None
    """None with fewer than two repositories."""
    p_value: float
    """The larger of the two below, which decides: two-sided."""
    p_interval: float
    """Of the interval: alpha at which it would just reach 0."""
    p_permutation: float
    """Of the sign-flip test."""
    permutation: str
    """How that was computed."""
    p_adjusted: float
    """By Holm over all candidates; equal to `p_value` with one."""
    mcnemar: McNemar | None
    tasks: int
    """Tasks with at least one pair."""
    pairs: int
    """Pairs of task and seed in which both sides count."""
    pairs_dropped: int
    """Pairs in which infrastructure spoilt a side."""
    pairs_gained: int
    """Pairs in which the candidate does better."""
    pairs_lost: int
    """Pairs in which the base does better."""
    worst_case: float
    """The gain if every excluded episode of the base had been resolved, and none of the candidate's."""
    by_run: tuple[float, ...]
    """The gain of each of the candidate's runs over the mean of the base's."""
    power: Power
    gained: tuple[Changed, ...]
    """Tasks resolved more often, those that changed most first."""
    lost: tuple[Changed, ...]
    repositories: tuple[RepositoryGain, ...]


class GateReport(_Record):
    """The gate's whole answer."""

    schema_version: str = "1.0"
    created: str
    """UTC, ISO 8601."""
    command: str
    """The command line that gives this report again."""
    versions: Mapping[str, str]
    config: GateConfig
    decision: Decision
    """GO when at least one candidate is."""
    base: Side
    candidates: tuple[Comparison, ...]
    """In the order given."""
    cautions: tuple[str, ...] = Field(default=())
    """What a reader should know before relying on the decision."""

    @property
    def best(self) -> Comparison:
        """The candidate that is GO with the largest gain; where none is GO, the one with the largest gain."""
        return max(self.candidates, key=lambda each: (each.decision == "GO", each.gain))

    @property
    def gain(self) -> float:
        """The gain of the best candidate."""
        return self.best.gain

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the best candidate's gain."""
        return self.best.interval

    @property
    def p_value(self) -> float:
        """The deciding p-value of the best candidate, adjusted for their number."""
        return self.best.p_adjusted

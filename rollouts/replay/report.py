"""What a replay found: one verdict a step, and for whatever differs the field, the diff, and what made it equal."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from ..events import Timestamp

__all__ = [
    "REPLAY_VERSION",
    "Cause",
    "Difference",
    "EpisodeReplay",
    "Hint",
    "Match",
    "PartReplay",
    "RewardCheck",
    "StepReplay",
    "worst",
]

REPLAY_VERSION = "1.0"


class Match(StrEnum):
    """How what was replayed compares with what was recorded."""

    IDENTICAL = "identical"
    """The same, byte by byte."""
    EQUIVALENT = "equivalent"
    """The same after the normalisers that are named."""
    DIVERGED = "diverged"
    """Not the same."""


class Hint(StrEnum):
    """What a divergence looks like. A hint, not a proof: `diff` shows the difference itself."""

    AFTERMATH = "aftermath"
    """An earlier step of the episode had diverged already."""
    SANDBOX = "sandbox"
    """The sandbox was lost or brought back, then or now."""
    LIMIT = "limit"
    """A limit of time, memory, processes or disk was reached on one side only."""
    TESTS = "tests"
    """Tests ended differently: flaky, or edited."""
    ORDER = "order"
    """The same lines in another order, where no tool says that order means nothing."""
    NUMBERS = "numbers"
    """Nothing but numbers differs."""
    RECORD = "record"
    """The record contradicts itself: fields that follow from each other do not."""
    REWARD = "reward"
    """The recorded reward is not what the rules say of the recorded steps."""
    CONTENT = "content"
    """Anything else."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Difference(_Strict):
    """One field that is not identical."""

    field: str
    """For example `observation`, `exit_code`, `data.after_sha256` or `reward`."""
    match: Match
    normalisers: tuple[str, ...] = ()
    """What it took to be equal; empty when it diverged."""
    hint: Hint | None = None
    """For a divergence."""
    diff: str = ""
    """Recorded against replayed, after normalising, as a unified diff that is cut when it is long."""


class StepReplay(_Strict):
    """One step."""

    step: int
    tool: str | None = None
    match: Match
    cause: str | None = None
    """The first field that diverged."""
    hint: Hint | None = None
    """Of that field."""
    differences: tuple[Difference, ...] = ()
    recorded_ms: float = 0.0
    """What the tool took then."""
    replayed_ms: float | None = None
    """What it took now; None for a step that was not reached."""

    @property
    def normalisers(self) -> tuple[str, ...]:
        """Every normaliser that was needed."""
        return tuple(dict.fromkeys(name for item in self.differences for name in item.normalisers))


class PartReplay(_Strict):
    """A part of an episode that is no step: its start, its patch, its verdict, its end."""

    match: Match
    differences: tuple[Difference, ...] = ()
    note: str | None = None
    """What was not compared, and why."""


class RewardCheck(_Strict):
    """Whether the rewards could be computed again from the recorded steps. What differs is told at the steps."""

    checked: int = 0
    """Steps whose reward was compared."""
    rules: str | None = None
    """The rules that computed them again, for example `rules@1`."""
    note: str | None = None
    """Why some or all were not."""


class Cause(_Strict):
    """Where an episode diverged first."""

    where: str
    """`start`, `step`, `patch`, `verdict` or `end`."""
    step: int | None = None
    field: str
    hint: Hint | None = None
    chance: bool | None = None
    """Replayed again, it came out otherwise, or as recorded (true): chance is at work. It came out as in the first
    replay (false): the record, or the world it was made in, is another. None where that was not tried."""


class EpisodeReplay(_Strict):
    """One line of `replay.jsonl`."""

    schema_version: str = REPLAY_VERSION
    run_id: str
    episode_id: str
    task_id: str
    seed: int | None = None
    agent: str = ""
    log_sha256: str | None = None
    """Of the `events.jsonl` that was replayed; another one has to be replayed again."""
    replayed_at: Timestamp
    image_id: str | None = None
    """Of the image it was replayed in."""
    match: Match | None = None
    """The worst of all parts; None when it could not be replayed."""
    problem: str | None = None
    """Why it could not be replayed."""
    forced: tuple[str, ...] = ()
    """What is not as `run.json` recorded it, and was let pass."""
    first: Cause | None = None
    """The first divergence."""
    start: PartReplay | None = None
    steps: tuple[StepReplay, ...] = ()
    rewards: RewardCheck = RewardCheck()
    patch: PartReplay | None = None
    """None where none was recorded."""
    verdict: PartReplay | None = None
    """None where none was recorded, or grading was left out."""
    end: PartReplay | None = None
    """Totals of the episode against its own steps."""
    recorded_ms: float = 0.0
    """Tool time of all steps then."""
    replayed_ms: float = 0.0
    """Tool time of all steps now."""
    reset_ms: float | None = None
    wall_ms: float = 0.0
    """The whole replay without grading, comparison included."""
    grading_ms: float | None = None
    counts: dict[Match, int] = Field(default_factory=dict[Match, int])
    """Steps by match."""

    def at_fault(self) -> StepReplay | PartReplay | None:
        """The step or part where it diverged first."""
        if self.first is None:
            return None
        if self.first.step is not None:
            return next(step for step in self.steps if step.step == self.first.step)
        parts = {"start": self.start, "patch": self.patch, "verdict": self.verdict, "end": self.end}
        return parts[self.first.where]

    @property
    def place(self) -> str:
        """Where it diverged first, in words; empty when it did not."""
        found = self.at_fault()
        if self.first is None or found is None:
            return ""
        where = f"step {found.step} ({found.tool})" if isinstance(found, StepReplay) else self.first.where
        return f"{where}, {self.first.field}"


def worst(matches: Iterable[Match]) -> Match:
    """The least equal of some; identical when there are none."""
    order = list(Match)
    return max(matches, key=order.index, default=Match.IDENTICAL)

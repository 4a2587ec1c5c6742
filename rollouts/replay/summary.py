"""A replayed run in figures: shares of identical, equivalent and diverged, and every divergence by its class."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from .report import EpisodeReplay, Match, PartReplay, StepReplay

__all__ = ["Divergence", "DivergenceClass", "ReplaySummary", "Shares", "summarise_replays"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Shares(_Strict):
    """How many of something came out how."""

    what: str
    identical: int = 0
    equivalent: int = 0
    diverged: int = 0

    @classmethod
    def of(cls, what: str, matches: Iterable[Match]) -> "Shares":
        """Counted."""
        counts = Counter(matches)
        return cls(what=what, **{str(match): counts[match] for match in Match})

    @property
    def total(self) -> int:
        """All of them."""
        return self.identical + self.equivalent + self.diverged

    def share(self, match: Match) -> float | None:
        """Share of one kind; None when there are none at all."""
        return int(getattr(self, match)) / self.total if self.total else None


class Divergence(_Strict):
    """Where an episode diverged first."""

    run_id: str
    episode_id: str
    place: str
    hint: str
    chance: bool | None = None
    """See `Cause.chance`."""


class DivergenceClass(_Strict):
    """Divergences that look alike."""

    where: str
    """A tool's name, or the part of the episode."""
    field: str
    hint: str
    episodes: int
    """Episodes that diverged like this first."""
    chance: int
    """Those of them that came out otherwise when they were replayed again."""
    tests: tuple[str, ...] = ()
    """Tests that ended differently in any of them."""
    example: str
    """One of them, with its step."""
    diff: str
    """Of that example."""


class ReplaySummary(_Strict):
    """Totals over replayed episodes."""

    shares: tuple[Shares, ...]
    """Of episodes, steps, patches and verdicts."""
    not_replayed: dict[str, str]
    """Episodes that could not be replayed, and why."""
    normalisers: dict[str, int]
    """How many steps each normaliser was needed for."""
    classes: tuple[DivergenceClass, ...]
    """First divergences by class, the most frequent first."""
    diverged: tuple[Divergence, ...]
    """Where each episode that diverged did so first."""
    rewards_checked: int
    rewards_diverged: int
    notes: tuple[str, ...] = ()
    """What was not compared, or was let pass."""
    recorded_tool_s: float
    replayed_tool_s: float
    overhead: float | None = None
    """Tool time of the replay over that of the record, for the steps that were replayed."""

    @property
    def all_match(self) -> bool:
        """Nothing diverged."""
        return not self.diverged


def summarise_replays(rows: Sequence[EpisodeReplay]) -> ReplaySummary:
    """The figures of some replays."""
    done = [row for row in rows if row.match is not None]
    steps = [step for row in done for step in row.steps]
    recorded = sum(step.recorded_ms for step in steps if step.replayed_ms is not None) / 1000
    replayed = sum(step.replayed_ms or 0.0 for step in steps) / 1000
    wrong = sum(any(item.field.startswith(_REWARD) for item in step.differences) for step in steps)
    return ReplaySummary(
        shares=(
            Shares.of("episodes", (row.match for row in done if row.match)),
            Shares.of("steps", (step.match for step in steps)),
            Shares.of("patches", (row.patch.match for row in done if row.patch)),
            Shares.of("verdicts", (row.verdict.match for row in done if row.verdict)),
        ),
        not_replayed={row.episode_id: row.problem or "" for row in rows if row.match is None},
        normalisers=dict(Counter(name for step in steps for name in step.normalisers).most_common()),
        classes=tuple(_classes(done)),
        diverged=tuple(_divergences(done)),
        rewards_checked=sum(row.rewards.checked for row in done),
        rewards_diverged=wrong,
        notes=tuple(dict.fromkeys(_notes(rows))),
        recorded_tool_s=round(recorded, 3),
        replayed_tool_s=round(replayed, 3),
        overhead=round(replayed / recorded - 1, 4) if recorded else None,
    )


_REWARD = ("reward", "criteria", "process")
_TEST = "data.tests."


def _classes(rows: Iterable[EpisodeReplay]) -> Iterator[DivergenceClass]:
    found: dict[tuple[str, str, str], list[EpisodeReplay]] = {}
    for row in rows:
        if row.first is not None:
            found.setdefault((_where(row), _general(row.first.field), str(row.first.hint)), []).append(row)
    for (where, field, hint), alike in sorted(found.items(), key=lambda item: -len(item[1])):
        yield DivergenceClass(
            where=where,
            field=field,
            hint=hint,
            episodes=len(alike),
            chance=sum(row.first is not None and row.first.chance is True for row in alike),
            tests=tuple(dict.fromkeys(name for row in alike for name in _tests(row))),
            example=f"{alike[0].episode_id}: {alike[0].place}",
            diff=_diff(alike[0]),
        )


def _divergences(rows: Iterable[EpisodeReplay]) -> Iterator[Divergence]:
    for row in rows:
        if row.first is not None:
            hint, chance = str(row.first.hint), row.first.chance
            yield Divergence(run_id=row.run_id, episode_id=row.episode_id, place=row.place, hint=hint, chance=chance)


def _where(row: EpisodeReplay) -> str:
    found = row.at_fault()
    return str(found.tool) if isinstance(found, StepReplay) else str(row.first.where if row.first else "")


def _tests(row: EpisodeReplay) -> Iterator[str]:
    found = row.at_fault()
    for item in found.differences if found is not None else ():
        if item.match is Match.DIVERGED and item.field.startswith(_TEST):
            yield item.field.removeprefix(_TEST)


def _general(field: str) -> str:
    """A test's name, or a criterion's, does not make a class of its own."""
    return ".".join(field.split(".")[:2])


def _diff(row: EpisodeReplay) -> str:
    found = row.at_fault()
    wrong = next((item for item in found.differences if item.match is Match.DIVERGED), None) if found else None
    return wrong.diff if wrong is not None else ""


def _notes(rows: Iterable[EpisodeReplay]) -> Iterator[str]:
    for row in rows:
        if row.rewards.note:
            yield f"rewards: {row.rewards.note}"
        parts: tuple[PartReplay | None, ...] = (row.start, row.patch, row.verdict, row.end)
        yield from (part.note for part in parts if part is not None and part.note)
        yield from (f"not as recorded: {item}" for item in row.forced)

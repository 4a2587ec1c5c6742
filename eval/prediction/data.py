"""Episodes as predictions see them, read from layer 2: steps in their order, and what was spent by when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...rollouts.steering.facts import Spending, StepFacts
from ...rollouts.steering.features import History

__all__ = ["Asked", "Trace", "read_traces"]

_BATCH = 10_000
_EPISODES = """
SELECT run_id, episode_id, task_id, repo, resolved, cost_usd, input_tokens, output_tokens, t_start, wall_ms
FROM episodes WHERE attempt_final AND NOT coalesce(excluded, false) ORDER BY run_id, episode_id"""
_STEPS = """
SELECT run_id, episode_id, step, request, action, program, action_chars, tool_ms, gap_ms, failed, error, repeated,
    paths, edited, tests_passed, tests_failed, observation_chars, thought_chars, reward, t_end
FROM steps ORDER BY run_id, episode_id, step"""
_REQUESTS = """
SELECT run_id, episode_id, request, input_tokens, output_tokens, cost_usd
FROM requests ORDER BY run_id, episode_id, request"""


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer of a model. Tokens and US dollars; None where it does not tell."""

    request: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One episode."""

    run_id: str
    episode_id: str
    task: str
    repo: str | None
    resolved: bool | None
    cost_usd: float | None
    tokens: int | None
    """Input and output together."""
    wall_s: float | None
    steps: tuple[StepFacts, ...]
    asked: tuple[Asked, ...]
    by: tuple[int | None, ...]
    """For each step the request that made the call."""
    elapsed: tuple[float | None, ...]
    """For each step the seconds from the episode's begin to the step's end."""

    def answers(self, step: int) -> tuple[Asked, ...] | None:
        """The answers that were there when a step's call was made; None when nobody can say."""
        if not self.asked:
            return ()
        last = self.by[step]
        return None if last is None else tuple(one for one in self.asked if one.request <= last)

    def histories(self) -> Iterator[tuple[History, StepFacts]]:
        """For each step what was known when its call was made, and the step. The history goes on after that."""
        history, place = History(), 0
        for step, last in zip(self.steps, self.by, strict=True):
            if self.asked and last is None:
                history.spending = Spending.unknown()
            while last is not None and place < len(self.asked) and self.asked[place].request <= last:
                one = self.asked[place]
                history.spending.add(one.input_tokens, one.output_tokens)
                place += 1
            yield history, step
            history.take(step)

    def after(self, steps: int) -> list[float]:
        """Features when so many steps are over; nothing later is looked at."""
        history = History()
        for count, (known, step) in enumerate(self.histories(), 1):
            history = known
            if count == steps:
                history.take(step)
                return history.vector()
        return history.vector()


def read_traces(runs: Sequence[Path]) -> list[Trace]:
    """Every episode that counts: final attempts that infrastructure did not spoil. Raises UsageError without any."""
    from ...rollouts.tables import open_tables

    tables = open_tables(runs)
    steps, requests = _groups(tables, _STEPS), _groups(tables, _REQUESTS)
    found = list[Trace]()
    steps_by, asked_by = _Ahead(steps), _Ahead(requests)
    for row in _rows(tables, _EPISODES):
        key = row["run_id"], row["episode_id"]
        found.append(_trace(row, steps_by.take(key), asked_by.take(key)))
    if not found:
        raise UsageError("there is no episode to learn from: " + ", ".join(map(str, runs)))
    return found


def _trace(row: dict[str, Any], steps: list[dict[str, Any]], asked: list[dict[str, Any]]) -> Trace:
    begin: datetime | None = row["t_start"]
    used = (row["input_tokens"], row["output_tokens"])
    return Trace(
        run_id=row["run_id"],
        episode_id=row["episode_id"],
        task=row["task_id"],
        repo=row["repo"],
        resolved=row["resolved"],
        cost_usd=row["cost_usd"],
        tokens=None if None in used else sum(used),
        wall_s=None if row["wall_ms"] is None else row["wall_ms"] / 1000,
        steps=tuple(map(StepFacts.of, steps)),
        asked=tuple(Asked(a["request"], a["input_tokens"], a["output_tokens"], a["cost_usd"]) for a in asked),
        by=tuple(step["request"] for step in steps),
        elapsed=tuple(_seconds(begin, step["t_end"]) for step in steps),
    )


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else (end - begin).total_seconds()


def _rows(tables: Any, query: str) -> Iterator[dict[str, Any]]:
    cursor = tables.cursor().execute(query)
    names = [column[0] for column in cursor.description]
    while batch := cursor.fetchmany(_BATCH):
        for row in batch:
            yield dict(zip(names, row, strict=True))


_Key = tuple[str, str]
_Group = tuple[_Key, list[dict[str, Any]]]


def _groups(tables: Any, query: str) -> Iterator[_Group]:
    for key, rows in groupby(_rows(tables, query), itemgetter("run_id", "episode_id")):
        yield key, list(rows)


class _Ahead:
    """Rows by episode, from an iterator in the order in which they are asked for."""

    def __init__(self, groups: Iterator[_Group]) -> None:
        self._groups = groups
        self._next = next(groups, None)

    def take(self, key: _Key) -> list[dict[str, Any]]:
        """The rows of an episode; those of episodes before it that nobody asked for are dropped."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != key:
            return []
        rows, self._next = self._next[1], next(self._groups, None)
        return rows

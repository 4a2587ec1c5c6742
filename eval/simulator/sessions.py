"""Sessions to be served: rounds of prompt, answer and wait, from layer 2 or from a table of rounds."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import UsageError

__all__ = ["Round", "Session", "Source", "read_sessions"]

_COLUMNS = ("session_id", "arrival_time", "round_idx", "prefix_len", "input_len", "output_len", "tool_wait_after_ms")
_QUERY = """
SELECT r.run_id, r.episode_id, r.request, r.input_tokens, r.repeated_tokens, r.output_tokens, r.gap_ms, r.human_ms,
    r.first_step, epoch(e.t_start) AS begin, s.action
FROM requests r JOIN episodes e USING (run_id, episode_id)
LEFT JOIN steps s ON s.run_id = r.run_id AND s.episode_id = r.episode_id AND s.step = r.first_step
WHERE r.thread IS NULL AND e.attempt_final ORDER BY r.run_id, r.episode_id, r.request"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One request, and the wait after it."""

    prefix: int
    """Tokens of the prompt that the session had before."""
    fresh: int
    """The other tokens of the prompt."""
    output: int
    wait: float = 0.0
    """Seconds until the session's next request: the tool call, or a person."""
    kind: str = "tool"
    """Of what is waited for."""
    expected: float | None = None
    """Seconds that a predictor expects the wait to take."""

    @property
    def prompt(self) -> int:
        """Tokens of the whole prompt."""
        return self.prefix + self.fresh

    @property
    def context(self) -> int:
        """Tokens when the answer is complete."""
        return self.prompt + self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A program: rounds one after another."""

    name: str
    arrival: float
    """Seconds since the first session."""
    rounds: tuple[Round, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What was read."""

    sessions: tuple[Session, ...]
    left_out: dict[str, int]
    """Sessions that cannot be simulated, by reason."""


def read_sessions(paths: Sequence[Path], predictor: str | None = None) -> Source:
    """Sessions of runs (layer 2), or of one `.csv` of rounds as TraceLab replays them. Raises UsageError if none."""
    tables = [path for path in paths if path.suffix == ".csv"]
    if tables and (len(paths) > 1 or predictor is not None):
        raise UsageError("a .csv of rounds is read alone, and tells a predictor nothing of its tool calls")
    source = _from_csv(tables[0]) if tables else _from_runs(paths, predictor)
    if not source.sessions:
        reasons = "; ".join(f"{count} {why}" for why, count in source.left_out.items()) or "no episodes"
        raise UsageError(f"there is no session to simulate: {reasons}")
    first = min(session.arrival for session in source.sessions)
    moved = (replace(session, arrival=session.arrival - first) for session in source.sessions)
    return Source(sessions=tuple(sorted(moved, key=_order)), left_out=source.left_out)


def _order(session: Session) -> tuple[float, str]:
    return session.arrival, session.name


def _from_csv(path: Path) -> Source:
    """Times are milliseconds. Raises UsageError for a table of another form."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if not rows or set(_COLUMNS) - set(rows[0]):
        raise UsageError(f"{path} is no table of rounds: its columns should be {', '.join(_COLUMNS)}")
    by_session: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_session.setdefault(row["session_id"], []).append(row)
    try:
        return Source(sessions=tuple(_session(name, rows) for name, rows in by_session.items()), left_out={})
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} holds a value that is no number: {error}") from None


def _session(name: str, rows: list[dict[str, str]]) -> Session:
    rounds = tuple(
        Round(
            prefix=int(row["prefix_len"]),
            fresh=int(row["input_len"]),
            output=int(row["output_len"]),
            wait=float(row["tool_wait_after_ms"]) / 1000,
        )
        for row in sorted(rows, key=lambda row: int(row["round_idx"]))
    )
    return Session(name=name, arrival=float(rows[0]["arrival_time"]) / 1000, rounds=rounds)


def _from_runs(runs: Sequence[Path], predictor: str | None) -> Source:
    from ...rollouts.tables import open_tables

    cursor = open_tables(runs).execute(_QUERY)
    names = [column[0] for column in cursor.description]
    by_episode: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for values in cursor.fetchall():
        row = dict(zip(names, values, strict=True))
        by_episode.setdefault((row["run_id"], row["episode_id"]), []).append(row)
    expected = _expected(runs, predictor) if predictor is not None else {}
    sessions, left_out = list[Session](), dict[str, int]()
    for key, rows in by_episode.items():
        reason = _why_not(rows)
        if reason is not None:
            left_out[reason] = left_out.get(reason, 0) + 1
            continue
        sessions.append(_episode("/".join(key), rows, {step: s for (k, step), s in expected.items() if k == key}))
    return Source(sessions=tuple(sessions), left_out=left_out)


def _why_not(rows: list[dict[str, Any]]) -> str | None:
    if any(row["input_tokens"] is None or row["output_tokens"] is None for row in rows):
        return "without token counts"
    if any(row["gap_ms"] is None for row in rows[1:]) or rows[0]["begin"] is None:
        return "without times"
    return None


def _episode(name: str, rows: list[dict[str, Any]], expected: dict[int, float]) -> Session:
    rounds = list[Round]()
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        prefix = min(row["repeated_tokens"] or 0, row["input_tokens"])
        human = after is not None and bool(after["human_ms"])
        one = Round(
            prefix=prefix if rounds else 0,
            fresh=row["input_tokens"] - (prefix if rounds else 0),
            output=max(row["output_tokens"], 1),
            wait=max(0.0, after["gap_ms"] / 1000) if after is not None else 0.0,
            kind="human" if human else row["action"] or "tool",
            expected=None if human else expected.get(row["first_step"]),
        )
        rounds.append(one)
    return Session(name=name, arrival=float(rows[0]["begin"]), rounds=tuple(rounds))


def _expected(runs: Sequence[Path], path: str) -> dict[tuple[tuple[str, str], int], float]:
    """Seconds that a predictor expects of each step's call, from what was known before it."""
    from ...rollouts.steering.predictor import read_predictor
    from ..prediction.data import read_traces

    predictor, _ = read_predictor(path)
    if predictor.target != "tool_latency":
        raise UsageError(f"{path} predicts {predictor.target}; a simulation needs tool_latency")
    head = predictor.head_for(0.5)
    return {
        ((trace.run_id, trace.episode_id), number): head.predict(history.call_vector(step.call)) / 1000
        for trace in read_traces(runs)
        for number, (history, step) in enumerate(trace.histories())
    }

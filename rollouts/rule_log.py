"""The file of rule scores of a run: episodes whose scores are current are kept as they stand, others are replaced."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

from ..errors import DiskFull, UsageError
from ..rewards.recorded import recorded_layer
from .files import sha256_of, write_atomic
from .score_file import ScoreFile
from .score_log import scores_path

__all__ = ["EpisodeRows", "RuleLog", "RunScores", "episode_scores", "rule_scores_of", "scores_digest"]


class EpisodeRows(NamedTuple):
    """The lines of one episode, and what they say."""

    episode_id: str
    lines: Sequence[bytes]
    rows: Sequence[Mapping[str, Any]]

    @property
    def record(self) -> Mapping[str, Any]:
        """What the scores were made of; see `rule_scores.score_episode`."""
        return self.rows[0].get("record") or {} if self.rows else {}


class RunScores(NamedTuple):
    """What an episode was given, in short."""

    rewards: Mapping[int, float]
    """By step; steps without a score are left out."""
    process: float | None


class RuleLog:
    """Writes `scores/<layer>.jsonl`, one episode after the other in the order of their names, in constant memory.

    The file is old or new, never half. When writing stops early, what was scored by then is kept, and so is the rest of
    the old file.
    """

    def __init__(self, run: Path) -> None:
        """Raises ConfigError while another process scores the run, UsageError when the old file is damaged."""
        self.path = scores_path(run, recorded_layer())
        self._file = ScoreFile(self.path, recorded_layer())
        self._old, self._digest = _episodes(self.path), sha256()
        try:
            self._next = next(self._old, None)
        except UsageError:
            self._file.close()
            raise

    def find(self, episode: str) -> EpisodeRows | None:
        """What the old file holds of an episode; ask in the order of names. Those passed over are dropped."""
        while self._next is not None and self._next.episode_id < episode:
            self._next = next(self._old, None)
        return self._next if self._next is not None and self._next.episode_id == episode else None

    def put(self, lines: Iterable[bytes]) -> None:
        """Write the lines of the next episode. Raises DiskFull."""
        text = b"".join(lines)
        self._digest.update(text)
        self._file.write(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not isinstance(error, DiskFull | UsageError):
                self._finish()
        finally:
            self._file.close()

    def _finish(self) -> None:
        _digest_path(self.path).unlink(missing_ok=True)
        self._file.replace()
        write_atomic(_digest_path(self.path), self._digest.hexdigest() + "\n")

    def keep_rest(self, after: str) -> None:
        """Keep what the old file holds of episodes after one of this name: they were not looked at."""
        while self._next is not None:
            if self._next.episode_id > after:
                self.put(self._next.lines)
            self._next = next(self._old, None)


def scores_digest(run: Path) -> str | None:
    """Checksum of the rules' scores of a run; None when nobody scored it."""
    path = scores_path(run, recorded_layer())
    if not path.exists():
        return None
    beside = _digest_path(path)
    return beside.read_text("ascii").strip() if beside.exists() else sha256_of(path)


def _digest_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def rule_scores_of(run: Path) -> Iterator[tuple[str, RunScores]]:
    """What the rules gave each episode of a run, by name; nothing when nobody scored it. Raises UsageError."""
    for found in _episodes(scores_path(run, recorded_layer())):
        rewards = {row["step"]: row["reward"] for row in found.rows if row.get("reward") is not None}
        yield found.episode_id, RunScores(rewards, found.rows[-1].get("process"))


def episode_scores(run: Path) -> Callable[[str], EpisodeRows | None]:
    """A way to look up the lines of episodes, which must be asked for in the order of their names; one is in memory."""
    found = _episodes(scores_path(run, recorded_layer()))
    current = next(found, None)

    def look(episode: str) -> EpisodeRows | None:
        nonlocal current
        while current is not None and current.episode_id < episode:
            current = next(found, None)
        return current if current is not None and current.episode_id == episode else None

    return look


def _episodes(path: Path) -> Iterator[EpisodeRows]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for name, group in groupby(_parsed(path, file), key=lambda pair: str(pair[1]["episode_id"])):
            pairs = list(group)
            yield EpisodeRows(name, [line for line, _ in pairs], [row for _, row in pairs])


def _parsed(path: Path, lines: Iterable[bytes]) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
    for number, line in enumerate(lines, 1):
        try:
            row: Any = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not {"episode_id", "step", "criteria"} <= row.keys():
            raise UsageError(f"{path}, line {number} is no score of a step; delete the file")
        yield line, cast("Mapping[str, Any]", row)

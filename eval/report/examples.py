"""Tasks that a candidate gained and lost, with what was asked and what each side changed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...page import Block, Cell, Code, Details, Heading, Table, Text
from ...rollouts.events import EpisodeStartEvent
from ...rollouts.run_dir import Episode, read_episode
from ..gate.report import Changed
from ..gate.show import more, share
from .collect import Collected, Gated
from .paths import Paths

__all__ = ["examples"]

_LINES = 60
_STATEMENT = 1200
_SHOWN_IN_FULL = 2


def examples(found: Collected, paths: Paths, limit: int) -> Iterator[Block]:
    """For each gate with a report: at most `limit` tasks gained and lost each, some of them in full."""
    told = [one for one in found.gates if one.report is not None]
    if not told or not limit:
        return
    yield Heading("Examples gained and lost")
    yield Text(
        "A task is gained where the candidate resolves it more often than the base. Those that changed most first."
    )
    for one in told:
        yield Details(one.name, tuple(_gate(one, found, paths, limit)))


def _gate(one: Gated, found: Collected, paths: Paths, limit: int) -> Iterator[Block]:
    assert one.report is not None
    best = one.report.best
    for word, changed in (("Gained", best.gained), ("Lost", best.lost)):
        rows = tuple(_row(each, found, paths) for each in changed[:limit])
        columns = ("task", "family", "base", "candidate", "base's episode", "candidate's episode")
        if rows:
            yield Table(word + more(changed, limit), columns, rows)
        for each in changed[:_SHOWN_IN_FULL]:
            yield from _in_full(word, each)


def _row(one: Changed, found: Collected, paths: Paths) -> tuple[Cell, ...]:
    return (
        one.task,
        found.families.get(one.task, one.repository),
        share(one.base),
        share(one.candidate),
        _link(one.base_episodes, paths),
        _link(one.candidate_episodes, paths),
    )


def _link(folders: Sequence[str], paths: Paths) -> Cell:
    return paths.link(Path(folders[0]).name, Path(folders[0]).absolute()) if folders else None


def _in_full(word: str, one: Changed) -> Iterator[Block]:
    base, candidate = (_episode(folders) for folders in (one.base_episodes, one.candidate_episodes))
    if base is None or candidate is None:
        return
    start = base.first.payload if isinstance(base.first, EpisodeStartEvent) else None
    asked = str((start.task.get("problem_statement") if start is not None else None) or "")
    blocks = (
        Code(asked[:_STATEMENT] + (" …" if len(asked) > _STATEMENT else ""), "What was asked"),
        Code(_patch(base), f"What the base changed ({_ended(base)})"),
        Code(_patch(candidate), f"What the candidate changed ({_ended(candidate)})"),
    )
    yield Details(f"{word}: {one.task}", blocks)


def _episode(folders: Sequence[str]) -> Episode | None:
    return read_episode(Path(folders[0])) if folders else None


def _patch(episode: Episode) -> str:
    lines = (episode.patch.patch if episode.patch is not None else "").splitlines()
    kept = lines[:_LINES] + ([f"… and {len(lines) - _LINES} more lines"] if len(lines) > _LINES else [])
    return "\n".join(kept) or "nothing"


def _ended(episode: Episode) -> str:
    verdict = episode.verdict
    said = "not graded" if verdict is None else str(verdict.outcome or verdict.resolved)
    return f"{said}; ended by {episode.end.stop_reason if episode.end is not None else 'nothing'}"

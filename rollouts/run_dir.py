"""A run on disk: `run.json`, one folder an episode, and a lock that keeps two processes out of one run."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from ..errors import ConfigError, Failure, StopReason, UsageError
from .events import (
    AnyEvent,
    EpisodeEndEvent,
    FinalPatchEvent,
    LlmResponseEvent,
    ToolResultEvent,
    VerdictEvent,
    now,
)
from .files import slug, write_json
from .log import EventWriter, Header, events_from_end, first_event, read_events
from .log_file import EVENTS
from .payloads import EpisodeEnd, FinalPatch, Usage, Verdict

__all__ = [
    "EPISODES",
    "MANIFEST",
    "Episode",
    "RunLock",
    "claim_episode",
    "close_abandoned",
    "differences",
    "ensure_run",
    "episode_name",
    "read_episode",
    "read_episodes",
    "read_manifest",
]

MANIFEST = "run.json"
EPISODES = "episodes"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One episode of a run, as its log tells."""

    folder: Path
    first: AnyEvent
    end: EpisodeEnd | None
    """None while it runs, or when its process died."""
    duration_ms: float | None
    patch: FinalPatch | None
    verdict: Verdict | None

    @property
    def attempt(self) -> int:
        """1 for the first try of this task and seed."""
        return int(self.folder.name.rpartition("--a")[2] or 1) if "--a" in self.folder.name else 1

    @property
    def finished(self) -> bool:
        """Whether it ended by itself; an interrupted one is to be done again."""
        return self.end is not None and self.end.stop_reason is not StopReason.INTERRUPTED

    @property
    def failure(self) -> Failure | None:
        """Who is to blame, the grader's word included."""
        said = self.verdict.report.get("failure") if self.verdict is not None else None
        if self.end is not None and self.end.failure is not None:
            return self.end.failure
        return Failure(said) if said in set(Failure) else None

    @property
    def to_retry(self) -> bool:
        """Whether another attempt is worth it: the environment or a service failed, not the agent or the grader."""
        return self.end is not None and self.end.failure in (Failure.ENVIRONMENT, Failure.SERVICE)

    @property
    def excluded(self) -> bool:
        """Whether it says nothing about the agent, so that no rate counts it; a forged report is the agent's doing."""
        if self.to_retry:
            return True
        judged = self.verdict is not None and self.verdict.resolved is not None
        return not judged and self.failure in (Failure.ENVIRONMENT, Failure.SERVICE, Failure.GRADER)


def episode_name(task_id: str, seed: int | None, attempt: int = 1) -> str:
    """The id of an episode, which is also its folder's name."""
    return f"{slug(task_id)}--s{'x' if seed is None else seed}--a{attempt}"


def claim_episode(run: Path, task_id: str, seed: int | None) -> str:
    """A new episode id of that task and seed, its folder made."""
    attempt = 1
    while True:
        name = episode_name(task_id, seed, attempt)
        try:
            (run / EPISODES / name).mkdir(parents=True)
        except FileExistsError:
            attempt += 1
        else:
            return name


def ensure_run(run: Path) -> str:
    """Make `run.json` for a recorder that nobody runs, unless there is one; the run's id."""
    if not (run / MANIFEST).exists():
        write_json(run / MANIFEST, {"run_id": run.name, "created": now().isoformat(), "config": None})
    return str(read_manifest(run).get("run_id", run.name))


def read_manifest(run: Path) -> dict[str, Any]:
    """What `run.json` holds. Raises UsageError when `run` is not a run."""
    path = run / MANIFEST
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{run} is not a run: it has no {MANIFEST}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no JSON object, so {run} is not a run")
    manifest = cast("dict[str, Any]", found)
    for name in ("config", "policy"):
        if not isinstance(manifest.get(name), dict | None):
            raise UsageError(f"{path} is damaged: `{name}` is no JSON object")
    return manifest


def read_episode(folder: Path) -> Episode | None:
    """What an episode's log tells, read from both ends of it; None when nothing was written yet."""
    path = folder / EVENTS
    first = first_event(path) if path.is_file() else None
    if first is None:
        return None
    found: dict[type[AnyEvent], AnyEvent] = {}
    for event in events_from_end(path):
        found.setdefault(type(event), event)
        if isinstance(event, FinalPatchEvent | ToolResultEvent):
            break
    end, patch, verdict = found.get(EpisodeEndEvent), found.get(FinalPatchEvent), found.get(VerdictEvent)
    return Episode(
        folder=folder,
        first=first,
        end=end.payload if isinstance(end, EpisodeEndEvent) else None,
        duration_ms=end.duration_ms if end is not None else None,
        patch=patch.payload if isinstance(patch, FinalPatchEvent) else None,
        verdict=verdict.payload if isinstance(verdict, VerdictEvent) else None,
    )


def read_episodes(run: Path) -> Iterator[Episode]:
    """Every episode of a run, earlier attempts included, by name."""
    folders = run / EPISODES
    for folder in sorted(folders.iterdir()) if folders.is_dir() else ():
        episode = read_episode(folder)
        if episode is not None:
            yield episode


def close_abandoned(
    episode: Episode,
    message: str = "the process that ran this episode died",
    stop: StopReason = StopReason.INTERRUPTED,
    failure: Failure | None = None,
) -> None:
    """Write the missing end of an episode whose process died, with what its events say was used."""
    path = episode.folder / EVENTS
    steps, usage, requests, cost = 0, Usage(), 0, 0.0
    for event in read_events(path):
        steps += isinstance(event, ToolResultEvent)
        if isinstance(event, LlmResponseEvent):
            requests, usage = requests + 1, usage.plus(event.payload.usage)
            cost += event.payload.cost_usd or 0.0
    end = EpisodeEnd(
        stop_reason=stop,
        failure=failure,
        message=message,
        steps=steps,
        usage=usage,
        requests=requests,
        cost_usd=cost,
        recovered=True,
    )
    with EventWriter(path, Header.of(episode.first)) as writer:
        writer.write(end)


def differences(old: object, new: object, where: str = "") -> list[str]:
    """Dotted names of the values in which two JSON documents differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        left, right = cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", new)
        keys = sorted(set(left) | set(right))
        prefix = f"{where}." if where else ""
        return [name for key in keys for name in differences(left.get(key), right.get(key), f"{prefix}{key}")]
    return [] if old == new else [where]


class RunLock:
    """Held by the one process that works on a run; the system frees it when that process dies."""

    def __init__(self, run: Path) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(run / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise ConfigError(
                f"another process ({holder or 'unknown'}) works on {run}; wait for it, or stop it"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

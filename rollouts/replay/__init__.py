"""Replay: recorded actions again in fresh sandboxes, compared step by step. Names are imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .branching import Prefix, branch, sandbox_at
    from .episode import ReplaySettings, replay_episode
    from .report import EpisodeReplay, Match, StepReplay
    from .run import replay_run
    from .store import read_replays
    from .summary import ReplaySummary, summarise_replays

_HOMES = {
    "EpisodeReplay": "report",
    "Match": "report",
    "Prefix": "branching",
    "ReplaySettings": "episode",
    "ReplaySummary": "summary",
    "StepReplay": "report",
    "branch": "branching",
    "read_replays": "store",
    "replay_episode": "episode",
    "replay_run": "run",
    "sandbox_at": "branching",
    "summarise_replays": "summary",
}

__all__ = [
    "EpisodeReplay",
    "Match",
    "Prefix",
    "ReplaySettings",
    "ReplaySummary",
    "StepReplay",
    "branch",
    "read_replays",
    "replay_episode",
    "replay_run",
    "sandbox_at",
    "summarise_replays",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)

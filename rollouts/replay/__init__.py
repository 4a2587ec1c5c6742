"""Replay: recorded actions again in fresh sandboxes, compared step by step. Names are imported on first use."""

from typing import TYPE_CHECKING

from ...lazy import lazy

if TYPE_CHECKING:
    from .branching import Prefix, branch, sandbox_at
    from .episode import ReplaySettings, replay_episode
    from .report import EpisodeReplay, Match, StepReplay
    from .run import replay_run
    from .store import read_replays
    from .summary import ReplaySummary, summarise_replays

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

__getattr__ = lazy(
    __name__,
    {
        "branching": ["Prefix", "branch", "sandbox_at"],
        "episode": ["ReplaySettings", "replay_episode"],
        "report": ["EpisodeReplay", "Match", "StepReplay"],
        "run": ["replay_run"],
        "store": ["read_replays"],
        "summary": ["ReplaySummary", "summarise_replays"],
    },
)

"""Who acts and what is kept: policies, runner, recorder and the event log. Names are imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import RolloutConfig, load_config
    from .log import EventReader, EventWriter, Header, read_events
    from .policies.base import Action, Context, Policy, PolicyBase, PolicyStop, Session, TaskView
    from .record import RecordEvents
    from .run_dir import Episode, read_episodes
    from .start import run_rollout
    from .steps import StepView, steps_of
    from .summary import Summary, summarise
    from .tokens import TokenTurn, token_turns
    from .trajectory import Trajectory, read_trajectories, read_trajectory

_HOMES = {
    "Action": "policies.base",
    "Context": "policies.base",
    "Episode": "run_dir",
    "EventReader": "log",
    "EventWriter": "log",
    "Header": "log",
    "Policy": "policies.base",
    "PolicyBase": "policies.base",
    "PolicyStop": "policies.base",
    "RecordEvents": "record",
    "RolloutConfig": "config",
    "Session": "policies.base",
    "StepView": "steps",
    "Summary": "summary",
    "TaskView": "policies.base",
    "TokenTurn": "tokens",
    "Trajectory": "trajectory",
    "load_config": "config",
    "read_episodes": "run_dir",
    "read_events": "log",
    "read_trajectories": "trajectory",
    "read_trajectory": "trajectory",
    "run_rollout": "start",
    "steps_of": "steps",
    "summarise": "summary",
    "token_turns": "tokens",
}

__all__ = [
    "Action",
    "Context",
    "Episode",
    "EventReader",
    "EventWriter",
    "Header",
    "Policy",
    "PolicyBase",
    "PolicyStop",
    "RecordEvents",
    "RolloutConfig",
    "Session",
    "StepView",
    "Summary",
    "TaskView",
    "TokenTurn",
    "Trajectory",
    "load_config",
    "read_episodes",
    "read_events",
    "read_trajectories",
    "read_trajectory",
    "run_rollout",
    "steps_of",
    "summarise",
    "token_turns",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)

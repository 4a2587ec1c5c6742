"""Who acts and what is kept: policies, runner, recorder and the event log. Names are imported on first use."""

from typing import TYPE_CHECKING

from ..lazy import lazy

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

__getattr__ = lazy(
    __name__,
    {
        "config": ["RolloutConfig", "load_config"],
        "log": ["EventReader", "EventWriter", "Header", "read_events"],
        "policies.base": ["Action", "Context", "Policy", "PolicyBase", "PolicyStop", "Session", "TaskView"],
        "record": ["RecordEvents"],
        "run_dir": ["Episode", "read_episodes"],
        "start": ["run_rollout"],
        "steps": ["StepView", "steps_of"],
        "summary": ["Summary", "summarise"],
        "tokens": ["TokenTurn", "token_turns"],
        "trajectory": ["Trajectory", "read_trajectories", "read_trajectory"],
    },
)

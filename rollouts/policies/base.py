"""What a policy is: something that starts a session for an episode, and a session that acts.

A session writes what it asks of a model straight into the episode's log through `Context.log`, so that a request
is on disk before it is sent and nothing is lost when it never returns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from ...envs.task import Task
from ...errors import Failure, StopReason, TrajHubError
from ..budget import Ledger
from ..payloads import Payload

__all__ = [
    "Action",
    "Context",
    "Counting",
    "Gave",
    "Policy",
    "PolicyBase",
    "PolicyStop",
    "Recorder",
    "Remembering",
    "Session",
    "TaskView",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """What a policy may know of a task: nothing that gives the answer away."""

    instance_id: str
    repo: str
    base_commit: str
    problem_statement: str
    workdir: str

    @classmethod
    def of(cls, task: Task) -> "TaskView":
        """The view of `task`."""
        return cls(**{name: getattr(task, name) for name in cls.__slots__})


class Recorder(Protocol):
    """Takes what a policy has to say to the log."""

    def __call__(
        self,
        payload: Payload,
        *,
        t_start: datetime | None = None,
        t_end: datetime | None = None,
        duration_ms: float = 0.0,
    ) -> None:
        """Write one event. Without times it is an instant: now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a session is given besides its task."""

    tools: Sequence[Mapping[str, Any]]
    """The action space, in OpenAI's function-calling format."""
    seed: int
    log: Recorder
    ledger: Ledger
    """Counts tokens and money, and says when to stop."""
    deadline: float
    """When the episode's time is up, on the monotonic clock."""
    solution: Task | None = None
    """The whole task, reference patch included; only for a policy that is `privileged`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What to do next: a tool call, or text that the environment will call malformed."""

    call: Mapping[str, Any] | str
    """`{"name": ..., "arguments": {...}}`, or the same as text, or whatever a model wrote instead."""
    thought: str | None = None
    call_id: str | None = None
    """The service's own identifier of the call."""


class Session(Protocol):
    """A policy at work in one episode."""

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        """The next action. Raises PolicyStop to end the episode, ServiceError when a model's API failed."""
        ...

    def cancel(self) -> None:
        """Make a running `act` end soon; called from another thread."""
        ...

    def close(self) -> None:
        """Free what the session holds; may be called again."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A session that can go on from the middle of a conversation; others go by what they see."""

    def remember(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Take `messages`, which end with an answer of the agent, as said: what is seen next came back of it."""
        ...


class Policy(Protocol):
    """Something that acts. One policy serves many episodes at once: all state is in its sessions."""

    @property
    def name(self) -> str:
        """Recorded as the agent."""
        ...

    @property
    def version(self) -> str:
        """Recorded as the agent's version."""
        ...

    @property
    def model(self) -> str | None:
        """Name of the model behind it, if any."""
        ...

    @property
    def privileged(self) -> bool:
        """Whether it is to be shown the reference patch."""
        ...

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin an episode."""
        ...

    def close(self) -> None:
        """Free what the sessions share; called once, when the run is over."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A policy whose model server counts what it does."""

    def counters(self) -> Mapping[str, float]:
        """What was counted so far, by name."""
        ...


class PolicyBase:
    """Defaults for a policy without a model and without resources."""

    name: str
    version: str = "1"
    model: str | None = None
    privileged: bool = False

    def close(self) -> None:
        """Nothing is held."""


class PolicyStop(TrajHubError):
    """Raised by a session to end its episode for a reason of its own."""

    def __init__(self, reason: StopReason, message: str, *, failure: Failure | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.blame = failure


@dataclass(slots=True)
class Gave:
    """A session that plays actions it was given one after another, then submits."""

    actions: Sequence[Action]
    _next: int = field(default=0, init=False)

    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        """The next action of the list."""
        position, self._next = self._next, self._next + 1
        if position < len(self.actions):
            return self.actions[position]
        return Action(call={"name": "submit", "arguments": {}})

    def cancel(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing is held."""

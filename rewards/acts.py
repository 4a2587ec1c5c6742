"""A step, understood: what kind of act it was, which files and lines it concerned, and what came of it.

Rules read acts rather than steps, so that `sed -n 1,40p a.py` in a shell and `file_read` of the same lines are
judged alike.
"""

from dataclasses import dataclass

from ..envs.step import Step
from .paths import Role, role
from .shell import Command, Kind
from .text import Text

__all__ = ["FLOOD", "INFRASTRUCTURE_ERRORS", "LIMIT_ERRORS", "Act", "Edit", "Span", "TestRun"]

INFRASTRUCTURE_ERRORS = frozenset(("sandbox_recovered", "sandbox_lost"))
"""Errors that are not the agent's doing: nothing is held against a step that ends by one."""
LIMIT_ERRORS = frozenset(("timeout", "out_of_memory", "disk_full", "too_many_processes"))
"""Errors of a command that used up what it was given."""
FLOOD = 8_000
"""Characters of an observation that are more than an agent can use at once."""


@dataclass(slots=True)
class Span:
    """Lines of a file that were shown; `end` is None when nobody knows how far."""

    path: str
    start: int = 1
    end: int | None = None
    asked: bool = False
    """The agent asked for a range, rather than for the file."""


@dataclass(slots=True)
class Edit:
    """A change to a file, or an attempt at one."""

    path: str
    changed: bool
    created: bool = False
    before: str | None = None
    after: str | None = None
    """Content hashes; None when the step does not tell them."""
    line: int | None = None
    cosmetic: bool = False
    """Nothing but blanks and comments differs."""
    existing: bool = False
    """What was done works only on a file that is there."""


@dataclass(slots=True)
class TestRun:
    """What a test run showed."""

    __test__ = False

    passed: frozenset[str]
    failed: frozenset[str]
    counts: tuple[int, int]
    """How many passed and how many failed or erred, also when no name is known."""
    selected: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Act:
    """A step as rules see it."""

    step: Step
    text: Text
    """The observation."""
    kind: Kind
    kinds: frozenset[Kind]
    """More than `kind` only for a compound shell command."""
    signature: str
    """Equal for two steps that ask for the same thing."""
    shell: Command | None = None
    paths: tuple[str, ...] = ()
    """Every file or folder the arguments name, normalised."""
    spans: tuple[Span, ...] = ()
    edits: tuple[Edit, ...] = ()
    hits: tuple[str, ...] = ()
    """Files that a search found."""
    patterns: tuple[str, ...] = ()
    tests: TestRun | None = None
    failed: bool = False
    """The tool refused, or the command or a test failed."""
    truncated: bool = False
    excused: bool = False
    """It failed for a reason that is not the agent's."""
    said: Text
    """What an edit writes or a command says; empty for other acts."""

    @property
    def index(self) -> int:
        """Position in the episode."""
        return self.step.index

    @property
    def observation(self) -> str:
        """What the agent got to read."""
        return self.step.observation

    @property
    def flooded(self) -> bool:
        """It brought more than can be used, or was cut for it."""
        return self.truncated or len(self.step.observation) > FLOOD

    @property
    def repository_edits(self) -> tuple[Edit, ...]:
        """Changes inside the repository that took effect."""
        return tuple(e for e in self.edits if e.changed and role(e.path) is not Role.OUTSIDE)

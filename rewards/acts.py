"""A step, understood: what kind of act it was, which files and lines it concerned, and what came of it.

Rules read acts rather than steps, so that `sed -n 1,40p a.py` in a shell and `file_read` of the same lines are
judged alike.
"""

from collections import Counter
from dataclasses import dataclass

from ..envs.step import Step
from .paths import Role, role
from .shell import Command, Kind
from .text import Text, content_words, pieces, telling, words

__all__ = ["FLOOD", "INFRASTRUCTURE_ERRORS", "LIMIT_ERRORS", "Act", "Edit", "Span", "TestRun"]

INFRASTRUCTURE_ERRORS = frozenset(("sandbox_recovered", "sandbox_lost"))
"""Errors that are not the agent's doing: nothing is held against a step that ends by one."""
LIMIT_ERRORS = frozenset(("timeout", "out_of_memory", "disk_full", "too_many_processes"))
"""Errors of a command that used up what it was given."""
_CALLED = 200
FLOOD = 8_000
"""Characters of an observation that are more than an agent can use at once."""


_ASKING = frozenset((Kind.READ, Kind.SEARCH, Kind.LIST, Kind.VCS, Kind.RUN, Kind.TEST))


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
    _call: Counter[str] | None = None
    _meant: set[str] | None = None
    _told: set[str] | None = None

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

    @property
    def call(self) -> Counter[str]:
        """The pieces of its arguments, or of what was given in their place."""
        if self._call is None:
            told = self.step.arguments if self.step.tool is not None else {"": self.step.action}
            self._call = pieces(told)
        return self._call

    @property
    def meant(self) -> set[str]:
        """The words by which the agent's thought says what it is about; none without a thought."""
        if self._meant is None:
            self._meant = content_words(self.step.thought) if self.step.thought else set()
        return self._meant

    @property
    def told(self) -> set[str]:
        """The words of its arguments, or of what was given in their place."""
        if self._told is None:
            given = self.step.arguments.values() if self.step.tool is not None else (self.step.action[:_CALLED],)
            said = self.said.raw
            brief = [text for text in map(str, given) if len(text) <= _CALLED and text != said]
            named = words(" ".join(brief))
            self._told = named | self.said.words if said else named
        return self._told

    def taken(self, source: "Act") -> set[str]:
        """The words of its arguments that an earlier step showed and did not itself ask for."""
        return telling((self.told & source.text.words) - source.told)

    @property
    def asks(self) -> bool:
        """It was to bring information, rather than to change or say something."""
        return self.kind in _ASKING

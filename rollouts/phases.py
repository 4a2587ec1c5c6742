"""What an episode is at: exploring, reproducing, editing, testing. Told from its steps alone, as rules read them.

A phase begins with a step and lasts until the next one begins. It is a function of the steps: what was recorded while
the episode happened is what `phases_of` finds in the recorded steps, which `trajhub check` verifies.
"""

from collections.abc import Iterable
from enum import StrEnum

from ..envs.step import Step
from ..rewards.acts import Act
from ..rewards.interpret import interpret
from ..rewards.paths import Role, role
from ..rewards.shell import Kind
from .payloads import Phase

__all__ = ["PhaseName", "Phases", "phases_of"]


class PhaseName(StrEnum):
    """The names that phases of our own episodes have."""

    RESET = "reset"
    """The task's repository was checked out in a sandbox; no step belongs to it."""
    EXPLORE = "explore"
    """Reading, searching, listing, looking at the history."""
    REPRODUCE = "reproduce"
    """Running tests or programs, or writing something to run, while the repository is as it was."""
    EDIT = "edit"
    """Changing files of the repository, or trying to."""
    TEST = "test"
    """Running tests or programs after the repository was changed."""
    SETUP = "setup"
    """Installing what is needed."""
    SUBMIT = "submit"
    """Handing in."""


_EXPLORING = frozenset((Kind.READ, Kind.SEARCH, Kind.LIST, Kind.VCS))
_RUNNING = frozenset((Kind.RUN, Kind.TEST))


class Phases:
    """Follows one episode; constant work a step."""

    def __init__(self, workdir: str) -> None:
        self._workdir = workdir
        self._changed = False
        self._now: PhaseName | None = None

    def take(self, step: Step) -> Phase | None:
        """The phase that begins with this step; None when the present one goes on."""
        return self.follow(interpret(step, self._workdir))

    def follow(self, act: Act) -> Phase | None:
        """The same for a step that is understood already."""
        name, evidence = self._name(act)
        self._changed = self._changed or bool(act.repository_edits)
        if name is None or name is self._now:
            return None
        self._now = name
        return Phase.of(name=str(name), step=act.index, evidence=evidence)

    def _name(self, act: Act) -> tuple[PhaseName | None, str]:
        """The name of the phase a step belongs to and why; None for a step that says nothing of it."""
        how = act.step.tool if act.step.tool != "shell" or act.shell is None else f"shell: {act.shell.program}"
        if act.kind is Kind.SUBMIT:
            return PhaseName.SUBMIT, "the agent hands in"
        if act.kind is Kind.EDIT:
            return self._writing(act, f"{how} writes {', '.join(edit.path for edit in act.edits[:3]) or 'a file'}")
        if act.kind in _RUNNING:
            name = PhaseName.TEST if self._changed else PhaseName.REPRODUCE
            told = "after" if self._changed else "before"
            return name, f"{how} {told} the repository was changed"
        if act.kind in _EXPLORING:
            return PhaseName.EXPLORE, f"{how} looks at the repository"
        return (PhaseName.SETUP, f"{how} installs") if act.kind is Kind.SETUP else (None, "")

    def _writing(self, act: Act, told: str) -> tuple[PhaseName, str]:
        aside = act.edits and all(_beside(edit.path, created=edit.created) for edit in act.edits)
        if not aside:
            return PhaseName.EDIT, told
        return (PhaseName.TEST if self._changed else PhaseName.REPRODUCE), f"{told}, beside the code"


def _beside(path: str, *, created: bool) -> bool:
    """Whether writing it changes nothing of the repository that was there: scratch, or a test that is new."""
    kind = role(path)
    return kind is Role.OUTSIDE or (created and (kind is Role.TEST or "/" not in path))


def phases_of(steps: Iterable[Step], workdir: str) -> list[Phase]:
    """The phases of an episode's steps, the reset aside."""
    phases = Phases(workdir)
    return [phase for step in steps if (phase := phases.take(step)) is not None]

"""What a rule is: a pure function of task facts, history and this step that gives a score with evidence, or None."""

from collections.abc import Callable
from dataclasses import dataclass

from ...envs.step import Step
from ..acts import Act
from ..checks import Check
from ..facts import TaskFacts
from ..files import FileState
from ..history import History
from ..shell import Kind
from ..text import excerpt

__all__ = ["EVERY", "Finding", "Rule", "View", "rule", "rules_of"]

EVERY = frozenset(Kind)
"""For a rule that looks at every kind of act."""

Finding = tuple[float, str] | None
"""A score in [0, 1] and its evidence; None when the rule does not apply."""


@dataclass(slots=True)
class View:
    """All that a rule sees."""

    task: TaskFacts
    history: History
    """The episode before this step."""
    act: Act
    """This step, understood."""
    check: Check | None
    """What this step proves, when it is a check."""
    _asked: str = ""

    @property
    def step(self) -> Step:
        """The step itself, as recorded."""
        return self.act.step

    @property
    def asked(self) -> str:
        """A quote of the action: its telling arguments rather than the JSON around them."""
        if not self._asked:
            self._asked = self._quote()
        return self._asked

    def _quote(self) -> str:
        if self.act.shell is not None:
            return excerpt(self.act.shell.normal)
        verb = self.step.data.get("subcommand")
        told = [self.step.tool or "", *([str(verb)] if verb else ()), *self.act.paths, *self.act.patterns]
        told += [f"{span.start}-{span.end}" for span in self.act.spans if span.asked]
        return excerpt(" ".join(told)) if len(told) > 1 else excerpt(self.step.action)

    def file(self, path: str) -> FileState:
        """What is known of a file; an empty state when nothing is."""
        return self.history.files.get(path) or FileState()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and what must be known to apply it."""

    name: str
    criterion: str
    kinds: frozenset[Kind]
    """Acts it looks at."""
    judge: Callable[[View], Finding]
    privileged: bool = False
    """It uses facts that the agent has no access to."""
    decisive: bool = False
    """When it gives 0, its criterion is 0 and the others are set aside: there is nothing else to judge."""


_RULES: dict[str, Rule] = {}


def rule(
    criterion: str, *kinds: Kind, privileged: bool = False, decisive: bool = False
) -> Callable[[Callable[[View], Finding]], Callable[[View], Finding]]:
    """Register a function as a rule of a criterion, named as the function; without kinds it sees every act."""

    def register(judge: Callable[[View], Finding]) -> Callable[[View], Finding]:
        name = judge.__name__
        if name in _RULES:
            raise ValueError(f"two rules are named {name}")
        chosen = frozenset(kinds) or EVERY
        _RULES[name] = Rule(name, criterion, chosen, judge, privileged, decisive)
        return judge

    return register


def rules_of(criterion: str) -> tuple[Rule, ...]:
    """The rules of a criterion, in the order in which they are written."""
    return tuple(item for item in _RULES.values() if item.criterion == criterion)

"""What two episodes, or two answers, have in common and where they begin to differ."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from ...errors import StopReason
from ...rollouts.replay.normalise import Clock, normalise
from ..trajectories.intake import Usable
from ..trajectories.messages import Message, characters, render_call
from ..trajectories.similarity import shingles

__all__ = ["Candidate", "Fork", "acts_of", "fork", "fork_id"]


@dataclass(frozen=True)
class Candidate:
    """A usable episode, prepared for comparison."""

    usable: Usable
    score: float | None
    """What stands for its process."""
    layers: tuple[str, ...]
    """Who scored."""
    submitted: bool = False
    """Whether only what was submitted counts as resolved."""
    _plain: dict[int, str] = field(default_factory=dict[int, str], init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Run and episode."""
        return self.usable.outline.name

    @property
    def verdict(self) -> bool | None:
        """What the grader says of its patch."""
        return self.usable.trajectory.resolved

    @property
    def resolved(self) -> bool | None:
        """Its outcome: the verdict, on what was submitted where that is asked for."""
        end = self.usable.trajectory.end
        if self.submitted and self.verdict and (end is None or end.stop_reason is not StopReason.SUBMITTED):
            return False
        return self.verdict

    @property
    def messages(self) -> tuple[Message, ...]:
        """Its conversation."""
        return self.usable.conversation.messages

    @property
    def patch(self) -> str | None:
        """SHA-256 of its final patch."""
        found = self.usable.trajectory.patch
        return found.sha256 if found is not None else None

    @cached_property
    def start(self) -> str:
        """Digest of what it was told and given before it acted: episodes that share it can be compared."""
        told = [self.usable.conversation.prompt, self.usable.conversation.tools]
        header = self.usable.trajectory.header
        return _digest(json.dumps([header.task_id, header.commit, told], sort_keys=True, ensure_ascii=False))

    @cached_property
    def actions(self) -> tuple[str, ...]:
        """What it did by each turn, thoughts apart."""
        return tuple(render_call(self.messages[turn.message]) for turn in self.usable.conversation.turns)

    def seen(self, turn: int) -> str:
        """What came back of a turn."""
        steps = self.usable.trajectory.steps
        return "\x1f".join(steps[i].observation for i in self.usable.conversation.turns[turn].steps)

    def seen_plainly(self, turn: int) -> str:
        """The same without what differs from run to run, such as times."""
        if turn not in self._plain:
            steps = self.usable.trajectory.steps
            ended = steps[self.usable.conversation.turns[turn].steps[-1]].t_end
            self._plain[turn] = normalise(self.seen(turn), Clock.around(steps[0].t_start, ended))
        return self._plain[turn]

    def saw_the_same(self, other: "Candidate", turn: int) -> bool:
        """Whether the same came back of a turn."""
        # Most texts are equal, or differ plainly: they are compared as they are first.
        return self.seen(turn) == other.seen(turn) or self.seen_plainly(turn) == other.seen_plainly(turn)


@dataclass(frozen=True)
class Fork:
    """Two episodes from where they part."""

    turn: int
    """Position of the first turn that differs."""
    step: int
    """Position of its first step."""
    prompt: tuple[Message, ...]
    left: tuple[Message, ...]
    right: tuple[Message, ...]

    @cached_property
    def acts(self) -> tuple[frozenset[int], frozenset[int]]:
        """Shingles of what each did from there on."""
        return shingles(acts_of(self.left)), shingles(acts_of(self.right))

    @property
    def ratio(self) -> float:
        """How many times longer the longer side is, in characters."""
        sizes = sorted((max(characters(self.left), 1), max(characters(self.right), 1)))
        return sizes[1] / sizes[0]


def fork(left: Candidate, right: Candidate) -> Fork | None:
    """Where two episodes with the same start part; None when one is the beginning of the other, or both are the same.

    What they share is what was done and what came back. Thoughts, and times in what came back, may differ in it; the
    prompt is that of `left`.
    """
    shared = 0
    for position, (action, other_action) in enumerate(zip(left.actions, right.actions, strict=False)):
        if action != other_action:
            break
        if position + 1 < min(len(left.actions), len(right.actions)) and not left.saw_the_same(right, position):
            break  # the same was done and something else was seen: they part at that answer
        shared += 1
    mine, other = left.usable.conversation.turns, right.usable.conversation.turns
    if shared >= min(len(mine), len(other)):
        return None
    begin, other_begin = mine[shared].message, other[shared].message
    return Fork(
        turn=shared,
        step=mine[shared].steps[0],
        prompt=left.messages[:begin],
        left=left.messages[begin:],
        right=right.messages[other_begin:],
    )


def acts_of(messages: Sequence[Message]) -> str:
    """All that an agent did, thoughts apart."""
    return "\n".join(render_call(message) for message in messages if message["role"] == "assistant")


def fork_id(level: str, *names: str) -> str:
    """An id of a pair that follows from what it compares."""
    return _digest("\x1f".join((level, *names)))[:16]


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""A prompt that grows by ids and never changes, and the one knowing exception: observations dropped to make room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .conversation import Message
from .rendering import Ids, Sampled

__all__ = ["Dropped", "TokenPrompt"]


@dataclass(frozen=True, slots=True)
class _Piece:
    ids: Ids
    answer: Sampled | None = None
    """The answer that it follows; None for one that is no observation."""
    messages: tuple[int, int] = (0, 0)
    """Positions of the messages that it renders."""
    dropped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What was taken out of a prompt."""

    observations: int
    tokens: int
    """By how many it became shorter."""
    first_message: int
    """Position of the first message that changed."""


class TokenPrompt:
    """Ids in pieces: the opening, then answers and what came between them in turn."""

    def __init__(self) -> None:
        self._pieces = list[_Piece]()
        self._told: Ids = ()
        self._last: Sampled | None = None

    @property
    def ids(self) -> Ids:
        """The whole prompt."""
        return tuple(token for piece in self._pieces for token in piece.ids)

    @property
    def begun(self) -> bool:
        """Whether there is an opening."""
        return bool(self._pieces)

    @property
    def last(self) -> Sampled | None:
        """The last answer."""
        return self._last

    def kept(self, ids: Ids) -> int:
        """How many ids of `ids` the last request and its answer began with."""
        if ids[: len(self._told)] == self._told:
            return len(self._told)
        pairs = enumerate(zip(self._told, ids, strict=False))
        return next((i for i, (old, new) in pairs if old != new), min(len(self._told), len(ids)))

    def add(self, ids: Ids, messages: tuple[int, int]) -> None:
        """Go on with what was said to the model: the messages from one position to another."""
        self._pieces.append(_Piece(ids, self._last, messages))

    def answered(self, prompt: Ids, answer: Sampled) -> None:
        """Go on with what the model said."""
        self._pieces.append(_Piece(answer.ids))
        self._told = prompt + answer.ids
        self._last = answer

    def drop_oldest(
        self,
        target: int,
        messages: list[Message],
        render: Callable[[Sampled, Sequence[Message]], Ids],
    ) -> Dropped | None:
        """Put a note in place of the oldest observations, in `messages` as well, until `target` tokens are left.

        The latest observation stays. None when nothing could be dropped.
        """
        length = before = sum(len(piece.ids) for piece in self._pieces)
        changed = list[int]()
        for position, piece in enumerate(self._pieces[:-1]):
            if length <= target:
                break
            if piece.answer is None or piece.dropped:
                continue
            start, end = piece.messages
            notes = [_note(message) for message in messages[start:end]]
            ids = render(piece.answer, notes)
            if len(ids) < len(piece.ids):
                length += len(ids) - len(piece.ids)
                messages[start:end] = notes
                self._pieces[position] = replace(piece, ids=ids, dropped=True)
                changed.append(start)
        if not changed:
            return None
        return Dropped(observations=len(changed), tokens=before - length, first_message=changed[0])


def _note(message: Message) -> Message:
    return {**message, "content": f"[{len(str(message['content']))} characters were dropped here to make room]"}

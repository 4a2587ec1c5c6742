"""Spaces of Unicode text."""

from typing import Any, cast

from gymnasium.spaces import Text
from numpy.random import Generator

from ..tools.registry import ToolRegistry
from . import shared_text

__all__ = ["ActionText", "UnicodeText"]

_SAMPLE_ALPHABET = "abc ABC 123 _.,:;/()[]{}'\"\n\täßéñ Ωж 中文 日本 🙂"


class UnicodeText(Text):
    """Any text of up to `max_length` characters.

    A `gymnasium.spaces.Text` whose character set is all of Unicode, and which is not listed anywhere for that reason.
    """

    def __init__(self, max_length: int, *, seed: int | Generator | None = None) -> None:
        self.min_length = 0
        self.max_length = max_length
        super(Text, self).__init__(dtype=str, seed=seed)  # Text itself would list the characters

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A short text of mixed scripts. Masks are not supported."""
        if mask is not None or probability is not None:
            raise ValueError("masks are not supported for Unicode text")
        length = int(self.np_random.integers(0, min(self.max_length, 64) + 1))
        return "".join(_SAMPLE_ALPHABET[int(i)] for i in self.np_random.integers(0, len(_SAMPLE_ALPHABET), length))

    def contains(self, x: Any) -> bool:
        """Whether it is a text that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.max_length == cast("UnicodeText", other).max_length

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @property
    def characters(self) -> str:
        """One character that stands for all, as gymnasium's empty arrays need."""
        return " "


shared_text.register(UnicodeText)


class ActionText(UnicodeText):
    """Actions as text: contains any text (a malformed action is answered, not refused), samples valid tool calls."""

    def __init__(
        self, max_length: int, registry: ToolRegistry | None = None, *, seed: int | Generator | None = None
    ) -> None:
        super().__init__(max_length, seed=seed)
        self._registry = registry or ToolRegistry()

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A valid tool call."""
        if mask is not None or probability is not None:
            raise ValueError("masks are not supported for actions")
        return self._registry.sample(self.np_random)

"""What was planted, and the names it goes by."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..verdict import CanaryKind

__all__ = ["Canary", "Names", "Planted", "squash"]

_WORDS = ("default", "empty", "nested", "value", "order", "parse", "simple", "type", "invalid", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One test that was planted, or one that was broken where it stands."""

    name: str
    kind: CanaryKind
    file: str
    of: tuple[str, ...] = ()
    """Ids of the deciding tests it copies, or is."""
    function: str = ""
    """Name of the function it copies."""
    python: bool = True
    """Whether its name is a Python function's, which a log gives exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """Test files with canaries in them."""

    sources: Mapping[str, str]
    canaries: tuple[Canary, ...]


def squash(text: str) -> str:
    """A name without what runners add to it, take from it or change in it: spaces, case and punctuation."""
    return "".join(character for character in text.lower() if character.isalnum())


class Names:
    """Names no test has yet, made of the words that the tests here have."""

    def __init__(self, sources: Mapping[str, str], titles: Sequence[str], rng: random.Random) -> None:
        self.rng = rng
        self._taken = set(re.findall(r"\w+", "\n".join(sources.values())))
        self._squashed: set[str] = set()
        words = {word for title in titles for word in re.findall(r"[A-Z]?[a-z]+", title)}
        self._words = sorted({word.lower() for word in words if 2 < len(word) < 16} - {"test"} | set(_WORDS))

    def new(self, form: Callable[[list[str]], str]) -> str:
        """A name that `form` makes of some words; none is part of another that was given out."""
        size = 3
        while True:
            name = form(self.rng.sample(self._words, min(size, len(self._words))))
            key = squash(name)
            if name not in self._taken and not any(key in other or other in key for other in self._squashed):
                self._taken.add(name)
                self._squashed.add(key)
                return name
            size += 1

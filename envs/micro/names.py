"""Invented words for everything that has a name, divided once and for all: no word of one split occurs in another."""

import builtins
import keyword
from functools import cache
from hashlib import blake2b
from itertools import product
from random import Random
from typing import Literal

__all__ = ["SPLITS", "Split", "split_of", "words_of"]

Split = Literal["train", "dev", "eval"]
SPLITS: tuple[Split, ...] = ("train", "dev", "eval")
_SHARES: dict[Split, int] = {"train": 154, "dev": 26, "eval": 76}
"""Of 256."""
_SYLLABLES = tuple("".join(pair) for pair in product("bdfgklmnprstvz", "aeiou"))
_LONG = 8_000
"""How many words of three syllables there are; of two, there are all."""
_TAKEN = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | {"micro", "tests", "kata"}


def split_of(word: str) -> Split:
    """The split that a word belongs to, by its hash."""
    place = blake2b(word.encode(), digest_size=1).digest()[0]
    for split in SPLITS:
        if place < _SHARES[split]:
            return split
        place -= _SHARES[split]
    raise AssertionError("the shares do not sum to 256")


@cache
def words_of(split: Split) -> tuple[str, ...]:
    """All words of a split, sorted."""
    short = {"".join(pair) for pair in product(_SYLLABLES, repeat=2)}
    rng = Random("three syllables")
    long = {"".join(rng.choices(_SYLLABLES, k=3)) for _ in range(_LONG)}
    return tuple(sorted(word for word in (short | long) - _TAKEN if split_of(word) == split))

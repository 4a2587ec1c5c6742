"""How alike two texts are: shingles, their Jaccard similarity, and signatures that find near-duplicates cheaply.

A shingle is a run of `k` words; two texts are as alike as their sets of shingles (Broder 1997, "On the resemblance and
containment of documents"). A MinHash signature of n numbers estimates that with a standard error below 1 / (2 sqrt(n)).
"""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["NearDuplicates", "changed_lines", "jaccard", "shingles", "signature"]

_WORD = re.compile(r"\w+|[^\w\s]")
_HASHES = 128
_BANDS = 32
_PRIME = (1 << 31) - 1
_RNG = np.random.default_rng(20240501)  # fixed: signatures must be the same everywhere
_FACTOR = _RNG.integers(1, _PRIME, _HASHES, dtype=np.uint64)
_OFFSET = _RNG.integers(0, _PRIME, _HASHES, dtype=np.uint64)
Signature = NDArray[np.uint64]


def shingles(text: str, k: int = 5) -> frozenset[int]:
    """Hashes of all runs of `k` words and marks; a shorter text is one shingle, an empty one none."""
    words = _WORD.findall(text)
    if not words:
        return frozenset()
    runs = ("\x1f".join(words[i : i + k]) for i in range(max(len(words) - k + 1, 1)))
    return frozenset(int.from_bytes(blake2b(run.encode(errors="replace"), digest_size=8).digest()) for run in runs)


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    """Size of the intersection over size of the union; 1 for two empty sets."""
    union = len(one | other)
    return len(one & other) / union if union else 1.0


def changed_lines(patch: str) -> str:
    """The lines that a unified diff adds or removes: neither names of files nor what stays the same."""
    lines = patch.split("\n")
    return "\n".join(line[1:] for line in lines if line[:1] in ("+", "-") and line[:4] not in ("+++ ", "--- "))


def signature(of: Iterable[int]) -> Signature:
    """The MinHash signature of a set of shingles."""
    values = np.fromiter((value % _PRIME for value in of), dtype=np.uint64)
    if not len(values):
        return np.full(_HASHES, _PRIME, dtype=np.uint64)
    least = np.full(_HASHES, _PRIME, dtype=np.uint64)
    for start in range(0, len(values), 1024):
        block = (np.multiply.outer(_FACTOR, values[start : start + 1024]) + _OFFSET[:, None]) % _PRIME
        np.minimum(least, block.min(axis=1), out=least)
    return least


class NearDuplicates:
    """Remembers signatures by group, and says of a new text whether one like it was there before.

    About five kilobytes a text; texts of different groups are never compared. Candidates share a band of their
    signatures (Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3): of texts that are 0.8 alike one
    pair in ten million is overlooked.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._known: list[tuple[str, Signature]] = []
        self._bands: defaultdict[tuple[Hashable, int, bytes], list[int]] = defaultdict(list)

    def like(self, group: Hashable, name: str, text: str) -> str | None:
        """The name of an earlier text at least that similar (estimated); None remembers this one."""
        found = signature(shingles(text))
        keys = [(group, band, row.tobytes()) for band, row in enumerate(found.reshape(_BANDS, -1))]
        near = {place for key in keys for place in self._bands.get(key, ())}
        alike = {place: float((self._known[place][1] == found).mean()) for place in sorted(near)}
        nearest = max(alike, key=alike.__getitem__, default=None)
        if nearest is not None and alike[nearest] >= self._threshold:
            return self._known[nearest][0]
        for key in keys:
            self._bands[key].append(len(self._known))
        self._known.append((name, found))
        return None

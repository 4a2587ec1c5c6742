"""Batches of rows of like length: less padding."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch.utils.data import Sampler

__all__ = ["LikeLengths"]

_POOL = 32
"""Batches' worth of random rows that are sorted together; the batches of a pool then come in random order."""


class LikeLengths(Sampler[int]):
    """Indices of rows, of which `batch` at a time are about equally long.

    The order depends on the seed and the epoch alone, so that a killed training goes on with the same batches.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self._lengths, self._batch, self._seed, self._epoch = lengths, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Accelerate says which epoch begins."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + 1_000_003 * self._epoch)
        order = _shuffled(len(self._lengths), generator)
        size = _POOL * self._batch
        for start in range(0, len(order), size):
            pool = sorted(order[start : start + size], key=self._lengths.__getitem__)
            batches = [pool[first : first + self._batch] for first in range(0, len(pool), self._batch)]
            # A batch that is not full stays the last, else it would shift the borders of those behind it.
            full = [each for each in batches if len(each) == self._batch]
            for number in _shuffled(len(full), generator):
                yield from full[number]
            yield from (index for each in batches[len(full) :] for index in each)


def _shuffled(count: int, generator: torch.Generator) -> list[int]:
    return cast(Any, torch.randperm(count, generator=generator)).tolist()

"""Unicode observations in the shared memory of gymnasium's `AsyncVectorEnv`.

Gymnasium reads shared memory once, into arrays that change under its hands, and copies them after every step; text
cannot change under anybody's hands, so for text of its own it shows what was there first, for ever. What is registered
here is a view that becomes text when it is copied.
"""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import gymnasium.vector.utils as vector_utils

__all__ = ["SharedTexts", "register"]

_LENGTH = 4
_BYTES_PER_CHARACTER = 4


class SharedTexts(Sequence[str]):
    """The texts of `n` environments, as they are when looked at; a copy of it is a tuple of strings."""

    def __init__(self, memory: Any, slot: int, n: int) -> None:
        self._memory, self._slot, self._n = memory, slot, n

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        if not 0 <= index < self._n:
            raise IndexError(index)
        view = memoryview(self._memory.get_obj()).cast("B")
        start = index * self._slot
        length = int.from_bytes(view[start : start + _LENGTH], "little")
        return bytes(view[start + _LENGTH : start + _LENGTH + length]).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(self._n))

    def __deepcopy__(self, _: Any) -> tuple[str, ...]:
        return tuple(self)


def register(space_type: type) -> None:
    """Give spaces of `space_type` (with a `max_length` in characters) shared memory that works."""

    def slot(space: Any) -> int:
        return _LENGTH + _BYTES_PER_CHARACTER * space.max_length

    def create(space: Any, n: int = 1, ctx: Any = None) -> Any:
        return ctx.Array("c", n * slot(space))

    def read(space: Any, shared_memory: Any, n: int = 1) -> SharedTexts:
        return SharedTexts(shared_memory, slot(space), n)

    def write(space: Any, index: int, value: str, shared_memory: Any) -> None:
        data = value.encode("utf-8", "surrogatepass")
        view = memoryview(shared_memory.get_obj()).cast("B")
        start = index * slot(space)
        view[start : start + _LENGTH + len(data)] = len(data).to_bytes(_LENGTH, "little") + data

    dispatchers: Any = vector_utils
    dispatchers.create_shared_memory.register(space_type, create)
    dispatchers.read_from_shared_memory.register(space_type, read)
    dispatchers.write_to_shared_memory.register(space_type, write)

"""Examples on disk: made from the rows one at a time, counted, and read back by memory map."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Literal

from ...errors import ConfigError, UsageError
from ...rollouts.files import room_for
from .data import Row
from .examples import Example, shown

__all__ = ["Counts", "Prepared", "held_out", "write_examples"]

_BATCH = 256
_TYPES = {"label": "bool_", "weights": "float32"} | dict.fromkeys(
    ("chosen_mask", "rejected_mask", "completion_mask"), "int8"
)


@dataclass(slots=True)
class Counts:
    """What became of the rows."""

    rows: int = 0
    """That were selected."""
    too_long: int = 0
    """Left out, since they have more than `max_length` tokens."""
    unusable: int = 0
    """Left out: pairs whose sides do not differ, rows of which nobody knows whether they are good."""
    examples: int = 0
    tokens: int = 0
    learnt: int = 0
    """Tokens that carry loss; of pairs, those of the chosen side."""
    lengths: "array[int]" = field(default_factory=lambda: array("l"))

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "rows": self.rows,
            "too_long": self.too_long,
            "unusable": self.unusable,
            "examples": self.examples,
            "tokens": self.tokens,
            "learnt_tokens": self.learnt,
            "longest": max(self.lengths, default=0),
            "median_length": median(self.lengths) if self.lengths else 0,
        }


@dataclass(frozen=True, slots=True)
class Prepared:
    """Examples that were written."""

    path: Path
    counts: Counts
    first: Example
    first_row: Row

    def dataset(self) -> Any:
        """As a `datasets.Dataset`, by memory map."""
        from datasets import Dataset

        return Dataset.from_file(str(self.path))


Make = Callable[[Row], Iterable[Example | None]]


def write_examples(
    path: Path, rows: Iterable[Row], make: Make, *, max_length: int, too_long: Literal["refuse", "filter"]
) -> Prepared:
    """Make examples of all rows. Raises UsageError when none is left, or, by `too_long`, when one is too long."""
    counts, first = Counts(), list[tuple[Example, Row]]()

    def examples() -> Iterator[Example]:
        for row in rows:
            counts.rows += 1
            made = [example for example in make(row) if example is not None]
            counts.unusable += not made
            for example in made:
                if _fits(example, counts, max_length):
                    if not first:
                        first.append((example, row))
                    yield example

    _write(path, examples())
    if counts.too_long and too_long == "refuse":
        raise ConfigError(_told_too_long(counts, max_length))
    if not first:
        raise UsageError(_told_empty(counts))
    return Prepared(path, counts, *first[0])


def _fits(example: Example, counts: Counts, max_length: int) -> bool:
    length = _length(example)
    counts.lengths.append(length)
    if length > max_length:
        counts.too_long += 1
        return False
    counts.examples += 1
    counts.tokens += length
    counts.learnt += sum(shown(example)[1])
    return True


def _length(example: Example) -> int:
    """Tokens of the longest sequence of an example."""
    if "input_ids" in example:
        return len(example["input_ids"])
    sides = [example[name] for name in ("chosen_ids", "rejected_ids", "completion_ids") if name in example]
    return len(example["prompt_ids"]) + max(len(side) for side in sides)


def _told_too_long(counts: Counts, max_length: int) -> str:
    return (
        f"{counts.too_long} of {counts.examples + counts.too_long} examples have more than {max_length} tokens, the "
        f"longest {max(counts.lengths)}; nothing is ever cut. Raise max_length (and take a model that reads so much), "
        "or leave them out by too_long=filter"
    )


def _told_empty(counts: Counts) -> str:
    if not counts.rows:
        return "the data set holds no row, or selection leaves none"
    if counts.too_long:
        return f"no example is left: all {counts.too_long} are longer than max_length"
    return f"no example is left of {counts.rows} rows: the sides of every pair are alike, or no verdict is known"


def _write(path: Path, examples: Iterable[Example]) -> None:
    """As a stream of arrow batches."""
    import pyarrow

    pa: Any = pyarrow
    path.parent.mkdir(parents=True, exist_ok=True)
    left = iter(examples)
    with room_for(path), path.open("wb") as file:
        batch = list(islice(left, _BATCH))
        if not batch:
            return
        schema = pa.schema([(name, _type(pa, name)) for name in batch[0]])
        with pa.ipc.new_stream(file, schema) as writer:
            while batch:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch = list(islice(left, _BATCH))


def _type(pa: Any, name: str) -> Any:
    kind = getattr(pa, _TYPES.get(name, "int32"))()
    return kind if name == "label" else pa.list_(kind)


def held_out(row: Row, share: float, seed: int) -> bool:
    """Whether the task of a row is among the share that is held out; rows without a task are drawn by their content."""
    name = str(row.get("task_id") or sorted(row.items()))
    draw = int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:8], "big") / 2**64
    return draw < share

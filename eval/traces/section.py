"""What a section of the report is: figures measured from tables, and how they are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...page import Block, Table
from .figures import HEADER, Distribution, Figures, distribution_rows
from .source import Source

__all__ = ["Options", "Section", "distribution_table"]


@dataclass(frozen=True, slots=True)
class Options:
    """What sections may be told."""

    references: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Files that the reference patch of each task changes."""
    seed: int = 0
    """Of resamples and samples."""
    resamples: int = 1000
    compare: str = "agent"
    """Column of episodes whose values are compared as harnesses."""
    limit: int = 20
    """Rows shown of long tables."""


class Section(Protocol):
    """One group of figures."""

    name: str
    """Field of `Scope` that holds the figures; also a word of `--only`."""
    family: str
    """Word of `--only` that stands for several sections."""
    title: str
    silent: str
    """Why there is nothing to say, where `measure` gives None, and what would change that."""

    def measure(self, source: Source, options: Options) -> Figures | None:
        """The figures of the episodes in scope; None where nothing of the kind is known."""
        ...

    def headline(self, found: Any) -> Sequence[tuple[str, str]]:
        """The few figures that groups are compared by, with their names."""
        ...

    def blocks(self, found: Any, options: Options) -> Sequence[Block]:
        """Tables and drawings, without a heading."""
        ...


def distribution_table(
    title: str,
    found: Mapping[str, Distribution],
    names: Sequence[tuple[str, str, float]],
) -> list[Block]:
    """A table of distributions, or nothing where none of them is known."""
    rows = distribution_rows(found, names)
    return [Table(title, ("", "n", "not known", *HEADER), rows)] if rows else []

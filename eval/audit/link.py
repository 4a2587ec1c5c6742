"""One link of the chain of trust, and the report that holds all five."""

from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

__all__ = ["AuditLink", "AuditReport", "State", "Table"]


class State(StrEnum):
    """What can be said of a link."""

    SHOWN = "shown"
    """There is evidence, and it agrees with the record."""
    PARTLY = "partly shown"
    """There is evidence for some of it; the rest is named."""
    MISSING = "not shown"
    """There is no evidence yet; the command says how to get it."""
    CONTRADICTED = "contradicted"
    """There is evidence against the record."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Table(_Strict):
    """Figures of a link."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    omitted: int = 0
    """Rows that were left out for length."""

    @classmethod
    def of(cls, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], most: int = 50) -> "Table":
        """Cells as text, cut after `most` rows."""
        cells = tuple(tuple("-" if cell is None else str(cell) for cell in row) for row in rows[:most])
        return cls(title=title, columns=tuple(columns), rows=cells, omitted=max(len(rows) - most, 0))


class AuditLink(_Strict):
    """One link."""

    name: str
    """`tasks`, `execution`, `reward`, `preference` or `effect`."""
    question: str
    """What a customer asks."""
    state: State
    said: tuple[str, ...]
    """The evidence in sentences."""
    tables: tuple[Table, ...] = ()
    commands: tuple[str, ...]
    """What reproduces the evidence."""


class AuditReport(_Strict):
    """The whole report."""

    run_id: str
    created: str
    """When the run was made, UTC."""
    seal: str
    """One figure for all of the run's logs (see docs/audit.md)."""
    episodes: int
    links: tuple[AuditLink, ...]
    sources: tuple[str, ...]
    """Files that the report was made from, each with its SHA-256."""

    @property
    def ok(self) -> bool:
        """Whether nothing is contradicted."""
        return all(link.state is not State.CONTRADICTED for link in self.links)

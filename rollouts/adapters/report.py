"""What became of every record that ingestion read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .base import Foreign, Unread

__all__ = ["Count", "IngestReport", "SourceReport", "Tally"]


@dataclass(slots=True)
class Count:
    """Records of one kind."""

    records: int = 0
    events: int = 0
    unread: int = 0
    """Not understood."""
    broken: int = 0
    """Damaged."""
    first: str | None = None
    """Where the first of those that became no event is."""

    def add(self, other: "Count") -> None:
        """Add another count to this one."""
        self.records += other.records
        self.events += other.events
        self.unread += other.unread
        self.broken += other.broken
        self.first = self.first or other.first

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class Tally(dict[str, Count]):
    """Counts by kind of record."""

    def take(self, item: Foreign, kind: str, source: str) -> None:
        """Count one thing that an adapter yielded; `kind` is what its event is called where it names none."""
        row = self.get(kind)
        if row is None:
            row = self[kind] = Count()
        row.records += item.records
        if isinstance(item, Unread):
            row.broken += item.broken
            row.unread += not item.broken
            row.first = row.first or (f"{source}: {item.where}" if item.where else source)
        else:
            row.events += 1

    def add(self, other: Mapping[str, Count]) -> None:
        """Add another tally to this one."""
        for kind, row in other.items():
            self.setdefault(kind, Count()).add(row)

    def total(self) -> Count:
        """All kinds together."""
        total = Count()
        for row in self.values():
            total.add(row)
        return total

    @classmethod
    def of(cls, recorded: Mapping[str, Mapping[str, Any]]) -> Self:
        """What `as_dict` gave."""
        return cls({kind: Count(**row) for kind, row in recorded.items()})

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """For JSON."""
        return {kind: row.as_dict() for kind, row in sorted(self.items())}


@dataclass(slots=True, kw_only=True)
class SourceReport:
    """What became of one source."""

    source: str
    format: str
    sha256: str | None = None
    """None for a folder."""
    bytes: int = 0
    stamp: int = 0
    """When it was last changed, in nanoseconds since 1970."""
    episodes: int = 0
    filtered: int = 0
    """Episodes left out because of `--filter`."""
    events: int = 0
    """Written, those that ingestion adds included."""
    kinds: Tally = field(default_factory=Tally)
    problem: str | None = None
    """Why it could not be read to its end."""
    cut: bool = False
    """`--limit` ended it."""
    agents: list[list[str | None]] = field(default_factory=list[list[str | None]])
    """Name, version and model of each agent that acted."""

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Self:
        """What `as_dict` gave."""
        fields: dict[str, Any] = {**recorded, "kinds": Tally.of(recorded["kinds"])}
        return cls(**fields)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "kinds": self.kinds.as_dict()}


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """What became of all sources."""

    run: str
    run_id: str
    sources: int = 0
    kept: int = 0
    """Of those, finished by an earlier command."""
    episodes: int = 0
    filtered: int = 0
    events: int = 0
    bytes: int = 0
    seconds: float = 0.0
    formats: dict[str, Tally] = field(default_factory=dict[str, Tally])
    problems: list[str] = field(default_factory=list[str])
    """Sources that could not be read to their end, and why."""
    unrecognised: Collection[str] = ()
    """Files in the given folders that no adapter knows."""
    copies: Collection[str] = ()
    """Sources with the same bytes as one before them: their episodes count twice."""
    adapters_broken: Mapping[str, str] = field(default_factory=dict[str, str])

    def take(self, report: SourceReport) -> None:
        """Count what became of one more source."""
        self.episodes += report.episodes
        self.filtered += report.filtered
        self.events += report.events
        self.bytes += report.bytes
        self.formats.setdefault(report.format, Tally()).add(report.kinds)
        if report.problem:
            self.problems.append(f"{report.source}: {report.problem}")

    @property
    def total(self) -> Count:
        """All records of all formats together."""
        total = Count()
        for tally in self.formats.values():
            total.add(tally.total())
        return total

    def as_dict(self, *, names: bool = True) -> dict[str, Any]:
        """For JSON; without `names` the files that no adapter knows are left out, of which there may be very many."""
        apart = ("formats", "unrecognised", "copies")
        return {
            **{name: getattr(self, name) for name in self.__slots__ if name not in apart},
            **({"unrecognised": list(self.unrecognised), "copies": list(self.copies)} if names else {}),
            "adapters_broken": dict(self.adapters_broken),
            "total": self.total.as_dict(),
            "formats": {name: tally.as_dict() for name, tally in sorted(self.formats.items())},
        }

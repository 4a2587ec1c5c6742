"""What a build gave: by operator, by package, and why the rest was refused."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .journal import Outcome

__all__ = ["BuildReport", "Tally"]


@dataclass(frozen=True)
class Tally:
    """Counts of one group of candidates."""

    name: str
    given: int | None
    """Candidates enumerated; None where that has no meaning."""
    tried: int
    accepted: int
    reasons: dict[str, int]
    """Why the rest was refused."""

    @property
    def why(self) -> str:
        """The reasons as text, the most frequent first."""
        ordered = sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{reason} {count}" for reason, count in ordered)


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """A finished build in numbers."""

    outcomes: Sequence[Outcome]
    given: Counter[str]
    problems: Sequence[str]
    wanted: int
    seconds: float
    cpu_seconds: float
    """Of all commands in containers."""
    resumed: int
    """Outcomes that an earlier part of the build had written down."""

    def accepted(self, kind: str) -> int:
        """Tasks of a kind."""
        return sum(1 for outcome in self.outcomes if outcome.accepted and outcome.kind == kind)

    def by_operator(self) -> list[Tally]:
        """The injected bugs."""
        injected = [outcome for outcome in self.outcomes if outcome.kind == "injected"]
        names = sorted({*self.given, *(outcome.operator for outcome in injected)})
        return [_tally(name, self.given.get(name), [one for one in injected if one.operator == name]) for name in names]

    def by_package(self) -> list[Tally]:
        """Both kinds, a row for each kind of a package."""
        groups = sorted({(outcome.package, outcome.kind) for outcome in self.outcomes})
        return [
            _tally(f"{package} {kind}", None, [o for o in self.outcomes if (o.package, o.kind) == (package, kind)])
            for package, kind in groups
        ]

    def total(self, kind: str) -> Tally:
        """All of a kind."""
        given = sum(self.given.values()) if kind == "injected" else None
        return _tally(f"all {kind}", given, [outcome for outcome in self.outcomes if outcome.kind == kind])

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "wanted": self.wanted,
            "accepted": {kind: self.accepted(kind) for kind in ("injected", "release")},
            "seconds": round(self.seconds, 1),
            "container_cpu_seconds": round(self.cpu_seconds, 1),
            "resumed_outcomes": self.resumed,
            "operators": [vars(tally) for tally in self.by_operator()],
            "packages": [vars(tally) for tally in self.by_package()],
            "totals": [vars(self.total(kind)) for kind in ("injected", "release")],
            "problems": list(self.problems),
            "tasks": sorted(outcome.instance_id for outcome in self.outcomes if outcome.accepted),
        }

    def write(self, folder: Path) -> Path:
        """Keep it beside the tasks."""
        path = folder / "build-report.json"
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")
        return path


def _tally(name: str, given: int | None, outcomes: Sequence[Outcome]) -> Tally:
    accepted = sum(1 for outcome in outcomes if outcome.accepted)
    reasons = Counter(outcome.reason for outcome in outcomes if not outcome.accepted)
    return Tally(name, given, len(outcomes), accepted, dict(reasons))

"""What each arm resolves of each family of tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .collect import ArmResult, Collected

__all__ = ["FamilyRates", "family_rates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRates:
    """One family."""

    family: str
    tasks: int
    rates: Mapping[str, float]
    """Share of its tasks resolved by each arm: the mean over tasks and training seeds."""


def family_rates(found: Collected) -> list[FamilyRates]:
    """The families that tasks are known of, by name; none where the tasks are not at hand."""
    evaluated = {name: [one for one in results if one.outcomes] for name, results in found.by_arm.items()}
    evaluated = {name: results for name, results in evaluated.items() if results}
    if not evaluated or len(set(found.families.values())) < 2:
        return []
    tasks = next(iter(evaluated.values()))[0].outcomes[0].tasks
    families = sorted({found.families[task] for task in tasks if task in found.families})
    rows = list[FamilyRates]()
    for family in families:
        own = [task for task in tasks if found.families.get(task) == family]
        rates = {name: _rate(results, own) for name, results in evaluated.items()}
        rows.append(FamilyRates(family=family, tasks=len(own), rates=rates))
    return rows


def _rate(results: Sequence[ArmResult], tasks: Sequence[str]) -> float:
    tallies = [run.tally(task) for result in results for run in result.outcomes for task in tasks]
    shares = [resolved / counted for resolved, counted in tallies if counted]
    return sum(shares) / len(shares) if shares else 0.0

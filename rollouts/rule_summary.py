"""What scoring a run by the rules came to."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..rewards.scores import CRITERIA
from .rule_worker import Scored

__all__ = ["RuleSummary"]


@dataclass(slots=True)
class RuleSummary:
    """What scoring a run came to; figures are of all episodes that were looked at, those scored before included."""

    episodes: int = 0
    kept: int = 0
    """Of those, scored before, with the same rules, from the same log."""
    unscored: Counter[str] = field(default_factory=Counter[str])
    """Episodes without any score, by the reason."""
    no_process: Counter[str] = field(default_factory=Counter[str])
    """Episodes whose steps are scored, and the whole is not, by the reason."""
    steps: int = 0
    scored: int = 0
    """Steps that have a reward."""
    rewards: float = 0.0
    processes: list[float] = field(default_factory=list[float])
    criteria: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    """Number and sum of the scores of each criterion."""
    rules: Counter[str] = field(default_factory=Counter[str])
    """How often each rule applied."""

    problems: list[str] = field(default_factory=list[str])
    """Logs that could not be read, and why."""

    def take(self, found: Scored, *, kept: bool) -> None:
        """Take an episode into account."""
        rows: list[Mapping[str, Any]] = [json.loads(line) for line in found.lines]
        self.episodes += 1
        self.kept += kept and bool(rows)
        if found.problem is not None:
            self.problems.append(found.problem)
            return
        record = rows[0].get("record") or {} if rows else {"unscored": "the record has no steps"}
        if "unscored" in record:
            self.unscored[record["unscored"]] += 1
        elif "no_process" in record:
            self.no_process[record["no_process"]] += 1
        elif rows and rows[-1].get("process") is not None:
            self.processes.append(rows[-1]["process"])
        for row in rows:
            self._step(row)

    def _step(self, row: Mapping[str, Any]) -> None:
        self.steps += 1
        if row.get("reward") is not None:
            self.scored += 1
            self.rewards += row["reward"]
        for name, criterion in row["criteria"].items():
            self.rules.update(rule["rule"] for rule in criterion.get("rules") or ())
            if criterion["score"] is not None:
                count, total = self.criteria.get(name, (0, 0.0))
                self.criteria[name] = count + 1, total + criterion["score"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        means = {name: self.criteria[name] for name in CRITERIA if name in self.criteria}
        processes = sorted(self.processes)
        return {
            "episodes": self.episodes,
            "kept": self.kept,
            "unscored": dict(self.unscored.most_common()),
            "no_process": dict(self.no_process.most_common()),
            "steps": self.steps,
            "scored": self.scored,
            "mean_reward": round(self.rewards / self.scored, 6) if self.scored else None,
            "mean_process": round(sum(processes) / len(processes), 6) if processes else None,
            "criteria": {name: {"scored": n, "mean": round(total / n, 6)} for name, (n, total) in means.items()},
            "rules": dict(sorted(self.rules.items())),
            "problems": self.problems,
        }

"""Third link: why this score?"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from ...rewards.scores import CRITERIA
from ...rollouts.score_log import StepScoreRow, read_scores, scored_layers
from ...rollouts.trajectory import read_trajectories
from .evidence import Evidence
from .link import AuditLink, State, Table

__all__ = ["reward_link"]


class _Fired:
    """How often each rule spoke, and what it said on average."""

    def __init__(self) -> None:
        self.scores: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
        self.examples: dict[tuple[str, str, str], str] = {}
        self.layers: Counter[str] = Counter()
        self.steps = self.scored = 0

    def read(self, run: Path) -> None:
        for found in read_trajectories(run):
            self.steps += len(found.steps)
            for reward in found.rewards:
                self.scored += bool(reward is not None and reward.criteria)
                for criterion in reward.criteria if reward is not None else ():
                    self.layers[criterion.layer or "unknown"] += 1
                    for rule in criterion.rules:
                        key = criterion.layer or "unknown", criterion.criterion, str(rule.get("rule"))
                        self.scores[key].append(float(rule["score"]))
                        self.examples.setdefault(key, str(rule.get("evidence", "")))

    def table(self) -> Table:
        rows = [
            (*key, len(scores), f"{mean(scores):.3f}", self.examples[key][:120])
            for key, scores in sorted(
                self.scores.items(), key=lambda item: (item[0][0], _order(item[0][1]), item[0][2])
            )
        ]
        return Table.of("Rules that fired", ("layer", "criterion", "rule", "times", "mean", "for example"), rows, 100)


def reward_link(run: Path, evidence: Evidence) -> AuditLink:
    """Which rules fired, what judges said, and how far people agree."""
    fired = _Fired()
    fired.read(run)
    layers = scored_layers(run)
    said = [f"{fired.scored} of {fired.steps} steps were scored while they happened, by {_names(fired.layers)}."]
    tables = [fired.table()]
    for layer in layers:
        rows = list(read_scores(run, layer))
        said.append(f"{layer} scored {len(rows)} steps of the recorded run.")
        tables.append(_judged(layer, rows))
    calibration = evidence.calibration()
    said += calibration or ["No calibration against people's labels was given (--calibration)."]
    state = State.MISSING if not fired.scored else State.SHOWN if calibration else State.PARTLY
    return AuditLink(
        name="reward",
        question="Why this score?",
        state=state,
        said=tuple(said),
        tables=tuple(tables),
        commands=(f"trajhub check {run}", f"trajhub judge {run}", f"trajhub calibrate {run} --labels LABELS"),
    )


def _judged(layer: str, rows: list[StepScoreRow]) -> Table:
    lines = list[tuple[object, ...]]()
    for name in CRITERIA:
        found = [row.criteria[name] for row in rows if name in row.criteria]
        scores = [item.score for item in found if item.score is not None]
        example = next((item.evidence for item in found if item.evidence), None)
        lines.append((name, len(scores), f"{mean(scores):.3f}" if scores else None, example and example[:120]))
    return Table.of(f"What {layer} said", ("criterion", "steps", "mean", "for example"), lines)


def _order(criterion: str) -> int:
    return CRITERIA.index(criterion) if criterion in CRITERIA else len(CRITERIA)


def _names(layers: Mapping[str, int]) -> str:
    return ", ".join(sorted(layers)) or "nobody"

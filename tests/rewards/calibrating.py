"""Simulated steps, scores and labels, whose truth is known."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from trajectory_hub.rewards.human.bootstrap import Floats
from trajectory_hub.rewards.human.correlation import Indices
from trajectory_hub.rewards.human.labels import PairItem, PairLabel, StepItem, StepLabel
from trajectory_hub.rewards.human.observations import ScoredStep, StepKey

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def clustered(
    rng: np.random.Generator, *, clusters: int, size: int, rho: float, within: float
) -> tuple[Floats, Floats, Indices]:
    """Two normal variables with correlation `rho`, of whose variance the share `within` belongs to the cluster."""
    covariance = [[1.0, rho], [rho, 1.0]]
    common = rng.multivariate_normal([0, 0], covariance, clusters)[:, None] * np.sqrt(within)
    own = rng.multivariate_normal([0, 0], covariance, (clusters, size)) * np.sqrt(1 - within)
    both = (common + own).reshape(-1, 2)
    return both[:, 0], both[:, 1], np.repeat(np.arange(clusters), size)


def keys(tasks: int, episodes: int, steps: int) -> Iterator[tuple[str, StepKey]]:
    """Task and key of every step."""
    for task in range(tasks):
        for episode in range(episodes):
            for step in range(steps):
                yield f"task-{task:02}", ("run", f"task-{task:02}--s{episode}--a1", step)


def step_label(
    key: StepKey, task: str, value: float, *, annotator: str = "ann", criterion: str = "goal_progress"
) -> StepLabel:
    """A label, its value cut to [0, 1]."""
    item = StepItem.of(run_id=key[0], episode_id=key[1], task_id=task, step=key[2])
    body = item.model_dump(exclude={"kind"})
    return StepLabel(criterion=criterion, value=min(1.0, max(0.0, value)), annotator=annotator, created=NOW, **body)


def pair_label(task: str, first: str, second: str, chosen: str, annotator: str = "ann") -> PairLabel:
    """A choice; `chosen` is `first`, `second` or `tie` as they were given."""
    item = PairItem.of(task, ("run", first), ("run", second))
    said = "tie" if chosen == "tie" else "a" if (chosen == "first") == (item.episode_a == first) else "b"
    body = item.model_dump(exclude={"kind"})
    return PairLabel.model_validate({"chosen": said, "annotator": annotator, "created": NOW, **body})


def scored(
    key: StepKey,
    task: str,
    layers: Mapping[str, Mapping[str, float | None]],
    rules: Mapping[str, Mapping[str, float]] | None = None,
    settled: Sequence[str] = (),
) -> ScoredStep:
    """What layers said; `rules` belong to `rules@1`."""
    layer = "rules@1" if rules else None
    return ScoredStep(
        key=key, task_id=task, layers=layers, rules=rules or {}, rule_layer=layer, settled=frozenset(settled)
    )

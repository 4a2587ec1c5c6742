"""Episodes made for tests, with what is to be found in them planted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from trajectory_hub.eval.prediction.data import Asked, Trace
from trajectory_hub.rollouts.steering.facts import StepFacts

__all__ = ["episode", "episodes", "step"]


def step(action: str = "read", **facts: Any) -> StepFacts:
    """A step of which only so much is known."""
    return StepFacts(action=action, **facts)


def episode(
    task: str, steps: Sequence[StepFacts], *, resolved: bool | None = True, name: str = "e", cost: float = 1.0
) -> Trace:
    """Each step has a request of its own; ten seconds, a tenth of the cost and a hundred tokens a step."""
    count = len(steps)
    return Trace(
        run_id="made",
        episode_id=name,
        task=task,
        repo=task.partition("-")[0],
        resolved=resolved,
        cost_usd=cost,
        tokens=100 * count,
        wall_s=10.0 * count + 5.0,
        steps=tuple(steps),
        asked=tuple(Asked(i, 80, 20, cost / count) for i in range(count)),
        by=tuple(range(count)),
        elapsed=tuple(10.0 * (i + 1) for i in range(count)),
    )


def episodes(count: int, *, seed: int = 0, telling: bool = True, tasks: int = 30) -> list[Trace]:
    """Half of them fail early commands; those are mostly not resolved where the steps are `telling`."""
    random = np.random.default_rng(seed)
    found = list[Trace]()
    for number in range(count):
        bad = bool(random.random() < 0.5)
        chance = (0.1 if bad else 0.8) if telling else 0.5
        kinds = random.choice(["read", "search", "edit", "run", "test"], int(random.integers(4, 12)))
        times = random.lognormal([6.0 if kind == "test" else 3.0 for kind in kinds], 0.5)
        steps = [
            step(
                str(kind),
                program="pytest" if kind == "test" else None,
                failed=bool(bad and random.random() < 0.7),
                tool_ms=float(ms),
                action_chars=int(random.integers(10, 90)),
                observation_chars=int(random.integers(10, 900)),
            )
            for kind, ms in zip(kinds, times, strict=True)
        ]
        resolved = bool(random.random() < chance)
        found.append(episode(f"r{number % 5}-{number % tasks}", steps, resolved=resolved, name=f"e{number}"))
    return found

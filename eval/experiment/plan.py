"""What an experiment will take, from its settings alone."""

from collections.abc import Iterator
from typing import Any

from ...envs.micro import MicroConfig
from .config import ExperimentConfig

__all__ = ["plan_stages", "planned"]


def plan_stages(config: ExperimentConfig) -> Iterator[str]:
    """Names of the stages, in order."""
    yield from ("tasks", "demonstrations")
    scratch = not isinstance(config.model, str)
    if scratch:
        yield "tokenizer"
    arms = [arm.name for arm in config.arms]
    for seed in config.seeds:
        names = ["model"] if scratch else []
        names += ["base", "rollouts", *(f"data-{name}" for name in config.ordered_data()), *arms]
        names += [f"eval-{name}" for name in ("base", *arms)]
        yield from (f"seed{seed}/{name}" for name in [*names, "gates"])
    if len(config.seeds) > 1:
        yield "gates"


def planned(config: ExperimentConfig) -> dict[str, Any]:
    """Stages, and how many episodes there will be in each kind of them; null where the tasks are not known yet."""
    tasks = config.tasks
    micro = isinstance(tasks, MicroConfig)
    train, held_out = (tasks.train, getattr(tasks, config.evaluation.tasks)) if micro else (None, None)
    shown = config.demonstrations.tasks or train
    sampled = config.rollouts.tasks or train
    seeds, arms = len(config.seeds), len(config.arms) + 1
    return {
        "stages": list(plan_stages(config)),
        "episodes": {
            "demonstrations": 0 if config.demonstrations.runs else shown,
            "rollouts": sampled and sampled * config.rollouts.samples * seeds,
            "evaluation": held_out and held_out * config.evaluation.seeds * arms * seeds,
        },
    }

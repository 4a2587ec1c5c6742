"""The whole experiment, stage by stage.

tasks → demonstrations → (tokenizer → model that copies) → base → rollouts → data sets → arms → evaluation → gates
"""

from pathlib import Path

from ...rollouts.run_dir import RunLock
from ..report.report import write_report
from .collecting import demonstrate, make_tasks, sample
from .config import ExperimentConfig
from .judging import evaluate, gate_all, gate_seed
from .lab import Lab
from .learning import begin_model, make_data, make_tokenizer_stage, train_arm, train_base
from .model import Experiment
from .plan import plan_stages
from .stages import Stage

__all__ = ["run_experiment"]


def run_experiment(
    root: Path, config: ExperimentConfig, *, command: str = "", host: str | None = None, quiet: bool = False
) -> Experiment:
    """Do an experiment, or what is left of it.

    Raises ConfigError when a stage was begun with other settings, and what its parts raise.
    """
    with RunLock(root):
        lab = Lab(root.resolve(), config, command=command, host=host, quiet=quiet)
        lab.stages.total = len(list(plan_stages(config)))
        tasks = make_tasks(lab)
        demonstrations = demonstrate(lab, tasks)
        tokenizer = make_tokenizer_stage(lab, demonstrations)
        evaluated = [_seed(lab, seed, demonstrations, tokenizer) for seed in config.seeds]
        if len(config.seeds) > 1:
            gate_all(lab, evaluated)
        lab.record.finished = True
        lab.save()
        write_report(lab.root)
    return lab.record


def _seed(lab: Lab, seed: int, demonstrations: Stage, tokenizer: Stage | None) -> dict[str, Stage]:
    """One training seed; its evaluations by arm."""
    base = train_base(lab, seed, begin_model(lab, seed, tokenizer), demonstrations)
    rollouts = sample(lab, seed, base, demonstrations)
    data = make_data(lab, seed, rollouts)
    trained = {"base": base}
    for arm in lab.config.arms:
        trained[arm.name] = train_arm(lab, seed, arm, base, data[arm.data])
    evaluated = {name: evaluate(lab, seed, name, stage) for name, stage in trained.items()}
    gate_seed(lab, seed, evaluated)
    return evaluated

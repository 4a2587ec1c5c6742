"""The stages that fill runs: tasks, demonstrations, and what the base model does on training tasks."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ... import console
from ...envs.micro import MicroConfig
from .lab import Lab
from .model import DataRecord, TaskSet
from .plan import plan_stages
from .playing import play, run_in, served
from .stages import NOTE, Stage

__all__ = ["DEMONSTRATIONS", "demonstrate", "make_tasks", "sample"]

DEMONSTRATIONS = "demonstrations"
_RUNS = ("graded", "ungraded")


def make_tasks(lab: Lab) -> Stage:
    """Micro tasks with their images, or a look at those that are given."""
    config = lab.config.tasks

    def work(folder: Path) -> Mapping[str, Any]:
        if isinstance(config, MicroConfig):
            _build(lab, folder, config)
        return {split: len(lab.tasks(split)) for split in lab.specs}

    begun = (lab.root / "tasks" / NOTE).exists()
    stage = lab.stages.do("tasks", config.model_dump(mode="json"), work)
    if begun and isinstance(config, MicroConfig) and _left(lab):
        _build(lab, stage.folder, config)  # tasks of another configuration may have taken the images' names meanwhile
    for split, spec in lab.specs.items():
        kinds = Counter(task.provenance.method for task in lab.tasks(split) if task.provenance.method)
        shown = lab.path(Path(spec)) if isinstance(config, MicroConfig) else spec
        lab.record.tasks.append(
            TaskSet(name=split, tasks=shown, count=len(lab.tasks(split)), families=dict(sorted(kinds.items())))
        )
    return stage


def _left(lab: Lab) -> bool:
    """Whether there is something left to do."""
    return any(not (lab.root / name / NOTE).exists() for name in plan_stages(lab.config))


def _build(lab: Lab, folder: Path, config: MicroConfig) -> None:
    from ...envs.engine import Engine
    from ...envs.micro.build import build_micro, micro_packages

    engine = Engine(lab.host)
    try:
        with console.progress("images", micro_packages(config)) as tick:
            build_micro(folder, config, engine, advance=tick)
    finally:
        engine.close()


def demonstrate(lab: Lab, tasks: Stage) -> Stage:
    """Demonstrations through the environment, or recorded runs, and the data set that they all make."""
    config = lab.config.demonstrations
    chosen = lab.tasks("train")[: config.tasks]
    graded = len(chosen) if config.graded is None else min(config.graded, len(chosen))
    parts = dict(zip(_RUNS, (chosen[:graded], chosen[graded:]), strict=True))

    def work(folder: Path) -> Mapping[str, Any]:
        told = dict[str, Any]()
        for name, part in parts.items():
            if part and not config.runs:
                settings = {"grade": name == "graded"}
                told[name] = play(lab, folder / name, part, lab.specs["train"], config.policy, settings)
        rows = _export(lab, folder)
        episodes = sum(figures["episodes"] for figures in told.values())
        return {"episodes": episodes, "rows": rows, **told}

    said = {**config.model_dump(mode="json"), "rollout": dict(lab.config.rollout)}
    stage = lab.stages.do(DEMONSTRATIONS, said, work, [tasks])
    lab.record.data.append(
        DataRecord(
            name=DEMONSTRATIONS,
            kind="sft",
            folder=lab.path(stage.folder / "data"),
            rows=stage.figures["rows"],
            episodes=stage.figures["episodes"],
            sha256=_checksum(stage.folder / "data"),
            how="All demonstrations, good and bad, as raw logs are.",
        )
    )
    return stage


def _export(lab: Lab, folder: Path) -> int:
    """The data set of all demonstrations."""
    from ...training.config import load_export_config
    from ...training.data_sets.export import Request, export_sft

    config = lab.config.demonstrations
    runs = [Path(run) for run in config.runs] or [folder / name for name in _RUNS if (folder / name).exists()]
    request = Request(
        sources=runs,
        out=folder / "data",
        config=load_export_config((), config.export),
        tasks=lab.specs["train"],
        eval_tasks=lab.specs["eval"],
    )
    return export_sft(request).rows


def _checksum(folder: Path) -> str | None:
    from ...rollouts.files import sha256_of

    files = sorted((folder / "data").glob("train.*"))
    return sha256_of(files[0]) if files else None


def sample(lab: Lab, seed: int, base: Stage, demonstrations: Stage) -> Stage:
    """Several episodes of the base model for each training task, scored by the rubric and graded."""
    config = lab.config.rollouts
    every = lab.tasks("train")
    chosen = every[-config.tasks :] if config.tasks else every

    def work(folder: Path) -> Mapping[str, Any]:
        settings = {"grade": True, **config.rollout, "seeds": config.samples}
        with ExitStack() as stack:
            policy = config.policy or stack.enter_context(
                served(base.folder / "checkpoint", lab.config.serving, folder / "server")
            )
            return play(lab, run_in(folder), chosen, lab.specs["train"], policy, settings)

    said = {**config.model_dump(mode="json"), "rollout_all": dict(lab.config.rollout)}
    return lab.stages.do(f"seed{seed}/rollouts", said, work, [base, demonstrations])

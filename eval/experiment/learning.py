"""The stages that train: tokenizer and model from scratch, the base policy, data sets, and the arms."""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .config import ArmConfig, merged
from .lab import Lab
from .model import Arm, ArmSeed, DataRecord
from .playing import run_in
from .stages import Stage

__all__ = ["begin_model", "make_data", "make_tokenizer_stage", "train_arm", "train_base"]

_CHECKPOINT = "checkpoint"


def make_tokenizer_stage(lab: Lab, demonstrations: Stage) -> Stage | None:
    """A tokenizer trained on the demonstrations; None where the model brings its own."""
    shape = lab.config.model
    if isinstance(shape, str):
        return None

    def work(folder: Path) -> Mapping[str, Any]:
        from .tiny import make_tokenizer

        size = make_tokenizer(folder / _CHECKPOINT, _rows(demonstrations.folder / "data"), shape)
        return {"tokens": size}

    return lab.stages.do("tokenizer", shape.model_dump(mode="json"), work, [demonstrations])


def _rows(folder: Path) -> Iterator[Mapping[str, Any]]:
    from ...training.trainer.data import DataSource

    return DataSource(folder).rows()


def begin_model(lab: Lab, seed: int, tokenizer: Stage | None) -> Stage | None:
    """A model with weights drawn from the seed that has practised copying; None where one is given."""
    shape, practice = lab.config.model, lab.config.practice
    if isinstance(shape, str) or tokenizer is None:
        return None

    def work(folder: Path) -> Mapping[str, Any]:
        from .practice import practise
        from .tiny import make_model

        drawn = folder / ("drawn" if practice is not None else _CHECKPOINT)
        told = {"parameters": make_model(drawn, tokenizer.folder / _CHECKPOINT, shape, seed)}
        if practice is not None:
            told |= practise(drawn, folder / _CHECKPOINT, practice, seed)
        return told

    said = {"model": shape.model_dump(mode="json"), "practice": practice and practice.model_dump(mode="json")}
    return lab.stages.do(f"seed{seed}/model", said, work, [tokenizer])


def train_base(lab: Lab, seed: int, begun: Stage | None, demonstrations: Stage) -> Stage:
    """Supervised fine-tuning on all demonstrations: the policy that every arm starts from."""
    model = str(lab.config.model) if begun is None else str(begun.folder / _CHECKPOINT)
    data = demonstrations.folder / "data"
    settings = merged({"eval_tasks": lab.specs["eval"], "tasks": lab.specs["train"]}, lab.config.base)

    def work(folder: Path) -> Mapping[str, Any]:
        return _train("sft", folder, {**settings, "model": model, "data": [str(data)], "seed": seed})

    after = [stage for stage in (begun, demonstrations) if stage is not None]
    stage = lab.stages.do(f"seed{seed}/base", {"train": settings}, work, after)
    arm = lab.arm("base", lambda: Arm(name="base", title="Base: SFT on all demonstrations", role="base", method="sft"))
    arm.seeds.append(_trained(lab, seed, stage, [data]))
    return stage


def _train(algorithm: str, folder: Path, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Train as `trajhub train` does; figures of its manifest. What it prints goes to `train.log`."""
    from ...training.trainer.config import CONFIG_OF, load_train_config
    from .tiny import import_transformers

    import_transformers()
    values = {**settings, "output": str(folder / _CHECKPOINT)}
    config = load_train_config(CONFIG_OF[algorithm], (), values)
    (folder / f"{algorithm}.yaml").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")  # JSON is YAML
    train = getattr(import_module(f"trajectory_hub.training.{algorithm}"), f"train_{algorithm}")
    with (folder / "train.log").open("a", encoding="utf-8") as log:
        manifest = train(config, log).manifest
    told = {"examples": manifest["counts"]["train"]["examples"]}
    told |= {key: manifest[key] for key in ("steps", "tokens", "tokens_per_second")}
    return {**told, "loss": manifest["losses"]["last"], "learning_rate": config.learning_rate}


def _trained(lab: Lab, seed: int, stage: Stage, data: Sequence[Path]) -> ArmSeed:
    checkpoint = stage.folder / _CHECKPOINT
    return ArmSeed(
        seed=seed,
        checkpoint=lab.path(checkpoint),
        training=lab.path(checkpoint / "training.json"),
        data=[lab.path(folder) for folder in data],
    )


def make_data(lab: Lab, seed: int, rollouts: Stage) -> dict[str, Stage]:
    """Every data set, from the same rollouts."""
    made = dict[str, Stage]()
    for name in lab.config.ordered_data():
        made[name] = _make_one(lab, seed, name, rollouts, made)
    return made


def _make_one(lab: Lab, seed: int, name: str, rollouts: Stage, made: Mapping[str, Stage]) -> Stage:
    config = lab.config.data[name]
    like = made[config.as_many_as] if config.as_many_as is not None else None
    drawn = {"seed": seed} if like is not None and config.kind == "sft" else {}

    def work(folder: Path) -> Mapping[str, Any]:
        from ...training.config import load_export_config
        from ...training.data_sets.export import Request, export_preferences, export_sft

        request = Request(
            sources=[run_in(rollouts.folder)],
            out=folder / "data",
            config=load_export_config((), {**config.export, **drawn}),
            tasks=lab.specs["train"],
            eval_tasks=lab.specs["eval"],
            limit=like.figures["rows"] if like is not None else None,
        )
        done = (export_preferences if config.kind == "preference" else export_sft)(request)
        if not done.rows:
            told = ", ".join(f"{key} {value}" for key, value in rollouts.figures.items())
            refused = ", ".join(f"{key} {value}" for key, value in done.statistics["refused"].items())
            raise UsageError(
                f"the data set {name} is empty. The rollouts: {told}. Refused: {refused or 'nothing'}. A base that "
                "resolves nothing, or everything, gives nothing to learn from: change `base` or `rollouts`"
            )
        return {"rows": done.rows, "sha256": done.files[0].sha256 if done.files else None}

    after = [rollouts] if like is None else [rollouts, like]
    stage = lab.stages.do(f"seed{seed}/data-{name}", config.model_dump(mode="json"), work, after)
    lab.record.data.append(
        DataRecord(
            name=name,
            seed=seed,
            kind=config.kind,
            folder=lab.path(stage.folder / "data"),
            rows=stage.figures["rows"],
            episodes=rollouts.figures["episodes"],
            sha256=stage.figures["sha256"],
            how=config.how,
        )
    )
    return stage


def train_arm(lab: Lab, seed: int, arm: ArmConfig, base: Stage, data: Stage) -> Stage:
    """One arm, from the base."""
    leaks = {"eval_tasks": lab.specs["eval"], "tasks": lab.specs["train"]}
    settings = merged(leaks, arm.train)
    placed = {"model": str(base.folder / _CHECKPOINT), "data": [str(data.folder / "data")], "seed": seed}

    def work(folder: Path) -> Mapping[str, Any]:
        return _train(arm.algorithm, folder, {**settings, **placed})

    said = {"algorithm": arm.algorithm, "train": settings}
    stage = lab.stages.do(f"seed{seed}/{arm.name}", said, work, [base, data])
    record = lab.arm(
        arm.name,
        lambda: Arm(
            name=arm.name,
            title=arm.title,
            role=arm.role,
            method=arm.algorithm,
            start="base",
            against=arm.gates[0].against if arm.gates else None,
        ),
    )
    record.seeds.append(_trained(lab, seed, stage, [data.folder / "data"]))
    return stage

"""Everything that the report of an experiment is made of, read from where `experiment.json` says it lies."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from ...envs.sources import load_tasks
from ...errors import TaskError, UsageError
from ..experiment.model import Arm, DataRecord, Experiment, GateRecord, read_experiment
from ..gate.config import GateConfig
from ..gate.outcomes import Outcomes
from ..gate.report import GateReport, Side
from ..gate.runs import read_run
from ..gate.sides import side_of

__all__ = ["ArmResult", "Collected", "Gated", "collect"]

Object = Mapping[str, Any]
_FEW = 24
"""Families that a drawing has room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """An arm trained with one seed."""

    arm: Arm
    seed: int
    outcomes: tuple[Outcomes, ...] = ()
    side: Side | None = None
    """None when it was not evaluated, or its runs cannot be relied on."""
    problem: str | None = None
    """Why there is no `side`."""
    training: Object = field(default_factory=dict[str, Any])
    """Its training manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """A gate with its whole report."""

    record: GateRecord
    report: GateReport | None
    """None when the file is missing or no report."""

    @property
    def name(self) -> str:
        """For example `dpo over base, seed 0`."""
        seed = "all seeds" if self.record.seed is None else f"seed {self.record.seed}"
        return f"{self.record.candidate} over {self.record.base}, {seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A data set with its card."""

    record: DataRecord
    card: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """An experiment with everything it refers to."""

    folder: Path
    experiment: Experiment
    arms: tuple[ArmResult, ...]
    gates: tuple[Gated, ...]
    data: tuple[Data, ...]
    families: Mapping[str, str]
    """Family of each evaluation task; empty where the tasks are not at hand."""

    @property
    def by_arm(self) -> dict[str, list[ArmResult]]:
        """The results of each arm, in the order of the experiment."""
        found: dict[str, list[ArmResult]] = {arm.name: [] for arm in self.experiment.arms}
        for result in self.arms:
            found[result.arm.name].append(result)
        return found


def collect(folder: Path, *, each: Callable[[], None] = lambda: None) -> Collected:
    """Read an experiment. What cannot be read is told in its place; `each` is called for every episode.

    Raises UsageError when `folder` is no experiment.
    """
    experiment = read_experiment(folder)
    config = _gate_config(experiment)
    runs = [run for arm in experiment.arms for seed in arm.seeds for run in seed.runs]
    arms = tuple(_result(folder, arm, seed.seed, config, each) for arm in experiment.arms for seed in arm.seeds)
    return Collected(
        folder=folder,
        experiment=experiment,
        arms=arms,
        gates=tuple(
            Gated(record=record, report=_report(folder, folder / record.report, runs)) for record in experiment.gates
        ),
        data=tuple(Data(record=one, card=_text(folder / one.folder / "README.md")) for one in experiment.data),
        families=_families(folder, experiment, arms),
    )


def _gate_config(experiment: Experiment) -> GateConfig:
    """Outcomes are read as the experiment's gates read them."""
    try:
        return GateConfig.model_validate(experiment.config.get("gate") or {})
    except ValidationError:
        return GateConfig()


def _result(folder: Path, arm: Arm, seed: int, config: GateConfig, each: Callable[[], None]) -> ArmResult:
    trained = arm.of(seed)
    training = _object(folder / trained.training if trained.training else None)
    if not trained.runs:
        return ArmResult(arm=arm, seed=seed, training=training, problem="Not evaluated yet.")
    try:
        outcomes = tuple(read_run(folder / run, config, each=each) for run in trained.runs)
    except UsageError as error:
        return ArmResult(arm=arm, seed=seed, training=training, problem=str(error))
    side = side_of(f"{arm.name}, seed {seed}", outcomes, 1 - config.alpha)
    return ArmResult(arm=arm, seed=seed, outcomes=outcomes, side=side, training=training)


def _report(folder: Path, path: Path, runs: Sequence[str]) -> GateReport | None:
    """A gate's report. It names its runs by whole paths, which are those of where the experiment lay then."""
    try:
        text = path.read_text(encoding="utf-8")
        report = GateReport.model_validate_json(text)
        known = (one.path for one in report.base.evidence)
        was = {place.removesuffix(f"/{run}") for place in known for run in runs if place.endswith(f"/{run}")}
        here = str(folder.resolve())
        for root in was - {here}:
            old, new = (json.dumps(f"{place}/")[1:-1] for place in (root, here))
            report = GateReport.model_validate_json(text.replace(old, new))
        return report
    except (OSError, ValidationError):
        return None


def _families(folder: Path, experiment: Experiment, arms: Sequence[ArmResult]) -> dict[str, str]:
    """By how each task was made, where the tasks are at hand; else by repository, where these are few."""
    wanted = next((one for one in experiment.tasks if one.name == experiment.evaluated_on), None)
    place = None if wanted is None else folder / wanted.tasks
    # A name that is no path here would be asked for on the hub.
    if place is not None and place.exists():
        try:
            return {task.instance_id: task.provenance.method or task.repo for task in load_tasks(place)}
        except TaskError:
            pass  # repositories will do
    known = {task: name for one in arms for run in one.outcomes for task, name in run.repositories.items()}
    return known if len(set(known.values())) <= _FEW else {}


def _object(path: Path | None) -> Object:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8")) if path is not None else None
    except (OSError, ValueError):
        content = None
    return cast("Object", content if isinstance(content, dict) else {})


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None

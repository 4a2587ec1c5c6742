"""What the stages of one experiment share: its folder, its settings, its tasks, and the record that grows."""

import os
import platform
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ... import __version__
from ...envs.sources import load_tasks
from ...envs.task import Task
from ...rollouts.events import now
from ...rollouts.files import write_atomic
from .config import ExperimentConfig, TaskSpecs
from .model import EXPERIMENT, Arm, Experiment, StageRecord
from .stages import Stage, Stages

__all__ = ["Lab"]

_PACKAGES = ("torch", "transformers", "trl", "swebench")


class Lab:
    """One experiment at work."""

    def __init__(
        self, root: Path, config: ExperimentConfig, *, command: str, host: str | None = None, quiet: bool = False
    ) -> None:
        self.root, self.config, self.host, self.quiet = root, config, host, quiet
        self.stages = Stages(root, self._stage_done, quiet)
        self.record = Experiment(
            name=config.name,
            created=_created(root),
            command=command,
            config=config.model_dump(mode="json"),
            versions=_versions() | _vllm(config),
            machine={"cores": os.cpu_count(), "platform": _platform(), "load_at_start": os.getloadavg()[0]},
            seeds=list(config.seeds),
            evaluated_on=config.evaluation.tasks,
        )
        self._tasks: dict[str, list[Task]] = {}

    def path(self, path: Path) -> str:
        """As the record names it: relative to the experiment."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    @cached_property
    def specs(self) -> Mapping[str, str]:
        """What `--tasks` takes, for each purpose."""
        tasks = self.config.tasks
        if isinstance(tasks, TaskSpecs):
            return tasks.model_dump(exclude_none=True)
        home = self.root / "tasks"
        return {split: str(home / split) for split in ("train", "dev", "eval") if getattr(tasks, split)}

    def tasks(self, split: str) -> list[Task]:
        """The tasks of one purpose."""
        if split not in self._tasks:
            self._tasks[split] = load_tasks(self.specs[split])
        return self._tasks[split]

    def arm(self, name: str, make: Callable[[], Arm]) -> Arm:
        """The record of an arm, begun when it is first asked for."""
        for arm in self.record.arms:
            if arm.name == name:
                return arm
        self.record.arms.append(make())
        return self.record.arms[-1]

    def save(self) -> None:
        """Write the record."""
        self.record.machine["load_at_end"] = os.getloadavg()[0]
        write_atomic(self.root / EXPERIMENT, self.record.model_dump_json(indent=2) + "\n")

    def _stage_done(self, stage: Stage) -> None:
        seed = stage.name.partition("/")[0].removeprefix("seed")
        self.record.stages.append(
            StageRecord(
                name=stage.name,
                folder=self.path(stage.folder),
                seed=int(seed) if seed.isdigit() else None,
                seconds=stage.seconds,
                cpu_seconds=stage.cpu_seconds,
                figures=dict(stage.figures),
            )
        )
        self.save()


def _created(root: Path) -> str:
    """When the experiment was begun; a later sitting keeps it."""
    from .model import read_experiment

    known = (root / EXPERIMENT).exists()
    return read_experiment(root).created if known else now().isoformat(timespec="seconds")


def _platform() -> str:
    """System, kernel and processor, without what names this very machine."""
    return f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}"


def _vllm(config: ExperimentConfig) -> dict[str, str | None]:
    """The vLLM to serve with. Raises ConfigError when there is none, before anything is done."""
    if config.serving.engine != "vllm":
        return {}
    from ...rollouts.serving.config import load_serve_config
    from ...rollouts.serving.environment import find_vllm

    return {"vllm": find_vllm(load_serve_config((), {"model": "-", **config.serving.serve})).version}


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"trajectory_hub": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found

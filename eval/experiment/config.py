"""What an experiment is: `configs/experiments/*.yaml`, checked as a whole before anything begins."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...envs.micro import MicroConfig
from ...rollouts.config import CONFIGS, read_overrides
from ...validation import validated
from ..gate.config import GateConfig
from .model import Decision, Role
from .practice import PracticeConfig
from .tiny import TinyConfig

__all__ = [
    "ArmConfig",
    "DataConfig",
    "DemonstrationsConfig",
    "EvaluationConfig",
    "ExperimentConfig",
    "GatePlan",
    "RolloutsConfig",
    "ServingConfig",
    "TaskSpecs",
    "load_experiment_config",
]

Settings = Mapping[str, Any]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TaskSpecs(_Strict):
    """Tasks that are there already: what `--tasks` takes, for each purpose."""

    train: str
    eval: str
    dev: str | None = None


class DemonstrationsConfig(_Strict):
    """What the base model is trained on."""

    runs: tuple[str, ...] = ()
    """Recorded runs; without any, `policy` makes them."""
    policy: str = "trajectory_hub.eval.experiment.demonstrations:Demonstrator"
    tasks: Count | None = None
    """Only the first so many training tasks."""
    graded: Annotated[int, Field(ge=0)] | None = None
    """Of these, the first so many are graded; None for all. Outcomes of demonstrations are told, not trained on."""
    export: Settings = Field(default_factory=dict[str, Any])
    """Settings of `trajhub export sft`."""


class RolloutsConfig(_Strict):
    """What the base model does on training tasks."""

    tasks: Count | None = None
    """Only the last so many training tasks; with demonstrations of the first ones, these are others."""
    samples: Count = 4
    """Episodes a task."""
    policy: str | None = None
    """Somebody else to act in place of the base model, for loops too short to make one that resolves anything."""
    rollout: Settings = Field(default_factory=dict[str, Any])
    """Settings of `trajhub rollout`, on top of those that all share."""


class DataConfig(_Strict):
    """A data set from the base model's rollouts."""

    kind: Literal["sft", "preference"]
    how: str
    """One sentence for the report."""
    export: Settings = Field(default_factory=dict[str, Any])
    """Settings of `trajhub export`; those of pairs under `pairs`."""
    as_many_as: str | None = None
    """As many rows as another data set has, drawn at random by the training seed."""


class GatePlan(_Strict):
    """A comparison, and what the experiment is set up to show. The gate decides all the same."""

    against: str = "base"
    expected: Decision = "GO"


class ArmConfig(_Strict):
    """One way to train, from the base."""

    name: Name
    title: str
    role: Role
    algorithm: Literal["sft", "dpo", "kto"]
    data: str
    """Name of its data set."""
    train: Settings = Field(default_factory=dict[str, Any])
    """Settings of `trajhub train`."""
    gates: tuple[GatePlan, ...] = (GatePlan(),)


class ServingConfig(_Strict):
    """How models are asked."""

    engine: Literal["vllm", "transformers"] = "vllm"
    """`transformers`: batched generation in this process, where there is no vLLM."""
    serve: Settings = Field(default_factory=dict[str, Any])
    """Settings of `trajhub serve`."""
    batch: Count = 64
    """Prompts that transformers generates for at once, at most."""


class EvaluationConfig(_Strict):
    """What decides."""

    tasks: Literal["eval", "dev"] = "eval"
    """Choose settings on `dev`; look at `eval` once."""
    seeds: Count = 1
    """Episodes a task."""
    rollout: Settings = Field(default_factory=dict[str, Any])


class ExperimentConfig(_Strict):
    """From tasks to gated arms."""

    name: Name
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2)
    """Training seeds; each has its own base, rollouts and arms."""
    tasks: MicroConfig | TaskSpecs = MicroConfig()
    model: TinyConfig | str = TinyConfig()
    """Made on the spot, or the folder or name of one to begin with."""
    practice: PracticeConfig | None = None
    """Copying practice for a model from scratch."""
    demonstrations: DemonstrationsConfig = DemonstrationsConfig()
    base: Settings = Field(default_factory=dict[str, Any])
    """Settings of `trajhub train sft` on all demonstrations."""
    serving: ServingConfig = ServingConfig()
    rollout: Settings = Field(default_factory=dict[str, Any])
    """Settings of `trajhub rollout` that all rollouts share."""
    rollouts: RolloutsConfig = RolloutsConfig()
    data: Mapping[Name, DataConfig]
    arms: Annotated[tuple[ArmConfig, ...], Field(min_length=1)]
    evaluation: EvaluationConfig = EvaluationConfig()
    gate: GateConfig = GateConfig()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = ["base", *(arm.name for arm in self.arms)]
        if len(set(names)) < len(names):
            raise ValueError("every arm needs a name of its own, and `base` is taken")
        for arm in self.arms:
            if arm.data not in self.data:
                known = ", ".join(self.data)
                raise ValueError(f"arm {arm.name}: no data set is called {arm.data!r}; there are {known}")
            for plan in arm.gates:
                if plan.against not in names or plan.against == arm.name:
                    raise ValueError(f"arm {arm.name}: there is no arm {plan.against!r} to compare with")
        for name, data in self.data.items():
            if data.as_many_as is not None and data.as_many_as not in self.data:
                raise ValueError(f"data set {name}: there is no {data.as_many_as!r} to have as many rows as")
        if self.practice is not None and isinstance(self.model, str):
            raise ValueError("copying practice is for a model from scratch; leave practice out")
        if self.evaluation.tasks == "dev" and isinstance(self.tasks, TaskSpecs) and self.tasks.dev is None:
            raise ValueError("evaluation.tasks is dev, and tasks.dev is not given")
        return self

    def ordered_data(self) -> list[str]:
        """Names of the data sets, each after the one that it has as many rows as."""
        return sorted(self.data, key=lambda name: self.data[name].as_many_as is not None)


def load_experiment_config(items: Sequence[str]) -> ExperimentConfig:
    """Files and `key=value` items, later ones on top; a name such as `micro` means the preset of that name.

    Raises ConfigError that names each wrong value, those of the parts (rollouts, training, serving) included.
    """
    values = read_overrides([_preset(item) for item in items])
    config = validated(ExperimentConfig, values, "the experiment's configuration")
    _check_parts(config)
    return config


def _preset(item: str) -> str:
    preset = CONFIGS / "experiments" / f"{item}.yaml"
    return str(preset) if "=" not in item and not Path(item).exists() and preset.exists() else item


def _check_parts(config: ExperimentConfig) -> None:
    """Read every part as its own command would."""
    from ...rollouts.config import load_config
    from ...rollouts.serving.config import load_serve_config
    from ...training.config import load_export_config
    from ...training.trainer.config import CONFIG_OF, load_train_config

    nothing: Settings = {}
    for more in (nothing, config.rollouts.rollout, config.evaluation.rollout):
        load_config(merged({"tasks": "-"}, config.rollout, more))
    load_serve_config((), {"model": "-", **config.serving.serve})
    for settings in (config.demonstrations.export, *(data.export for data in config.data.values())):
        load_export_config((), settings)
    placed = {"model": "-", "data": ["-"], "output": "-"}
    load_train_config(CONFIG_OF["sft"], (), merged(config.base, placed))
    for arm in config.arms:
        load_train_config(CONFIG_OF[arm.algorithm], (), merged(arm.train, placed))


def merged(*parts: Settings) -> dict[str, Any]:
    """Settings on top of each other, mappings key by key."""
    found = dict[str, Any]()
    for part in parts:
        for key, value in part.items():
            old = found.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            found[key] = merged(cast("Settings", old), cast("Settings", value)) if both else value
    return found

"""`experiment.json`: what an experiment is made of, and where each part of it lies.

Paths are relative to the folder of `experiment.json`. A reader (`trajhub report`) needs nothing else: evaluations are
runs, trainings have their manifests, gates their reports.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import UsageError

__all__ = [
    "EXPERIMENT",
    "Arm",
    "ArmSeed",
    "DataRecord",
    "Decision",
    "Experiment",
    "GateRecord",
    "Role",
    "StageRecord",
    "TaskSet",
    "read_experiment",
]

EXPERIMENT = "experiment.json"
Decision = Literal["GO", "NO-GO"]
Role = Literal["base", "control", "candidate", "negative"]
"""`base`: where all others start from. `control`: as much data, chosen at random. `negative`: must come out NO-GO."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class TaskSet(_Record):
    """Tasks of one purpose."""

    name: str
    """`train`, `dev` or `eval`."""
    tasks: str
    """What `--tasks` is given: a folder, relative to the experiment, or a name."""
    count: int
    families: dict[str, int] = Field(default_factory=dict[str, int])
    """How many of each family (`provenance.method`)."""


class DataRecord(_Record):
    """A data set that something was trained on."""

    name: str
    """For example `demonstrations`, `step-pairs`, `selected`, `random`."""
    seed: int | None = None
    """The training seed it belongs to; None where all seeds share it."""
    kind: Literal["sft", "preference", "step", "text"]
    folder: str
    """Holds `data/`, `statistics.json` and its card `README.md`."""
    rows: int
    episodes: int | None = None
    """Episodes it was made from."""
    sha256: str | None = None
    """Of the file that was trained on."""
    how: str
    """How it was chosen, in one sentence."""


class ArmSeed(_Record):
    """An arm, trained with one seed and evaluated."""

    seed: int
    checkpoint: str
    """Folder that transformers and vLLM load."""
    training: str | None = None
    """Manifest of its training (`training.json`)."""
    data: list[str] = Field(default_factory=list[str])
    """Folders of the data it was trained on."""
    runs: list[str] = Field(default_factory=list[str])
    """Folders of its evaluation runs on the tasks of `Experiment.evaluated_on`."""


class Arm(_Record):
    """One way to train, with all its seeds."""

    name: str
    """Short and unique: `base`, `dpo`, `selected`, `random`, `stock-dpo` …"""
    title: str
    """As a reader sees it."""
    role: Role
    method: str
    """`sft`, `dpo`, `kto`, `grpo`."""
    start: str | None = None
    """The arm whose checkpoint it starts from; None for one from scratch."""
    against: str | None = None
    """The arm that its gate compares it with; None for the base."""
    seeds: list[ArmSeed] = Field(default_factory=list[ArmSeed])

    def of(self, seed: int) -> ArmSeed:
        """The arm as trained with a seed. Raises UsageError when it was not."""
        for found in self.seeds:
            if found.seed == seed:
                return found
        raise UsageError(f"arm {self.name} was not trained with seed {seed}")


class GateRecord(_Record):
    """One comparison of two arms."""

    base: str
    candidate: str
    seed: int | None
    """The training seed compared; None for all seeds together."""
    report: str
    """The gate's report (`gate.json`)."""
    decision: Decision
    expected: Decision
    """What the experiment was set up to show; the decision is the gate's alone."""
    gain: float
    """Difference of resolved-and-submitted rates, candidate less base, in [-1, 1]."""
    interval: tuple[float, float]
    """95% confidence interval of the gain."""
    gained: int = 0
    """Tasks (times evaluation seeds) that only the candidate resolved."""
    lost: int = 0
    """The same that only the base resolved."""


class StageRecord(_Record):
    """One stage of the experiment."""

    name: str
    """For example `tasks`, `demonstrations`, `seed0/base`, `seed0/rollouts`, `seed0/eval-dpo`."""
    folder: str
    seed: int | None = None
    """None for a stage that all seeds share."""
    seconds: float
    """Wall-clock time over all sittings."""
    cpu_seconds: float | None = None
    """Of this process and its children, where known."""
    command: str | None = None
    """The command line that does this stage alone."""
    figures: dict[str, Any] = Field(default_factory=dict[str, Any])
    """What it made: numbers of episodes, tokens, rates."""


class Experiment(_Record):
    """The whole experiment, as far as it has come."""

    schema_version: str = "1.0"
    name: str
    created: str
    """UTC, ISO 8601."""
    finished: bool = False
    command: str
    """The command line that makes all of it."""
    config: dict[str, Any]
    """The resolved configuration."""
    versions: dict[str, str | None] = Field(default_factory=dict[str, str | None])
    machine: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Cores, memory, load averages at the start and the end."""
    seeds: list[int]
    tasks: list[TaskSet] = Field(default_factory=list[TaskSet])
    evaluated_on: str = "eval"
    """The task set whose outcomes the gates compare."""
    data: list[DataRecord] = Field(default_factory=list[DataRecord])
    arms: list[Arm] = Field(default_factory=list[Arm])
    gates: list[GateRecord] = Field(default_factory=list[GateRecord])
    stages: list[StageRecord] = Field(default_factory=list[StageRecord])

    @property
    def base(self) -> Arm:
        """The base arm. Raises UsageError when there is none yet."""
        return self.arm("base")

    @property
    def control(self) -> Arm | None:
        """The first control arm, if any."""
        return next((arm for arm in self.arms if arm.role == "control"), None)

    def arm(self, name: str) -> Arm:
        """The arm of that name. Raises UsageError."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise UsageError(f"experiment {self.name} has no arm {name!r}; it has {', '.join(a.name for a in self.arms)}")


def read_experiment(folder: Path) -> Experiment:
    """The experiment in a folder. Raises UsageError when there is none, or its record cannot be read."""
    path = folder / EXPERIMENT
    try:
        return Experiment.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{folder} is not an experiment: it has no {EXPERIMENT}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path} cannot be read: at {where or 'the top'}: {first['msg']}") from None

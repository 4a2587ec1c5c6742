"""What a rollout is told, and how it comes together: defaults, presets, files, single values, options."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ..envs.config import EnvConfig
from ..envs.grader import GraderConfig
from ..envs.registration import DEFAULT_WRAPPERS
from ..envs.task import Task
from ..errors import ConfigError, TaskNotFound
from ..rewards.config import RubricConfig
from ..validation import validated
from .agents.settings import AgentConfig
from .budget import Budget, PriceTable
from .llm import ChatConfig, VllmConfig
from .log import Fsync
from .policies.choose import resolve_chat, resolve_vllm
from .scale.config import RayConfig
from .steering.config import SteeringConfig

__all__ = [
    "RESUMABLE",
    "RolloutConfig",
    "check_budget",
    "choose",
    "load_config",
    "load_preset",
    "load_values",
    "read_overrides",
    "resolve",
]

Settings = TypeVar("Settings", bound=BaseModel)
CONFIGS = Path(__file__).parents[1] / "configs"
RESUMABLE = (
    "tasks",  # the tasks themselves are compared, wherever they were read from
    "workers",
    "warm",
    "retries",
    "fsync",
    "grade",
    "engine",
    "ray",
    "ray.address",
    "ray.resource",
    "ray.per_node",
    "ray.cpus",
    "ray.deaths",
    "ray.patience",
    "agent.base_url",
    "agent.api_key_env",
    "budget.run_seconds",
    "budget.run_cost_usd",
    "chat.base_url",
    "chat.api_key_env",
    "chat.request_timeout",
    "chat.retries",
    "chat.max_wait",
    "vllm.base_url",
    "vllm.api_key_env",
    "vllm.request_timeout",
    "vllm.retries",
    "vllm.max_wait",
    "rubric.judge.budget.usd",
    "rubric.judge.budget.requests",
    "rubric.judge.budget.tokens",
    "rubric.judge.workers",
    "rubric.judge.cache",
    "rubric.judge.give_up_after",
    "steering.early_stop.predictor",  # where it lies; what it says is compared by its checksum
    "steering.timeout.predictor",
)
"""What may change when a run is resumed: none of it changes what an episode is."""


class RolloutConfig(BaseModel):
    """A run: who acts, on what, how often, within which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: str
    """Folder of a task repo, name of a dataset, or a local file of tasks."""
    policy: str = "reference"
    """`reference`, `random`, `scripted:FILE`, `chat:MODEL@URL`, `vllm:MODEL@URL` or `package.module:factory`."""
    agent: AgentConfig | None = None
    """A command-line agent that does the episodes in place of the policy; see `trajhub run`."""
    filter: str | None = None
    """Only tasks whose id matches this glob."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first so many tasks."""
    seeds: int = Field(default=1, ge=1)
    """Episodes for each task, with consecutive seeds."""
    seed: int = Field(default=0, ge=0)
    """The first seed."""
    workers: int = Field(default=2, ge=1)
    """Episodes at once."""
    warm: int = Field(default=2, ge=0)
    """Sandboxes started ahead, for all workers together."""
    engine: Literal["local", "ray"] = "local"
    """Where episodes are done: by threads of this process, or on the nodes of a Ray cluster."""
    ray: RayConfig = Field(default_factory=RayConfig)
    retries: int = Field(default=2, ge=0)
    """Further attempts of an episode that failed by the environment or a service."""
    grade: bool = False
    """Have the trusted grader judge every final patch."""
    fsync: Fsync = "episode"
    """When the log is forced to disk: `never`, `episode` or `step`."""
    wrappers: tuple[str, ...] = DEFAULT_WRAPPERS
    """Gymnasium wrappers by entry point, innermost first; the recorder comes on top."""
    rubric: RubricConfig | None = None
    """How `RubricReward` scores steps, for example with a judge; null: `configs/rubric.yaml`. On the command line a
    file, or single values as `rubric.KEY=VALUE`."""
    env: EnvConfig = Field(default_factory=EnvConfig)
    chat: ChatConfig = Field(default_factory=ChatConfig)
    vllm: VllmConfig = Field(default_factory=VllmConfig)
    grader: GraderConfig = Field(default_factory=GraderConfig)
    budget: Budget = Field(default_factory=Budget)
    steering: SteeringConfig = Field(default_factory=SteeringConfig)
    """Policies that act on predictions, off by default."""
    prices: PriceTable

    @property
    def all_seeds(self) -> range:
        """Every seed of the run."""
        return range(self.seed, self.seed + self.seeds)


def read_overrides(items: Sequence[str]) -> dict[str, Any]:
    """Merge `file.yaml` and `dotted.key=value` items; later ones win. Values are YAML."""
    merged: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if equals:
            _merge(merged, _nested(key.strip(), _yaml(value, item)))
        else:
            _merge(merged, _mapping(Path(item)))
    return merged


def load_config(overrides: Mapping[str, Any]) -> RolloutConfig:
    """The shipped presets with `overrides` on top. Raises ConfigError that names each wrong value."""
    given = dict(overrides)
    rubric = given.pop("rubric", None)
    if rubric is not None:
        given["rubric"] = _rubric(rubric)
    return load_preset(RolloutConfig, "rollout.yaml", given)


def _rubric(given: object) -> dict[str, Any]:
    """A rubric from a file, or the default one with single values changed."""
    if isinstance(given, str):
        return _mapping(Path(given))
    if not isinstance(given, Mapping):
        raise ConfigError("rubric should be a file, or values as rubric.KEY=VALUE")
    values = _mapping(CONFIGS / "rubric.yaml")
    _merge(values, cast("Mapping[str, Any]", given))
    return values


def load_preset(model: type[Settings], preset: str, overrides: Mapping[str, Any]) -> Settings:
    """A shipped preset with the price table, and `overrides` on top. Raises ConfigError that names each wrong value."""
    return load_values(model, preset, overrides, prices=_mapping(CONFIGS / "prices.yaml"))


def load_values(model: type[Settings], preset: str, overrides: Mapping[str, Any], **more: Any) -> Settings:
    """A shipped preset with `more` and `overrides` on top. Raises ConfigError that names each wrong value."""
    values = _mapping(CONFIGS / preset) | more
    _merge(values, overrides)
    return validated(model, values)


def choose(config: RolloutConfig, tasks: Sequence[Task]) -> list[Task]:
    """The tasks that filter and limit leave. Raises TaskNotFound when there is none, TaskIncomplete for one that
    cannot run.
    """
    kept = [task for task in tasks if config.filter is None or fnmatchcase(task.instance_id, config.filter)]
    if not kept:
        raise TaskNotFound(f"no task of {config.tasks!r} matches {config.filter!r}; see `trajhub tasks list`")
    chosen = kept[: config.limit]
    for task in chosen:
        task.require_image()
        if config.grade:
            task.require_gradable()
    return chosen


def resolve(config: RolloutConfig) -> RolloutConfig:
    """The configuration with a chat or vLLM policy's model and URL where they belong, and predictors' checksums."""
    from .steering.pilot import settle  # which knows policies, as this module does

    config = config.model_copy(update={"steering": settle(config.steering)})
    if config.policy.startswith("vllm:"):
        vllm = resolve_vllm(config.policy, config.vllm)
        return config.model_copy(update={"policy": "vllm", "vllm": vllm})
    if not config.policy.startswith("chat:"):
        return config
    chat = resolve_chat(config.policy, config.chat)
    return config.model_copy(update={"policy": "chat", "chat": chat})


def check_budget(config: RolloutConfig, model: str | None) -> None:
    """Raise ConfigError when a cost limit is set that could not be kept."""
    if model is not None and config.budget.counts_money and config.prices.price(model) is None:
        raise ConfigError(
            f"a cost limit is set, but the price table has no price for {model!r}; add one with -c prices.yaml:\n"
            f"  prices: {{models: {{{model}: {{input: 0.5, output: 1.5}}}}}}   # USD per million tokens"
        )


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML: {error}") from None


def _mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror} (-c takes FILE.yaml or key=value)") from None
    value = _yaml(text, str(path))
    if not isinstance(value, dict):
        raise ConfigError(f"{path} holds no mapping of settings")
    return cast("dict[str, Any]", value)


def _nested(key: str, value: Any) -> dict[str, Any]:
    head, _, rest = key.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            _merge(cast("dict[str, Any]", old), cast("Mapping[str, Any]", value))
        else:
            into[key] = value

"""What has to be right before any time on a GPU is spent: the model's files, its context, and the data's tasks."""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from ...envs.sources import load_tasks
from ...envs.task import Task
from ...errors import ConfigError, TaskNotFound, UsageError
from ...rollouts.manifest import task_digest
from ...rollouts.serving.checkpoint import check_model, check_tokenizer, check_weights
from ..trajectories.intake import known_tasks
from ..trajectories.leakage import Leakage
from .config import GrpoConfig, TrainConfig
from .data import DataSource, Row

__all__ = [
    "check_groups",
    "check_names",
    "context_of",
    "load_tokenizer",
    "max_length_of",
    "needed_bytes",
    "refuse_leaks",
    "refuse_task_leaks",
    "training_tasks",
]

_CONTEXTS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
_WEIGHTS = ("*.safetensors", "*.bin")
_STATES = 7
"""Copies of the weights on disk at most: the result, and two checkpoints with two moments of the optimizer each."""


def check_names(config: TrainConfig) -> None:
    """Raise ConfigError for a schedule, an optimizer or a reporter that transformers does not know."""
    from transformers import SchedulerType
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
    from transformers.training_args import OptimizerNames

    asked: list[tuple[str, str, Iterable[str]]] = [
        ("scheduler", config.scheduler, [str(each.value) for each in SchedulerType]),
        ("optimizer", config.optimizer, [str(each.value) for each in OptimizerNames]),
        *(("report_to", name, ["all", "none", *INTEGRATION_TO_CALLBACK]) for name in config.report_to),
    ]
    for key, value, known in asked:
        if value not in known:
            raise ConfigError(f"{key}: {value!r} is none of {', '.join(sorted(known))}")


def check_groups(config: GrpoConfig, tasks: int, processes: int) -> None:
    """Raise ConfigError when an update cannot be made of whole groups, or needs more tasks than there are."""
    episodes = config.batch_size * config.gradient_accumulation * processes
    if episodes % config.group:
        raise ConfigError(
            f"an update has {episodes} episodes (batch_size * gradient_accumulation * processes), which are no whole "
            f"groups of {config.group}; change batch_size or group"
        )
    if episodes // config.group > tasks:
        raise ConfigError(
            f"an update plays {episodes // config.group} tasks {config.group} times each, and there are {tasks}; take "
            "more tasks, a smaller batch_size or a larger group"
        )


def load_tokenizer(config: TrainConfig) -> Any:
    """The tokenizer, with a token for padding. Raises ConfigError when there is none."""
    from transformers import AutoTokenizer

    name = config.tokenizer or config.model
    if config.tokenizer is None:
        check_model(name)
    check_tokenizer(name)
    try:
        tokenizer: Any = cast("Any", AutoTokenizer).from_pretrained(name, trust_remote_code=config.trust_remote_code)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"there is no tokenizer at {name}: {_first_line(error)}; name one with tokenizer=FOLDER"
        ) from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise ConfigError(f"the tokenizer of {name} has neither a padding nor an end token")
    return tokenizer


def context_of(config: TrainConfig) -> int | None:
    """How many tokens the model can read; None when its configuration does not say.

    Raises ConfigError when there is no model, or only adapters.
    """
    from transformers import AutoConfig

    check_model(config.model)
    check_weights(config.model)
    try:
        found: Any = cast("Any", AutoConfig).from_pretrained(config.model, trust_remote_code=config.trust_remote_code)
    except (OSError, ValueError) as error:
        raise ConfigError(f"there is no model at {config.model}: {_first_line(error)}") from None
    text = found.get_text_config()
    return next((int(getattr(text, name)) for name in _CONTEXTS if getattr(text, name, None)), None)


def max_length_of(config: TrainConfig, wanted: int | None) -> int:
    """The most tokens of an example. Raises ConfigError when the model cannot read so many, or nobody knows."""
    context = context_of(config)
    if wanted is None and context is None:
        raise ConfigError(f"the configuration of {config.model} does not say how much it can read; set max_length")
    if wanted is not None and context is not None and wanted > context:
        raise ConfigError(f"max_length is {wanted}, and {config.model} can read {context} tokens")
    return wanted or context or 0


def needed_bytes(config: TrainConfig) -> int:
    """Disk that training may take, by the size of the weights; 0 when they are not here yet."""
    folder = Path(config.model)
    if not folder.is_dir():
        return 0
    sizes = [sum(path.stat().st_size for path in folder.glob(pattern)) for pattern in _WEIGHTS]
    copies = 2 if config.lora is not None else _STATES
    if isinstance(config, GrpoConfig) and config.sampler != "local":
        copies += 2  # what is served, and what will be next
    return copies * max(sizes)


def refuse_leaks(config: TrainConfig, sources: Sequence[DataSource]) -> None:
    """Compare every row's task with the evaluation tasks. Raises UsageError that names the leaks."""
    if config.eval_tasks is None:
        return
    leakage = Leakage(load_tasks(config.eval_tasks), config.leakage)
    tasks = known_tasks(config.tasks, ())
    found, seen = list[str](), set[str]()
    for task_id, repo, statement in _tasks_of(sources):
        if task_id in seen:
            continue
        seen.add(task_id)
        task = tasks.get(task_id)
        told = task.problem_statement if task is not None else statement
        leak = leakage.find(task_id, repo, told, [task.patch] if task is not None and task.patch else [])
        if leak is not None:
            found.append(f"{leak}: {leak.reason}")
    _refuse(found, len(seen), config.eval_tasks)


def _refuse(leaks: Sequence[str], tasks: int, spec: str) -> None:
    if leaks:
        more = f"\n  and {len(leaks) - 10} more" if len(leaks) > 10 else ""
        raise UsageError(
            f"{len(leaks)} of {tasks} training tasks give away tasks of {spec}:\n  "
            + "\n  ".join(leaks[:10])
            + f"{more}\nExport with --eval-tasks {spec}, which leaves them out, or loosen leakage.*"
        )


def _tasks_of(sources: Sequence[DataSource]) -> Iterator[tuple[str, str, str]]:
    """Task id, repository and statement of each row. Raises UsageError when a row does not say of which task it is."""
    for source in sources:
        for row in source.rows():
            if not row.get("task_id"):
                raise UsageError(f"{source.path}: a row has no task_id, so leaks of evaluation tasks cannot be found")
            yield str(row["task_id"]), str(row.get("repo") or ""), _statement(row)


def _statement(row: Row) -> str:
    messages: Sequence[Row] = row.get("messages") or row.get("prompt") or ()
    return next((str(message.get("content") or "") for message in messages if message.get("role") == "user"), "")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(" .:")


def training_tasks(config: GrpoConfig) -> tuple[dict[str, Task], dict[str, Any]]:
    """The tasks to act in, by id, and facts about them for the manifest.

    Raises TaskError when there is none, or when one cannot be run and graded.
    """
    found = [task for task in load_tasks(config.tasks) if fnmatchcase(task.instance_id, config.filter or "*")]
    tasks = {task.instance_id: task for task in found[: config.limit]}
    if not tasks:
        raise TaskNotFound(f"no task of {config.tasks!r} matches {config.filter!r}; see `trajhub tasks list`")
    for task in tasks.values():
        task.require_image()
        task.require_gradable()
    lines = "".join(f"{name} {task_digest(task)}\n" for name, task in sorted(tasks.items()))
    file = {"name": "tasks", "bytes": len(lines), "sha256": sha256(lines.encode()).hexdigest(), "read": True}
    return tasks, {"path": config.tasks, "files": [file]}


def refuse_task_leaks(config: TrainConfig, tasks: Sequence[Task]) -> None:
    """Compare the training tasks with the evaluation tasks. Raises UsageError that names the leaks."""
    if config.eval_tasks is None:
        return
    leakage = Leakage(load_tasks(config.eval_tasks), config.leakage)
    patches = {task.instance_id: [task.patch] if task.patch else [] for task in tasks}
    leaks = [leakage.find(t.instance_id, t.repo, t.problem_statement, patches[t.instance_id]) for t in tasks]
    _refuse([f"{leak}: {leak.reason}" for leak in leaks if leak is not None], len(tasks), config.eval_tasks)

"""`trajhub train`: one command an algorithm; each is a script as well, for `accelerate launch`."""

import logging
import math
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..errors import ConfigError, MissingExtra, TrajHubError
from ..rollouts.interrupt_cli import interruptible

if TYPE_CHECKING:
    from .trainer.output import Trained

__all__ = ["app", "launched"]

_OPTIONS = {"model": "--model", "output": "-o", "data": "--data", "tasks": "--tasks"}
app = typer.Typer(help="Train a model on exported data, or in the environment.", no_args_is_help=True)

Config = Annotated[
    list[str] | None, typer.Option("-c", "--config", help="FILE.yaml or key=value; repeatable, later ones win.")
]
Model = Annotated[str | None, typer.Option("--model", help="Folder or name of the model to start from.")]
Data = Annotated[list[Path] | None, typer.Option("--data", help="Exported data set; repeatable.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the checkpoint.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the row order and of new weights.")]
Tasks = Annotated[str | None, typer.Option("--tasks", help="Task repo, dataset or file to act in.")]
Filter = Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")]
TaskLimit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N tasks.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Train on at most this many rows.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything and show the first example; train nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print the manifest as JSON; figures go to standard error.")]


@app.command()
def sft(
    config: Config = None,
    model: Model = None,
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Supervised fine-tuning on what the agent said, by trajectories or steps."""
    _train("sft", config, _options(model, data, out, seed, limit), dry_run, as_json)


@app.command()
def dpo(
    config: Config = None,
    model: Model = None,
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Direct preference optimization on pairs, with the tools' answers left out of the loss."""
    _train("dpo", config, _options(model, data, out, seed, limit), dry_run, as_json)


@app.command()
def kto(
    config: Config = None,
    model: Model = None,
    data: Data = None,
    out: Out = None,
    seed: Seed = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Kahneman-Tversky optimization: trajectories, or steps, that are simply good or bad."""
    _train("kto", config, _options(model, data, out, seed, limit), dry_run, as_json)


@app.command()
def grpo(
    config: Config = None,
    model: Model = None,
    tasks: Tasks = None,
    out: Out = None,
    seed: Seed = None,
    limit: TaskLimit = None,
    task_filter: Filter = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Group relative policy optimization: the model acts in the environment, and learns from how its episodes end."""
    options = _given(
        {"tasks": tasks, "limit": limit, "filter": task_filter, "model": model, "output": out, "seed": seed}
    )
    _train("grpo", config, options, dry_run, as_json)


def _options(
    model: str | None, data: list[Path] | None, out: Path | None, seed: int | None, limit: int | None
) -> list[str]:
    """The options as `key=value` items."""
    paths = [str(path) for path in data] if data else None
    return _given({"model": model, "data": paths, "output": out, "seed": seed, "selection.limit": limit})


def _given(options: dict[str, Any]) -> list[str]:
    from json import dumps

    return [f"{key}={dumps(value, default=str)}" for key, value in options.items() if value is not None]


def _train(algorithm: str, items: list[str] | None, options: list[str], dry_run: bool, as_json: bool) -> None:
    config = _config(algorithm, [*(items or []), *options])
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")  # TRL's, not the user's
    train = _trainer(algorithm)
    with interruptible("stopped; the same command goes on from the last checkpoint"):
        done: Trained = train(config, sys.stderr if as_json else sys.stdout, dry_run=dry_run)
    if os.environ.get("RANK", "0") != "0":
        return
    if as_json:
        console.emit_json(done.manifest)
    elif dry_run and not done.kept:
        _planned(done, config)
    else:
        _report(done)


def _config(algorithm: str, items: list[str]) -> Any:
    """Its configuration, read before anything heavy is imported. Raises ConfigError, MissingExtra."""
    if find_spec("trl") is None:
        raise MissingExtra("training needs TRL: pip install 'agent-trajectory-hub[train]'")
    from .trainer.config import CONFIG_OF, load_train_config

    try:
        return load_train_config(CONFIG_OF[algorithm], items)
    except ConfigError as error:
        told = str(error)
        for key, option in _OPTIONS.items():
            told = told.replace(f"\n  {key}: Field required", f"\n  {key}: Field required ({option}, or -c {key}=...)")
        raise ConfigError(told) from None


def _trainer(algorithm: str) -> "Callable[..., Trained]":
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # advises on packages as soon as it is imported
    module: Any = import_module(f"{__package__}.{algorithm}")
    return getattr(module, f"train_{algorithm}")


def _planned(done: "Trained", config: Any) -> None:
    """What a training would learn from, and how long it would be."""
    counts = done.manifest["counts"]["train"]
    together = config.batch_size * config.gradient_accumulation * int(os.environ.get("WORLD_SIZE", "1"))
    examples = counts["examples"] * getattr(config, "group", 1)
    updates = config.max_steps or math.ceil(examples / together) * config.epochs
    rows = [(name.replace("_", " "), value) for name, value in counts.items() if value]
    if not getattr(config, "packing", False):
        rows.append(("updates", math.ceil(updates)))
    console.table(f"{done.manifest['algorithm']}: checked, nothing trained", ["figure", "value"], rows)
    print("Next:    the same command without --dry-run", file=sys.stderr)


def _report(done: "Trained") -> None:
    told = done.manifest
    losses = told["losses"]
    rows = [
        ("examples", told["counts"]["train"]["examples"]),
        ("updates", told["steps"]),
        ("loss", f"{losses['first']} -> {losses['last']}"),
        ("held-out loss", losses["held_out_least"]),
        ("tokens", told["tokens"]),
        ("seconds", told["seconds"]),
        ("tokens/s", told["tokens_per_second"]),
    ]
    was = "there already" if done.kept else "trained"
    console.table(f"{told['algorithm']}: {was}", ["figure", "value"], [row for row in rows if row[1] is not None])
    console.next_steps(done.output, f"trajhub eval {done.output} --tasks TASKS   (is it better? its loss does not say)")


def launched(algorithm: str) -> None:
    """One command as a program of its own, for `accelerate launch -m trajectory_hub.training.<algorithm>`."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command()({"sft": sft, "dpo": dpo, "kto": kto, "grpo": grpo}[algorithm])
    try:
        single()
    except TrajHubError as error:
        print(f"trajhub: {error}", file=sys.stderr)
        if os.environ.get("TRAJHUB_TRACEBACK"):
            raise
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)

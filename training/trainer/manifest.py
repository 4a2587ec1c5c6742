"""`training.json`: what ties a checkpoint to its data, configuration, code and seeds."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...rollouts.files import sha256_of
from .config import DataConfig, TrainConfig
from .output import METRICS, SCHEMA_VERSION, Output, code_facts

__all__ = ["losses", "manifest_of"]

_MODEL_FILES = (".safetensors", ".bin", ".json", ".jinja", ".model")


def manifest_of(
    config: TrainConfig,
    output: Output,
    *,
    data: Sequence[Mapping[str, Any]],
    started: datetime,
    tokens: int,
    seconds: float,
    **facts: Any,
) -> dict[str, Any]:
    """The document; `facts` are written as they are. Checksums of the data are those that `trajhub audit` looks for."""
    return {
        "schema_version": SCHEMA_VERSION,
        "algorithm": config.algorithm,
        "base_model": {"name": config.model, "files": _files(Path(config.model))},
        "data": list(data),
        "config": config.model_dump(mode="json"),
        "code": code_facts(),
        "seeds": _seeds(config),
        **facts,
        "losses": losses(output.folder / METRICS),
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": round(tokens / seconds, 1) if seconds else 0.0,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "checkpoint": output.weights(),
    }


def _seeds(config: TrainConfig) -> dict[str, int]:
    return {"training": config.seed} | ({"selection": config.selection.seed} if isinstance(config, DataConfig) else {})


def _files(model: Path) -> list[dict[str, Any]]:
    """The base model's files with their checksums; none of a model that is known by name only."""
    if not model.is_dir():
        return []
    files = sorted(path for path in model.iterdir() if path.is_file() and path.suffix in _MODEL_FILES)
    return [{"name": path.name, "sha256": sha256_of(path)} for path in files]


def losses(path: Path) -> dict[str, float | None]:
    """First, last and least losses of the metrics: of a training run, and of what was held out."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    train = [float(row["loss"]) for row in rows if "loss" in row]
    held_out = [float(row["eval_loss"]) for row in rows if "eval_loss" in row]
    return {
        "first": train[0] if train else None,
        "last": train[-1] if train else None,
        "held_out_first": held_out[0] if held_out else None,
        "held_out_last": held_out[-1] if held_out else None,
        "held_out_least": min(held_out) if held_out else None,
    }

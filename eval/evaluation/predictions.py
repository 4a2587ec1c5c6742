"""Predictions of a run, as the official harness takes them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ...envs.predictions import read_predictions
from ...errors import UsageError
from ...rollouts.exporters.predictions import model_of, prediction
from ...rollouts.files import write_atomic
from ...rollouts.plan import latest
from ...rollouts.run_dir import Episode, read_episodes, read_manifest

__all__ = ["name_of", "predictions_of", "write_predictions"]


def write_predictions(run: Path) -> list[Path]:
    """Write `predictions.jsonl`, or `predictions.seed<N>.jsonl` for each of several seeds, into the run's folder.

    An episode that infrastructure spoilt has no line: the harness would count it against the model.
    """
    manifest = read_manifest(run)
    seeds: list[int] = manifest.get("seeds") or []
    model = model_of(manifest, run.name)
    last = latest(list(read_episodes(run)))
    written = list[Path]()
    for seed in seeds:
        several = len(seeds) > 1
        name = f"{model}.seed{seed}" if several else model
        rows = [_row(last.get((task, seed)), task, name) for task in sorted(manifest.get("tasks") or {})]
        path = run / (f"predictions.seed{seed}.jsonl" if several else "predictions.jsonl")
        write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows if row is not None))
        written.append(path)
    return written


def _row(episode: Episode | None, task: str, model: str) -> dict[str, str] | None:
    if episode is None or not episode.finished or episode.to_retry:
        return None
    return prediction(task, model, None if episode.patch is None else episode.patch.patch)


def predictions_of(
    files: tuple[Path, ...], wanted: list[str], *, missing_unresolved: bool
) -> list[dict[str, str | None]]:
    """Patch of each wanted task, for each file.

    Raises UsageError for a task without a prediction, unless those are to count as not resolved.
    """
    found = list[dict[str, str | None]]()
    for path in files:
        patches = read_predictions(str(path))
        absent = sorted(set(wanted) - patches.keys())
        if absent and not missing_unresolved:
            more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
            raise UsageError(
                f"{path} has no prediction for {', '.join(absent[:3])}{more}; choose tasks with --filter, or count "
                "these as not resolved, as the official harness does, with --missing-unresolved"
            )
        found.append({task: patches.get(task) for task in wanted})
    return found


def name_of(path: Path) -> str:
    """The model that the first prediction names; else the file's name."""
    text = path.read_text(encoding="utf-8")
    content: Any = json.loads(text.splitlines()[0] if path.suffix == ".jsonl" and text.strip() else text or "[]")
    if isinstance(content, Mapping) and "instance_id" not in content:
        content = list(cast("Mapping[str, Any]", content).values())
    if isinstance(content, list):
        content = next(iter(cast("list[Any]", content)), None)
    row = cast("Mapping[str, Any]", content if isinstance(content, Mapping) else {})
    return str(row.get("model_name_or_path") or row.get("prefix") or path.stem)

"""`trajhub runs best`: best of n by process score."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console

if TYPE_CHECKING:
    from .best import BestOfN

__all__ = ["best"]


def best(
    run: Annotated[Path, typer.Argument(help="Folder of a run with several episodes per task.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Predictions file; default: best.jsonl in the run.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Choose by a layer of scores/ instead of the recorded process score.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Choose one episode per task by process score, and write the patches as predictions."""
    from .best import best_of_n
    from .files import write_atomic

    found = best_of_n(run, layer)
    path = output or run / "best.jsonl"
    write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.predictions()))
    if as_json:
        console.emit_json(_as_dict(found) | {"run": str(run), "predictions": str(path)})
    else:
        _show(run, found)
    console.next_steps(path, f"trajhub grade {_tasks(run)} {path}")


def _tasks(run: Path) -> str:
    from .run_dir import read_manifest

    config: dict[str, Any] = read_manifest(run).get("config") or {}
    return shlex.quote(str(config.get("tasks") or "TASKS"))


def _as_dict(found: "BestOfN") -> dict[str, Any]:
    from dataclasses import asdict

    chosen = [
        {
            "task": one.task,
            "episode": one.episode.folder.name,
            "score": one.score,
            "candidates": found.candidates[one.task],
            "resolved": one.resolved,
        }
        for one in found.chosen
    ]
    return {"chosen": chosen, "excluded": found.excluded, "curve": [asdict(point) for point in found.curve]}


def _show(run: Path, found: "BestOfN") -> None:
    rows = [
        (one.task, found.candidates[one.task], _figure(one.score), _verdict(one.resolved), one.episode.folder.name)
        for one in found.chosen
    ]
    console.table(f"Best of {run}", ("task", "of", "score", "verdict", "episode"), rows)
    if found.curve:
        points = [(point.k, point.tasks, f"{point.by_score:.1%}", f"{point.any:.1%}") for point in found.curve]
        console.table(
            "Resolved when one of k episodes is taken", ("k", "tasks", "best by score", "any (pass@k)"), points
        )
    if found.excluded:
        print(f"{found.excluded} episodes say nothing about the agent and were left out")


def _figure(score: float | None) -> str | None:
    return None if score is None else f"{score:.3f}"


def _verdict(resolved: bool | None) -> str | None:
    return None if resolved is None else "resolved" if resolved else "unresolved"

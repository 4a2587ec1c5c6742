"""`trajhub trace predict`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ... import console
from ...errors import UsageError

if TYPE_CHECKING:
    from .results import PredictionReport

__all__ = ["predict"]

_TARGETS = ("success", "cost_overrun", "next_tool_failure", "tool_latency")
_CLUSTERS = ("kmeans", "agglomerative", "none")
Runs = Annotated[list[Path], typer.Argument(help="Runs, recorded here or ingested.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the report and predictor.json.")]
Target = Annotated[str, typer.Option("--target", help=" | ".join(_TARGETS))]
At = Annotated[
    list[int] | None,
    typer.Option("--at", min=1, help="Predict after this many steps; repeatable. Default: chosen from the data."),
]
Split = Annotated[str, typer.Option("--split", help="What is never on both sides of a split: task | repository.")]
Folds = Annotated[int, typer.Option("--folds", min=2, help="Folds, held out one after another.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of splits, models and resamples.")]
Resamples = Annotated[int, typer.Option("--resamples", min=20, help="Bootstrap samples behind each interval.")]
Quantiles = Annotated[
    list[float] | None,
    typer.Option("--quantile", help="Quantile of tool_latency; repeatable. Default: 0.5, 0.9 and 0.99."),
]
Budget = Annotated[
    float | None,
    typer.Option(
        "--budget", help="Budget of cost_overrun, in USD or tokens. Default: what 80% of episodes stay within."
    ),
]
Clusters = Annotated[str, typer.Option("--clusters", help="How strategies are found: kmeans | agglomerative | none.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N episodes.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def predict(
    runs: Runs,
    output: Output,
    target: Target = "success",
    at: At = None,
    split: Split = "task",
    folds: Folds = 5,
    seed: Seed = 0,
    resamples: Resamples = 500,
    quantile: Quantiles = None,
    budget: Budget = None,
    clusters: Clusters = "kmeans",
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Learn to predict episodes, and measure how well that works: models, baselines, intervals, strategies."""
    from . import predict as task

    _one_of("--target", target, _TARGETS)
    _one_of("--split", split, ("task", "repository"))
    _one_of("--clusters", clusters, _CLUSTERS)
    quantiles = tuple(sorted(quantile)) if quantile else task.QUANTILES
    if not all(0 < one < 1 for one in quantiles):
        raise UsageError("--quantile: should lie between 0 and 1")
    with console.progress("Fitting", None) as tick:
        settings = task.PredictSettings(
            target=cast("Any", target),
            at=tuple(sorted(set(at or ()))),
            split=cast("Any", split),
            folds=folds,
            seed=seed,
            resamples=resamples,
            quantiles=quantiles,
            budget=budget,
            limit=limit,
            clusters=None if clusters == "none" else cast("Any", clusters),
            each=tick,
        )
        report, _ = task.predict(runs, output, settings)
    if as_json:
        console.emit_json(report.model_dump(mode="json"))
    else:
        _show(report)
    console.next_steps(output / "prediction.html", *_next(runs, output, target))


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{option} {value}: should be one of {', '.join(known)}")


def _next(runs: list[Path], output: Path, target: str) -> list[str]:
    if target not in ("success", "tool_latency"):
        return []
    return [f"trajhub trace policies {' '.join(map(str, runs))} --predictor {output / 'predictor.json'}"]


def _show(report: "PredictionReport") -> None:
    from .report import verdict

    for result in report.results:
        keys = list(result.models[0].scores)
        where = "each call" if result.at is None else f"after {result.at} steps"
        title = f"{report.target}, {where}: {result.rows} rows of {result.groups} groups"
        console.table(title, ("model", *keys), [(m.name, *(str(m.scores[key]) for key in keys)) for m in result.models])
        print(verdict(result))
        print()
    if report.strategies is not None:
        rows = [
            (one.episodes, one.resolved, one.steps, ", ".join(f"{name} {z:+.1f}" for name, z in one.marks.items()))
            for one in report.strategies.clusters
        ]
        console.table("Strategies", ("episodes", "resolved", "steps", "differs by"), rows)

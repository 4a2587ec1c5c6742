"""`trajhub trace policies`."""

from pathlib import Path
from typing import Annotated

import typer

from ... import console

__all__ = ["policies"]

Runs = Annotated[list[Path], typer.Argument(help="Graded runs, recorded here or ingested.")]
PredictorFile = Annotated[Path, typer.Option("--predictor", help="predictor.json of `trajhub trace predict`.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the report.")]
Threshold = Annotated[
    list[float] | None, typer.Option("--threshold", min=0, max=1, help="Threshold of an early stop; repeatable.")
]
Margin = Annotated[list[float] | None, typer.Option("--margin", help="Margin of a dynamic time-out; repeatable.")]
Quantile = Annotated[float, typer.Option("--quantile", help="Quantile of the predicted times, for a dynamic time-out.")]
Floor = Annotated[float, typer.Option("--floor", help="Shortest time-out, in seconds.")]
Ceiling = Annotated[float | None, typer.Option("--ceiling", help="Longest first time-out, in seconds.")]
Folds = Annotated[int, typer.Option("--folds", min=2, help="Folds of the tasks; each is predicted from the others.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of folds and resamples.")]
Resamples = Annotated[int, typer.Option("--resamples", min=20, help="Bootstrap samples behind each interval.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N episodes.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def policies(
    runs: Runs,
    predictor: PredictorFile,
    output: Output,
    threshold: Threshold = None,
    margin: Margin = None,
    quantile: Quantile = 0.99,
    floor: Floor = 1.0,
    ceiling: Ceiling = None,
    folds: Folds = 5,
    seed: Seed = 0,
    resamples: Resamples = 1000,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Replay early stop or dynamic time-outs on recorded episodes: success per dollar and minute, with and without."""
    from ...rollouts.steering.config import DynamicTimeout
    from .policies import ReplaySettings, replay_policies
    from .replay import MARGINS, THRESHOLDS
    from .replay_report import sentence

    timeout = DynamicTimeout(predictor=str(predictor), quantile=quantile, floor=floor, ceiling=ceiling)
    with console.progress("Fitting", folds) as tick:
        settings = ReplaySettings(
            thresholds=tuple(sorted(threshold)) if threshold else THRESHOLDS,
            margins=tuple(sorted(margin)) if margin else MARGINS,
            timeout=timeout,
            folds=folds,
            seed=seed,
            resamples=resamples,
            limit=limit,
            each=tick,
        )
        report = replay_policies(runs, predictor, output, settings)
    if as_json:
        console.emit_json(report.model_dump(mode="json"))
    else:
        print(f"{report.episodes} graded episodes of {report.tasks} tasks, {report.resolved} resolved")
        for point in [*report.sweep, *([report.chosen] if report.chosen is not None else [])]:
            print(console.safe(sentence(point)))
    policy = "early_stop" if report.target == "success" else "timeout"
    switch = f"trajhub rollout … -c steering.{policy}.predictor={predictor}   (to switch it on)"
    console.next_steps(output / "policies.html", switch)

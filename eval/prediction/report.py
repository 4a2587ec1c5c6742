"""`prediction.md` and `prediction.html`: what can be predicted, how well, how surely."""

from collections.abc import Iterator

from ...page import Badge, Block, Heading, Listing, Page, Table, Text
from . import plots
from .results import ModelScores, PredictionReport, Strategies, TaskResult

__all__ = ["page_of", "verdict"]

_NAMES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "log_loss": "log loss",
    "mae_log": "MAE of log(1 + ms)",
    "pinball": "pinball loss",
}


def page_of(report: PredictionReport) -> Page:
    """The report as data."""
    blocks: list[Block] = [Text(_about(report)), Listing(tuple(verdict(one) for one in report.results))]
    if len(report.results) > 1:
        blocks.append(plots.over_steps(report.results, "auc", "AUC"))
    for result in report.results:
        blocks += _task(result)
    if report.strategies is not None:
        blocks += _strategies(report.strategies)
    blocks += [Heading("How this was found"), Listing(tuple(_method(report)))]
    return Page(f"Prediction of {report.target.replace('_', ' ')}", tuple(blocks))


def verdict(result: TaskResult) -> str:
    """In one sentence whether anything can be predicted."""
    loss = "log loss" if "log_loss" in result.models[0].scores else "pinball loss"
    when = "" if result.at is None else f"After {result.at} step" + ("s: " if result.at > 1 else ": ")
    said = "better than" if result.better else "not shown to be better than"
    base = "the baseline" if result.baseline == "baseline" else f"the baseline {result.baseline}"
    lead = f"{result.lead.value:+.4f} [{result.lead.low:+.4f}, {result.lead.high:+.4f}]"
    return f"{when}{result.best} is {said} {base}: {lead} of {loss} gained."


def _about(report: PredictionReport) -> str:
    graded = f"{report.resolved} of {report.graded} graded ones resolved"
    over = ""
    if report.budget is not None:
        over = f" Over budget is what takes more than {report.budget:g} {report.budget_unit}."
    return f"{report.episodes} episodes of {report.tasks} tasks, {graded}.{over}"


def _task(result: TaskResult) -> Iterator[Block]:
    after = "each call" if result.at is None else f"after {result.at} step" + ("s" if result.at > 1 else "")
    yield Heading(f"{result.target.replace('_', ' ').capitalize()}, {after}")
    level = f"{result.mean:.1%} positive" if result.target != "tool_latency" else f"median {result.mean:.1f} ms"
    yield Text(f"{result.rows} rows of {result.groups} groups, {level}.")
    keys = [key for key in result.models[0].scores]
    columns = ("model", *(_NAMES.get(key, key.replace("_", " ")) for key in keys))
    yield Table("Scores on held-out groups", columns, tuple(_row(one, keys) for one in result.models))
    gained = [key for key in keys if key in result.models[0].gains]
    rows = tuple(
        (one.name, *(_badge(one, key) for key in gained)) for one in result.models if one.name != result.models[0].name
    )
    yield Table("Gain over the baseline", ("model", *(_NAMES.get(key, key.replace("_", " ")) for key in gained)), rows)
    name = result.target if result.at is None else f"{result.target}-{result.at}"
    if result.calibration:
        yield plots.calibration(result, f"calibration-{name}")
    if result.importances:
        yield plots.importances(result, f"importance-{name}")


def _row(one: ModelScores, keys: list[str]) -> tuple[object, ...]:
    return (one.name, *(str(one.scores[key]) for key in keys))


def _badge(one: ModelScores, key: str) -> object:
    gain = one.gains[key]
    shown = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
    return Badge(shown, True) if gain.low > 0 else Badge(shown, False) if gain.high < 0 else shown


def _strategies(found: Strategies) -> Iterator[Block]:
    yield Heading("Strategies")
    count = len(found.clusters)
    chosen = f"{found.method} with {count} clusters: silhouette {found.silhouettes[count]:.3f}"
    yield Text(f"{chosen}, agreement of halves {found.stabilities[count]:.2f}.")
    rows = tuple(
        (number, one.episodes, one.tasks, None if one.resolved is None else str(one.resolved), one.steps,
         ", ".join(f"{name} {value:+.1f}" for name, value in one.marks.items()), one.example)
        for number, one in enumerate(found.clusters, 1)
    )  # fmt: skip
    columns = ("strategy", "episodes", "tasks", "resolved", "steps", "differs by (standard deviations)", "example")
    yield Table("Episodes that went alike", columns, rows)
    sizes = tuple((k, found.silhouettes[k], found.stabilities[k]) for k in sorted(found.silhouettes))
    shown = tuple((k, f"{one:.3f}", f"{other:.3f}") for k, one, other in sizes)
    yield Table("How many clusters", ("clusters", "silhouette", "agreement of halves"), shown)


def _method(report: PredictionReport) -> Iterator[str]:
    yield f"Split by {report.split} into {report.folds} folds, seed {report.seed}; no group is on both sides."
    yield "Features are what was known by then; task, repository, model and seed are no features."
    yield (
        f"Intervals: percentiles of {report.resamples} bootstrap samples of whole groups. They are not widened for"
        " the several steps and models that are shown side by side."
    )
    yield "AUC and average precision compare rows of the same fold; the baseline is the share of the other folds."
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in report.versions.items()) + "."

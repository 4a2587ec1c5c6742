"""`policies.md` and `policies.html`: success per dollar and per minute with and without a policy."""

from collections.abc import Iterator, Sequence

from ... import plotting
from ...page import Block, Drawing, Heading, Listing, Page, Table, Text
from ..traces.figures import number
from .metrics import Estimate
from .replay_results import Point, PoliciesReport

__all__ = ["page_of", "sentence"]

_UNITS = {"usd": "dollar", "million_tokens": "million tokens", "minutes": "minute"}
_SAVED = {"usd": "dollars", "million_tokens": "tokens", "minutes": "minutes"}


def page_of(report: PoliciesReport) -> Page:
    """The report as data."""
    return Page("Policies, replayed", tuple(_blocks(report)))


def sentence(point: Point) -> str:
    """What a policy would have brought."""
    setting = "" if point.setting is None else f" at {point.setting:g}"
    parts = [f"{point.policy}{setting}: {point.successes_kept.value:.1%} of the successes kept"]
    for unit, name in _UNITS.items():
        gain = point.figures.get(f"per_{unit}_gain")
        if gain is not None:
            parts.append(f"success per {name} {gain.value:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}]")
    return ", ".join(parts)


def _blocks(report: PoliciesReport) -> Iterator[Block]:
    counted = f"{report.episodes} graded episodes of {report.tasks} tasks, {report.resolved} resolved."
    other = report.episodes - report.judged_by_the_file
    judged = f"{other} were judged by predictors made from other tasks, {report.judged_by_the_file} by the file itself."
    yield Text(f"{counted} {judged}")
    if report.chosen is not None:
        yield Text(sentence(report.chosen) + ".", lead=True)
    known = [unit for unit in _UNITS if f"per_{unit}" in report.sweep[0].figures]
    for unit in known:
        yield Heading(f"Success per {_UNITS[unit]}")
        yield _table(report, unit)
        yield _drawing(report.sweep, unit)
    if "usd" not in known:
        yield Text("Costs in dollars are not known for these episodes: give prices for their models.")
    yield Heading("How this was found")
    yield Listing(tuple(_method(report)))


def _table(report: PoliciesReport, unit: str) -> Table:
    keys = (f"per_{unit}_without", f"per_{unit}", f"per_{unit}_gain", f"{unit}_saved")
    points = [*report.sweep, *([report.chosen] if report.chosen is not None else [])]
    rows = tuple(
        (
            one.policy,
            one.setting,
            f"{one.touched:.1%}",
            str(one.successes_kept),
            *(_shown(one.figures[key]) if key in one.figures else None for key in keys),
        )
        for one in points
    )
    columns = ("policy", "setting", "episodes touched", "successes kept", "without", "with", "gain", "saved")
    return Table("", columns, rows)


def _shown(one: Estimate) -> str:
    return f"{number(one.value)} [{number(one.low)}, {number(one.high)}]"


def _drawing(points: Sequence[Point], unit: str) -> Drawing:
    figure, axes = plotting.grid(3.6, columns=2, share=False)
    names = list(dict.fromkeys(one.policy for one in points))
    said = list[str]()
    for place, name in enumerate(names):
        mine = [one for one in points if one.policy == name and f"per_{unit}_gain" in one.figures]
        gains = [one.figures[f"per_{unit}_gain"] for one in mine]
        x, colour = [one.setting or 0.0 for one in mine], plotting.colour(place)
        axes[0].plot(x, [one.value for one in gains], "o-", color=colour, label=name, markersize=4)
        axes[0].fill_between(x, [one.low for one in gains], [one.high for one in gains], color=colour, alpha=0.15)
        saved = [one.figures[f"{unit}_saved"].value for one in mine]
        axes[1].plot(saved, [one.successes_kept.value for one in mine], "o-", color=colour, markersize=4)
        said.append(f"{name}: " + ", ".join(f"{at:g} {one.value:+.3f}" for at, one in zip(x, gains, strict=True)))
    axes[0].axhline(0, color="#1c2024", linewidth=1)
    axes[0].set(xlabel="setting", ylabel=f"gain in success per {_UNITS[unit]}")
    axes[1].set(xlabel=f"share of {_SAVED[unit]} saved", ylabel="share of successes kept")
    plotting.legend(figure, len(names))
    caption = "Left: gain over no policy with its 95% interval. Right: what is kept for what is saved."
    return Drawing(f"policies-{unit}", plotting.svg(figure), "; ".join(said), caption)


def _method(report: PoliciesReport) -> Iterator[str]:
    yield "An episode that is stopped counts as not resolved, whatever its patch was by then."
    yield "A command that is cut loses its result: its episode counts as not resolved, or at best as it was."
    yield "A retry is replayed as taking as long as the first time, or (as repeated) as the agent's own next try did."
    yield f"Judged without having seen the task, in {report.folds} parts, seed {report.seed}."
    yield f"Intervals: percentiles of {report.resamples} bootstrap samples of whole tasks."
    if report.chosen is not None:
        unit = _UNITS[(report.chosen_by or "").removeprefix("per_")]
        yield f"Chosen by other tasks: each part at the setting with the most successes per {unit} on the rest."

"""Drawings of a calibration as SVG, the same bytes for the same figures."""

from collections.abc import Sequence
from typing import Any

from ... import plotting
from ...page import Drawing
from .bootstrap import Estimate
from .results import OVERALL, Calibration, Change, Comparison

__all__ = ["drawings"]

_DASHED = "Dashed: what the gate requires."
_MARKERS = ("o", "s", "D", "^", "v", "P")


def drawings(found: Calibration) -> tuple[Drawing, ...]:
    """Correlations, calibration curves and, where there is one, the refit. Raises MissingExtra without matplotlib."""
    figures = [_correlations(found), _curves(found)]
    if found.refit is not None:
        figures.append(_refit(found.refit.changes))
    return tuple(figures)


def _correlations(found: Calibration) -> Drawing:
    names = list(dict.fromkeys(each.criterion for each in found.comparisons))
    figure, axes = plotting.figure(0.9 + 0.25 * len(names) * max(2, len(found.layers)))
    axes.axvline(found.gate.least, color="0.6", linestyle="--", label=f"required: {found.gate.least:g}")
    for number, layer in enumerate(found.layers):
        own = [each for each in found.comparisons if each.layer == layer]
        rows = [names.index(each.criterion) + 0.7 * (number + 0.5) / len(found.layers) - 0.35 for each in own]
        _points(axes, [each.coefficients["pearson"] for each in own], rows, number, layer)
    plotting.label_rows(axes, [name.replace("_", " ") for name in names])
    axes.set(xlim=(-1.05, 1.05), xlabel="Pearson's r with people's labels, 95% interval")
    plotting.legend(figure, 2)
    said = "; ".join(
        f"{each.layer} overall {each.coefficients['pearson']}"
        for each in found.comparisons
        if each.criterion == OVERALL
    )
    caption = "Pearson's r of each layer with people's labels, by criterion"
    return Drawing("correlation", plotting.svg(figure), f"{caption}: {said}.", f"{caption}. {_DASHED}")


def _curves(found: Calibration) -> Drawing:
    shown = [each for each in found.comparisons if each.criterion == OVERALL and each.reliability is not None]
    figure, grid = plotting.grid(3.6, 3.2 * max(1, len(shown)), columns=max(1, len(shown)), share=False)
    for number, (axes, each) in enumerate(zip(grid, shown, strict=False)):
        _curve(axes, each, number)
    caption = "Calibration curves overall"
    alt = f"{caption}: {'; '.join(map(_curve_words, shown))}."
    return Drawing("reliability", plotting.svg(figure), alt, f"{caption}, with the number of steps; dashed: equal.")


def _curve(axes: Any, each: Comparison, number: int) -> None:
    bins = each.reliability.bins if each.reliability is not None else ()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--")
    axes.plot(
        [bin.score for bin in bins],
        [bin.label for bin in bins],
        color=plotting.colour(number),
        marker=_MARKERS[number % 6],
    )
    for bin in bins:
        axes.annotate(str(bin.steps), (bin.score, bin.label), xytext=(4, -10), textcoords="offset points", fontsize=8)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="mean score", ylabel="mean label", aspect="equal")
    axes.set_title(each.layer if len(each.layer) <= 32 else each.layer[:31] + "…", fontsize=9)


def _curve_words(each: Comparison) -> str:
    assert each.reliability is not None
    points = ", ".join(
        f"{bin.score:.2f} is {bin.label:.2f} to people ({bin.steps} steps)" for bin in each.reliability.bins
    )
    return f"{each.layer}: expected calibration error {each.reliability.error:.3f}; a score of {points}"


def _refit(changes: Sequence[Change]) -> Drawing:
    figure, axes = plotting.figure(0.9 + 0.5 * len(changes))
    for number, (label, offset) in enumerate((("before", -0.15), ("after, on tasks not fitted", 0.15))):
        figures = [change.after if number else change.before for change in changes]
        _points(axes, figures, [row + offset for row in range(len(changes))], number, label)
    plotting.label_rows(axes, [change.criterion.replace("_", " ") for change in changes])
    axes.set(xlim=(-1.05, 1.05), xlabel="Pearson's r with people's labels, 95% interval")
    plotting.legend(figure, 2)
    said = "; ".join(f"{change.criterion} from {change.before} to {change.after}" for change in changes)
    caption = "Pearson's r before and after the weights were refitted, out of fold"
    return Drawing("refit", plotting.svg(figure), f"{caption}: {said}.", f"{caption}.")


def _points(axes: Any, figures: Sequence[Estimate], rows: Sequence[float], number: int, label: str) -> None:
    colour, marker = plotting.colour(number), _MARKERS[number % 6]
    known = [(each, row) for each, row in zip(figures, rows, strict=True) if each.value is not None]
    axes.plot([each.value for each, _ in known], [row for _, row in known], marker, color=colour, label=label)
    for each, row in known:
        if each.low is not None:
            axes.plot([each.low, each.high], [row, row], color=colour)

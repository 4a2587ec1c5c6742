"""Drawings of a calibration as SVG, the same bytes for the same figures."""

import io
from collections.abc import Sequence
from typing import Any

from ...extras import need
from ...page import Drawing
from .bootstrap import Estimate
from .results import OVERALL, Calibration, Change, Comparison

__all__ = ["drawings"]

_STYLE = {"svg.hashsalt": "calibration", "svg.fonttype": "none", "text.parse_math": False, "font.size": 10}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, told apart by most people; markers differ as well."""
_DASHED = "Dashed: what the gate requires."
_MARKERS = ("o", "s", "D", "^", "v", "P")


def drawings(found: Calibration) -> tuple[Drawing, ...]:
    """Correlations, calibration curves and, where there is one, the refit. Raises MissingExtra without matplotlib."""
    matplotlib = need("matplotlib", "plots")
    with matplotlib.rc_context(_STYLE):
        figures = [_correlations(found), _curves(found)]
        if found.refit is not None:
            figures.append(_refit(found.refit.changes))
    return tuple(figures)


def _correlations(found: Calibration) -> Drawing:
    names = list(dict.fromkeys(each.criterion for each in found.comparisons))
    figure = _figure(8, 0.9 + 0.25 * len(names) * max(2, len(found.layers)))
    axes = figure.subplots()
    axes.axvline(found.gate.least, color="0.6", linestyle="--", label=f"required: {found.gate.least:g}")
    for number, layer in enumerate(found.layers):
        own = [each for each in found.comparisons if each.layer == layer]
        rows = [names.index(each.criterion) + 0.7 * (number + 0.5) / len(found.layers) - 0.35 for each in own]
        _points(axes, [each.coefficients["pearson"] for each in own], rows, number, layer)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.set(xlim=(-1.05, 1.05), xlabel="Pearson's r with people's labels, 95% interval")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    said = "; ".join(
        f"{each.layer} overall {each.coefficients['pearson']}"
        for each in found.comparisons
        if each.criterion == OVERALL
    )
    caption = "Pearson's r of each layer with people's labels, by criterion"
    return Drawing("correlation", _svg(figure), f"{caption}: {said}.", f"{caption}. {_DASHED}")


def _curves(found: Calibration) -> Drawing:
    shown = [each for each in found.comparisons if each.criterion == OVERALL and each.reliability is not None]
    figure = _figure(3.2 * max(1, len(shown)), 3.6)
    for number, (axes, each) in enumerate(
        zip(figure.subplots(1, max(1, len(shown)), squeeze=False)[0], shown, strict=False)
    ):
        _curve(axes, each, number)
    caption = "Calibration curves overall"
    alt = f"{caption}: {'; '.join(map(_curve_words, shown))}."
    return Drawing("reliability", _svg(figure), alt, f"{caption}, with the number of steps; dashed: equal.")


def _curve(axes: Any, each: Comparison, number: int) -> None:
    bins = each.reliability.bins if each.reliability is not None else ()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--")
    axes.plot(
        [bin.score for bin in bins],
        [bin.label for bin in bins],
        color=_COLOURS[number % 6],
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
    figure = _figure(8, 0.9 + 0.5 * len(changes))
    axes = figure.subplots()
    for number, (label, offset) in enumerate((("before", -0.15), ("after, on tasks not fitted", 0.15))):
        figures = [change.after if number else change.before for change in changes]
        _points(axes, figures, [row + offset for row in range(len(changes))], number, label)
    axes.set_yticks(range(len(changes)), [change.criterion.replace("_", " ") for change in changes])
    axes.invert_yaxis()
    axes.set(xlim=(-1.05, 1.05), xlabel="Pearson's r with people's labels, 95% interval")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    said = "; ".join(f"{change.criterion} from {change.before} to {change.after}" for change in changes)
    caption = "Pearson's r before and after the weights were refitted, out of fold"
    return Drawing("refit", _svg(figure), f"{caption}: {said}.", f"{caption}.")


def _points(axes: Any, figures: Sequence[Estimate], rows: Sequence[float], number: int, label: str) -> None:
    colour, marker = _COLOURS[number % 6], _MARKERS[number % 6]
    known = [(each, row) for each, row in zip(figures, rows, strict=True) if each.value is not None]
    axes.plot([each.value for each, _ in known], [row for _, row in known], marker, color=colour, label=label)
    for each, row in known:
        if each.low is not None:
            axes.plot([each.low, each.high], [row, row], color=colour)


def _figure(width: float, height: float) -> Any:
    return need("matplotlib.figure", "plots").Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Any) -> str:
    target = io.StringIO()
    figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()

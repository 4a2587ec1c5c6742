"""Figures of Matplotlib in one style, and as SVG: the same bytes for the same figures. Needs the extra `eval`."""

import io
from collections.abc import Sequence
from typing import Any

from .extras import need

__all__ = ["PALETTE", "colour", "figure", "grid", "label_rows", "legend", "svg"]

_STYLE = {
    "svg.hashsalt": "trajectory-hub",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a949e",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6eaee",
}
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5f6b76", "#a6761d", "#7570b3")
"""Colours of series. The first six are Okabe and Ito's, which most people can tell apart."""
_WIDTH = 8.5
"""Inches across a page."""


def colour(number: int) -> str:
    """The colour of the series with this number, from 0; they repeat after the last."""
    return PALETTE[number % len(PALETTE)]


def figure(height: float = 3.6, width: float = _WIDTH) -> tuple[Any, Any]:
    """A `matplotlib.figure.Figure` and its axes; sizes are in inches. Raises MissingExtra."""
    made, axes = grid(height, width)
    return made, axes[0]


def grid(
    height: float, width: float = _WIDTH, *, rows: int = 1, columns: int = 1, share: bool = True
) -> tuple[Any, Any]:
    """A figure and the array of its axes, row by row. Raises MissingExtra.

    With `share`, axes below each other have the same x, and axes beside each other the same y.
    """
    with need("matplotlib", "plots").rc_context(_STYLE):
        made = need("matplotlib.figure", "plots").Figure(figsize=(width, height), layout="constrained")
        shared = {"sharex": share and rows > 1, "sharey": share and columns > 1}
        return made, made.subplots(rows, columns, squeeze=False, **shared).ravel()


def label_rows(axes: Any, labels: Sequence[str]) -> None:
    """Name the rows of horizontal bars or intervals, which are at y = 0, 1, ... from the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def legend(made: Any, columns: int, *handles: Any) -> None:
    """Put the legend above the axes of a figure."""
    made.legend(*handles, loc="outside upper center", ncols=columns, frameon=False)


def svg(made: Any) -> str:
    """A figure as SVG, without the date."""
    target = io.StringIO()
    with need("matplotlib", "plots").rc_context(_STYLE):
        made.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()

"""Drawings of measurements as SVG, the same bytes for the same figures. They raise MissingExtra without matplotlib."""

from collections.abc import Mapping, Sequence
from typing import Any

from ... import plotting
from ...extras import need
from ...page import Drawing
from . import figures

__all__ = ["Curve", "curves", "forest", "panels", "stacked", "stacked_area"]

Curve = tuple[tuple[float, float], ...]
"""Points (x, y) from left to right."""

_HATCHES = ("", "////", "....", "xxxx")
_DASHES = ("-", "--", "-.", ":")


def curves(
    name: str,
    lines: Mapping[str, Curve],
    *,
    x: str,
    y: str,
    caption: str,
    log: str = "",
    points: Sequence[str] = (),
    ticks: Sequence[float] = (),
) -> Drawing:
    """Lines over a common axis; `log` names the axes that are logarithmic, `points` the lines drawn as
    dots, `ticks` where x is labelled.
    """
    figure, axes = plotting.figure()
    _lines(axes, lines, log, points)
    axes.set(xlabel=x, ylabel=y)
    if ticks:
        axes.set_xticks(ticks)
    plotting.legend(figure, min(4, len(lines)))
    return Drawing(name, plotting.svg(figure), f"{caption} {_ends(lines)}", caption)


def panels(name: str, shown: Mapping[str, Mapping[str, Curve]], *, x: str, caption: str, log: str = "x") -> Drawing:
    """One panel a quantity, below each other, over the same x."""
    figure, axes = plotting.grid(1.0 + 1.7 * len(shown), rows=len(shown))
    for place, (title, lines) in enumerate(shown.items()):
        _lines(axes[place], lines, log, ())
        axes[place].set_ylabel(title)
    axes[-1].set_xlabel(x)
    first = next(iter(shown.values()))
    if len(first) > 1:
        plotting.legend(figure, 4, *axes[0].get_legend_handles_labels())
    said = "; ".join(f"{title}: {_ends(lines)}" for title, lines in shown.items())
    return Drawing(name, plotting.svg(figure), said, caption)


def stacked(name: str, rows: Mapping[str, Mapping[str, float]], *, x: str, caption: str) -> Drawing:
    """Horizontal bars of parts, one bar a row; parts in percent."""
    parts = list(dict.fromkeys(part for row in rows.values() for part in row))
    figure, axes = plotting.figure(1.3 + 0.42 * len(rows))
    left = dict.fromkeys(rows, 0.0)
    for number, part in enumerate(parts):
        values = [100 * row.get(part, 0.0) for row in rows.values()]
        axes.barh(
            list(range(len(rows))),
            values,
            left=list(left.values()),
            label=part,
            height=0.6,
            **_fill(number),
        )
        left = {row: start + value for (row, start), value in zip(left.items(), values, strict=True)}
    plotting.label_rows(axes, [_short(row) for row in rows])
    axes.set(xlabel=x, xlim=(0, 100))
    plotting.legend(figure, min(6, len(parts)))
    said = "; ".join(
        f"{row}: " + ", ".join(f"{part} {100 * value:.0f}%" for part, value in shares.items())
        for row, shares in rows.items()
    )
    return Drawing(name, plotting.svg(figure), said, caption)


def stacked_area(name: str, shown: Mapping[str, Mapping[str, Sequence[float]]], *, x: str, caption: str) -> Drawing:
    """Shares of parts over ten stretches of an episode, one panel a group, side by side."""
    parts = list(dict.fromkeys(part for group in shown.values() for part in group))
    figure, axes = plotting.grid(3.4, columns=len(shown))
    for place, (title, group) in enumerate(shown.items()):
        lengths = len(next(iter(group.values()), ()))
        base = [0.0] * lengths
        for number, part in enumerate(parts):
            values = [100 * value for value in group.get(part, [0.0] * lengths)]
            axes[place].bar(range(1, lengths + 1), values, bottom=base, width=1.0, label=part, **_fill(number))
            base = [low + value for low, value in zip(base, values, strict=True)]
        axes[place].set(title=_short(title), xlabel=x, ylim=(0, 100))
    axes[0].set_ylabel("steps, %")
    plotting.legend(figure, 6, *axes[0].get_legend_handles_labels())
    said = "; ".join(
        f"{title}: "
        + ", ".join(
            f"{part} {100 * values[0]:.0f}% to {100 * values[-1]:.0f}%" for part, values in group.items() if values
        )
        for title, group in shown.items()
    )
    return Drawing(name, plotting.svg(figure), said, caption)


def forest(name: str, rows: Mapping[str, tuple[float, float | None, float | None]], *, x: str, caption: str) -> Drawing:
    """Estimates with their intervals, one below the other; the line is at 0."""
    figure, axes = plotting.figure(1.0 + 0.32 * len(rows))
    axes.axvline(0, color="#1c2024", linewidth=1)
    for place, (value, low, high) in enumerate(rows.values()):
        sure = low is not None and high is not None and (low > 0 or high < 0)
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=plotting.PALETTE[0], linewidth=2, solid_capstyle="butt")
        axes.plot([value], [place], "o", color=plotting.PALETTE[0], markersize=6, fillstyle="full" if sure else "none")
    plotting.label_rows(axes, [_short(row) for row in rows])
    axes.set_xlabel(x)
    said = "; ".join(
        f"{row} {value:.3g}" + ("" if low is None or high is None else f" [{low:.3g}, {high:.3g}]")
        for row, (value, low, high) in rows.items()
    )
    return Drawing(name, plotting.svg(figure), said, caption)


def _fill(number: int) -> dict[str, Any]:
    """A colour for each of the first parts, then the same with a pattern."""
    pattern = _HATCHES[number // len(plotting.PALETTE) % len(_HATCHES)]
    return {"color": plotting.colour(number)} | ({"hatch": pattern, "edgecolor": "#ffffff"} if pattern else {})


def _lines(axes: Any, lines: Mapping[str, Curve], log: str, points: Sequence[str]) -> None:
    for number, (label, line) in enumerate(lines.items()):
        x, y = [one for one, _ in line], [two for _, two in line]
        style = {"marker": ".", "linestyle": "none"} if label in points else {"linestyle": _DASHES[number // 9 % 4]}
        axes.plot(x, y, color=plotting.colour(number), label=_short(label), **style)
    plain = need("matplotlib.ticker", "plots").FuncFormatter(_plain)
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if name in log:
            getattr(axes, f"set_{name}scale")("log")
            axis.set_major_formatter(plain)
            axis.set_minor_formatter(need("matplotlib.ticker", "plots").NullFormatter())


def _plain(value: float, _place: int | None = None) -> str:
    return f"{value:g}"


def _ends(lines: Mapping[str, Curve]) -> str:
    told = list[str]()
    for label, line in lines.items():
        if line:
            (x, y), (last_x, last_y) = ([figures.number(one) for one in point] for point in (line[0], line[-1]))
            told.append((f"{label}: " if label else "") + f"from {y} at {x} to {last_y} at {last_x}")
    return "; ".join(told)


def _short(label: str) -> str:
    return label if len(label) <= 48 else label[:47] + "\N{HORIZONTAL ELLIPSIS}"

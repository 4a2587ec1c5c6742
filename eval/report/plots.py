"""Drawings of an experiment as SVG, the same bytes for the same figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from ... import plotting
from ...page import Drawing
from .collect import ArmResult, Collected, Gated
from .families import FamilyRates

__all__ = ["arms", "changed", "families", "gains", "losses", "time_spent"]

_ROLES = {"base": "#5f6b76", "control": "#e69f00", "candidate": "#0072b2", "negative": "#cc79a7"}
_GOOD, _BAD = "#0a6b3d", "#9c1f1f"
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def gains(gates: Sequence[Gated], min_gain: float) -> Drawing:
    """Each gate's gain with its interval."""
    figure, axes = plotting.figure(1.1 + 0.34 * len(gates))
    axes.axvline(0, color="#1c2024", linewidth=1)
    axes.axvline(100 * min_gain, color="#8a949e", linestyle="--", linewidth=1)
    for row, one in enumerate(gates):
        low, high = (100 * end for end in one.record.interval)
        colour = _GOOD if one.record.decision == "GO" else _BAD
        marker = "o" if one.record.decision == "GO" else "x"
        axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot([100 * one.record.gain], [row], marker, color=colour, markersize=7)
    plotting.label_rows(axes, [one.name for one in gates])
    axes.set_xlabel("gain in points, 95% interval")
    said = "; ".join(
        f"{one.name}: {100 * one.record.gain:+.1f} [{100 * one.record.interval[0]:+.1f}, "
        f"{100 * one.record.interval[1]:+.1f}] {one.record.decision}"
        for one in gates
    )
    caption = (
        f"Gains of all gates: a dot is GO, a cross NO-GO; dashed: the least gain asked for, {100 * min_gain:g} points."
    )
    return Drawing("gains", plotting.svg(figure), said, caption)


def arms(found: Collected) -> Drawing:
    """pass@1 of each arm: every training seed with its interval, and their mean."""
    shown = {name: [one for one in results if one.side is not None] for name, results in found.by_arm.items()}
    shown = {name: results for name, results in shown.items() if results}
    figure, axes = plotting.figure(1.1 + 0.6 * len(shown))
    said = list[str]()
    for row, (name, results) in enumerate(shown.items()):
        values = [100 * one.side.pass_1.value for one in results if one.side is not None]
        colour, mean = _ROLES[results[0].arm.role], sum(values) / len(values)
        axes.barh(row, mean, height=0.62, color=colour, alpha=0.22)
        for place, one in enumerate(results):
            at = row + 0.36 * (place - (len(results) - 1) / 2) / max(1, len(results) - 1)
            _dot(axes, one, at, colour)
        axes.annotate(f"{mean:.1f}", (0, row), xytext=(4, 0), textcoords="offset points", va="center", weight="bold")
        said.append(f"{name} {mean:.1f}% ({', '.join(f'{value:.1f}' for value in values)})")
    plotting.label_rows(axes, [f"{name} ({results[0].arm.role})" for name, results in shown.items()])
    axes.set(xlabel="tasks resolved, % (pass@1)", xlim=(0, None))
    caption = "Bars: mean over training seeds. Dots: each seed, with the 95% interval over tasks."
    return Drawing("arms", plotting.svg(figure), "; ".join(said), caption)


def _dot(axes: Any, one: ArmResult, at: float, colour: str) -> None:
    assert one.side is not None
    rate = one.side.pass_1
    axes.plot([100 * rate.low, 100 * rate.high], [at, at], color=colour, linewidth=1.5)
    axes.plot([100 * rate.value], [at], "o", color=colour, markersize=5)


def families(rates: Sequence[FamilyRates], names: Sequence[str]) -> Drawing:
    """The share of each family that each arm resolves, all training seeds together."""
    figure, axes = plotting.figure(1.3 + 0.42 * len(rates))
    for number, name in enumerate(names):
        rows = [row + 0.6 * ((number + 0.5) / len(names) - 0.5) for row in range(len(rates))]
        values = [100 * one.rates[name] for one in rates]
        axes.plot(values, rows, _MARKERS[number % 7], color=plotting.colour(number), label=name, markersize=5.5)
    axes.set_yticks(range(len(rates)), [f"{one.family} ({one.tasks})" for one in rates])
    axes.set_ylim(len(rates) - 0.5, -0.5)
    axes.set(xlabel="tasks resolved, %", xlim=(-2, 102))
    plotting.legend(figure, min(6, len(names)))
    said = "; ".join(
        f"{one.family}: " + ", ".join(f"{name} {100 * one.rates[name]:.0f}%" for name in names) for one in rates
    )
    return Drawing(
        "families", plotting.svg(figure), said, "Tasks resolved by family, with the number of tasks of each."
    )


def changed(gates: Sequence[Gated]) -> Drawing:
    """Pairs gained and lost by each gate."""
    figure, axes = plotting.figure(1.1 + 0.34 * len(gates))
    for row, one in enumerate(gates):
        axes.barh(row, one.record.gained, color=_GOOD, height=0.6)
        axes.barh(row, -one.record.lost, color=_BAD, height=0.6)
        for value, side, where in ((one.record.gained, 4, "left"), (-one.record.lost, -4, "right")):
            if value:
                text = f"{value:+d}"
                axes.annotate(text, (value, row), xytext=(side, 0), textcoords="offset points", va="center", ha=where)
    axes.axvline(0, color="#1c2024", linewidth=1)
    plotting.label_rows(axes, [one.name for one in gates])
    axes.margins(x=0.12)
    axes.set_xlabel("pairs of task and seed lost (left) and gained (right)")
    said = "; ".join(f"{one.name}: {one.record.gained} gained, {one.record.lost} lost" for one in gates)
    return Drawing("changed", plotting.svg(figure), said, "Pairs in which only one side resolved the task.")


def time_spent(rows: Mapping[str, Mapping[str, float]]) -> Drawing:
    """Minutes of each kind of stage, a bar for each training seed and one for what they share."""
    kinds = list(dict.fromkeys(kind for row in rows.values() for kind in row))
    figure, axes = plotting.figure(1.4 + 0.45 * len(rows))
    left = dict.fromkeys(rows, 0.0)
    for number, kind in enumerate(kinds):
        values = [row.get(kind, 0.0) / 60 for row in rows.values()]
        colour = plotting.colour(number)
        axes.barh(list(range(len(rows))), values, left=list(left.values()), color=colour, height=0.6, label=kind)
        left = {name: start + value for (name, start), value in zip(left.items(), values, strict=True)}
    plotting.label_rows(axes, list(rows))
    axes.set_xlabel("minutes")
    plotting.legend(figure, min(6, len(kinds)))
    said = "; ".join(
        f"{name}: " + ", ".join(f"{kind} {seconds / 60:.1f} min" for kind, seconds in row.items())
        for name, row in rows.items()
    )
    return Drawing("time", plotting.svg(figure), said, "Wall-clock time by kind of stage.")


def losses(curves: Mapping[str, Sequence[tuple[float, float]]]) -> Drawing:
    """Training loss over steps, one line an arm (its first training seed)."""
    figure, axes = plotting.figure(3.4)
    for number, (name, points) in enumerate(curves.items()):
        axes.plot([x for x, _ in points], [y for _, y in points], color=plotting.colour(number), label=name)
    axes.set(xlabel="step", ylabel="training loss")
    plotting.legend(figure, min(6, len(curves)))
    said = "; ".join(f"{name}: from {points[0][1]:.3f} to {points[-1][1]:.3f}" for name, points in curves.items())
    return Drawing(
        "losses", plotting.svg(figure), said, "Training loss of the first training seed; losses of different kinds."
    )
